package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHTTPMeasuresEverything(t *testing.T) {
	t.Parallel()
	c := &httpCmd{output: output{PostgresBin: os.Getenv("HERALD_POSTGRES_BIN")}, CPUProfile: filepath.Join(t.TempDir(), "cpu.prof")}
	figures, err := c.measure(t.Context(), publishPlan{rounds: 1, slice: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range figures {
		got[f.Key] = f.Value
	}
	for _, key := range []string{
		"publish_per_s", "publish_p50_ms", "publish_p99_ms", "publish_load_cpu_us", "publish_keyed_per_s",
		"publish_batch_events_per_s", "bare_per_s", "publish_ratio",
	} {
		if got[key] <= 0 {
			t.Errorf("%s = %v", key, got[key])
		}
	}
	if written, err := os.Stat(c.CPUProfile); err != nil || written.Size() == 0 {
		t.Errorf("the CPU profile: %v, %v", written, err)
	}
}

func TestALoadThatIsRefusedFails(t *testing.T) {
	t.Parallel()
	load := httpLoad{Address: startRefusing(t), Path: "/", Bodies: []string{"{}"}, Slice: time.Second}
	if _, err := load.publish(t.Context()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("publish() = %v, want what was answered", err)
	}
}

func TestStatOf(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stat")
	if err := os.WriteFile(path, []byte("7 (a ) 1 b) S 3 7 7 0 -1 4 9 9 9 9 11 12 13 14 20 0 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := processStat{parent: 3, own: 230 * time.Millisecond, ended: 270 * time.Millisecond}
	if got, err := statOf(path); err != nil || got != want {
		t.Errorf("statOf() = %+v, %v, want %+v", got, err, want)
	}
	if err := os.WriteFile(path, []byte("7 (cut) S 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := statOf(path); err == nil {
		t.Error("statOf() of half a line says nothing")
	}
}

// startRefusing serves 403 to everybody, and returns the address.
func startRefusing(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
