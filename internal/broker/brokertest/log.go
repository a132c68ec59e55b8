package brokertest

import (
	"context"
	"slices"
	"sync"

	"herald/internal/event"
)

// Log is a log in memory, and its bus, for tests and measurements of what serves
// streams. The zero Log is empty.
type Log struct {
	Keep int // events kept at least; zero keeps all

	mu     sync.Mutex // guards the fields below
	floor  event.Seq
	events []event.Event // those after the floor
	grown  map[int]func(head event.Seq)
	next   int
}

// Append gives the events their places at the end and announces them. It returns
// the new head.
func (l *Log) Append(events ...event.Event) event.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Keep > 0 && len(l.events)+len(events) > cap(l.events) {
		l.makeRoom(len(events))
	}
	for i := range events {
		events[i].Seq = l.head() + event.Seq(i) + 1
	}
	l.events = append(l.events, events...)
	for _, grown := range l.grown {
		grown(l.head())
	}
	return l.head()
}

// makeRoom lets the oldest events go. Readers may have slices of what was, so the
// rest moves to a new place.
func (l *Log) makeRoom(events int) {
	drop := max(len(l.events)-l.Keep, 0)
	l.floor += event.Seq(drop)
	l.events = append(make([]event.Event, 0, l.Keep+max(l.Keep, events)), l.events[drop:]...)
}

func (l *Log) head() event.Seq { return l.floor + event.Seq(len(l.events)) }

// Follow is bus.Bus's. Several may follow.
func (l *Log) Follow(ctx context.Context, grown func(head event.Seq)) error {
	l.mu.Lock()
	if l.grown == nil {
		l.grown = make(map[int]func(event.Seq))
	}
	id := l.next
	l.next++
	l.grown[id] = grown
	grown(0)
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.grown, id)
	return nil
}

// Bounds is broker.Log's.
func (l *Log) Bounds(context.Context) (floor, head event.Seq, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.floor, l.head(), nil
}

// Events is broker.Log's. What it returns must not be changed.
func (l *Log) Events(_ context.Context, after event.Seq, limit int) ([]event.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after < l.floor {
		return nil, event.ErrTooOld
	}
	rest := l.events[min(after-l.floor, event.Seq(len(l.events))):]
	return slices.Clip(rest[:min(limit, len(rest))]), nil
}

// EventsOfTopics is broker.Log's.
func (l *Log) EventsOfTopics(
	ctx context.Context, topics []event.Topic, after, upto event.Seq, limit int,
) ([]event.Event, error) {
	rest, err := l.Events(ctx, after, int(max(upto-after, 0)))
	var found []event.Event
	for _, e := range rest {
		if len(found) == limit {
			break
		}
		if slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return slices.Contains(topics, t) }) {
			found = append(found, e)
		}
	}
	return found, err
}
