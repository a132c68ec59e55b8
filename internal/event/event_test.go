package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"herald/internal/event"
)

func TestParseCursor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want event.Seq
		err  error
	}{
		{text: "0", want: 0},
		{text: "42", want: 42},
		{text: "9223372036854775807", want: 1<<63 - 1},
		{text: "9223372036854775808", err: event.ErrBadCursor},
		{text: "", err: event.ErrBadCursor},
		{text: "-1", err: event.ErrBadCursor},
		{text: "+1", err: event.ErrBadCursor},
		{text: "1 ", err: event.ErrBadCursor},
		{text: "0x10", err: event.ErrBadCursor},
		{text: "abc", err: event.ErrBadCursor},
	} {
		got, err := event.ParseCursor(tt.text)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ParseCursor(%q) = %v, %v, want %v, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("17")
	f.Add("+0")
	f.Fuzz(func(t *testing.T, text string) {
		seq, err := event.ParseCursor(text)
		if err != nil {
			return
		}
		if again, err := event.ParseCursor(seq.String()); err != nil || again != seq {
			t.Errorf("ParseCursor(%q) = %v, which reads back as %v, %v", text, seq, again, err)
		}
	})
}

func TestParseTopic(t *testing.T) {
	t.Parallel()
	id := "0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e"
	for _, tt := range []struct {
		text string
		want event.Topic
		err  error
	}{
		{text: "all", want: event.Everyone},
		{text: "user:alice", want: "user:alice"},
		{text: "user:a:b", want: "user:a:b"},
		{text: "channel:news.de", want: "channel:news.de"},
		{text: "client:c1", want: "client:c1"},
		{text: "job:" + strings.ToUpper(id), want: event.Topic("job:" + id)},
		{text: "job:42", err: event.ErrTopic},
		{text: "job:{" + id + "}", err: event.ErrTopic},
		{text: "job:x" + id + "x", err: event.ErrTopic},
		{text: "job:" + strings.ReplaceAll(id, "-", ""), err: event.ErrTopic},
		{text: "user:", err: event.ErrTopic},
		{text: "user", err: event.ErrTopic},
		{text: "user:a b", err: event.ErrTopic},
		{text: "user:a\nb", err: event.ErrTopic},
		{text: "user:\xff", err: event.ErrTopic},
		{text: "user:" + strings.Repeat("x", 201), err: event.ErrTopic},
		{text: "all:", err: event.ErrTopic},
		{text: "", err: event.ErrTopic},
	} {
		got, err := event.ParseTopic(tt.text)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ParseTopic(%q) = %q, %v, want %q, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func FuzzParseTopic(f *testing.F) {
	f.Add("user:alice")
	f.Add("job:0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e")
	f.Fuzz(func(t *testing.T, text string) {
		topic, err := event.ParseTopic(text)
		if err != nil {
			return
		}
		if again, err := event.ParseTopic(string(topic)); err != nil || again != topic {
			t.Errorf("ParseTopic(%q) = %q, which reads back as %q, %v", text, topic, again, err)
		}
		if strings.ContainsAny(string(topic), "\r\n\x00 ,") {
			t.Errorf("ParseTopic(%q) = %q lets a separator through", text, topic)
		}
	})
}

func TestPendingCheck(t *testing.T) {
	t.Parallel()
	good := func() event.Pending {
		return event.Pending{
			ID: uuid.New(), Type: event.JobProgress, Topics: []event.Topic{"user:alice"}, Payload: json.RawMessage(`{}`),
		}
	}
	for _, tt := range []struct {
		name string
		mend func(*event.Pending)
		want error
	}{
		{name: "good", mend: func(*event.Pending) {}},
		{name: "no type", mend: func(p *event.Pending) { p.Type = "" }, want: event.ErrType},
		{name: "bad type", mend: func(p *event.Pending) { p.Type = "Order Paid" }, want: event.ErrType},
		{name: "long type", mend: func(p *event.Pending) { p.Type = event.Type(strings.Repeat("x", 101)) }, want: event.ErrType},
		{name: "bad actor", mend: func(p *event.Pending) { p.Actor = "a\nb" }, want: event.ErrActor},
		{name: "long actor", mend: func(p *event.Pending) { p.Actor = strings.Repeat("x", 201) }, want: event.ErrActor},
		{name: "another spelling", mend: func(p *event.Pending) {
			p.Topics = []event.Topic{"job:0197F3C2-5d5e-7a6b-8a52-0c8a1b2c3d4e"}
		}, want: event.ErrTopic},
		{name: "no topic", mend: func(p *event.Pending) { p.Topics = nil }, want: event.ErrTopic},
		{name: "bad topic", mend: func(p *event.Pending) { p.Topics = []event.Topic{"alice"} }, want: event.ErrTopic},
		{name: "too many topics", mend: func(p *event.Pending) { p.Topics = make([]event.Topic, 65) }, want: event.ErrTopic},
		{name: "not JSON", mend: func(p *event.Pending) { p.Payload = json.RawMessage(`{`) }, want: event.ErrPayload},
		{name: "no payload", mend: func(p *event.Pending) { p.Payload = nil }, want: event.ErrPayload},
		{
			name: "too large",
			mend: func(p *event.Pending) {
				p.Payload = json.RawMessage(`"` + strings.Repeat("x", event.MaxPayload) + `"`)
			},
			want: event.ErrPayload,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := good()
			tt.mend(&p)
			if err := p.Check(); !errors.Is(err, tt.want) {
				t.Errorf("Check() = %v, want %v", err, tt.want)
			}
		})
	}
}
