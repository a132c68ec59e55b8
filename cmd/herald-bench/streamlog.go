package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"herald/internal/broker"
	"herald/internal/event"
)

// memoryLog is a log without a database behind it, and its bus, so that what is
// measured is what serves streams.
type memoryLog struct {
	mu     sync.Mutex // guards the fields below
	floor  event.Seq
	events []event.Event        // those after the floor
	grown  func(head event.Seq) // nil: nobody follows
}

// keptEvents is how many events a memoryLog keeps at least.
const keptEvents = 30_000

// append gives the events their places and announces them.
func (l *memoryLog) append(events []event.Event) event.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events)+len(events) > cap(l.events) {
		l.makeRoom(len(events))
	}
	for i := range events {
		events[i].Seq = l.head() + event.Seq(i) + 1
	}
	l.events = append(l.events, events...)
	if l.grown != nil {
		l.grown(l.head())
	}
	return l.head()
}

// makeRoom lets the oldest events go. Readers may have slices of what was, so the
// rest moves to a new place.
func (l *memoryLog) makeRoom(events int) {
	drop := max(len(l.events)-keptEvents, 0)
	l.floor += event.Seq(drop)
	l.events = append(make([]event.Event, 0, keptEvents+max(keptEvents, events)), l.events[drop:]...)
}

func (l *memoryLog) head() event.Seq { return l.floor + event.Seq(len(l.events)) }

// Follow is bus.Bus's.
func (l *memoryLog) Follow(ctx context.Context, grown func(head event.Seq)) error {
	l.tell(grown)
	<-ctx.Done()
	l.tell(nil)
	return nil
}

func (l *memoryLog) tell(grown func(head event.Seq)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown = grown; grown != nil {
		grown(0)
	}
}

// Bounds is broker.Log's.
func (l *memoryLog) Bounds(context.Context) (floor, head event.Seq, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.floor, l.head(), nil
}

// Events is broker.Log's.
func (l *memoryLog) Events(_ context.Context, after event.Seq, limit int) ([]event.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after < l.floor {
		return nil, event.ErrTooOld
	}
	rest := l.events[min(after-l.floor, event.Seq(len(l.events))):]
	return slices.Clip(rest[:min(limit, len(rest))]), nil
}

// EventsOfTopics is broker.Log's.
func (l *memoryLog) EventsOfTopics(
	ctx context.Context, topics []event.Topic, after, upto event.Seq, limit int,
) ([]event.Event, error) {
	rest, err := l.Events(ctx, after, 2*keptEvents)
	var found []event.Event
	for _, e := range rest {
		if e.Seq > upto || len(found) == limit {
			break
		}
		if slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return slices.Contains(topics, t) }) {
			found = append(found, e)
		}
	}
	return found, err
}

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
