package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"herald/internal/auth"
	"herald/internal/signin"
)

// SignIn signs people in with a provider.
type SignIn interface {
	Begin(ctx context.Context, to string) (signin.Attempt, string, error)
	Finish(ctx context.Context, a signin.Attempt, back url.Values) (auth.Principal, error)
}

const (
	// attemptCookie holds an attempt to sign in, for as long as that may take.
	attemptCookie = "herald_signin"
	attemptTime   = 10 * time.Minute
	// sessionTime is how long somebody is signed in.
	sessionTime = 12 * time.Hour

	signInPath = "/api/signin"
)

// beginSignIn sends the browser to the provider.
func (a *api) beginSignIn(w http.ResponseWriter, r *http.Request) {
	attempt, to, err := a.SignIn.Begin(r.Context(), localPath(r.URL.Query().Get("to")))
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	text, err := json.Marshal(attempt)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	a.setAttempt(w, r, base64.RawURLEncoding.EncodeToString(text), int(attemptTime.Seconds()))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // the provider's address, from the settings
}

// finishSignIn takes the browser back from the provider.
func (a *api) finishSignIn(w http.ResponseWriter, r *http.Request) {
	attempt := attemptOf(r)
	a.setAttempt(w, r, "", -1) // whatever comes of it, it is over
	principal, err := a.SignIn.Finish(r.Context(), attempt, r.URL.Query())
	var token string
	if err == nil {
		token, err = a.Issue(principal, sessionTime)
	}
	if err != nil {
		a.problems.write(w, r, fmt.Errorf("sign in: %w", err))
		return
	}
	setCookie(w, r, token, time.Now().Add(sessionTime))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, localPath(attempt.To), http.StatusSeeOther)
}

func (a *api) setAttempt(w http.ResponseWriter, r *http.Request, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // as setCookie
		Name: attemptCookie, Value: value, Path: signInPath, MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: clientOf(r.Context()).https,
	})
}

// attemptOf is the browser's attempt; the zero one is nobody's.
func attemptOf(r *http.Request) (attempt signin.Attempt) {
	cookie, err := r.Cookie(attemptCookie)
	if err != nil {
		return attempt
	}
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || json.Unmarshal(text, &attempt) != nil {
		return signin.Attempt{}
	}
	return attempt
}

// localPath is the path if it is one of ours, and else that of the first page: no
// link of ours leads people elsewhere.
func localPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, `\`) || u.Host != "" {
		return "/"
	}
	return path
}

// withSignIn tells the page where people sign in.
func (a *api) withSignIn(page []byte) []byte {
	if a.SignIn == nil {
		return page
	}
	return bytes.Replace(page, []byte("</head>"), []byte(`<meta name="herald-sign-in" content="`+signInPath+`"></head>`), 1)
}
