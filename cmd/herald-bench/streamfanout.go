package main

import (
	"context"
	"fmt"
	"time"
)

// fanout has one event after the other go to all clients, each when the one
// before has arrived everywhere, so that no engine can join two into one write.
// Then they come at a steady rate that leaves the machine some rest.
func (b *streamBench) fanout(ctx context.Context, s *session, engine string) error {
	perDelivery, err := s.repeat(ctx, b.plan.fanouts, publishing{Events: 1})
	if err != nil {
		return err
	}
	b.taken.add("fanout_cpu_us", engine, perDelivery.cpu)
	b.taken.add("fanout_per_s", engine, perDelivery.rate)

	steady := publishing{Events: b.plan.fanouts, Gap: b.plan.rest(), Stamps: true}
	before, err := s.usage()
	if err != nil {
		return err
	}
	o, err := s.publish(ctx, steady)
	if err != nil {
		return err
	}
	after, err := s.usage()
	if err != nil {
		return err
	}
	b.taken.add("allocs_per_delivery", engine, float64(after.Mallocs-before.Mallocs)/float64(o.deliveries))
	waits := s.waits(o)
	b.taken.add("fanout_latency_p50_ms", engine, quantile(waits, 0.5))
	b.taken.add("fanout_latency_p99_ms", engine, quantile(waits, 0.99))
	return nil
}

// rest is the time from one event for all to the next at the steady rate.
func (p streamPlan) rest() time.Duration { return 30 * time.Microsecond * time.Duration(p.connections) }

// fanoutToFew is the same with not so many clients.
func (b *streamBench) fanoutToFew(ctx context.Context, s *session, engine string) error {
	perDelivery, err := s.repeat(ctx, 5*b.plan.fanouts, publishing{Events: 1})
	b.taken.add(fmt.Sprintf("fanout_%d_cpu_us", b.plan.few), engine, perDelivery.cpu)
	return err
}

// oneToOne has publishers send each client an event of its own, and the next when
// half of these have arrived: so no server is ever without work, and hardly a
// client has two events waiting, which an engine could join. Then there are single
// events at a modest rate.
func (b *streamBench) oneToOne(ctx context.Context, s *session, engine string) error {
	const publishers = 16
	clients := len(s.fleet.clients)
	perDelivery, err := s.pipeline(ctx, b.plan.singles, publishing{Events: clients, Users: clients, Publishers: publishers})
	if err != nil {
		return err
	}
	b.taken.add("one_to_one_per_s", engine, perDelivery.rate)
	b.taken.add("one_to_one_cpu_us", engine, perDelivery.cpu)
	o, err := s.publish(ctx, publishing{
		Events: b.plan.latencies, Users: clients, Gap: time.Millisecond, Stamps: true,
	})
	if err != nil {
		return err
	}
	waits := s.waits(o)
	b.taken.add("one_latency_p50_ms", engine, quantile(waits, 0.5))
	b.taken.add("one_latency_p99_ms", engine, quantile(waits, 0.99))
	return nil
}

// burst has several events for all come at once.
func (b *streamBench) burst(ctx context.Context, s *session, engine string) error {
	const frames = 8
	perDelivery, err := s.repeat(ctx, b.plan.bursts, publishing{Events: frames, Batch: frames})
	b.taken.add("burst_cpu_us", engine, perDelivery.cpu)
	b.taken.add("burst_per_s", engine, perDelivery.rate)
	return err
}

// cost is that of deliveries.
type cost struct {
	cpu  float64 // the server's, in microseconds of one
	rate float64 // of them, a second
}

// repeat publishes the same again and again, each time when the one before has
// arrived everywhere. The first time is not counted.
func (s *session) repeat(ctx context.Context, times int, p publishing) (cost, error) {
	if _, err := s.publish(ctx, p); err != nil {
		return cost{}, err
	}
	before, err := s.usage()
	if err != nil {
		return cost{}, err
	}
	var total outcome
	for range times {
		o, err := s.publish(ctx, p)
		if err != nil {
			return cost{}, err
		}
		total.deliveries += o.deliveries
		total.took += o.took
	}
	return s.costSince(before, total)
}

// pipeline publishes the same again and again, each time when half of what was
// published has arrived. The first time is not counted.
func (s *session) pipeline(ctx context.Context, times int, p publishing) (cost, error) {
	if _, err := s.publish(ctx, p); err != nil {
		return cost{}, err
	}
	before, err := s.usage()
	if err != nil {
		return cost{}, err
	}
	after := s.head
	e := s.fleet.expect(after, false, func(client int) int { return times * p.of(client) })
	began := time.Now()
	for i := range times {
		if err := e.arrived(ctx, (2*i-1)*e.total/(2*times)); err != nil {
			return cost{}, err
		}
		a, err := s.ask(order{Publish: &p})
		if err != nil {
			return cost{}, err
		}
		s.head = a.Publish.Last
	}
	ended, err := e.await(ctx, s.head, sumOf(after, s.head))
	if err != nil {
		return cost{}, err
	}
	return s.costSince(before, outcome{deliveries: e.total, took: ended.Sub(began)})
}

// costSince is what so many deliveries in that time have cost since then.
func (s *session) costSince(before usage, o outcome) (cost, error) {
	after, err := s.usage()
	deliveries := float64(o.deliveries)
	return cost{cpu: (after.CPU - before.CPU).Seconds() * 1e6 / deliveries, rate: deliveries / o.took.Seconds()}, err
}
