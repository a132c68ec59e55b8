package job_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"herald/internal/job"
)

// Of every field of what is told of a job it is decided what guests see of it.
func TestGuestSightOfEachField(t *testing.T) {
	t.Parallel()
	for _, kind := range []reflect.Type{reflect.TypeFor[job.Job](), reflect.TypeFor[job.Moving](), reflect.TypeFor[job.Deleted]()} {
		for field := range kind.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "-" && !job.GuestKnows(name) {
				t.Errorf("%s of %v: say in guest.go what guests see of it", name, kind)
			}
		}
	}
}

func TestForGuest(t *testing.T) {
	t.Parallel()
	const data = `{"id":"1","title":"x","owner":"demo","worker":"w1","args":{"a":1},"metadata":{"t":"x"},"lease_ms":5,"unheard":"of",` +
		`"details":{"fps":25,"path":"/srv","deep":{"n":1}},"result":{"width":640,"notes":"n","artifacts":[{"url":"/a"}]}}`
	for _, tt := range []struct {
		name      string
		data      string
		artifacts func(json.RawMessage) (json.RawMessage, error)
		want      string
	}{
		{"without files", data, nil, `{"args":{},"details":{"fps":25},"id":"1","owner":"","result":null,"title":"x","worker":""}`},
		{
			"with files", data, func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`["b"]`), nil },
			`{"args":{},"details":{"fps":25},"id":"1","owner":"","result":{"artifacts":["b"],"width":640},"title":"x","worker":""}`,
		},
		{"of other kinds", `{"details":"text","result":[1],"args":null}`, func(json.RawMessage) (json.RawMessage, error) { return nil, errors.New("not asked") }, `{"args":null,"details":null,"result":null}`},
	} {
		got, err := job.ForGuest(json.RawMessage(tt.data), tt.artifacts)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: ForGuest() = %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
	if got, err := job.ForGuest(json.RawMessage(`[]`), nil); err == nil {
		t.Errorf("ForGuest(a list) = %s, want an error", got)
	}
}
