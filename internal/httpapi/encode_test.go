package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/sse"
)

// A frame's data is the JSON of the event, whatever the payload looks like.
func TestEncodeEvent(t *testing.T) {
	t.Parallel()
	payloads := []string{`{}`, `null`, "{\n\"a\":\r\n[1,\r2]}", `"\u2028<script>&"`, `{"x":1e400,"x":2}`}
	for i := range 2 * len(payloads) {
		payload, kind := payloads[i/2], event.Type("notification.some-2_words")
		if i%2 == 0 {
			kind = "notification.ü\"\n"
		}
		e := event.Event{Seq: 1 << 60, Pending: event.Pending{
			ID: uuid.New(), Type: kind, CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 600_000, time.UTC),
			Payload: json.RawMessage(payload),
		}}
		frame, err := httpapi.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		read, err := sse.NewReader(strings.NewReader(string(frame)), 1<<20).Next()
		if err != nil {
			t.Fatalf("the frame %q does not read back: %v", frame, err)
		}
		want, err := json.Marshal(map[string]any{
			"seq": e.Seq, "id": e.ID, "type": e.Type, "time": e.CreatedAt, "data": e.Payload,
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(normal(t, string(want)), normal(t, read.Data)); diff != "" || read.ID != e.Seq.String() {
			t.Errorf("the frame has id %q, -want +got:\n%s", read.ID, diff)
		}
	}
}

// normal reads JSON so that only what it means counts; numbers stay as written.
func normal(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%q is not JSON: %v", text, err)
	}
	return v
}

func BenchmarkEncodeEvent(b *testing.B) {
	e := event.Event{Seq: 1_234_567, Pending: event.Pending{
		ID: uuid.New(), Type: event.JobProgress, CreatedAt: time.Now(),
		Payload: json.RawMessage(`{"text":"` + strings.Repeat("x", 300) + `"}`),
	}}
	for b.Loop() {
		if _, err := httpapi.EncodeEvent(e); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever an event is like, its frame is one event of a stream, with that data.
func FuzzEncodeEvent(f *testing.F) {
	f.Add(int64(1), "job.progress", []byte(`{"a":1}`))
	f.Add(int64(7), "a\nid: 8", []byte("{\r\n}"))
	f.Fuzz(func(t *testing.T, seq int64, kind string, payload []byte) {
		if event.CheckJSON(payload) != nil || !utf8.ValidString(kind) || seq < 1 {
			t.Skip("not in the log")
		}
		frame, err := httpapi.EncodeEvent(event.Event{Seq: event.Seq(seq), Pending: event.Pending{Type: event.Type(kind), Payload: payload}})
		if err != nil {
			t.Fatal(err)
		}
		r := sse.NewReader(bytes.NewReader(frame), 1<<20)
		read, err := r.Next()
		if err != nil || read.ID != event.Seq(seq).String() {
			t.Fatalf("the frame %q reads as %+v, %v", frame, read, err)
		}
		var data struct {
			Type string          `json:"type"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal([]byte(read.Data), &data); err != nil || data.Type != kind {
			t.Fatalf("the frame %q has the data %q, %v", frame, read.Data, err)
		}
		if diff := cmp.Diff(normal(t, string(payload)), normal(t, string(data.Data))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("after it comes %v, want the end", err)
		}
	})
}
