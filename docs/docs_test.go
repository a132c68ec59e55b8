// Package docs_test holds pages of documentation against the tree.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// Each row of the earlier service's features is there, with tests that exist; and
// each such test is in a row.
func TestParityNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	page, tests := read(t, "parity.md"), sources(t, true)
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|.*\| (.*) \|$`).FindAllStringSubmatch(page, -1)
	const features = 28
	if len(rows) != features {
		t.Errorf("the page has %d rows, want %d", len(rows), features)
	}
	named := map[string]bool{}
	for n, row := range rows {
		number := fmt.Sprintf("%02d", n+1)
		if row[1] != strconv.Itoa(n+1) {
			t.Errorf("row %d is the %s", n+1, row[1])
		}
		list := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1)
		if len(list) == 0 {
			t.Errorf("row %s names no test", number)
		}
		for _, test := range list {
			named[test[1]] = true
			_, numbers, _ := strings.Cut(test[1], "Parity")
			if !strings.Contains(numbers, "_"+number) {
				t.Errorf("row %s names %s, which is for others", number, test[1])
			}
		}
	}
	there := map[string]bool{}
	for _, test := range regexp.MustCompile(`func (TestParity_\w+)\(|\btest\("(Parity_[^"]+)"`).FindAllStringSubmatch(tests, -1) {
		there[test[1]+test[2]] = true
	}
	if diff := cmp.Diff(there, named); diff != "" {
		t.Errorf("the tests that there are, and those that the page names: -there +named:\n%s", diff)
	}
}

// Whoever begins at the README finds every page, and no link leads nowhere.
func TestParity_28_PagesAreReachedFromTheReadme(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	reached, next := map[string]bool{}, []string{"../README.md"}
	for len(next) > 0 {
		page := next[0]
		next = next[1:]
		if reached[page] {
			continue
		}
		reached[page] = true
		for _, found := range link.FindAllStringSubmatch(read(t, page), -1) {
			to := filepath.Join(filepath.Dir(page), found[1])
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s has a link to %s: %v", page, found[1], err)
			} else if filepath.Ext(to) == ".md" {
				next = append(next, to)
			}
		}
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("the pages are %v, %v", pages, err)
	}
	for _, page := range pages {
		if !reached[page] {
			t.Errorf("no link leads from the README to %s", page)
		}
	}
}
