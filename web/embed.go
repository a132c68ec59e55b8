// Package web holds the built web app, embedded in the program.
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

// App returns the app's files; without a build there is no index.html among them.
func App() fs.FS {
	app, err := fs.Sub(dist, "app/dist")
	if err != nil {
		panic(err) // the path is well formed
	}
	return app
}
