// Package docs_test holds pages of documentation against the tree.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sources are the texts of the tree's programs, or of their tests.
func sources(t *testing.T, tests bool) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == "node_modules" || name == "dist" || strings.HasPrefix(name, ".") && name != ".."):
			return fs.SkipDir
		case !entry.Type().IsRegular() || !isSource.MatchString(name) || isTest.MatchString(name) != tests:
			return nil
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

var (
	isSource = regexp.MustCompile(`\.(go|tsx?|sql)$`)
	isTest   = regexp.MustCompile(`(_test\.go|\.(test|spec)\.tsx?)$`)
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What the page quotes as Herald's words, and what it names to be looked at, is there.
func TestTroubleshootingQuotesWhatHeraldSays(t *testing.T) {
	t.Parallel()
	page, code := read(t, "troubleshooting.md"), sources(t, false)
	quoted := regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(page, -1)
	named := regexp.MustCompile("`(herald_[a-z_]+|HERALD_[A-Z_]+)").FindAllStringSubmatch(page, -1)
	for _, found := range append(quoted, named...) {
		// Words are put together from those of several places by a colon and around a value.
		for part := range strings.SplitSeq(strings.ReplaceAll(found[1], ": ", "…"), "…") {
			part = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(part), "herald_"), ")") // metrics' prefix stands apart
			if !strings.Contains(code, strings.TrimSpace(part)) {
				t.Errorf("the page says %q, and no program does: %q", found[1], part)
			}
		}
	}
	if len(quoted) < 50 || len(named) < 5 {
		t.Errorf("the page quotes %d times and names %d settings and metrics: the test no longer reads it right", len(quoted), len(named))
	}
	for _, flag := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(page, -1) {
		if variable := "HERALD_" + strings.ToUpper(strings.ReplaceAll(flag[1], "-", "_")); !strings.Contains(code, variable) {
			t.Errorf("the page names --%s, and there is no %s", flag[1], variable)
		}
	}
}
