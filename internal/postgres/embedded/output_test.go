package embedded_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/postgres/embedded"
)

func TestPostgresWordsAreLogged(t *testing.T) {
	t.Parallel()
	const said = "LOG:  database system is ready\n" +
		"ERROR:  duplicate key\nDETAIL:  Key (id) already exists.\n\ttwice\n" +
		"FATAL:  terminating connection\n" +
		"PANIC:  could not write to file\nHINT:  Free some space.\n" +
		"libc says something\n"
	want := []string{
		"DEBUG LOG:  database system is ready",
		"WARN ERROR:  duplicate key",
		"WARN DETAIL:  Key (id) already exists.",
		"WARN \ttwice",
		"WARN FATAL:  terminating connection",
		"ERROR PANIC:  could not write to file",
		"ERROR HINT:  Free some space.",
		"WARN libc says something",
	}
	for _, size := range []int{1, 7, len(said)} {
		if diff := cmp.Diff(want, logged(t, said, size)); diff != "" {
			t.Errorf("in pieces of %d bytes (-want +got):\n%s", size, diff)
		}
	}
}

func TestLongLinesAreCut(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 1 << 20} {
		got := logged(t, "LOG:  "+strings.Repeat("x", 100_000)+"\nLOG:  short\n", size)
		if len(got) != 2 || len(got[0]) > 5000 || got[1] != "DEBUG LOG:  short" {
			t.Errorf("in pieces of %d bytes: %d lines, the first of %d bytes, the last %q; want 2, the first cut", size, len(got), len(got[0]), got[len(got)-1])
		}
	}
}

// logged is what reaches the log of words that come in pieces.
func logged(t *testing.T, said string, size int) []string {
	t.Helper()
	var log bytes.Buffer
	w := embedded.LogWriter(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.MessageKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	for len(said) > 0 {
		n, err := io.WriteString(w, said[:min(size, len(said))])
		if err != nil {
			t.Fatal(err)
		}
		said = said[n:]
	}
	var lines []string
	for line := range strings.Lines(log.String()) {
		level, text, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "level="), " line=")
		text = strings.ReplaceAll(strings.Trim(text, `"`), `\t`, "\t")
		lines = append(lines, level+" "+text)
	}
	return lines
}
