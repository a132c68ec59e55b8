package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"herald/internal/auth"
	"herald/internal/httpapi"
)

// access reads on to what is told next of who has read what.
func (f *follower) access() auth.Access {
	f.t.Helper()
	var entry struct{ Data auth.Access }
	if err := json.Unmarshal([]byte(f.next("access.read").Data), &entry); err != nil {
		f.t.Fatal(err)
	}
	return entry.Data
}

// Whatever support or an admin reads of somebody else's is an event of its own;
// what people read of their own is not.
func TestReadsOfOthersThingsAreInTheLog(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo, sue, root := s.token(t, "demo"), s.token(t, "sue", auth.RoleSupport), s.token(t, "root", auth.RoleAdmin)
	j := s.startJob(t, "demo")
	file := s.upload(t, "a.txt", "hello")
	stream := s.follow(t, demo, "").clientID()
	s.written()
	audit := s.follow(t, root, "topic=channel:audit")
	audit.skipTo("stream.snapshot") // what comes first is that root reads this
	job, id := "job:"+j.ID.String(), "file:"+file.ID.String()
	wants := []auth.Access{{Reader: "root", Roles: []auth.Role{"admin"}, What: []string{"channel:audit"}}}
	for _, step := range []struct {
		path, token string
		whose       string
		what        []string // nil: nothing is written down
	}{
		{"/api/jobs/" + j.ID.String(), demo, "", nil},
		{"/api/jobs/" + j.ID.String(), sue, "demo", []string{job}},
		{"/api/jobs/" + j.ID.String(), sue, "demo", []string{job}}, // each time
		{"/api/jobs/" + j.ID.String() + "/events", sue, "demo", []string{job}},
		{"/api/jobs/" + j.ID.String() + "/artifacts", root, "demo", []string{job}},
		{"/api/jobs?owner=demo", sue, "demo", []string{"jobs:demo"}},
		{"/api/jobs", sue, "", nil},
		{file.URL, demo, "", nil},
		{file.URL, sue, "demo", []string{id}},
		{file.URL, sue, "", nil}, // the next piece
		{"/api/connections/" + stream.String(), sue, "demo", []string{"client:" + stream.String()}},
		{"/api/connections", sue, "", []string{"connections"}},
		{"/api/connections?user=demo", sue, "demo", []string{"user:demo"}},
		{"/api/users/demo/presence", demo, "", nil},
		{"/api/users/demo/presence", root, "demo", []string{"user:demo"}},
		{"/api/connections?user=sue", sue, "", nil},
		{"/api/queue", root, "", []string{"queue"}},
		{"/api/queue/entries", root, "", nil}, // the next look
		{"/api/sse?topic=user:demo&lastEventId=99999999999999", sue, "demo", []string{"user:demo"}},
		{"/api/sse?topic=user:demo&topic=" + job, root, "", []string{"user:demo", job}},
	} {
		if step.path[:8] == "/api/sse" {
			s.follow(t, step.token, step.path[9:]).close()
		} else if a := s.do(t, http.MethodGet, step.path, step.token, ""); a.status != http.StatusOK {
			t.Errorf("GET %s = %d %s, want 200", step.path, a.status, a.body)
		}
		if step.what == nil {
			continue
		}
		who := auth.Access{Reader: "sue", Roles: []auth.Role{"support"}, Whose: step.whose, What: step.what}
		if step.token == root {
			who.Reader, who.Roles = "root", []auth.Role{"admin"}
		}
		wants = append(wants, who)
	}
	var got []auth.Access
	for range wants {
		a := audit.access()
		if a.RequestID == "" {
			t.Errorf("%+v does not say with which request", a)
		}
		got = append(got, a)
	}
	if diff := cmp.Diff(wants, got, cmpopts.IgnoreFields(auth.Access{}, "RequestID")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, topic := range []string{"channel:*", "channel:a*"} {
		_, key := s.apiKey(t, auth.APIKey{User: "shop", Roles: []auth.Role{auth.RoleBackend}, Topics: []auth.Pattern{auth.Pattern(topic)}})
		if a := s.do(t, http.MethodGet, "/api/sse?topic=channel:audit", key, ""); a.status != http.StatusForbidden {
			t.Errorf("who may follow %s follows the audit: %d", topic, a.status)
		}
	}
}

// noAccesses cannot write anything down.
type noAccesses struct{}

func (noAccesses) RecordAccess(context.Context, auth.Access) error { return errors.New("no room") }

// What cannot be written down is not read.
func TestNothingIsReadThatIsNotWrittenDown(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.Accesses = noAccesses{} })
	j, file := s.startJob(t, "demo"), s.upload(t, "a.txt", "hello")
	for _, path := range []string{
		"/api/jobs/" + j.ID.String(), "/api/jobs/" + j.ID.String() + "/events", file.URL, file.URL, "/api/connections", "/api/connections",
		"/api/sse?topic=user:demo",
	} {
		if a := s.do(t, http.MethodGet, path, s.token(t, "sue", auth.RoleSupport), ""); a.status != http.StatusInternalServerError {
			t.Errorf("GET %s by support = %d, want 500", path, a.status)
		}
	}
	if a := s.do(t, http.MethodGet, file.URL, s.token(t, "demo"), ""); a.status != http.StatusOK {
		t.Errorf("GET %s by its owner = %d, want 200", file.URL, a.status)
	}
}
