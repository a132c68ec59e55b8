package sse_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/sse"
)

const limit = 1 << 20

// shared is a case that the JavaScript client's parser passes too.
type shared struct {
	Name   string   `json:"name"`
	Chunks []string `json:"chunks"`
	Events []struct {
		ID    string `json:"id"`
		Event string `json:"event"`
		Data  string `json:"data"`
	} `json:"events"`
	Retry int64 `json:"retry"`
}

func sharedCases(tb testing.TB) []shared {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "streams.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var cases []shared
	if err := json.Unmarshal(text, &cases); err != nil {
		tb.Fatal(err)
	}
	return cases
}

func readAll(r *sse.Reader) ([]sse.Event, error) {
	var events []sse.Event
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, tt := range sharedCases(t) {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			var want []sse.Event
			for _, e := range tt.Events {
				want = append(want, sse.Event{ID: e.ID, Name: e.Event, Data: e.Data})
			}
			r := sse.NewReader(strings.NewReader(strings.Join(tt.Chunks, "")), limit)
			got, err := readAll(r)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
			if want := time.Duration(tt.Retry) * time.Millisecond; r.Retry() != want {
				t.Errorf("Retry() = %v, want %v", r.Retry(), want)
			}
		})
	}
}

func TestReaderIsBounded(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{
		"a long line":  "data: " + strings.Repeat("x", 200),
		"a long event": strings.Repeat("data: x\n", 200),
	} {
		if _, err := sse.NewReader(strings.NewReader(stream), 100).Next(); !errors.Is(err, sse.ErrTooLong) {
			t.Errorf("%s: Next() = %v, want %v", name, err, sse.ErrTooLong)
		}
	}
}

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ id, name, data, want string }{
		{"7", "job.step", `{"a":1}`, "id: 7\nevent: job.step\ndata: {\"a\":1}\n\n"},
		{"", "", "x", "data: x\n\n"},
		{"", "", "", "data: \n\n"},
		{"", "", "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n"},
		{"7\ndata: evil", "x\r\nid: 9", "a", "id: 7\nevent: x\ndata: a\n\n"},
		{"7\x00", "", "a", "id: 7\ndata: a\n\n"},
	} {
		if got := string(sse.AppendEvent(nil, tt.id, tt.name, []byte(tt.data))); got != tt.want {
			t.Errorf("AppendEvent(%q, %q, %q) = %q, want %q", tt.id, tt.name, tt.data, got, tt.want)
		}
	}
	if got, want := string(sse.AppendRetry(nil, 1500*time.Millisecond)), "retry: 1500\n\n"; got != want {
		t.Errorf("AppendRetry() = %q, want %q", got, want)
	}
	if got, want := string(sse.AppendHeartbeat(nil)), ":\n\n"; got != want {
		t.Errorf("AppendHeartbeat() = %q, want %q", got, want)
	}
}

// What is written is read back, whatever stands in it.
func FuzzWriteRead(f *testing.F) {
	f.Add("7", "job.step", "a\nb")
	f.Add("\x00", "\r", "\r\n\r\n")
	f.Fuzz(func(t *testing.T, id, name, data string) {
		stream := sse.AppendEvent(nil, id, name, []byte(data))
		events, err := readAll(sse.NewReader(strings.NewReader(string(stream)), limit))
		if err != nil || len(events) != 1 {
			t.Fatalf("%q reads back as %v, %v, want one event", stream, events, err)
		}
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(data, "\uFFFD"))
		if got := events[0].Data; got != want {
			t.Errorf("data %q reads back as %q", data, got)
		}
		if got, want := events[0].ID, firstPart(id); got != want {
			t.Errorf("id %q reads back as %q, want %q", id, got, want)
		}
		if got := firstPart(name); got != events[0].Name && (got != "" || events[0].Name != "message") {
			t.Errorf("name %q reads back as %q", name, events[0].Name)
		}
	})
}

// firstPart is what of an id or a name may stand in a stream.
func firstPart(text string) string {
	if end := strings.IndexAny(text, "\r\n\x00"); end >= 0 {
		text = text[:end]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// No stream breaks the reader, however it is cut.
func FuzzReader(f *testing.F) {
	for _, c := range sharedCases(f) {
		f.Add(strings.Join(c.Chunks, ""))
	}
	f.Fuzz(func(t *testing.T, stream string) {
		events, err := readAll(sse.NewReader(strings.NewReader(stream), limit))
		if err != nil {
			t.Fatalf("Next() = %v", err)
		}
		for _, e := range events {
			if strings.ContainsAny(e.ID+e.Name, "\r\n") || strings.Contains(e.ID, "\x00") {
				t.Errorf("event %+v has a line end or NUL in its id or name", e)
			}
		}
	})
}

func TestAppendEventAllocatesNothingWhereThereIsRoom(t *testing.T) { //nolint:paralleltest // allocations are counted for the whole process
	data := []byte(strings.Repeat("x", 300) + "\n" + strings.Repeat("y", 300))
	buffer := make([]byte, 0, 1024)
	allocs := testing.AllocsPerRun(100, func() {
		buffer = sse.AppendEvent(buffer[:0], "12345", "job.progress", data)
	})
	if allocs != 0 {
		t.Errorf("AppendEvent() allocates %v times, want 0", allocs)
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	data := []byte(strings.Repeat("x", 300))
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = sse.AppendEvent(buffer[:0], "12345", "job.progress", data)
	}
}
