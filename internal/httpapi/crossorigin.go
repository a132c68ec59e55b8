package httpapi

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/cors"
)

// allowOrigins lets pages of the named sites, and of no other, use the API. They
// come with a token: whatever cookie of ours their user has is not theirs to use.
func (a *api) allowOrigins(next http.Handler) http.Handler {
	if len(a.Origins) == 0 {
		return next
	}
	const hour = 3600
	return cors.Handler(cors.Options{
		AllowOriginFunc: func(_ *http.Request, origin string) bool { return a.allows(origin) },
		AllowedMethods:  []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-ID",
			"Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset",
		},
		ExposedHeaders: []string{
			"X-Request-ID", "Retry-After", "Content-Disposition", "Link",
			"Location", "Tus-Resumable", "Upload-Expires", "Upload-Length", "Upload-Offset",
		},
		MaxAge: hour,
	})(next)
}

func (a *api) allows(origin string) bool { return slices.Contains(a.Origins, origin) }

// refuseCrossOrigin keeps other sites' pages from acting with our cookie. Those
// that may use the API pass here, and have no cookie.
func (a *api) refuseCrossOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	for _, origin := range a.Origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			panic(err) // the settings have been checked
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.problems.write(w, r, errCrossOrigin)
	}))
	return protection.Handler(next)
}

// ownPage reports whether the request is not one that another site's page has made
// by script, whatever the site.
func ownPage(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}
