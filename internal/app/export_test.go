package app

import "context"

// RunInOrder is runInOrder with one part in front and one behind.
func RunInOrder(ctx context.Context, front, back func(context.Context) error) error {
	return runInOrder(ctx, []part{front}, []part{back})
}

// StreamsWithin is streamsWithin.
func StreamsWithin(files uint64) uint64 { return streamsWithin(files) }
