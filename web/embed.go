// Package web holds the built web app and documentation, embedded in the program.
package web

import (
	"embed"
	"io/fs"
)

// dist is the app as vite builds it. Before the first build it holds one hidden
// file, so that the program can be built without the app.
//
//go:embed all:app/dist
var dist embed.FS

// docs are the pages of documentation, as docs/build.mjs builds them; before the
// first build there are none.
//
//go:embed all:docs/dist
var docs embed.FS

// Docs returns the pages of documentation, each file compressed.
func Docs() fs.FS { return below(docs, "docs/dist") }

// App returns the app's files; without a build there is no index.html among them.
func App() fs.FS { return below(dist, "app/dist") }

func below(files embed.FS, folder string) fs.FS {
	sub, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // the path is well formed
	}
	return sub
}
