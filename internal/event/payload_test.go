package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
)

func TestPayload(t *testing.T) {
	t.Parallel()
	const fine = ""
	seventeen := `{"a":1` + strings.Repeat(`,"a":1`, 16) + `}`
	for _, tt := range []struct {
		data, metadata string
		ttl            time.Duration
		want           string
		says           string // of the error
	}{
		{"", "", 0, `{}`, fine},
		{" [1] ", "", 0, ` [1] `, fine},
		{`{"a":1}`, `{"team":"red"}`, 0, `{"a":1,"metadata":{"team":"red"}}`, fine},
		{` { } `, `{"n":1.50}`, 2 * time.Second, ` { "metadata":{"n":1.50},"ttl_ms":2000}`, fine},
		{"", "", time.Millisecond, `{"ttl_ms":1}`, fine},
		{`{"a":"}"}`, "", time.Second, `{"a":"}","ttl_ms":1000}`, fine},
		{`[1]`, `{}`, 0, "", "must be a JSON object"},
		{`null`, "", time.Second, "", "must be a JSON object"},
		{`{"metadata":1}`, `{}`, 0, "", "of its own"},
		{`{"ttl\u005fms":1}`, "", time.Second, "", "of its own"},
		{`{}`, `[]`, 0, "", "metadata must be"},
		{`{}`, `null`, 0, "", "metadata must be"},
		{`{}`, `{"a":null}`, 0, "", "strings, numbers and booleans"},
		{`{}`, `{"a":{}}`, 0, "", "strings, numbers and booleans"},
		{`{}`, seventeen, 0, "", "at most 16"},
		{`{}`, `{"a":"` + strings.Repeat("x", 3000) + `"}`, 0, "", "at most 2048"},
		{`{}`, "", -1, "", "ttl_ms"},
		{`{}`, "", event.MaxTTL + 1, "", "ttl_ms"},
	} {
		var metadata json.RawMessage
		if tt.metadata != "" {
			metadata = json.RawMessage(tt.metadata)
		}
		got, err := event.Payload(json.RawMessage(tt.data), metadata, tt.ttl)
		if diff := cmp.Diff(tt.want, string(got)); diff != "" || (err != nil) != (tt.says != fine) {
			t.Errorf("Payload(%s, %s, %v): %v, -want +got:\n%s", tt.data, tt.metadata, tt.ttl, err, diff)
		}
		if err != nil && (!errors.Is(err, event.ErrPayload) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("Payload(%s, %s, %v) = %v, want an ErrPayload that says %q", tt.data, tt.metadata, tt.ttl, err, tt.says)
		}
		if ttl := event.TTLOf(got); err == nil && ttl != tt.ttl {
			t.Errorf("TTLOf(%s) = %v, want %v", got, ttl, tt.ttl)
		}
	}
}

func TestExpires(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for payload, want := range map[string]time.Time{
		`{}`: {}, `{"ttl_ms":1500}`: now.Add(1500 * time.Millisecond), `{"ttl_ms":0}`: {}, `{"ttl_ms":-1}`: {}, `{"ttl_ms":"1"}`: {},
		`{"ttl_ms":1e400}`: {}, `["ttl_ms"]`: {}, `{"ttl_ms":99999999999999}`: {}, `{"a":{"ttl_ms":1}}`: {},
	} {
		e := event.Event{Pending: event.Pending{Type: "order.paid", CreatedAt: now, Payload: json.RawMessage(payload)}}
		if got := e.Expires(); !got.Equal(want) {
			t.Errorf("Expires() with %s = %v, want %v", payload, got, want)
		}
		if e.Type = event.JobFailed; !e.Expires().IsZero() {
			t.Errorf("a job's event with %s expires", payload)
		}
	}
}
