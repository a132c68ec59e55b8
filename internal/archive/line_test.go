package archive_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"herald/internal/archive"
	"herald/internal/chain"
	"herald/internal/event"
)

// anyEvent draws an event such as a writer may have recorded.
func anyEvent(t *rapid.T, seq event.Seq) event.Event {
	e := event.Event{Seq: seq, RecordedAt: anyTime(t, "recorded_at"), Pending: event.Pending{
		ID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")), Type: event.Type(rapid.String().Draw(t, "type")),
		JobVersion: rapid.Int64().Draw(t, "job_version"), Actor: rapid.String().Draw(t, "actor"),
		CreatedAt: anyTime(t, "created_at"),
		Payload: json.RawMessage(rapid.OneOf(
			rapid.SampledFrom([]string{
				`null`, ` {"a": 1.50} `, "{\n\"a\":\r\n[]\t}", `{"a<b>&":"\u003c\u0000\ud83c"}`, `1e400`, "\"\u2028\"",
				strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
			}),
			rapid.Custom(func(t *rapid.T) string {
				text, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "payload"))
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}),
			rapid.String(), // the log's own constraint keeps these out, an archive does not rely on it
		).Draw(t, "payload")),
	}}
	for _, topic := range rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "topics") {
		e.Topics = append(e.Topics, event.Topic(topic))
	}
	if rapid.Bool().Draw(t, "of a job") {
		e.JobID = uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "job_id"))
	}
	return e
}

func anyTime(t *rapid.T, name string) time.Time {
	first, last := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	return time.UnixMicro(rapid.Int64Range(first.UnixMicro(), last.UnixMicro()).Draw(t, name)).UTC()
}

// Whatever an event has in it, its line gives it back with the same hash, and is
// one line.
func TestAnEventsLineReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := anyEvent(t, event.Seq(rapid.Int64Range(1, 1<<62).Draw(t, "seq")))
		text, err := archive.AppendEvent(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n != 1 || text[len(text)-1] != '\n' || !json.Valid(text) {
			t.Fatalf("AppendEvent() = %q, want one line of JSON", text)
		}
		got, batch, err := archive.ParseLine(text)
		if err != nil || batch != nil {
			t.Fatalf("ParseLine(%q) = %v, %v", text, batch, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("ParseLine(%q): -want +got:\n%s", text, diff)
		}
		var hasher chain.Hasher
		if a, b := hasher.Leaf(want), hasher.Leaf(got); a != b {
			t.Fatalf("the leaf is %x, want %x", b, a)
		}
	})
}

// What some readers of JSON could not take, or would change, stands in a string.
func TestWhatALineCannotHoldIsText(t *testing.T) {
	t.Parallel()
	for payload, text := range map[string]bool{
		`{"a": 1}`: false, `{"a":"\n"}`: false, " 1": true, "1\t": true, "[1,\n2]": true, "[1,\r2]": true,
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000): true,
	} {
		line, err := archive.AppendEvent(nil, event.Event{Seq: 1, Pending: event.Pending{Payload: json.RawMessage(payload)}})
		if got := bytes.Contains(line, []byte(`"payload_text"`)); err != nil || got != text {
			t.Errorf("AppendEvent(%.20q) = %s, %v, want it as text: %v", payload, line, err, text)
		}
	}
}

// A line in the usual form is read the quick way, and to the same end.
func TestBothWaysOfReadingALineAgree(t *testing.T) {
	t.Parallel()
	quick := 0
	rapid.Check(t, func(t *rapid.T) {
		text, err := archive.AppendEvent(nil, anyEvent(t, 1))
		if err != nil {
			t.Fatal(err)
		}
		text = text[:len(text)-1]
		if len(text) > 0 && rapid.Bool().Draw(t, "harmed") {
			text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] = rapid.SampledFrom([]byte(` ",:{}[]\0n-`)).Draw(t, "with")
		}
		got, ok := archive.ScanEvent(text)
		if !ok {
			return
		}
		quick++
		// A space in front is nothing to JSON, and not the usual form.
		want, _, err := archive.ParseLine(append([]byte(" "), text...))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%q: %v, -slow +quick:\n%s", text, err, diff)
		}
	})
	if quick == 0 {
		t.Error("no line was read the quick way")
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"seq":1,"id":"0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e","type":"t","topics":["all"],"job_id":null,"job_version":0,` +
		`"actor":"","created_at":"2026-01-02T03:04:05.000006Z","recorded_at":"2026-01-02T03:04:05.000006Z","payload":{"a": 1}}`))
	f.Add([]byte(`{"batch":{"first":1,"last":2,"recorded_at":"2026-01-02T03:04:05.000006Z","digest":"` + strings.Repeat("0", 64) + `"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, b, err := archive.ParseLine(text)
		if err != nil {
			return
		}
		var again []byte
		if b != nil {
			again, err = archive.AppendBatch(nil, *b)
		} else {
			again, err = archive.AppendEvent(nil, e)
		}
		if err != nil {
			t.Fatalf("%q is read, and not written: %v", text, err)
		}
		e2, b2, err := archive.ParseLine(again)
		if diff := cmp.Diff([]any{e, b}, []any{e2, b2}); err != nil || diff != "" {
			t.Fatalf("%q reads back differently (%v):\n%s", again, err, diff)
		}
	})
}

func BenchmarkParseLine(b *testing.B) {
	e := event.Event{Seq: 7, RecordedAt: time.Unix(0, 0), Pending: event.Pending{
		Type: "job.progress", Topics: []event.Topic{"job:0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e", "user:a"}, Actor: "w", CreatedAt: time.Unix(0, 0),
		Payload: json.RawMessage(`{"progress":0.5,"message":"` + strings.Repeat("x", 200) + `","speed":"12.5x"}`),
	}}
	quick, err := archive.AppendEvent(nil, e)
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string][]byte{"quick": quick, "slow": append([]byte(" "), quick...)} {
		text = bytes.TrimSuffix(text, []byte("\n"))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := archive.ParseLine(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
