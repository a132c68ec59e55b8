package main

import (
	"context"
	"errors"
	"time"
)

// connected starts the engine, connects so many clients, takes what they cost
// while they are idle if that is asked for, and then the measures.
func (b *streamBench) connected(
	ctx context.Context, engine string, clients int, idle bool, measures ...measureFunc,
) (err error) {
	s, err := b.session(ctx, setup{Engine: engine}, clients, userName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if idle && engine != bare { // which has no more code than there is in memory, and never lets go of a client
		if err := b.warm(ctx, s); err != nil {
			return err
		}
	}
	before, err := s.settled(0)
	if err != nil {
		return err
	}
	took, err := s.fleet.connect(ctx, s.address, false)
	if err != nil {
		return err
	}
	if idle {
		const settling = 3 * time.Second // by then it is written down who is there
		after, err := s.settled(settling)
		if err != nil {
			return err
		}
		b.taken.add("connects_per_s", engine, float64(clients)/took.Seconds())
		b.taken.add("idle_bytes_per_conn", engine, float64(after.Resident-before.Resident)/float64(clients))
		b.taken.add("idle_goroutines_per_conn", engine, float64(after.Usage.Goroutines-before.Usage.Goroutines)/float64(clients))
	}
	if err := b.profiled(s, engine); err != nil {
		return err
	}
	for _, measure := range measures {
		if err := measure(ctx, s, engine); err != nil {
			return err
		}
	}
	return nil
}

// warm has some clients come and go, so that what the first of all cost, the
// program's own code in memory among it, is not taken for what each costs.
func (b *streamBench) warm(ctx context.Context, s *session) error {
	const settling = 3 * time.Second // by then it is written down that they were there
	f, err := b.fleet(b.plan.share(100), userName)
	if err != nil {
		return err
	}
	_, err = f.connect(ctx, s.address, false)
	if err = errors.Join(err, f.close()); err != nil {
		return err
	}
	_, err = s.settled(settling)
	return err
}

// stall measures what clients hold of the server's memory and the kernel's who
// connect and then read nothing, while more and more is published to them: the
// most at any time. Their own receive buffers are as small as the kernel allows.
func (b *streamBench) stall(ctx context.Context) (err error) {
	const receive, steps, frames, settling = 1, 10, 50, 100 * time.Millisecond
	s, err := b.session(ctx, setup{Engine: ours}, b.plan.stalled, userName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.fleet.receive = receive
	// What is published is kept for clients who come back, whoever is connected.
	for range steps {
		if _, err := s.ask(order{Publish: &publishing{Events: frames, Batch: frames}}); err != nil {
			return err
		}
	}
	if _, err := s.fleet.connect(ctx, s.address, false); err != nil {
		return err
	}
	if err := s.fleet.stall(); err != nil {
		return err
	}
	before, err := s.settled(settling)
	if err != nil {
		return err
	}
	kernelBefore, err := kernelMemory()
	if err != nil {
		return err
	}
	var user, kernel int64
	for range steps {
		if _, err := s.ask(order{Publish: &publishing{Events: frames, Batch: frames}}); err != nil {
			return err
		}
		after, err := s.settled(settling)
		if err != nil {
			return err
		}
		now, err := kernelMemory()
		if err != nil {
			return err
		}
		if u, k := after.Resident-before.Resident, now-kernelBefore; u+k > user+kernel {
			user, kernel = u, k
		}
	}
	clients := float64(b.plan.stalled)
	b.taken.add("stalled_bytes_per_conn", ours, float64(user+kernel)/clients)
	b.taken.add("stalled_user_bytes_per_conn", ours, float64(user)/clients)
	b.taken.add("stalled_kernel_bytes_per_conn", ours, float64(kernel)/clients)
	return nil
}

// stall lets no client read any more.
func (f *fleet) stall() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for i := range f.clients {
		err = errors.Join(err, f.leave(&f.clients[i]))
	}
	return err
}
