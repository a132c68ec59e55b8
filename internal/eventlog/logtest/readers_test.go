package logtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/broker"
	"herald/internal/broker/brokertest"
	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/postgres"
)

// logReader reads the whole log, as anything may that has the database: what
// comes after the last seq it has. It disconnects at random.
type logReader struct {
	url      string
	rng      *rand.Rand
	last     atomic.Int64
	got      got // owned by run until it has returned
	connects int // likewise
}

// run returns at the first event that is not the next one.
func (r *logReader) run(ctx context.Context) error {
	for ctx.Err() == nil {
		db, err := postgres.Open(ctx, r.url, postgres.Config{MaxConns: 1})
		if err == nil {
			r.connects++
			err = r.read(ctx, db)
			db.Close()
		}
		if err := unexpected(err); err != nil {
			return fmt.Errorf("%s: %w", r.got.name, err)
		}
		_ = rest(ctx, time.Duration(r.rng.IntN(200))*time.Millisecond)
	}
	return nil
}

func (r *logReader) read(ctx context.Context, db *postgres.DB) error {
	for range 1 + r.rng.IntN(60) {
		after := event.Seq(r.last.Load())
		events, err := db.Events(ctx, after, 1+r.rng.IntN(60))
		if err != nil {
			return err
		}
		for _, e := range events {
			if after++; e.Seq != after {
				return &faultError{fmt.Sprintf("the log has seq %d where %d belongs", e.Seq, after)}
			}
			r.got.events = append(r.got.events, received{e.Seq, tokenOf(e)})
		}
		r.last.Store(int64(after))
		if err := rest(ctx, time.Duration(r.rng.IntN(40))*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// node is what streams hang on.
type node struct {
	broker *broker.Broker
	hub    *hub.Hub
}

// run follows the log until ctx ends.
func (n node) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.hub.Run(ctx) })
	group.Go(func() error { return n.broker.Run(ctx) })
	return group.Wait()
}

// subscriber follows topics, now on one node and now on another, and resumes
// each time from the last seq it has.
type subscriber struct {
	nodes    []node
	rng      *rand.Rand
	last     atomic.Int64
	got      got // owned by run until it has returned
	connects int // likewise
	slow     int // likewise: how often it was cut off
}

func (s *subscriber) run(ctx context.Context) error {
	for ctx.Err() == nil {
		node := s.nodes[s.rng.IntN(len(s.nodes))]
		stream, err := brokertest.Subscribe(ctx, node.broker, node.hub, s.got.topics, event.Seq(s.last.Load()))
		if err == nil {
			s.connects++
			err = s.follow(ctx, stream)
			stream.Close()
		}
		switch {
		case errors.Is(err, hub.ErrSlow):
			s.slow++
		case errors.Is(err, broker.ErrCursorAhead), errors.Is(err, event.ErrTooOld):
			return fmt.Errorf("%s at %d: %w", s.got.name, s.last.Load(), err)
		default:
			if err := unexpected(err); err != nil {
				return fmt.Errorf("%s: %w", s.got.name, err)
			}
		}
		_ = rest(ctx, time.Duration(s.rng.IntN(100))*time.Millisecond)
	}
	return nil
}

// follow takes what comes for a while, at times too slowly.
func (s *subscriber) follow(ctx context.Context, stream *brokertest.Client) error {
	for range 1 + s.rng.IntN(30) {
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		frames, err := stream.Next(short)
		quiet := short.Err() != nil
		cancel()
		for _, f := range frames {
			if f.Seq <= event.Seq(s.last.Load()) {
				return &faultError{fmt.Sprintf("seq %d came after %d", f.Seq, s.last.Load())}
			}
			s.got.events = append(s.got.events, received{f.Seq, string(f.Bytes)})
			s.last.Store(int64(f.Seq))
		}
		if err != nil && !quiet {
			return err
		}
		if s.rng.IntN(10) == 0 {
			_ = rest(ctx, time.Duration(s.rng.IntN(500))*time.Millisecond)
		}
	}
	return nil
}

// faultError is something that must never be.
type faultError struct{ text string }

func (e *faultError) Error() string { return e.text }
