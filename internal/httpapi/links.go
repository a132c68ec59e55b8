package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/auth"
)

type (
	linkIn struct {
		ID   uuid.UUID `path:"id" format:"uuid"`
		Body struct {
			ExpiresIn int64 `json:"expires_in,omitempty" minimum:"1" maximum:"604800" default:"3600" doc:"For how many seconds the link is good."`
		}
	}
	linkOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			URL       string    `json:"url" doc:"The file's path, for whoever has it."`
			ExpiresAt time.Time `json:"expires_at"`
		}
	}
)

// linkArtifact makes a link that shows a file to whoever has it, for a while.
func (a *api) linkArtifact(ctx context.Context, in *linkIn) (*linkOut, error) {
	file, err := a.Artifacts.Artifact(ctx, in.ID)
	p := principalOf(ctx)
	switch {
	case err != nil:
		return nil, err
	case !p.MaySee(file.Owner):
		return nil, artifact.ErrNotFound
	case !p.MayLink(file.Owner):
		return nil, fmt.Errorf("%w: share another's file", auth.ErrForbidden)
	case !file.ExpiredAt.IsZero():
		return nil, artifact.ErrExpired
	case file.IsFolder():
		return nil, errNoLink
	}
	if err := a.note(ctx, file.Owner, "file:"+file.ID.String()); err != nil {
		return nil, err
	}
	expires := time.Now().Add(time.Duration(in.Body.ExpiresIn) * time.Second).UTC().Truncate(time.Second)
	query := url.Values{
		"expires": {strconv.FormatInt(expires.Unix(), 10)}, "signature": {a.Links.SignLink(file.ID.String(), expires)},
	}
	out := &linkOut{CacheControl: "no-store"}
	out.Body.URL, out.Body.ExpiresAt = file.URL()+"?"+query.Encode(), expires
	return out, nil
}

// authenticateOrLink lets those pass who are known, and those whose link is good
// for the artifact of the route.
func (a *api) authenticateOrLink(next http.Handler) http.Handler {
	known := a.authenticate(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key, _, found := inShare(chi.URLParam(r, "*")); found {
			a.authenticateShare(w, r, key, next)
			return
		}
		query := r.URL.Query()
		if !query.Has("signature") {
			known.ServeHTTP(w, r)
			return
		}
		if err := a.checkLink(chi.URLParam(r, "id"), query); err != nil {
			a.problems.write(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), linkKey, true)))
	})
}

// authenticateShare lets a guest have a file of the job that is shared.
func (a *api) authenticateShare(w http.ResponseWriter, r *http.Request, key string, next http.Handler) {
	s, err := a.shareOfFile(r.Context(), chi.URLParam(r, "id"), key)
	var p auth.Principal
	if err == nil {
		p, err = s.Principal()
	}
	if err == nil {
		err = a.welcome(r, p)
	}
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey, p)))
}

func (a *api) checkLink(id string, query url.Values) error {
	expires, err := strconv.ParseInt(query.Get("expires"), 10, 64)
	if err != nil {
		return auth.ErrBadLink
	}
	return a.Links.CheckLink(id, time.Unix(expires, 0), query.Get("signature"))
}

// hasLink reports whether the request came by a link that is good for its
// artifact.
func hasLink(ctx context.Context) bool { return ctx.Value(linkKey) != nil }
