package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/go-chi/chi/v5"
)

// docsPolicy is that of the pages of documentation: as the app's, and with the style
// sheets that Elements writes into its page. No element has a style of its own.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-elem 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsFile is what the files that pages of documentation load are called.
var docsFile = regexp.MustCompile(`^[0-9A-Za-z-]+\.(?:css|js|svg)$`)

func docsTypes() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
}

// serveDocs serves the pages of documentation, which everybody may read.
func (a *api) serveDocs(r chi.Router) {
	page := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			if err := a.sendDocs(w, r, name); err != nil {
				http.Error(w, notBuilt, http.StatusServiceUnavailable)
			}
		}
	}
	read(r, "/docs", page("index.html"))
	read(r, "/docs/events", page("events.html"))
	read(r, "/docs/{file}", func(w http.ResponseWriter, r *http.Request) {
		name := chi.URLParam(r, "file")
		w.Header().Set("Cache-Control", "no-cache")
		if strings.HasPrefix(name, "elements-") { // its name changes with it
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		if !docsFile.MatchString(name) || a.sendDocs(w, r, name) != nil {
			a.problems.write(w, r, errNoRoute)
		}
	})
}

// sendDocs sends a file of the documentation's, which is kept compressed. An error
// means that nothing was sent.
func (a *api) sendDocs(w http.ResponseWriter, r *http.Request, name string) error {
	if a.Docs == nil {
		return fs.ErrNotExist
	}
	packed, err := fs.ReadFile(a.Docs, name+".gz")
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Content-Type", docsTypes()[path.Ext(name)])
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		_, _ = newDownloadWriter(w).Write(packed) // a client that is gone needs no answer
		return nil
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	_, _ = io.Copy(newDownloadWriter(w), plain) //nolint:gosec // it is our own file
	return nil
}
