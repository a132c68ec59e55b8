package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
)

// cookieName is the cookie that holds a browser's token.
const cookieName = "herald_session"

// sessionBody says who is signed in.
type sessionBody struct {
	User    string      `json:"user"`
	Roles   []auth.Role `json:"roles"`
	Expires time.Time   `json:"expires_at,omitzero"` // of an API key there may be none

	Development bool `json:"development,omitempty"` // the developer's page is there
}

// signIn takes a token and keeps it in a cookie that scripts cannot read.
func (a *api) signIn(w http.ResponseWriter, r *http.Request) {
	token := tokenOf(r)
	principal, err := a.Tokens.Verify(r.Context(), token)
	if err == nil && principal.Key != uuid.Nil {
		err = fmt.Errorf("%w: sign in with an API key; send it with each request", auth.ErrForbidden)
	}
	if err == nil && principal.IsGuest() {
		err = fmt.Errorf("%w: sign in with a link to one job", auth.ErrForbidden)
	}
	if err == nil {
		err = a.welcome(r, principal)
	}
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	setCookie(w, r, token, principal.Expires)
	a.writeSession(w, principal)
}

func (a *api) session(w http.ResponseWriter, r *http.Request) {
	a.writeSession(w, principalOf(r.Context()))
}

// signOut makes the browser forget its token.
func (a *api) signOut(w http.ResponseWriter, r *http.Request) {
	setCookie(w, r, "", time.Unix(1, 0))
	w.WriteHeader(http.StatusNoContent)
}

func setCookie(w http.ResponseWriter, r *http.Request, token string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // on loopback there is no TLS, and a cookie that wants it would be lost
		Name: cookieName, Value: token, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: clientOf(r.Context()).https,
	})
}

func (a *api) writeSession(w http.ResponseWriter, p auth.Principal) {
	w.Header().Set("Cache-Control", "no-store")
	roles := append([]auth.Role{}, p.Roles...) // none is a list too
	writeJSON(w, http.StatusOK, "application/json", sessionBody{
		User: p.User, Roles: roles, Expires: p.Expires, Development: a.Development != nil,
	})
}

// pingTime bounds how long /readyz waits for the database.
const pingTime = time.Second

// health says that the process runs.
func (a *api) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, "application/json", map[string]string{"status": "ok"})
}

// ready says whether requests can be answered.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pingTime)
	defer cancel()
	if err := a.Ping(ctx); err != nil {
		a.Log.WarnContext(ctx, "not ready", "error", err)
		a.problems.write(w, r, fmt.Errorf("%w: %w", errNotReady, err))
		return
	}
	a.health(w, r)
}

// metrics answers those who watch over nodes.
func (a *api) metrics(w http.ResponseWriter, r *http.Request) {
	switch {
	case !principalOf(r.Context()).MayMeasure():
		a.problems.write(w, r, fmt.Errorf("%w: metrics are for back ends, support and admins", auth.ErrForbidden))
	case a.Metrics == nil:
		a.problems.write(w, r, errNoRoute)
	default:
		a.Metrics.ServeHTTP(w, r)
	}
}
