package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"herald/internal/httpapi"
)

func packed(t *testing.T, text string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func TestThePagesOfDocumentation(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) {
		d.Docs = fstest.MapFS{
			"index.html.gz": packed(t, "<p>routes"), "events.html.gz": packed(t, "<p>events"), "elements-1.js.gz": packed(t, "1"), "docs.css.gz": packed(t, "a{}"),
		}
	})
	for path, want := range map[string][2]string{
		"/docs": {"<p>routes", "text/html; charset=utf-8"}, "/docs/events": {"<p>events", "text/html; charset=utf-8"},
		"/docs/elements-1.js": {"1", "text/javascript; charset=utf-8"}, "/docs/docs.css": {"a{}", "text/css; charset=utf-8"},
	} {
		for _, encoding := range []string{"gzip", "identity"} {
			a := s.do(t, http.MethodGet, path, "", "", "Accept-Encoding: "+encoding)
			body := a.body
			if encoding == "gzip" {
				r, err := gzip.NewReader(strings.NewReader(a.body))
				if err != nil {
					t.Fatalf("GET %s: %v", path, err)
				}
				var b bytes.Buffer
				if _, err := b.ReadFrom(r); err != nil {
					t.Fatal(err)
				}
				body = b.String()
			}
			if a.status != http.StatusOK || body != want[0] || a.header.Get("Content-Type") != want[1] {
				t.Errorf("GET %s as %s = %d %q %s, want %v", path, encoding, a.status, body, a.header.Get("Content-Type"), want)
			}
			if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self';") || !strings.Contains(policy, "default-src 'none'") {
				t.Errorf("GET %s has the policy %q, want scripts of its own alone", path, policy)
			}
		}
	}
	for _, path := range []string{"/docs/none.js", "/docs/index.html", "/docs/docs.css.gz", "/docs/..%2fapp.css"} {
		if a := s.do(t, http.MethodGet, path, "", ""); a.status != http.StatusNotFound || a.problem() != "not-found" {
			t.Errorf("GET %s = %d %s, want 404", path, a.status, a.body)
		}
	}
	bare := setup(t)
	if a := bare.do(t, http.MethodGet, "/docs", "", ""); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "make build") {
		t.Errorf("GET /docs without a build = %d %q, want to be told to build", a.status, a.body)
	}
}
