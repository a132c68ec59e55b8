package main

import (
	"context"
	"errors"
	"time"

	"herald/internal/event"
)

// session is a server process and its clients.
type session struct {
	*process
	fleet *fleet
	head  event.Seq
}

// session starts a server process and makes clients for it, which have not
// connected yet.
func (b *streamBench) session(ctx context.Context, s setup, clients int, users func(int) string) (*session, error) {
	s.Secret = b.secret
	f, err := b.fleet(clients, users)
	if err != nil {
		return nil, err
	}
	server, err := startProcess(ctx, s)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return &session{process: server, fleet: f}, nil
}

// fleet makes clients, with tokens that the servers take.
func (b *streamBench) fleet(clients int, users func(int) string) (*fleet, error) {
	signed, err := tokens(b.secret, clients, users)
	if err != nil {
		return nil, err
	}
	source := b.sources
	b.sources += 1 + clients/perAddress
	return newFleet(signed, users, source)
}

// profiled has Herald's server write a profile of its CPU time from now on, if
// that is asked for.
func (b *streamBench) profiled(s *session, engine string) error {
	if engine != ours || b.profile == "" {
		return nil
	}
	_, err := s.ask(order{Profile: b.profile})
	return err
}

// close ends both.
func (s *session) close() error { return errors.Join(s.fleet.close(), s.stop()) }

// outcome is what one publication came to.
type outcome struct {
	published
	deliveries int
	took       time.Duration // from the order to the last delivery
}

// publish publishes and waits until every client has what is meant for it, and
// nothing else.
func (s *session) publish(ctx context.Context, p publishing) (outcome, error) {
	e := s.fleet.expect(s.head, p.Stamps, p.of)
	began := time.Now()
	a, err := s.ask(order{Publish: &p})
	if err != nil {
		return outcome{}, err
	}
	s.head = a.Publish.Last
	sum := sumOf(a.Publish.After, a.Publish.Last)
	if p.Users == 0 {
		sum *= int64(len(s.fleet.clients))
	}
	ended, err := e.await(ctx, s.head, sum)
	return outcome{published: a.Publish, deliveries: e.total, took: ended.Sub(began)}, err
}

// waits is how long each delivery of the last publication took, in milliseconds.
func (s *session) waits(o outcome) []float64 {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	at := make(map[event.Seq]int64, len(o.Stamps))
	for _, stamp := range o.Stamps {
		at[stamp.Seq] = stamp.At
	}
	waits := make([]float64, len(s.fleet.stamps))
	for i, arrival := range s.fleet.stamps {
		waits[i] = milliseconds(time.Duration(arrival.At - at[arrival.Seq]))
	}
	return waits
}

// usage is what the server has used.
func (s *session) usage() (usage, error) {
	a, err := s.ask(order{Usage: true})
	return a.Usage, err
}

// settled is what the server uses, what it has open and in memory, after a time in
// which it has nothing to do.
func (s *session) settled(after time.Duration) (answer, error) {
	time.Sleep(after)
	return s.ask(order{Resident: true, Usage: true})
}
