package httpapi

import (
	"io/fs"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// notBuilt is shown where the web app would be.
const notBuilt = "Herald runs, but its web app is not built into it: run 'make build' and start it again.\n"

// compress compresses the web app's files, which hold nothing secret. The API's
// answers stay as they are: a length that depends on what is in them tells of it.
func compress(next http.Handler) http.Handler {
	whole := func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range") // a part of what is compressed is of no use
		next.ServeHTTP(w, r)
	}
	return middleware.Compress(5, "text/html", "text/css", "text/javascript", "image/svg+xml")(http.HandlerFunc(whole))
}

// appPage answers with the web app's page.
func (a *api) appPage(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		index, err := fs.ReadFile(a.App, "index.html")
		if err != nil {
			http.Error(w, notBuilt, http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		w.WriteHeader(status)
		_, _ = w.Write(a.withSignIn(index))
	}
}

// notFound answers where there is nothing: people get the web app, which says so
// and leads on, and programs a problem.
func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reads && strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/api/") {
		compress(a.appPage(http.StatusNotFound)).ServeHTTP(w, r)
		return
	}
	a.problems.write(w, r, errNoRoute)
}

// serveApp serves the web app: its page at the addresses that it knows, its
// other files by their names, which change with their content.
func (a *api) serveApp(r chi.Router) {
	page := a.appPage(http.StatusOK)
	files := http.FileServerFS(a.App)
	r = r.With(compress)
	read(r, "/", page)
	read(r, "/jobs/{id}", page)
	read(r, "/support", page)
	read(r, "/support/*", page)
	read(r, "/shared/{id}", page)
	if a.Development != nil {
		a.serveDev(r, page)
	}
	read(r, "/assets/*", func(w http.ResponseWriter, r *http.Request) {
		if info, err := fs.Stat(a.App, "assets/"+chi.URLParam(r, "*")); err != nil || info.IsDir() {
			a.problems.write(w, r, errNoRoute)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		files.ServeHTTP(newDownloadWriter(w), r)
	})
	for _, name := range []string{"/favicon.svg", "/favicon.ico", "/robots.txt", "/manifest.webmanifest"} {
		if _, err := fs.Stat(a.App, name[1:]); err == nil {
			read(r, name, files.ServeHTTP)
		}
	}
}
