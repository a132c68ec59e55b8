// Command herald-bench measures Herald against the naive ways of doing the same,
// side by side in one run on one machine, on servers that it starts itself.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"herald/internal/postgres/embedded"
)

// cli is the command line.
type cli struct {
	Log   logCmd   `cmd:"" help:"The log: reports a second against plain transactions, latency, and the sequencing ceiling."`
	Bloat bloatCmd `cmd:"" help:"What the database grows to under a steady load, also while a transaction is held open."`

	HTTP     httpCmd     `cmd:"" name:"http" help:"Publishing over HTTP: events a second, against a bare handler that commits one insert for each request."`
	HTTPLoad httpLoadCmd `cmd:"" name:"http-load" hidden:""`

	Stream       streamCmd       `cmd:"" help:"Streams: what a connection and a delivery cost, against a bare loop of writes and an ordinary handler."`
	StreamServer streamServerCmd `cmd:"" hidden:""`
	Export       exportCmd       `cmd:"" help:"Exports of a million events against psql's \\copy: wall time, memory, size."`
	History      historyCmd      `cmd:"" help:"History: first pages of a long log."`
	Jobs         jobsCmd         `cmd:"" help:"Jobs: what Herald costs those who do the work, against the same work by itself."`
}

// output is how the figures are shown.
type output struct {
	JSON        bool   `help:"Print one object instead of a table."`
	Quick       bool   `help:"End within 45 seconds; the figures vary more."`
	PostgresBin string `help:"Folder of the Postgres programs (default: the newest found)." env:"HERALD_POSTGRES_BIN"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed := kong.Parse(&cli{}, kong.Name("herald-bench"), kong.BindTo(ctx, (*context.Context)(nil)))
	parsed.FatalIfErrorf(parsed.Run())
}

// figure is one measured number.
type figure struct {
	Key   string
	Value float64
	Says  string // what it is, and what it is held against
}

// show prints the figures to w.
func (o output) show(w io.Writer, figures []figure) error {
	if o.JSON {
		object := make(map[string]float64, len(figures))
		for _, f := range figures {
			object[f.Key] = f.Value
		}
		return json.NewEncoder(w).Encode(object)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		fmt.Fprintf(table, "%s\t%.2f\t%s\n", f.Key, f.Value, f.Says)
	}
	return table.Flush()
}

// start starts a Postgres in a new folder, with its usual durability, and returns
// what ends it and removes the folder.
func (o output) start(ctx context.Context) (*embedded.Server, func(), error) {
	return o.startIn(ctx, "", map[string]string{"min_wal_size": "1GB"}) // see recycle
}

// startIn is start with settings of the server's, in a folder that is kept, if one is
// named.
func (o output) startIn(ctx context.Context, kept string, settings map[string]string) (*embedded.Server, func(), error) {
	dir := kept
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "herald-bench-"); err != nil {
			return nil, nil, err
		}
	}
	server, err := embedded.Start(ctx, embedded.Config{
		Dir: filepath.Join(dir, "postgres"), BinDir: o.PostgresBin, Logger: slog.New(slog.DiscardHandler),
		Settings: settings,
	})
	if err != nil {
		return nil, nil, err
	}
	return server, func() {
		if kept != "" {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			_ = server.Stop(ctx) // in order, since the next run begins with what is there
			return
		}
		server.Kill() // its data goes with it
		_ = os.RemoveAll(dir)
	}, nil
}

// quantile is the value below which the share of the values lies.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
