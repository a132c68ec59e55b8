package worker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"herald/internal/job"
	"herald/internal/worker"
)

func TestFolderOfADeadPoolIsRemoved(t *testing.T) {
	t.Parallel()
	shared := filepath.Join(t.TempDir(), "work")
	used, remove, err := worker.OpenFolder(shared)
	if err != nil {
		t.Fatal(err)
	}
	dead, foreign := filepath.Join(shared, "pool-1"), filepath.Join(shared, "precious")
	for _, folder := range []string{filepath.Join(dead, "job"), foreign} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	own, removeOwn, err := worker.OpenFolder(shared)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{used: true, own: true, foreign: true, dead: false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", path, err, want)
		}
	}
	for path, remove := range map[string]func() error{used: remove, own: removeOwn} {
		if err := remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"the disk is full":  "The disk is full.",
		"écran: no signal!": "Écran: no signal!",
		"a\x00b\xff":        "Ab\uFFFD.",
		" \n":               "The job failed and gave no reason.",
	} {
		if got := worker.Sentence(text); got != want {
			t.Errorf("Sentence(%q) = %q, want %q", text, got, want)
		}
	}
	for _, long := range []string{strings.Repeat("x", job.MaxError), strings.Repeat("é", job.MaxError)} {
		if got := worker.Sentence(long); len(got) > job.MaxError || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("Sentence(long) has %d bytes and ends with %q", len(got), got[len(got)-4:])
		}
	}
}
