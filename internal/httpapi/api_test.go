package httpapi_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/job"
)

var update = flag.Bool("update", false, "write openapi.json anew") //nolint:gochecknoglobals // a flag of the test binary

func TestOpenRoutes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ok", "/": "the app", "/jobs/" + uuid.NewString(): "the app", "/support": "the app", "/support/users/a%2Fb": "the app",
		"/assets/a-1.js": "1", "/favicon.svg": "<svg/>",
	} {
		a := s.do(t, http.MethodGet, path, "", "")
		if a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("GET %s = %d %q, want %q", path, a.status, a.body, want)
		}
		if head := s.do(t, http.MethodHead, path, "", ""); head.status != http.StatusOK || head.body != "" {
			t.Errorf("HEAD %s = %d %q, want 200 and no body", path, head.status, head.body)
		}
		if !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") || a.header.Get("X-Request-ID") == "" {
			t.Errorf("GET %s has the headers %v, want a policy and a request's id", path, a.header)
		}
	}
	for _, path := range []string{"/nothing", "/assets/", "/assets/none.js", "/assets/../index.html", "/api/nothing", "/index.htm"} {
		if a := s.do(t, http.MethodGet, path, "", ""); a.status != http.StatusNotFound || a.problem() != "not-found" {
			t.Errorf("GET %s = %d %s, want 404", path, a.status, a.body)
		}
	}
	people := "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	if a := s.do(t, http.MethodGet, "/nothing", "", "", people); a.status != http.StatusNotFound || !strings.Contains(a.body, "the app") {
		t.Errorf("GET /nothing by a browser = %d %q, want 404 and the app, which says so", a.status, a.body)
	}
	if a := s.do(t, http.MethodGet, "/api/nothing", "", "", people); a.status != http.StatusNotFound || a.problem() != "not-found" {
		t.Errorf("GET /api/nothing by a browser = %d %s, want 404 and a problem", a.status, a.body)
	}
	if a := s.do(t, http.MethodPut, "/healthz", "", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("PUT /healthz = %d, want 405", a.status)
	}
}

func TestReadyzSaysWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.db.Close()
	a := s.do(t, http.MethodGet, "/readyz", "", "")
	if a.status != http.StatusServiceUnavailable || a.problem() != "not-ready" || strings.Contains(a.body, "pool") {
		t.Errorf("GET /readyz = %d %s, want 503 without the cause", a.status, a.body)
	}
}

func TestAPageWithoutABuildSaysHow(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.App = os.DirFS(t.TempDir()) })
	if a := s.do(t, http.MethodGet, "/", "", ""); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "make build") {
		t.Errorf("GET / = %d %q, want to be told to build", a.status, a.body)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	in := s.do(t, http.MethodPost, "/api/session", s.token(t, "demo"), "")
	if in.status != http.StatusOK || !strings.Contains(in.body, `"user":"demo"`) {
		t.Fatalf("POST /api/session = %d %s", in.status, in.body)
	}
	nobody, err := s.key.Issue(auth.Principal{User: "demo"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.do(t, http.MethodGet, "/api/session", nobody, ""); !strings.Contains(a.body, `"roles":[]`) {
		t.Errorf("without a role: %s, want an empty list of them", a.body)
	}
	cookie := in.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/", "Expires="} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie is %q, want %s in it", cookie, want)
		}
	}
	kept := "Cookie: " + strings.Split(cookie, ";")[0]
	if a := s.do(t, http.MethodGet, "/api/session", "", "", kept); a.status != http.StatusOK {
		t.Errorf("GET /api/session with the cookie = %d, want 200", a.status)
	}
	if a := s.do(t, http.MethodPost, "/api/jobs", "", `{}`, kept, "Sec-Fetch-Site: cross-site"); a.status != http.StatusForbidden || a.problem() != "cross-origin" {
		t.Errorf("a cross-site POST with the cookie = %d %s, want 403", a.status, a.body)
	}
	out := s.do(t, http.MethodDelete, "/api/session", "", "", kept)
	if out.status != http.StatusNoContent || !strings.Contains(out.header.Get("Set-Cookie"), "1970") {
		t.Errorf("DELETE /api/session = %d %v, want the cookie to be gone", out.status, out.header)
	}
}

func TestJobsOverHTTP(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo := s.token(t, "demo")
	j := s.startJob(t, "demo")
	path := "/api/jobs/" + j.ID.String()
	for _, step := range []struct {
		method, path string
		status       int
		problem      string
		body         string
	}{
		{http.MethodGet, path, 200, "", `"state":"queued"`},
		{http.MethodGet, "/api/jobs", 200, "", j.ID.String()},
		{http.MethodGet, "/api/jobs?state=ended", 200, "", `"jobs":[]`},
		{http.MethodGet, "/api/jobs?state=dancing", 422, "invalid", "state"},
		{http.MethodGet, "/api/jobs?limit=1000", 422, "invalid", "limit"},
		{http.MethodGet, "/api/jobs?before=x", 400, "bad-cursor", ""},
		{http.MethodGet, "/api/jobs/x", 422, "invalid", ""},
		{http.MethodGet, "/api/jobs/" + uuid.NewString(), 404, "not-found", ""},
		{http.MethodDelete, path, 409, "not-ended", ""},
		{http.MethodPost, path + "/retry", 409, "wrong-state", "queued"},
		{http.MethodPost, path + "/cancel", 202, "", `"state":"cancelled"`},
		{http.MethodPost, path + "/cancel", 202, "", `"state":"cancelled"`},
		{http.MethodPost, path + "/retry", 202, "", `"state":"queued"`},
		{http.MethodPost, path + "/cancel", 202, "", `"state":"cancelled"`},
		{http.MethodGet, path + "/artifacts", 200, "", `"artifacts":[]`},
		{http.MethodDelete, path, 204, "", ""},
		{http.MethodGet, path, 404, "not-found", ""},
	} {
		a := s.do(t, step.method, step.path, demo, "")
		if a.status != step.status || a.problem() != step.problem || !strings.Contains(a.body, step.body) {
			t.Fatalf("%s %s = %d %s, want %d %s %s", step.method, step.path, a.status, a.body, step.status, step.problem, step.body)
		}
	}
}

func TestStartJobRefuses(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, tt := range map[string]struct {
		body    string
		status  int
		problem string
	}{
		"no JSON":        {`{`, 400, "invalid"},
		"no kind":        {`{"title":"x","args":{}}`, 422, "invalid"},
		"unknown kind":   {`{"kind":"dance","title":"x","args":{}}`, 422, "invalid"},
		"unknown field":  {`{"kind":"test","title":"x","args":{},"state":"succeeded"}`, 422, "invalid"},
		"another's":      {`{"kind":"test","title":"x","args":{},"owner":"root"}`, 403, "forbidden"},
		"elsewhere":      {`{"kind":"test","title":"x","external":true}`, 403, "forbidden"},
		"no title":       {`{"kind":"test","title":"","args":{}}`, 422, "invalid"},
		"NUL in title":   {`{"kind":"test","title":"a\u0000b","args":{}}`, 422, "invalid"},
		"args no object": {`{"kind":"test","title":"x","args":[1]}`, 422, "invalid"},
		"large args":     {`{"kind":"test","title":"x","args":{"a":"` + strings.Repeat("x", 20_000) + `"}}`, 422, "invalid"},
		"large body":     {`{"kind":"test","title":"x","args":{"a":"` + strings.Repeat("x", 2<<20) + `"}}`, 413, "too-large"},
	} {
		if a := s.do(t, http.MethodPost, "/api/jobs", s.token(t, "demo"), tt.body); a.status != tt.status || a.problem() != tt.problem {
			t.Errorf("%s: %d %.200s, want %d %s", name, a.status, a.body, tt.status, tt.problem)
		}
	}
}

func TestPagesOfJobs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var made []uuid.UUID
	for range 5 {
		made = append(made, s.startJob(t, "demo").ID)
	}
	slices.Reverse(made)
	var got []uuid.UUID
	for next := "start"; next != ""; {
		path := "/api/jobs?limit=2"
		if next != "start" {
			path += "&before=" + next
		}
		var page struct {
			Jobs []job.Job
			Next string
		}
		if err := json.Unmarshal([]byte(s.do(t, http.MethodGet, path, s.token(t, "demo"), "").body), &page); err != nil {
			t.Fatal(err)
		}
		for _, j := range page.Jobs {
			got = append(got, j.ID)
		}
		next = page.Next
	}
	if !slices.Equal(made, got) {
		t.Errorf("pages have %v, want %v", got, made)
	}
}

// Each kind of caller against more of what belongs to demo.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startJob(t, "demo")
	path := "/api/jobs/" + j.ID.String()
	callers := map[string]string{
		"demo": s.token(t, "demo"), "other": s.token(t, "alice"), "worker": s.token(t, "w", auth.RoleWorker),
		"support": s.token(t, "sue", auth.RoleSupport), "admin": s.token(t, "root", auth.RoleAdmin),
	}
	for _, tt := range []struct {
		method, path string
		want         map[string]int
	}{
		{http.MethodGet, path, map[string]int{"demo": 200, "other": 404, "worker": 404, "support": 200, "admin": 200}},
		{http.MethodGet, path + "/events", map[string]int{"demo": 200, "other": 404, "worker": 404, "support": 200, "admin": 200}},
		{http.MethodGet, path + "/artifacts", map[string]int{"demo": 200, "other": 404, "worker": 404, "support": 200, "admin": 200}},
		{http.MethodPost, path + "/retry", map[string]int{"demo": 409, "other": 404, "worker": 404, "support": 403, "admin": 409}},
		{http.MethodPost, path + "/cancel", map[string]int{"other": 404, "worker": 404, "support": 403, "admin": 202}},
		{http.MethodDelete, path, map[string]int{"other": 404, "worker": 404, "support": 403}},
		{http.MethodPost, "/api/uploads?name=x", map[string]int{"demo": 201, "worker": 403, "support": 403, "admin": 201}},
		{http.MethodGet, "/api/sse?topic=user:demo&lastEventId=x", map[string]int{"demo": 400, "other": 403, "worker": 403, "support": 400}},
		{http.MethodGet, "/api/sse?topic=job:" + j.ID.String() + "&lastEventId=x", map[string]int{"demo": 400, "other": 403, "worker": 403, "support": 400}},
		{http.MethodGet, "/api/sse?topic=nonsense", map[string]int{"demo": 400}},
	} {
		for who, want := range tt.want {
			if a := s.do(t, tt.method, tt.path, callers[who], ""); a.status != want {
				t.Errorf("%s %s by %s = %d %s, want %d", tt.method, tt.path, who, a.status, a.body, want)
			}
		}
	}
}

func TestParity_11_AnUnforeseenErrorTellsNothing(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) {
		d.Prepare = func(auth.Principal, string, string, json.RawMessage) (json.RawMessage, error) {
			return nil, errors.New("secret: the password is 123")
		}
	})
	a := s.do(t, http.MethodPost, "/api/jobs", s.token(t, "demo"), `{"kind":"test","title":"x","args":{}}`, "X-Request-ID: my-id")
	if a.status != http.StatusInternalServerError || a.problem() != "internal" || strings.Contains(a.body, "secret") || !strings.Contains(a.body, "my-id") {
		t.Errorf("%d %s, want a 500 that names the request and nothing else", a.status, a.body)
	}
	panicking := setup(t, func(d *httpapi.Deps) {
		d.Prepare = func(auth.Principal, string, string, json.RawMessage) (json.RawMessage, error) { panic("secret") }
	})
	a = panicking.do(t, http.MethodPost, "/api/jobs", panicking.token(t, "demo"), `{"kind":"test","title":"x","args":{}}`)
	if a.status != http.StatusInternalServerError || a.problem() != "internal" || strings.Contains(a.body, "secret") {
		t.Errorf("after a panic: %d %s, want a 500 that tells nothing", a.status, a.body)
	}
}

// The document is written out from the routes' types, and must not be stale.
// What is written out from Go types is what the types say.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	for path, make := range map[string]func() ([]byte, error){
		"openapi.json": httpapi.OpenAPI, "asyncapi.json": httpapi.AsyncAPI, "../event/notifications.json": httpapi.NotificationSchemas,
	} {
		got, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is stale: run 'make generate'", path)
		}
	}
}
