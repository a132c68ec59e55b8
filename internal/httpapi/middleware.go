package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
)

// contextKey is the type of this package's keys in a context.
type contextKey int

const (
	requestIDKey contextKey = iota
	principalKey
	clientKey
	linkKey
)

// withRequestID gives the request an id: the client's if it is sane, else one of
// ours. It stands in the answer, in problems and in the log.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-ID")
		if !saneID(id) {
			id = uuid.NewString()
		}
		w.Header().Set("X-Request-ID", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey, id)))
	})
}

func saneID(id string) bool {
	const longest = 64
	return id != "" && len(id) <= longest && strings.IndexFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) < 0
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// recorder notes what was answered. Flushing and deadlines reach the writer
// below through Unwrap.
type recorder struct {
	http.ResponseWriter
	status int
}

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 {
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(b []byte) (int, error) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	return rec.ResponseWriter.Write(b)
}

// Hijack is for http.ResponseController. A connection that is taken is answered
// by whoever takes it: with a stream.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(rec.ResponseWriter).Hijack()
	if err == nil && rec.status == 0 {
		rec.status = http.StatusOK
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// logRequests writes a line for each request when it ends: its route, never its
// path or query, which may hold what is nobody's business. The client's address
// is a person's too: it stands there since nobody logs at this level for long.
func (a *api) logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, began := r.Context(), time.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() { // after a panic too, which cuts the connection
			a.Log.DebugContext(ctx, "request", "method", r.Method, "route", chi.RouteContext(ctx).RoutePattern(),
				"status", rec.status, "took", time.Since(began), "client", clientOf(ctx).addr, "request_id", requestID(ctx))
		}()
		next.ServeHTTP(rec, r)
	})
}

// recoverPanics answers for a handler that has panicked, or cuts the connection
// when the handler has begun to answer.
func (a *api) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, rec := r.Context(), &recorder{ResponseWriter: w}
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v) // it means to cut the connection
			}
			p := a.problems.of(ctx, fmt.Errorf("%w: %v\n%s", errPanic, v, debug.Stack()))
			if rec.status != 0 {
				panic(http.ErrAbortHandler)
			}
			p.send(rec)
		}()
		next.ServeHTTP(rec, r)
	})
}

// requestTime bounds a request, from its head to the answer's last byte. What
// may take longer moves the deadlines as it goes.
const requestTime = time.Minute

// boundTime keeps a client that neither sends nor reads from holding on to us:
// net/http waits for what is left of a body before it answers, whatever the
// answer is. Without a body nothing is read, and a deadline would only end the
// request.
func boundTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		due := time.Now().Add(requestTime)
		_ = control.SetWriteDeadline(due) // a writer that knows no deadlines has no slow client
		if r.Body != http.NoBody {
			_ = control.SetReadDeadline(due)
		}
		next.ServeHTTP(w, r)
	})
}

// contentPolicy lets the app load what is Herald's own, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"media-src 'self' blob:; connect-src 'self'; font-src 'self'; worker-src 'self' blob:; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// refuseNoText refuses addresses with what no name has, and the database takes for no
// text: bytes that are not UTF-8, and NUL.
func (a *api) refuseNoText(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.QueryUnescape(r.URL.RawQuery)
		if err != nil || !isText(query) || !isText(r.URL.Path) {
			a.problems.write(w, r, fmt.Errorf("%w: the address is not UTF-8, or has a NUL byte in it", errBadQuery))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// authenticate lets nobody pass who is not known.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		principal, err := a.Tokens.Verify(r.Context(), tokenOf(r))
		if err == nil {
			err = a.welcome(r, principal)
		}
		if err == nil {
			err = a.admit(r, principal)
		}
		if err != nil {
			a.problems.write(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey, principal)))
	})
}

// authenticateOrTicket lets those pass who are known, and those whose ticket is
// good; with a ticket, nothing else counts. In development it may be enough to say
// who one is.
func (a *api) authenticateOrTicket(next http.Handler) http.Handler {
	known := a.authenticate(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		user := a.Development.identity(r)
		var (
			principal auth.Principal
			err       error
		)
		switch {
		case query.Has("ticket"):
			principal, err = a.takeTicket(r.Context(), query.Get("ticket"))
		case user != "":
			principal = auth.Principal{User: user, Roles: []auth.Role{auth.RoleUser}}
			_, err = event.ParseTopic(string(event.UserTopic(user)))
		default:
			known.ServeHTTP(w, r)
			return
		}
		if err != nil {
			a.problems.write(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey, principal)))
	})
}

// tokenOf is the request's token: from its Authorization header (RFC 6750), else
// from its cookie, if it is not another site's page that asks.
func tokenOf(r *http.Request) string {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return ""
		}
		return strings.TrimSpace(token)
	}
	if cookie, err := r.Cookie(cookieName); err == nil && ownPage(r) {
		return cookie.Value
	}
	return ""
}

// principalOf is who is asking. Behind authenticate there always is one; the
// zero Principal may do nothing.
func principalOf(ctx context.Context) auth.Principal {
	principal, _ := ctx.Value(principalKey).(auth.Principal)
	return principal
}
