package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"herald/internal/event"
)

// hostile measures what a crowd that means ill costs those who do not: how long
// an event takes to them, beside idle connections alone and beside the crowd, in
// turn. When the crowd is gone, nothing of it may be left.
func (b *streamBench) hostile(ctx context.Context) (err error) {
	const calm, settling = 4, 300 * time.Millisecond
	s, err := b.session(ctx, setup{Engine: ours}, calm, userName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	idle, err := b.fleet(b.plan.share(5), userName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, idle.close()) }()
	idle.aside = true
	for _, f := range []*fleet{s.fleet, idle} { // those who are measured are the first, and so the last to whom is written
		if _, err := f.connect(ctx, s.address, false); err != nil {
			return err
		}
	}
	if err := b.profiled(s, ours); err != nil {
		return err
	}
	if _, err := s.publish(ctx, b.plan.steady()); err != nil { // so that all is warm
		return err
	}
	from := s.head
	before, err := s.settled(settling)
	if err != nil {
		return err
	}
	for range b.plan.rounds {
		if err := b.calmAndHostile(ctx, s); err != nil {
			return err
		}
	}
	return b.recover(ctx, s, before, from)
}

// steady is what the clients get who are measured.
func (p streamPlan) steady() publishing {
	return publishing{Events: p.steadies, Gap: 5 * time.Millisecond, Stamps: true}
}

// calmAndHostile is a round: the same without a crowd and with one.
func (b *streamBench) calmAndHostile(ctx context.Context, s *session) error {
	calm, err := b.latency(ctx, s, "calm")
	if err != nil {
		return err
	}
	c, err := b.gather(ctx, s.address)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, s); err != nil {
		return errors.Join(err, c.disperse())
	}
	hostile, err := b.latency(ctx, s, "hostile")
	ended := time.Now()
	if err := errors.Join(err, c.disperse()); err != nil {
		return err
	}
	b.taken.add("hostile_cost_ms", ours, hostile-calm)
	b.taken.add("hostile_connects_per_s", ours, c.rate(ended))
	return nil
}

// fill publishes so much that those who do not read have taken what they can, and
// so many events wait for them that the hub ends them amid what is measured.
func (b *streamBench) fill(ctx context.Context, s *session) error {
	const taken, waiting, batch = 50, 1024, 50
	for missing := max(taken+waiting-b.plan.steadies/2, taken); missing > 0; missing -= batch {
		if _, err := s.publish(ctx, publishing{Events: min(batch, missing), Batch: batch}); err != nil {
			return err
		}
	}
	return nil
}

// latency measures how long events take, and returns the 99th percentile.
func (b *streamBench) latency(ctx context.Context, s *session, name string) (p99 float64, err error) {
	o, err := s.publish(ctx, b.plan.steady())
	if err != nil {
		return 0, err
	}
	waits := s.waits(o)
	p99 = quantile(waits, 0.99)
	b.taken.add(name+"_latency_p50_ms", ours, quantile(waits, 0.5))
	b.taken.add(name+"_latency_p99_ms", ours, p99)
	b.taken.add(name+"_latency_max_ms", ours, quantile(waits, 1))
	return p99, nil
}

// recover waits until the server has let go of what the crowd made it hold. What
// was published after the place is in its memory.
func (b *streamBench) recover(ctx context.Context, s *session, before answer, from event.Seq) error {
	const settling, perEvent = 200 * time.Millisecond, 2 << 10
	most := b.plan.leftover + perEvent*int64(s.head-from)
	for deadline := time.Now().Add(patience); ; {
		now, err := s.settled(settling)
		if err != nil {
			return err
		}
		left := leftOver(before, now)
		if err = left.check(most); err != nil && time.Now().Before(deadline) && ctx.Err() == nil {
			continue
		}
		b.taken.add("hostile_goroutines_left", ours, float64(left.goroutines))
		b.taken.add("hostile_descriptors_left", ours, float64(left.descriptors))
		b.taken.add("hostile_memory_left_mib", ours, float64(left.memory)/(1<<20))
		return errors.Join(err, ctx.Err())
	}
}

// leftovers are what a server holds more of than before.
type leftovers struct {
	goroutines, descriptors int
	memory                  int64
}

func leftOver(before, now answer) leftovers {
	return leftovers{
		goroutines:  max(now.Usage.Goroutines-before.Usage.Goroutines, 0),
		descriptors: max(now.Descriptors-before.Descriptors, 0),
		memory:      max(now.Resident-before.Resident, 0),
	}
}

// check reports what there is too much of. A shard of the hub opens a descriptor
// and starts a goroutine with its first client, and keeps them.
func (l leftovers) check(mostMemory int64) error {
	few := runtime.GOMAXPROCS(0)
	if l.goroutines > few || l.descriptors > few || l.memory > mostMemory {
		return fmt.Errorf("%d goroutines, %d descriptors and %d bytes of memory are left of clients that are gone",
			l.goroutines, l.descriptors, l.memory)
	}
	return nil
}
