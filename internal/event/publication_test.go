package event_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
)

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{}`: true, `null`: true, `"\ud83d\ude00"`: true, `"\\u0000"`: true, `"\\\\u0000"`: true, `["\uD83D\uDE00","\u00e9"]`: true,
		``: false, `{`: false, `"\u0000"`: false, `"\\\u0000"`: false, `{"\u0000":1}`: false, "\"\xff\"": false, "\"\xed\xa0\x80\"": false,
		`"\ud800"`: false, `"\ud800x"`: false, `"\ud800\ud800"`: false, `"\udc00"`: false, `"\ud800\n"`: false, `"\ud83d\ude00\ude00"`: false,
	} {
		if err := event.CheckJSON([]byte(text)); (err == nil) != want {
			t.Errorf("CheckJSON(%s) = %v, want it taken: %v", text, err, want)
		}
	}
}

// encoding/json decodes half a pair as U+FFFD, so what it decodes says whether
// there was one.
func FuzzCheckJSON(f *testing.F) {
	for _, text := range []string{`{"a":"\u0000"}`, `"\\u0000"`, `"\ud83d\ude00"`, `"\ud800\\ude00"`, `[1,"\udc00"]`, `"\/\"\u12"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		err := event.CheckJSON(raw)
		if !json.Valid(raw) || bytes.Contains(raw, []byte("\ufffd")) || bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`)) {
			if err == nil && !json.Valid(raw) {
				t.Errorf("CheckJSON(%q) takes what is not JSON", raw)
			}
			return
		}
		bad := false
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		for {
			token, tokenErr := decoder.Token()
			if tokenErr != nil {
				if !errors.Is(tokenErr, io.EOF) {
					t.Fatal(tokenErr)
				}
				break
			}
			text, _ := token.(string)
			bad = bad || strings.ContainsAny(text, "\x00\ufffd")
		}
		if bad != (err != nil) {
			t.Errorf("CheckJSON(%q) = %v, want it refused: %v", raw, err, bad)
		}
	})
}

func FuzzTypeCheck(f *testing.F) {
	f.Add("order.paid")
	f.Add("job.")
	f.Fuzz(func(t *testing.T, text string) {
		if event.Type(text).Check() != nil {
			return
		}
		for word := range strings.SplitSeq(text, ".") {
			if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				t.Errorf("Check(%q) lets the word %q through", text, word)
			}
		}
	})
}

func TestPublicationEvents(t *testing.T) {
	t.Parallel()
	const upper, lower = "job:0197F3C2-5d5e-7a6b-8a52-0c8a1b2c3d4e", "job:0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e"
	good := func() event.Publication {
		return event.Publication{Actor: "shop", Key: "k", Notices: []event.Notice{{
			Type: "order.paid", Topics: []event.Topic{"all", upper}, Payload: json.RawMessage(`{}`),
		}}}
	}
	given := good()
	events, err := given.Events()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]event.Topic{"all", lower}, events[0].Topics); diff != "" || events[0].Actor != "shop" || events[0].ID.Version() != 7 {
		t.Errorf("Events() = %+v, topics -want +got:\n%s", events[0], diff)
	}
	if diff := cmp.Diff(good(), given); diff != "" {
		t.Errorf("Events() changed what it was given: -want +got:\n%s", diff)
	}
	for _, tt := range []struct {
		name string
		mend func(*event.Publication)
		want error
	}{
		{"nothing", func(p *event.Publication) { p.Notices = nil }, event.ErrPublication},
		{"too many", func(p *event.Publication) { p.Notices = make([]event.Notice, event.MaxNotices+1) }, event.ErrPublication},
		{"nobody", func(p *event.Publication) { p.Actor = "" }, event.ErrActor},
		{"Herald's word", func(p *event.Publication) { p.Notices[0].Type = event.JobFailed }, event.ErrType},
		{"a stream's word", func(p *event.Publication) { p.Notices[0].Type = "stream.open" }, event.ErrType},
		{"long key", func(p *event.Publication) { p.Key = strings.Repeat("k", event.MaxKey+1) }, event.ErrKey},
		{"bad key", func(p *event.Publication) { p.Key = "\x00" }, event.ErrKey},
		{"10,000 topics", func(p *event.Publication) { p.Notices[0].Topics = make([]event.Topic, 10_000) }, event.ErrTopic},
		{"bad topic", func(p *event.Publication) { p.Notices[0].Topics[0] = "bob" }, event.ErrTopic},
		{"bad payload", func(p *event.Publication) { p.Notices[0].Payload = json.RawMessage(`{`) }, event.ErrPayload},
	} {
		p := good()
		tt.mend(&p)
		if _, err := p.Events(); !errors.Is(err, tt.want) {
			t.Errorf("%s: Events() = %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	// SHA-256 of "1:a-0:2:é".
	const want = "e2b6f3ac757d359656f5963d8115be031f3595d6dbbe05a608a12de841689313"
	if got := hex.EncodeToString(event.Fingerprint(new("a"), nil, new(""), new("é"))); got != want {
		t.Errorf("Fingerprint() = %s, want %s", got, want)
	}
	seen := map[string]bool{}
	for _, parts := range [][]*string{{}, {nil}, {new("")}, {new("-")}, {nil, nil}, {new("a"), new("b")}, {new("ab")}, {new("a1:b")}, {new("b"), new("a")}} {
		seen[string(event.Fingerprint(parts...))] = true
	}
	if len(seen) != 9 {
		t.Errorf("%d fingerprints of 9 requests", len(seen))
	}
}
