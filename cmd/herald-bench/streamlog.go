package main

import (
	"context"
	"sync/atomic"

	"herald/internal/broker"
	"herald/internal/event"
)

// keptEvents is how many events the log of a server keeps at least.
const keptEvents = 30_000

// countedLog counts how often a log is asked.
type countedLog struct {
	log     broker.Log
	queries atomic.Int64
}

// Bounds is broker.Log's.
func (l *countedLog) Bounds(ctx context.Context) (floor, head event.Seq, err error) {
	l.queries.Add(1)
	return l.log.Bounds(ctx)
}

// Events is broker.Log's.
func (l *countedLog) Events(ctx context.Context, after event.Seq, limit int) ([]event.Event, error) {
	l.queries.Add(1)
	return l.log.Events(ctx, after, limit)
}

// EventsOfTopics is broker.Log's.
func (l *countedLog) EventsOfTopics(
	ctx context.Context, topics []event.Topic, after, upto event.Seq, limit int,
) ([]event.Event, error) {
	l.queries.Add(1)
	return l.log.EventsOfTopics(ctx, topics, after, upto, limit)
}
