package httpapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/signin"
)

// matrix says of every route how it answers each kind of caller who is known: to
// the one whose things they are, demo, another user, a worker, a back end, support,
// an admin, and a guest, who came by a link to the job that is asked for. The job and
// the file are demo's; the job that runs elsewhere was
// started by the worker, in demo's name. "open" is a route for everybody, and what
// it answers, "signed" one for those who know a webhook's secret. Nobody else gets
// anything but a 401 from any other route.
func matrix() map[string]string {
	return map[string]string{
		"GET /openapi.json":           "open 200",
		"HEAD /openapi.json":          "open 200",
		"GET /asyncapi.json":          "open 200",
		"HEAD /asyncapi.json":         "open 200",
		"GET /healthz":                "open 200",
		"HEAD /healthz":               "open 200",
		"GET /readyz":                 "open 200",
		"HEAD /readyz":                "open 200",
		"GET /":                       "open 200",
		"HEAD /":                      "open 200",
		"GET /jobs/{id}":              "open 200",
		"HEAD /jobs/{id}":             "open 200",
		"GET /support":                "open 200",
		"HEAD /support":               "open 200",
		"GET /support/*":              "open 200",
		"HEAD /support/*":             "open 200",
		"GET /shared/{id}":            "open 200",
		"HEAD /shared/{id}":           "open 200",
		"GET /docs":                   "open 503", // this node has none
		"HEAD /docs":                  "open 503",
		"GET /docs/events":            "open 503",
		"HEAD /docs/events":           "open 503",
		"GET /docs/{file}":            "open 404",
		"HEAD /docs/{file}":           "open 404",
		"GET /assets/*":               "open 200",
		"HEAD /assets/*":              "open 200",
		"GET /favicon.svg":            "open 200",
		"HEAD /favicon.svg":           "open 200",
		"GET /metrics":                "403 403 403 404 404 404 403", // this node has none
		"GET /api/signin":             "open 303",                    // to the provider
		"GET /api/signin/callback":    "open 401",                    // of nobody's attempt
		"POST /api/session":           "200 200 200 200 200 200 403",
		"GET /api/session":            "200 200 200 200 200 200 403",
		"DELETE /api/session":         "204 204 204 204 204 204 403",
		"POST /api/tickets":           "201 201 201 201 201 201 403",
		"GET /api/sse":                "400 403 403 403 400 400 403", // the cursor is looked at last, and bad
		"POST /api/webhooks/{source}": "signed",
		"POST /api/sse/message":       "403 403 403 200 403 200 403",
		"POST /api/sse/messages":      "403 403 403 200 403 200 403",
		"POST /api/sse/ack":           "404 404 404 404 404 404 403", // there is no such stream
		"POST /api/uploads":           "201 201 403 201 403 201 403",
		"OPTIONS /api/uploads":        "204 204 204 204 204 204 403",
		"GET /api/uploads":            "200 200 200 200 200 200 403", // their own
		"GET /api/uploads/{id}":       "200 404 404 404 404 404 403",
		"HEAD /api/uploads/{id}":      "200 404 404 404 404 404 403",
		"PATCH /api/uploads/{id}":     "412 404 404 404 404 404 403", // it does not say what it speaks
		"DELETE /api/uploads/{id}":    "204 404 404 404 404 404 403",
		"GET /api/kinds":              "200 200 200 200 200 200 403",
		"GET /api/exports/datasets":   "200 200 200 200 200 200 403",

		"GET /api/jobs":                  "200 200 200 200 200 200 403", // their own
		"POST /api/jobs":                 "201 201 403 201 403 201 403",
		"GET /api/jobs/{id}":             "200 404 404 404 200 200 200",
		"DELETE /api/jobs/{id}":          "409 404 404 404 403 409 403",
		"POST /api/jobs/{id}/cancel":     "202 404 404 404 403 202 403",
		"POST /api/jobs/{id}/retry":      "409 404 404 404 403 409 403",
		"GET /api/jobs/{id}/events":      "200 404 404 404 200 200 200",
		"GET /api/jobs/{id}/artifacts":   "200 404 404 404 200 200 200",
		"POST /api/jobs/{id}/shares":     "201 404 404 404 403 201 403",
		"GET /api/jobs/{id}/shares":      "200 404 404 404 200 200 403",
		"GET /api/share":                 "403 403 403 403 403 403 200",
		"POST /api/attempts":             "403 403 200 200 403 200 403",
		"POST /api/jobs/{id}/attempts":   "403 403 201 409 403 409 403",
		"POST /api/jobs/{id}/reports":    "403 404 200 404 403 200 403",
		"GET /api/jobs/{id}/commands":    "403 404 200 404 403 200 403",
		"GET /api/artifacts/{id}":        "302 404 404 404 302 302 403",
		"HEAD /api/artifacts/{id}":       "302 404 404 404 302 302 403",
		"GET /api/artifacts/{id}/*":      "200 404 404 404 200 200 403",
		"HEAD /api/artifacts/{id}/*":     "200 404 404 404 200 200 403",
		"POST /api/artifacts/{id}/links": "201 404 404 404 403 201 403",
		"GET /api/jobs/{id}/curve":       "200 404 404 404 200 200 200",

		"DELETE /api/jobs/{id}/shares/{share}": "204 404 404 404 403 204 403",

		"GET /api/queue":              "403 403 403 403 403 200 403",
		"GET /api/queue/entries":      "403 403 403 403 403 200 403",
		"GET /api/queue/entries/{id}": "403 403 403 403 403 404 403", // it is empty

		"GET /api/events":       "200 403 403 403 200 200 403",
		"GET /api/events/{seq}": "200 404 404 404 200 200 403",

		"GET /api/connections":               "200 403 403 200 200 200 403",
		"GET /api/connections/{id}":          "200 404 404 200 200 200 403",
		"DELETE /api/connections/{id}":       "202 404 404 202 403 202 403",
		"GET /api/users/{id}/presence":       "200 403 403 200 200 200 403",
		"GET /api/users/{id}/events":         "200 403 403 403 200 200 403",
		"GET /api/users/{id}/jobs":           "200 403 403 403 200 200 403",
		"DELETE /api/users/{id}/connections": "202 403 403 202 403 202 403",
		"GET /api/events/{seq}/deliveries":   "200 404 404 404 200 200 403",
		"GET /api/events/{seq}/explain":      "200 404 404 404 200 200 403",
	}
}

// ask is how the matrix asks a route: what stands behind its path, and in its body.
type ask struct{ query, body string }

func asks() map[string]ask {
	return map[string]ask{
		"GET /api/sse":                   {query: "?topic=user:demo&lastEventId=x"},
		"POST /api/sse/ack":              {body: `{"client_id":"` + uuid.NewString() + `","seq":0}`},
		"POST /api/sse/message":          {query: "?dry_run=1", body: `{"event":"a.b","to":{"all":true}}`},
		"POST /api/sse/messages":         {query: "?dry_run=1", body: `{"messages":[{"event":"a.b","to":{"all":true}}]}`},
		"POST /api/uploads":              {query: "?name=a.txt", body: "x"},
		"POST /api/jobs":                 {body: `{"kind":"test","title":"x","args":{}}`},
		"POST /api/attempts":             {body: `{"kinds":["none"]}`},
		"POST /api/jobs/{id}/attempts":   {body: `{"worker":"w"}`},
		"POST /api/jobs/{id}/reports":    {body: `{"reports":[{"attempt":1}]}`},
		"GET /api/jobs/{id}/commands":    {query: "?wait=0"},
		"POST /api/artifacts/{id}/links": {body: `{}`},
		"POST /api/jobs/{id}/shares":     {body: `{}`},
		"GET /api/connections":           {query: "?user=demo"},
		"GET /api/users/{id}/jobs":       {query: "?seq=1"},
		"GET /api/events":                {query: "?user=demo"},
	}
}

// world is what the matrix asks for.
type world struct {
	*server
	known   []string          // tokens of those whom the matrix has columns for
	unknown map[string]string // tokens that are good for nothing
	stream  uuid.UUID         // demo's
	file    string            // the path of demo's file below /api/artifacts
	pem     []byte            // the public key of the other issuer
}

// otherIssuer makes the server take tokens of another issuer with an RSA key.
func (w *world) otherIssuer(t *testing.T) func(*httpapi.Deps) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	w.pem = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, w.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	public, err := auth.LoadStaticKey("RS256:" + path)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := auth.NewIssuer(auth.IssuerConfig{Issuer: "https://id.test", Audience: "herald", Keys: []auth.StaticKey{public}})
	if err != nil {
		t.Fatal(err)
	}
	return func(d *httpapi.Deps) {
		store, ok := d.Tickets.(auth.KeyStore) // the database
		if !ok {
			t.Fatal("the tickets are not in the database")
		}
		shares, ok := d.Shares.(auth.ShareStore)
		if !ok {
			t.Fatal("the shares are not in the database")
		}
		d.SignIn = &someProvider{}
		d.Tokens = auth.NewVerifier(signingKey(t), auth.NewKeyring(store, slog.New(slog.DiscardHandler), auth.KeyringConfig{}),
			auth.NewShareKeyring(shares, slog.New(slog.DiscardHandler), auth.KeyringConfig{}), issuer)
	}
}

// someProvider is a provider that nobody comes back from.
type someProvider struct{ httpapi.SignIn }

func (*someProvider) Begin(context.Context, string) (signin.Attempt, string, error) {
	return signin.Attempt{}, "https://id.test/authorize", nil
}

func (*someProvider) Finish(context.Context, signin.Attempt, url.Values) (auth.Principal, error) {
	return auth.Principal{}, auth.ErrBadToken
}

// forged are tokens that say that an admin is asking.
func (w *world) forged(t *testing.T) map[string]string {
	t.Helper()
	sign := func(method jwt.SigningMethod, key any, issuer string, life time.Duration) string {
		claims := jwt.MapClaims{"sub": "demo", "iss": issuer, "aud": "herald", "exp": time.Now().Add(life).Unix(), "roles": []string{"admin"}}
		token, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	return map[string]string{
		"none": "", "garbage": "a.b.c", "a made-up key": "hk_" + strings.Repeat("x", 43), "a ticket": w.ticket(t, w.token(t, "demo")),
		"expired":                  sign(jwt.SigningMethodHS256, bytes.Repeat([]byte("k"), 32), "herald", -time.Minute),
		"wrong signature":          sign(jwt.SigningMethodHS256, []byte("another key"), "herald", time.Hour),
		"alg none":                 sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "herald", time.Hour),
		"alg none, another issuer": sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "https://id.test", time.Hour),
		"HS256 with a public key":  sign(jwt.SigningMethodHS256, w.pem, "https://id.test", time.Hour),
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.server = setup(t, w.otherIssuer(t))
	w.known = []string{w.token(t, "demo"), w.token(t, "alice")}
	for _, role := range []auth.Role{auth.RoleWorker, auth.RoleBackend, auth.RoleSupport, auth.RoleAdmin} {
		w.known = append(w.known, w.token(t, "a-"+string(role), role))
	}
	w.unknown = w.forged(t)
	id, revoked := w.apiKey(t, auth.APIKey{User: "demo", Roles: []auth.Role{auth.RoleAdmin}})
	if _, err := w.db.RevokeAPIKey(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	w.unknown["a revoked key"] = revoked
	w.unknown["a made-up link"] = auth.SharePrefix + strings.Repeat("x", 43)
	share, secret := w.share(t, w.startJob(t, "demo").ID, true)
	if err := w.db.RevokeShare(t.Context(), share.Job, share.ID, "demo"); err != nil {
		t.Fatal(err)
	}
	w.unknown["a revoked link"] = secret
	w.stream = w.follow(t, w.known[0], "").clientID()
	w.file = strings.TrimPrefix(w.upload(t, "a.txt", "hello").URL, "/api/artifacts/")
	w.written()
	return w
}

// path fills the route in: with things of demo's, which are new for each route, as
// the routes change them.
func (w *world) path(t *testing.T, route string) string {
	t.Helper()
	switch {
	case strings.HasPrefix(route, "/api/artifacts/{id}/*"):
		return "/api/artifacts/" + w.file
	case strings.HasPrefix(route, "/api/artifacts/"):
		id, _, _ := strings.Cut(w.file, "/")
		return strings.Replace(route, "{id}", id, 1)
	case strings.HasPrefix(route, "/api/uploads/"):
		return w.beginUpload(t, 10)
	case strings.HasPrefix(route, "/api/connections/"):
		return strings.Replace(route, "{id}", w.stream.String(), 1)
	case strings.HasPrefix(route, "/api/events/{seq}"):
		return strings.Replace(route, "{seq}", w.eventOf(t, w.startJob(t, "demo").ID).String(), 1)
	case strings.HasPrefix(route, "/api/users/"):
		return strings.Replace(route, "{id}", "demo", 1)
	case strings.HasSuffix(route, "/attempts"), strings.HasSuffix(route, "/reports"), strings.HasSuffix(route, "/commands"):
		return strings.Replace(route, "{id}", w.elsewhere(t, strings.HasSuffix(route, "/attempts")).String(), 1)
	case strings.HasSuffix(route, "/shares/{share}"):
		j := w.startJob(t, "demo")
		s, _ := w.share(t, j.ID, false)
		return "/api/jobs/" + j.ID.String() + "/shares/" + s.ID.String()
	case strings.HasPrefix(route, "/api/jobs/{id}"):
		return strings.Replace(route, "{id}", w.startJob(t, "demo").ID.String(), 1)
	}
	if strings.HasPrefix(route, "/api/queue/") {
		return strings.Replace(route, "{id}", "1", 1)
	}
	return strings.NewReplacer("{id}", "x", "*", "a-1.js").Replace(route)
}

// eventOf waits for the job's first event.
func (w *world) eventOf(t *testing.T, id uuid.UUID) event.Seq {
	t.Helper()
	for {
		p := get[page](t, w.server, w.known[0], "/api/events?job="+id.String())
		if len(p.Events) > 0 {
			return p.Events[0].Seq
		}
	}
}

// elsewhere starts a job of demo's that runs elsewhere; unless it waits, the worker
// who has started it is at it.
func (w *world) elsewhere(t *testing.T, waits bool) uuid.UUID {
	t.Helper()
	body := fmt.Sprintf(`{"kind":"test","title":"x","owner":"demo","external":true,"start":%v}`, !waits)
	a := w.do(t, http.MethodPost, "/api/jobs", w.known[2], body)
	id, err := uuid.Parse(between(a.body, `"id":"`, `"`))
	if err != nil {
		t.Fatalf("start a job elsewhere: %d %s", a.status, a.body)
	}
	return id
}

// guest is the token of who came by a link to the job that the path names, or to some
// job.
func (w *world) guest(t *testing.T, path string) string {
	t.Helper()
	rest, _ := strings.CutPrefix(path, "/api/jobs/")
	const length = len("00000000-0000-0000-0000-000000000000")
	id, err := uuid.Parse(rest[:min(length, len(rest))])
	if err != nil {
		id = w.startJob(t, "demo").ID
	}
	_, secret := w.share(t, id, true)
	return secret
}

// Every route that the router has, and every kind of caller. A route without a line
// in the matrix fails, and so does a line without a route.
func TestAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	routes, ok := w.Config.Handler.(chi.Routes)
	if !ok {
		t.Fatal("the handler does not tell its routes")
	}
	rest := matrix()
	err := chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		name := method + " " + route
		rule, ok := rest[name]
		delete(rest, name)
		switch {
		case !ok:
			t.Errorf("%s has no line in the matrix: who may do it?", name)
		case strings.HasPrefix(rule, "open"):
			if a := w.do(t, method, w.path(t, route), "", ""); fmt.Sprint("open ", a.status) != rule {
				t.Errorf("%s by nobody = %d, want %s", name, a.status, rule)
			}
		case rule == "signed": // whoever it is, only the signature counts; the source is nobody
			if a := w.do(t, method, w.path(t, route), w.known[0], "{}"); a.status != http.StatusNotFound {
				t.Errorf("%s = %d, want 404", name, a.status)
			}
		default:
			w.checkRoute(t, method, route, rule)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for name := range rest {
		t.Errorf("the matrix has a line for %s, and there is no such route", name)
	}
}

func (w *world) checkRoute(t *testing.T, method, route, rule string) {
	t.Helper()
	name := method + " " + route
	with := asks()[name]
	path := w.path(t, route) + with.query
	for who, token := range w.unknown {
		a := w.do(t, method, path, token, with.body)
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s with %s = %d %s, want 401", name, who, a.status, a.body)
		}
	}
	separator := "?"
	if with.query != "" {
		separator = "&"
	}
	want := http.StatusUnauthorized
	if name == "GET /api/sse" {
		want = http.StatusBadRequest // it is let in, as demo, and its cursor is bad
	}
	ticket := separator + "ticket=" + url.QueryEscape(w.ticket(t, w.known[0]))
	if a := w.do(t, method, path+ticket, "", with.body); a.status != want {
		t.Errorf("%s by a ticket = %d %s, want %d", name, a.status, a.body, want)
	}
	var got []string
	for _, token := range append(w.known, w.guest(t, path)) {
		got = append(got, fmt.Sprint(w.do(t, method, path, token, with.body).status))
	}
	if strings.Join(got, " ") != rule {
		t.Errorf("%s = %v to demo, alice, a worker, a back end, support, an admin and a guest, want %s", name, got, rule)
	}
}

// Basic authorization is answered with what is wanted instead.
func TestAnotherSchemeOfAuthorization(t *testing.T) {
	t.Parallel()
	s := setup(t)
	basic := s.do(t, http.MethodGet, "/api/jobs", "", "", "Authorization: Basic ZGVtbzpkZW1v")
	if basic.status != http.StatusUnauthorized || basic.problem() != "not-signed-in" || basic.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("basic authorization = %d %s, want 401 that asks for a token", basic.status, basic.body)
	}
}
