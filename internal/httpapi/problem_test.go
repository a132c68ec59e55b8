package httpapi_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/httpapi"
)

// Who meets a problem finds it in docs/errors.md, under its type and status.
func TestProblemsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9, ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		if _, twice := rows[row[1]]; twice {
			t.Errorf("%s has two rows", row[1])
		}
		for status := range strings.SplitSeq(row[2], ", ") {
			n, err := strconv.Atoi(status)
			if err != nil {
				t.Fatal(err)
			}
			rows[row[1]] = append(rows[row[1]], n)
		}
	}
	if diff := cmp.Diff(httpapi.ProblemTypes(), rows); diff != "" {
		t.Errorf("docs/errors.md: -problems +rows:\n%s", diff)
	}
}
