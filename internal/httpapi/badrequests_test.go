package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// nested is JSON so deep.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// What nobody with good intentions sends gets an answer that says so, and never one
// that says that we are broken.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo, j, file := s.token(t, "demo"), s.startJob(t, "demo").ID.String(), s.upload(t, "a.txt", "hello").URL
	folder := strings.TrimSuffix(file, "/a.txt")
	job := func(args string) string { return `{"kind":"test","title":"x","args":` + args + `}` }
	for _, tt := range []struct {
		name, method, path, body string
		want                     []int
	}{
		{"deep args", http.MethodPost, "/api/jobs", job(`{"a":` + nested(7000) + `}`), []int{422}},
		{"deeper args", http.MethodPost, "/api/jobs", job(`{"a":` + nested(200_000) + `}`), []int{400, 422}},
		{"a deep body", http.MethodPost, "/api/jobs", nested(400_000), []int{400, 422}},
		{"deep metadata", http.MethodPost, "/api/jobs", `{"kind":"test","title":"x","metadata":{"a":` + nested(500) + `}}`, []int{422}},
		{"bad UTF-8 in args", http.MethodPost, "/api/jobs", job("{\"a\":\"\xff\"}"), []int{422}},
		{"half a pair in args", http.MethodPost, "/api/jobs", job(`{"a":"\ud800"}`), []int{422}},
		{"a NUL in args", http.MethodPost, "/api/jobs", job(`{"a":"\u0000"}`), []int{422}},
		{"the same key twice", http.MethodPost, "/api/jobs", `{"kind":"test","kind":"dance","title":"x","args":{}}`, []int{201, 422}},
		{"more than one value", http.MethodPost, "/api/jobs", job(`{}`) + job(`{}`), []int{400, 422}},
		{"no body", http.MethodPost, "/api/jobs", "", []int{400, 422}},
		{"a topic of two lines", http.MethodGet, "/api/sse?topic=" + url.QueryEscape("user:demo\nevent: x"), "", []int{400}},
		{"a topic of bad UTF-8", http.MethodGet, "/api/sse?topic=user:%ff", "", []int{400}},
		{"a topic of a control character", http.MethodGet, "/api/sse?topic=channel:%1b[2J", "", []int{400}},
		{"a type of two lines", http.MethodGet, "/api/sse?type=" + url.QueryEscape("a\nb"), "", []int{400}},
		{"about with a NUL", http.MethodGet, "/api/sse?about=" + url.QueryEscape(`{"a":"\u0000"}`), "", []int{400}},
		{"a cursor of 100 digits", http.MethodGet, "/api/sse?lastEventId=" + strings.Repeat("9", 100), "", []int{400}},
		{"a cursor below 0", http.MethodGet, "/api/sse?lastEventId=-1", "", []int{400}},
		{"half an escape", http.MethodGet, "/api/jobs?before=%zz", "", []int{200, 400}},
		{"a NUL in an id", http.MethodGet, "/api/jobs/%00", "", []int{400}},
		{"a user with a NUL", http.MethodGet, "/api/users/a%00b/presence", "", []int{400}},
		{"up from a file", http.MethodGet, folder + "/..%2f..%2f..%2fetc%2fpasswd", "", []int{200}}, // a name means nothing where there is one file
		{"up from the artifacts", http.MethodGet, "/api/artifacts/..%2f..%2fetc/passwd", "", []int{404}},
		{"up from the assets", http.MethodGet, "/assets/..%2findex.html", "", []int{404}},
		{"up from the assets, backwards", http.MethodGet, `/assets/..%5c..%5cindex.html`, "", []int{404}},
		{"a NUL in an asset", http.MethodGet, "/assets/a-1.js%00.css", "", []int{404}},
		{"a method of no use", "BREW", "/api/jobs", "", []int{405}},
		{"an ack of a large number", http.MethodPost, "/api/sse/ack", `{"client_id":"` + j + `","seq":9223372036854775808}`, []int{400, 422}},
		{"an artifact of no id", http.MethodGet, "/api/artifacts/' OR 1=1/x", "", []int{404}},
	} {
		path, rest, found := strings.Cut(tt.path, "?")
		path = strings.ReplaceAll(path, " ", "%20")
		if found {
			path += "?" + rest
		}
		a := s.do(t, tt.method, path, demo, tt.body)
		ok := false
		for _, want := range tt.want {
			ok = ok || a.status == want
		}
		if !ok || a.status >= 400 && a.problem() == "" {
			t.Errorf("%s: %s %.80s = %d %.300s, want %v and a problem", tt.name, tt.method, path, a.status, a.body, tt.want)
		}
		if tt.name == "up from a file" && a.body != "hello" {
			t.Errorf("%s: the file is %.100q", tt.name, a.body)
		}
	}
	for _, name := range []string{"..%2f..%2fx.ts", "%2e%2e%2fx.ts", "a%00.ts", "a%2fb.ts", "..", ".ts", "x.ts%0a"} {
		if a := s.do(t, http.MethodGet, "/api/artifacts/"+uuid.NewString()+"/"+name, demo, ""); a.status != http.StatusNotFound {
			t.Errorf("file %s of no artifact = %d, want 404", name, a.status)
		}
	}
}

// What people write never becomes a header, nor a line of a stream of its own.
func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo := s.token(t, "demo")
	up := s.do(t, http.MethodPost, "/api/uploads?name="+url.QueryEscape("a\r\nSet-Cookie: x=1\r\n\r\n\"; filename=b.exe"), demo, "hello", "Content-Type: text/html\t; x=\"1\"")
	down := s.do(t, http.MethodGet, between(up.body, `"url":"`, `"`), demo, "")
	if down.status != http.StatusOK || down.header.Get("Set-Cookie") != "" || len(down.header.Values("Content-Disposition")) != 1 ||
		!strings.HasPrefix(down.header.Get("Content-Disposition"), "attachment") || !strings.Contains(down.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the file comes as %d %v, want an attachment that runs nothing", down.status, down.header)
	}
	if a := s.do(t, http.MethodGet, "/api/jobs", demo, "", "X-Request-ID: a: b"); strings.Contains(a.header.Get("X-Request-ID"), ":") {
		t.Errorf("the request's id is %q", a.header.Get("X-Request-ID"))
	}
	f := s.follow(t, demo, "about="+url.QueryEscape(`{"a":"\n\nevent: fake\ndata: {}"}`)+"&session="+url.QueryEscape("\n\nevent: fake\n"), "X-Request-ID: a")
	f.next("stream.open")
	f.next("stream.snapshot")
	const title = `x\n\nevent: fake\ndata: {}\r\rid: 99999\u2028`
	if a := s.do(t, http.MethodPost, "/api/jobs", demo, `{"kind":"test","title":"`+title+`","args":{"a":"`+title+`"},"metadata":{"k":"`+title+`"}}`); a.status == http.StatusCreated {
		if e := f.next("job.queued"); e.ID == "99999" {
			t.Errorf("an event's id is %s", e.ID)
		}
	}
	if a := s.do(t, http.MethodPost, "/api/jobs", demo, `{"kind":"test","title":"the last","args":{}}`); a.status != http.StatusCreated {
		t.Fatalf("start a job: %d %s", a.status, a.body)
	}
	if e := f.next("job.queued"); !strings.Contains(e.Data, "the last") {
		t.Errorf("the next event is %+v, want that of the last job", e)
	}
}
