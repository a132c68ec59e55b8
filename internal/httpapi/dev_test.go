package httpapi_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/webhook"
)

func TestTheDevelopersPageIsThereInDevelopmentAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	secret, err := webhook.LoadOrCreateSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	example, err := webhook.Example(file)
	if err != nil {
		t.Fatal(err)
	}
	use := func(d *httpapi.Deps) {
		d.Webhooks = webhook.Sources{"example": example}
		d.App = fstest.MapFS{
			"index.html":            {Data: []byte("the app")},
			"dev/example.html":      {Data: []byte("<script>\n1;\n</script>")},
			"dev/herald-client.js":  {Data: []byte("export {}")},
			"dev/another.html":      {Data: []byte("another")},
			"dev/sub/example.html":  {Data: []byte("another")},
			"dev/publish/index.css": {Data: []byte("another")},
		}
	}
	production := setup(t, use)
	development := start(t, production.db, use, func(d *httpapi.Deps) {
		d.Node, d.Development = "test-2", &httpapi.Development{ExampleSecret: secret}
	})
	backend := production.token(t, "shop", auth.RoleUser, auth.RoleBackend)
	for _, tt := range []struct {
		path, token string
		status      int
		has         string
	}{
		{"/dev", "", 200, "the app"},
		{"/dev/publish", "", 200, "the app"},
		{"/dev/load", "", 200, "the app"},
		{"/dev/nothing", "", 404, "not-found"},
		{"/dev/another.html", "", 404, "not-found"},
		{"/dev/sub/example.html", "", 404, "not-found"},
		{"/dev/example.html", "", 200, "1;"},
		{"/dev/herald-client.js", "", 200, "export"},
		{"/api/dev", "", 401, "not-signed-in"},
		{"/api/dev", production.token(t, "alice", auth.RoleUser), 403, "forbidden"},
		{"/api/dev", backend, 200, `"webhook_sources":[{"name":"example","scheme":"standard"}],"example_secret":"` + secret + `"`},
		{"/api/session", backend, 200, `"development":true`},
	} {
		if a := development.do(t, http.MethodGet, tt.path, tt.token, ""); a.status != tt.status || !strings.Contains(a.body, tt.has) {
			t.Errorf("in development, %s: %d %s, want %d with %s", tt.path, a.status, a.body, tt.status, tt.has)
		}
		a := production.do(t, http.MethodGet, tt.path, tt.token, "")
		if tt.path == "/api/session" {
			if strings.Contains(a.body, "development") {
				t.Errorf("in production, the session says %s", a.body)
			}
		} else if a.status != http.StatusNotFound {
			t.Errorf("in production, %s: %d %s, want nothing there", tt.path, a.status, a.body)
		}
	}
	a := development.do(t, http.MethodGet, "/dev/example.html", "", "")
	// echo -n $'\n1;\n' | openssl dgst -sha256 -binary | base64
	const want = "script-src 'self' 'sha256-o/XC9OlEggfse39RlivbQFMYA0QAu6G2MgWEuPWdudM='; style-src 'self';"
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, want) {
		t.Errorf("the example's policy is %s, want %s", policy, want)
	}
}
