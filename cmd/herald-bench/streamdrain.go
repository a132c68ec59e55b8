package main

import (
	"context"
	"fmt"
	"time"

	"herald/internal/event"
)

// drain ends the node again and again, with all clients connected, amid events
// for everyone. Every stream must end with its last words, none within a frame,
// and up to there nothing may be missing.
func (b *streamBench) drain(ctx context.Context, s *session, engine string) error {
	s.fleet.mayEnd(true)
	defer s.fleet.mayEnd(false)
	for i := range b.plan.drains {
		if i > 0 {
			if _, err := s.fleet.connect(ctx, s.address, false); err != nil {
				return err
			}
		}
		after := s.head
		s.fleet.expect(after, false, func(int) int { return 0 })
		a, err := s.ask(order{Restart: true, Amid: b.plan.rest() / 3})
		if err != nil {
			return err
		}
		s.head, s.address = a.Publish.Last, a.Address
		if err := s.fleet.wait(ctx, "the end of all streams", func() bool { return s.fleet.opened == 0 }); err != nil {
			return err
		}
		retries, err := s.fleet.ended(after)
		if err != nil {
			return err
		}
		b.taken.add("drain_s", engine, a.Ended.Seconds())
		b.taken.add("drain_retry_spread_ms", engine, quantile(retries, 0.95)-quantile(retries, 0.05))
		if a.Ended >= longestDrain {
			return fmt.Errorf("the node took %v to end, longer than %v", a.Ended, longestDrain)
		}
	}
	return nil
}

// longestDrain is how long a node may take to end.
const longestDrain = 10 * time.Second

// mayEnd says whether the node stops, so that connections end, after the stream's
// last words.
func (f *fleet) mayEnd(ending bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ending = ending
}

// ended returns when the clients were told to come back, in milliseconds. All
// events after the place go to everyone: each must have those up to its last.
func (f *fleet) ended(after event.Seq) ([]float64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	retries := make([]float64, len(f.clients))
	for i := range f.clients {
		c := &f.clients[i]
		if c.got != int(c.last-after) {
			return nil, fmt.Errorf("client %d has %d of the events after %d up to %d", i, c.got, after, c.last)
		}
		retries[i] = milliseconds(c.closing)
	}
	return retries, nil
}
