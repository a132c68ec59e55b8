package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/event"
	"herald/internal/job"
)

// compareReports has writers report as fast as they can, each report in a
// transaction of its own.
func compareReports(ctx context.Context, modes []*mode, p plan) ([]figure, error) {
	var figures []figure
	for _, writers := range []int{1, 4, 16, mostWriters} {
		var n atomic.Int64
		rates, err := compare(ctx, modes, writers, p, func(ctx context.Context, m *mode, writer int) (int, error) {
			_, err := m.db.RecordReport(ctx, m.jobs[writer].ID, report(n.Add(1)))
			return 1, err
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures,
			rates.ratio(herald, fmt.Sprintf("report_ratio_%d", writers), "reports/s, in the log"),
			rates.ratio(naive, fmt.Sprintf("naive_ratio_%d", writers), "reports/s with NOTIFY in each transaction"))
	}
	return figures, nil
}

// compareBatches has writers publish events by fifty.
func compareBatches(ctx context.Context, modes []*mode, p plan) ([]figure, error) {
	const writers, size = 4, 50
	text := fmt.Appendf(nil, `{"text":"%0220d"}`, 0)
	rates, err := compare(ctx, modes, writers, p, func(ctx context.Context, m *mode, writer int) (int, error) {
		publication := event.Publication{Actor: "bench", Notices: make([]event.Notice, size)}
		for i := range publication.Notices {
			user := event.UserTopic(fmt.Sprintf("user-%d", writer*size+i))
			publication.Notices[i] = event.Notice{Type: "notification.bench", Topics: []event.Topic{user}, Payload: text}
		}
		published, err := m.db.Publish(ctx, publication)
		return len(published.IDs), err
	})
	if err != nil {
		return nil, err
	}
	says := fmt.Sprintf("events/s in batches of %d by %d writers", size, writers)
	return []figure{
		{"batch_events_per_s", quantile(rates.perSecond[herald], 0.5), says + ", all in the log (median of the rounds)"},
		rates.ratio(herald, "batch_ratio", says+", all in the log"),
		rates.ratio(naive, "naive_batch_ratio", says+" with NOTIFY in each transaction"),
	}, nil
}

// rates is what was written a second, for each mode round by round.
type rates struct{ perSecond map[string][]float64 }

// ratio is a mode's rate over that of plain transactions: the median of the
// rounds' ratios.
func (r rates) ratio(mode, key, says string) figure {
	var ratios []float64
	for i, rate := range r.perSecond[mode] {
		ratios = append(ratios, rate/r.perSecond[plain][i])
	}
	return figure{key, quantile(ratios, 0.5), fmt.Sprintf("of plain transactions: %s, %.0f of %.0f (medians of %d rounds)",
		says, quantile(r.perSecond[mode], 0.5), quantile(r.perSecond[plain], 0.5), len(ratios))}
}

// writeFunc is one write of one writer; it returns how many events it committed.
type writeFunc func(ctx context.Context, m *mode, writer int) (int, error)

// compare has the writers write as fast as they can, in each mode in turn, in
// another order each round.
func compare(ctx context.Context, modes []*mode, writers int, p plan, write writeFunc) (rates, error) {
	r := rates{perSecond: make(map[string][]float64)}
	for round := range p.rounds {
		for i := range modes {
			m := modes[(round+i)%len(modes)]
			rate, err := m.measure(ctx, writers, p.slice, write)
			if err != nil {
				return r, fmt.Errorf("%s with %d writers: %w", m.name, writers, err)
			}
			r.perSecond[m.name] = append(r.perSecond[m.name], rate)
		}
	}
	return r, nil
}

// measure returns the events written a second. In Herald's mode the sequencer
// works beside the writers, and the clock runs on until all is in the log; in
// the others the outbox is emptied afterwards.
func (m *mode) measure(ctx context.Context, writers int, slice time.Duration, write writeFunc) (float64, error) {
	if m.name == herald {
		defer sequence(ctx, m.db)()
		if _, err := settle(ctx, m.db); err != nil {
			return 0, err
		}
	}
	var committed atomic.Int64
	began := time.Now()
	group, writing := errgroup.WithContext(ctx)
	for writer := range writers {
		group.Go(func() error {
			for time.Since(began) < slice {
				n, err := write(writing, m, writer)
				if err != nil {
					return err
				}
				committed.Add(int64(n))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	if m.name == herald {
		if err := drained(ctx, m.db); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	if m.name != herald {
		if _, err := m.db.Pool().Exec(ctx, "TRUNCATE herald.outbox"); err != nil {
			return 0, err
		}
	}
	return float64(committed.Load()) / took.Seconds(), nil
}

// report is progress as a video job reports it.
func report(n int64) job.Report {
	left := time.Minute
	return job.Report{
		Attempt: 1, Processed: &n, Unit: "frames", Remaining: &left, Details: []byte(`{"fps":118.2,"speed":4.81}`),
	}
}
