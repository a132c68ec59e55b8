package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"herald/internal/config"
)

// printed is what 'herald config' prints as JSON.
type printed struct {
	Settings []setting `json:"settings"`
	Unknown  []string  `json:"unknown_variables"`
}

func (p printed) byFlag(flag string) setting {
	for _, s := range p.Settings {
		if s.Flag == flag {
			return s
		}
	}
	return setting{}
}

func printedConfig(t *testing.T, environ []string, args ...string) (p printed, status int, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), append([]string{"config", "--json"}, args...), environ, &out, &err)
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return p, status, err.String()
}

func TestConfigSaysWhereEachSettingComesFrom(t *testing.T) {
	t.Setenv("HERALD_WORKERS", "7")
	t.Setenv("HERALD_DATABASE_URL", "postgres://ann:hush@db/herald")
	t.Setenv("HERALD_CALLBACK_SECRET", "whsec_hush")
	t.Setenv("HERALD_TOKEN", "hush")
	dir := t.TempDir()
	p, status, stderr := printedConfig(t, nil, "--data-dir", dir, "--max-upload-size", "3GiB")
	if status != 0 || stderr != "" {
		t.Errorf("status %d, %q, want 0 and nothing said", status, stderr)
	}
	for flag, want := range map[string][2]string{
		"--addr":                {"127.0.0.1:8080", "default"},
		"--data-dir":            {dir, "flag"},
		"--key-file":            {filepath.Join(dir, "signing.key"), "default"},
		"--max-upload-size":     {"3GiB", "flag"},
		"--workers":             {"7", "HERALD_WORKERS"},
		"--database-url":        {"postgres://ann:(hidden)@db/herald", "HERALD_DATABASE_URL"},
		"--direct-database-url": {"postgres://ann:(hidden)@db/herald", "default"},
		"--callback-secret":     {"(hidden)", "HERALD_CALLBACK_SECRET"},
		"--token":               {"(hidden)", "HERALD_TOKEN"}, // of other commands
		"--dev":                 {"true", "default"},
	} {
		if got := p.byFlag(flag); got.Value != want[0] || got.From != want[1] {
			t.Errorf("%s = %q from %s, want %q from %s", flag, got.Value, got.From, want[0], want[1])
		}
	}
	status, table, stderr := program(t, "config")
	if status != 0 || strings.Contains(table+stderr, "hush") || !strings.Contains(table, "--workers") {
		t.Errorf("status %d: %s%s; want a table without secrets", status, table, stderr)
	}
}

// A setting that is added is in the list by itself.
func TestConfigHasEverySetting(t *testing.T) {
	t.Parallel()
	p, _, _ := printedConfig(t, nil)
	var variables []string
	for _, s := range p.Settings {
		variables = append(variables, s.Variables...)
	}
	all := strings.Join(variables, ",")
	for f := range reflect.TypeFor[config.Config]().Fields() {
		if env := f.Tag.Get("env"); f.Tag.Get("kong") != "-" && (env == "" || !strings.Contains(all, env)) {
			t.Errorf("%s (%s) is not in the list", f.Name, env)
		}
	}
}

// What makes no sense is shown all the same, and told.
func TestConfigTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	p, status, stderr := printedConfig(t, []string{"HERALD_DATABSE_URL=x", "HERALD_ADDR=y", "HOME=z"})
	if status != usage || len(p.Unknown) != 1 || p.Unknown[0] != "HERALD_DATABSE_URL" || !strings.Contains(stderr, "HERALD_DATABSE_URL is set") {
		t.Errorf("status %d, %q, %s; want the unknown variable told", status, p.Unknown, stderr)
	}
	p, status, stderr = printedConfig(t, nil, "--workers", "999")
	if status != 1 || p.byFlag("--workers").Value != "999" || !strings.Contains(stderr, "--workers 999: want 1 to 256") {
		t.Errorf("status %d, %+v, %s; want the setting shown, and what is wrong with it", status, p.byFlag("--workers"), stderr)
	}
}
