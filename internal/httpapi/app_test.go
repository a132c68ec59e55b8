package httpapi_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"herald/internal/httpapi"
)

func TestTheAppsFilesAreCompressed(t *testing.T) {
	t.Parallel()
	script := strings.Repeat("let a = 1;\n", 1000)
	s := setup(t, func(d *httpapi.Deps) {
		d.App = fstest.MapFS{
			"index.html": {Data: []byte(script)}, "assets/a.js": {Data: []byte(script)}, "assets/a.css": {Data: []byte(script)},
			"assets/a.woff2": {Data: []byte(script)}, "favicon.svg": {Data: []byte(script)},
		}
	})
	for _, tt := range []struct{ path, accept, want string }{
		{"/", "gzip", "gzip"},
		{"/assets/a.js", "br, gzip", "gzip"},
		{"/assets/a.css", "gzip", "gzip"},
		{"/favicon.svg", "gzip", "gzip"},
		{"/assets/a.woff2", "gzip", ""},
		{"/assets/a.js", "identity", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", tt.accept)
		req.Header.Set("Range", "bytes=5-9")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got := res.Header.Get("Content-Encoding"); got != tt.want || res.StatusCode != http.StatusOK {
			t.Errorf("GET %s for %q = %d in %q, want 200 in %q", tt.path, tt.accept, res.StatusCode, got, tt.want)
			continue
		}
		var body io.Reader = res.Body
		if tt.want == "gzip" {
			if body, err = gzip.NewReader(res.Body); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != script {
			t.Errorf("GET %s for %q = %d bytes, %v, want the whole file", tt.path, tt.accept, len(text), err)
		}
	}
}
