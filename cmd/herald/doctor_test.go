package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/doctor"
	"herald/internal/postgres/embedded"
	"herald/internal/postgres/pgtest"
)

// examined runs 'herald doctor' on a free address and an unused data folder, and
// returns what it finds by check.
func examined(t *testing.T, args ...string) (found map[string]doctor.Finding, status int) {
	t.Helper()
	if !strings.Contains(strings.Join(args, " "), "--data-dir") {
		args = append(args, "--data-dir", filepath.Join(t.TempDir(), "data"))
	}
	if !strings.Contains(strings.Join(args, " "), "--addr") {
		args = append(args, "--addr", "127.0.0.1:0")
	}
	var out, err bytes.Buffer
	status = run(t.Context(), append([]string{"doctor", "--json"}, args...), nil, &out, &err)
	if err.Len() > 0 {
		t.Errorf("it complains: %s", err.String())
	}
	if strings.Contains(out.String(), "hush") {
		t.Errorf("there is a secret in %s", out.String())
	}
	found = map[string]doctor.Finding{}
	for lines := json.NewDecoder(&out); lines.More(); {
		var f doctor.Finding
		if err := lines.Decode(&f); err != nil {
			t.Fatal(err)
		}
		found[f.Check] = f
	}
	return found, status
}

func wantProblem(t *testing.T, check, text string, args ...string) {
	t.Helper()
	found, status := examined(t, args...)
	f := found[check]
	if status != 1 || f.Level != doctor.Problem || !strings.Contains(f.Found, text) || f.Advice == "" {
		t.Errorf("status %d, %+v; want 1 and a problem with %q", status, f, text)
	}
	for name, other := range found {
		if name != check && other.Level == doctor.Problem {
			t.Errorf("another problem: %+v", other)
		}
	}
}

func TestDoctorFindsAllWell(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	found, status := examined(t, "--database-url", server.URL(), "--max-streams", "10")
	for name, f := range found {
		if f.Level != doctor.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if diff := cmp.Diff(documented(t), slices.Sorted(maps.Keys(found))); diff != "" || status != 0 {
		t.Errorf("status %d, checks (-documented +there):\n%s", status, diff)
	}
	status, out, _ := program(t, "doctor", "--database-url", server.URL(), "--data-dir", t.TempDir(), "--addr", "127.0.0.1:0")
	if status != 0 || !strings.Contains(out, "ok       schema        it is this program's\n") {
		t.Errorf("status %d: %s", status, out)
	}
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/template1"
	wantProblem(t, "schema", "not there", "--database-url", u.String())
}

// documented are the checks that the page has.
func documented(t *testing.T) (names []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) > 1 && !strings.HasPrefix(cells[1], "---") {
			names = append(names, strings.TrimSpace(cells[1]))
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return name == "check" })
}

// A Herald that runs with its own Postgres is found, and not disturbed.
func TestDoctorBesidesHerald(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	stdout, stop := up(t, "--addr", "127.0.0.1:0", "--data-dir", dir)
	_, rest, _ := strings.Cut(stdout.String(), "http://")
	addr, _, _ := strings.Cut(rest, "\n")
	found, status := examined(t, "--data-dir", dir, "--addr", addr)
	if status != 0 || !strings.Contains(found["address"].Found, "a Herald answers") || !strings.Contains(found["log"].Found, "a node leads it") {
		t.Errorf("status %d, %+v, %+v", status, found["address"], found["log"])
	}
	if status := stop(); status != 0 {
		t.Errorf("herald up ended with %d", status)
	}
	found, status = examined(t, "--data-dir", dir)
	if status != 0 || !strings.Contains(found["database"].Found, "does not run: 'herald up' starts it, with Postgres") {
		t.Errorf("status %d, %+v, want to be told that it does not run", status, found["database"])
	}
}

func TestParity_11_DoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, open := filepath.Join(dir, "file"), filepath.Join(dir, "signing.key")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.WriteFile(open, make([]byte, 32), 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Run("no database", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "database", "refused", "--database-url", "postgres://ann:hush@127.0.0.1:1/herald")
	})
	t.Run("no address of a database", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "database", "URL", "--database-url", "postgres://ann:hush@127.0.0.1:port/herald")
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "database", "password authentication failed", "--database-url", locked(t))
	})
	t.Run("settings", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "settings", "--workers 0: want 1 to 256", "--workers", "0")
	})
	t.Run("secret of callbacks", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "settings", "--callback-secret", "--callback-secret", "hush")
	})
	t.Run("readable key", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "secret files", "mode 0644", "--key-file", open)
	})
	t.Run("short key", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "secret files", "want at least 32", "--key-file", file)
	})
	t.Run("credentials in an address", func(t *testing.T) {
		t.Parallel()
		found, status := examined(t, "--blob-url", "hole://ann:hush@x")
		if status != 1 || !strings.Contains(found["settings"].Found, "credentials have no place") || !strings.Contains(found["blob store"].Found, "hole://ann:(hidden)@x") {
			t.Errorf("status %d, %+v, %+v", status, found["settings"], found["blob store"])
		}
	})
	t.Run("blob store", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "blob store", "hole", "--blob-url", "hole://x")
	})
	t.Run("address", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "address", "99999", "--addr", "127.0.0.1:99999")
	})
	t.Run("data folder", func(t *testing.T) {
		t.Parallel()
		found, status := examined(t, "--data-dir", filepath.Join(file, "data"))
		if f := found["data folder"]; status != 1 || f.Level != doctor.Problem || !strings.Contains(f.Advice, "--data-dir") {
			t.Errorf("status %d, %+v", status, f)
		}
	})
	t.Run("mail server", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, "mail server", "refused", "--absent-after", "1h", "--absent-mail-to", "{user}@example.org",
			"--mail-from", "herald@example.org", "--smtp-addr", "127.0.0.1:1")
	})
}

func TestDoctorMissesFFmpeg(t *testing.T) {
	bin := postgresBin(t)
	t.Setenv("PATH", t.TempDir())
	wantProblem(t, "ffmpeg", "not installed", "--postgres-bin", bin)
}

// postgresBin is the folder of Postgres' programs, whatever the PATH is.
func postgresBin(t *testing.T) string {
	t.Helper()
	found, err := embedded.Find(t.Context(), os.Getenv("HERALD_POSTGRES_BIN"))
	if err != nil {
		t.Fatal(err)
	}
	return found.Dir
}

// locked is the URL of a server that wants a password, with a wrong one.
func locked(t *testing.T) string {
	t.Helper()
	dir := dataDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(dir, "hba.conf")
	if err := errors.Join(os.WriteFile(rules, []byte("local all all scram-sha-256\n"), 0o600), os.Chmod(rules, 0o644)); err != nil {
		t.Fatal(err)
	}
	server, err := embedded.Start(t.Context(), embedded.Config{
		Dir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("HERALD_POSTGRES_BIN"), Logger: slog.New(slog.DiscardHandler),
		Settings: map[string]string{"hba_file": rules, "fsync": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return server.URL(embedded.Database) + "&password=hush"
}
