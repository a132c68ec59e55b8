package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-chi/chi/v5"

	"herald/internal/auth"
	"herald/internal/webhook"
)

// Development is what the developer's page is told, besides what the API tells
// everybody.
type Development struct {
	ExampleSecret string // of the webhooks of source example; empty when it is not the one that comes with Herald
	QueryIdentity bool   // streams believe userId= and username=, as those of the earlier service do
}

// identity is who asks for a stream by userId= in its address, where that is
// believed; empty where it is not, or is not said. A page of another name that leads
// to this machine is not the developer's.
func (d *Development) identity(r *http.Request) string {
	if d == nil || !d.QueryIdentity || tokenOf(r) != "" {
		return ""
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host != "localhost" && !net.ParseIP(strings.Trim(host, "[]")).IsLoopback() {
		return ""
	}
	return r.URL.Query().Get("userId")
}

// devBody is what the developer's page begins with.
type devBody struct {
	Sources       []webhook.Form `json:"webhook_sources"`
	ExampleSecret string         `json:"example_secret,omitempty"`
}

// devInfo tells those who may publish anyway how webhooks are signed.
func (a *api) devInfo(w http.ResponseWriter, r *http.Request) {
	if !principalOf(r.Context()).MayPublish() {
		a.problems.write(w, r, fmt.Errorf("%w: see how webhooks are signed", auth.ErrForbidden))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, "application/json", devBody{Sources: a.Webhooks.Forms(), ExampleSecret: a.Development.ExampleSecret})
}

// serveDev serves what is there in development alone: the developer's page, which
// is one of the app's, and an example that works without a build step.
func (a *api) serveDev(r chi.Router, page http.HandlerFunc) {
	for _, path := range []string{"/dev", "/dev/publish", "/dev/webhooks", "/dev/stream", "/dev/load"} {
		read(r, path, page)
	}
	read(r, "/dev/example.html", a.devFile("dev/example.html", "text/html; charset=utf-8"))
	read(r, "/dev/herald-client.js", a.devFile("dev/herald-client.js", "text/javascript; charset=utf-8"))
}

// devFile serves a file of the app's whose name does not change with its content.
func (a *api) devFile(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := fs.ReadFile(a.App, name)
		if err != nil {
			a.problems.write(w, r, errNoRoute)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Security-Policy", allowScripts(contentPolicy, text))
		_, _ = w.Write(text)
	}
}

var inlineScript = regexp.MustCompile(`(?s)<script[^>]*>(.+?)</script>`)

// allowScripts is the policy with the page's own scripts allowed, each by its hash.
func allowScripts(policy string, page []byte) string {
	allowed := []string{"script-src 'self'"}
	for _, script := range inlineScript.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(script[1])
		allowed = append(allowed, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return strings.Replace(policy, allowed[0], strings.Join(allowed, " "), 1)
}
