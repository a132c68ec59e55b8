package event_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/event"
)

func TestMetadataOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		payload string
		want    event.Metadata
	}{
		{`{}`, nil},
		{`{"message":"\"metadata\""}`, nil},
		{`{"metadata":{}}`, nil},
		{`{"metadata":7}`, nil},
		{`not json "metadata"`, nil},
		{
			`{"a":1,"metadata":{"team":"r\u0065d","n":3.50,"on":true,"none":null,"list":[1],"object":{}}}`,
			event.Metadata{"team": "red", "n": "3.50", "on": "true"},
		},
	} {
		if diff := cmp.Diff(tt.want, event.MetadataOf(json.RawMessage(tt.payload))); diff != "" {
			t.Errorf("MetadataOf(%s): -want +got:\n%s", tt.payload, diff)
		}
	}
}

func TestFilterMatch(t *testing.T) {
	t.Parallel()
	red := map[string][]string{"team": {"blue", "red"}}
	for _, tt := range []struct {
		name   string
		filter *event.Filter
		kind   event.Type
		meta   event.Metadata
		want   bool
	}{
		{"no filter", nil, "job.failed", nil, true},
		{"an empty one", &event.Filter{}, "job.failed", nil, true},
		{"a type", &event.Filter{Types: []string{"job.started", "job.failed"}}, "job.failed", nil, true},
		{"another type", &event.Filter{Types: []string{"job.failed"}}, "job.failed.twice", nil, false},
		{"a beginning", &event.Filter{Types: []string{"job.*"}}, "job.failed", nil, true},
		{"another beginning", &event.Filter{Types: []string{"job.*"}}, "jobs.failed", nil, false},
		{"metadata", &event.Filter{Metadata: red}, "job.failed", event.Metadata{"team": "red", "x": "y"}, true},
		{"other metadata", &event.Filter{Metadata: red}, "job.failed", event.Metadata{"team": "green"}, false},
		{"no metadata", &event.Filter{Metadata: red}, "job.failed", nil, false},
		{"both, one of which does not match", &event.Filter{Types: []string{"job.*"}, Metadata: red}, "a", event.Metadata{"team": "red"}, false},
	} {
		if got := tt.filter.Match(tt.kind, tt.meta); got != tt.want {
			t.Errorf("%s: Match() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestFilterCheck(t *testing.T) {
	t.Parallel()
	many := map[string][]string{}
	for i := range 11 {
		maps.Copy(many, map[string][]string{strings.Repeat("k", i+1): nil})
	}
	for _, tt := range []struct {
		name   string
		filter event.Filter
		good   bool
	}{
		{"empty", event.Filter{}, true},
		{"types", event.Filter{Types: []string{"job.*", "order.paid"}}, true},
		{"no type", event.Filter{Types: []string{""}}, false},
		{"a star alone", event.Filter{Types: []string{"*"}}, false},
		{"a star in the middle", event.Filter{Types: []string{"job.*.x"}}, false},
		{"many types", event.Filter{Types: strings.Fields(strings.Repeat("a ", 51))}, false},
		{"many keys", event.Filter{Metadata: many}, false},
		{"no key", event.Filter{Metadata: map[string][]string{"": {"x"}}}, false},
		{"a long value", event.Filter{Metadata: map[string][]string{"k": {strings.Repeat("x", 201)}}}, false},
	} {
		if err := tt.filter.Check(); (err == nil) != tt.good || err != nil && !errors.Is(err, event.ErrFilter) {
			t.Errorf("%s: Check() = %v, want good: %v", tt.name, err, tt.good)
		}
	}
}

func TestClientTopic(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	if got, ok := event.ClientTopic(id).Client(); got != id || !ok {
		t.Errorf("Client() = %v, %v, want %v", got, ok, id)
	}
	for _, other := range []event.Topic{"client:me", "user:" + event.Topic(id.String()), "all"} {
		if got, ok := other.Client(); ok {
			t.Errorf("Client() of %s = %v, want none", other, got)
		}
	}
}

// Whatever a payload is, its metadata can be read, and a filter that asks for
// what it says lets it pass.
func FuzzMetadataOf(f *testing.F) {
	f.Add([]byte(`{"metadata":{"a":"b","c":1,"d":null}}`))
	f.Add([]byte(`{"metadata":{"a":"\ud800"},"metadata":{}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m := event.MetadataOf(payload)
		filter := event.Filter{Metadata: map[string][]string{}}
		for key, value := range m {
			filter.Metadata[key] = []string{"another", value}
		}
		if !filter.Match("any.type", m) {
			t.Errorf("%q has metadata %v, which does not match itself", payload, m)
		}
	})
}
