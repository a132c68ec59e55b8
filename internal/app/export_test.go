package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"
)

// RunInOrder is runInOrder with one part in front and one behind.
func RunInOrder(ctx context.Context, front, back func(context.Context) error) error {
	return runInOrder(ctx, []part{front}, []part{back})
}

// StreamsWithin is streamsWithin.
func StreamsWithin(files uint64) uint64 { return streamsWithin(files) }

// Serve is serve over plain HTTP.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	return serve(ctx, listener, nil, handler, log)
}
