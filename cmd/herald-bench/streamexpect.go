package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herald/internal/event"
)

// expectation is what the clients are going to receive.
type expectation struct {
	fleet *fleet
	each  func(client int) int // how many events a client gets
	total int
}

// expect begins to count. No client may be receiving anything at the time. Events
// up to and including after would be repeats.
func (f *fleet) expect(after event.Seq, stamped bool, each func(client int) int) *expectation {
	e := &expectation{fleet: f, each: each}
	for i := range f.clients {
		e.total += each(i)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got, f.sum, f.first, f.latest = 0, 0, 0, 0
	f.stamped, f.stamps = stamped, f.stamps[:0]
	for i := range f.clients {
		c := &f.clients[i]
		c.got, c.last = 0, max(c.last, after)
	}
	return e
}

// arrived waits until so many have come.
func (e *expectation) arrived(ctx context.Context, events int) error {
	return e.fleet.wait(ctx, fmt.Sprintf("%d events", events), func() bool { return e.fleet.got >= events })
}

// await waits until all has come, and returns when the last did. Sums, where they
// are known, are those of the events' places.
func (e *expectation) await(ctx context.Context, last event.Seq, sum int64) (time.Time, error) {
	f := e.fleet
	err := e.arrived(ctx, e.total)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.clients {
		// Each client's events come in ascending order, none before the expectation:
		// with the right number of them up to the last, none is missing.
		if c, want := &f.clients[i], e.each(i); c.got != want || c.last > last {
			missed := fmt.Errorf("client %d has %d events, want %d; its last is %d, of %d", i, c.got, want, c.last, last)
			return time.Time{}, errors.Join(missed, err)
		}
	}
	if sum > 0 && f.sum != sum {
		return time.Time{}, fmt.Errorf("the events that came have places with the sum %d, want %d", f.sum, sum)
	}
	return time.Unix(0, f.latest), err
}

// sumOf is the sum of the places after one and up to another.
func sumOf(after, last event.Seq) int64 {
	return int64(last-after) * int64(after+1+last) / 2
}
