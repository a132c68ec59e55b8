package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"herald/internal/event"
	"herald/internal/postgres"
)

type bloatCmd struct {
	output
	For  time.Duration `help:"How long to write." default:"20m"`
	Rate int           `help:"Events a second." default:"3000"`
	Hold time.Duration `help:"How long a writing transaction is held open, from a third of the time on." default:"3m"`
}

// bloatLine is what the database is like at one moment.
type bloatLine struct {
	at      time.Duration
	head    event.Seq
	rate    float64 // events sequenced a second since the line before
	rows    float64 // MiB of the outbox's rows, free room included
	indexes float64 // MiB of its indexes
	jobs    float64 // MiB of the jobs, indexes included
	log     float64 // bytes of the log per event, indexes included
	latency float64 // ms until an event was in the log, median since the line before
	held    bool
}

// Run writes at a steady rate and tells, again and again, how large things are.
func (c *bloatCmd) Run(ctx context.Context) error {
	if c.Quick {
		c.For, c.Hold = 30*time.Second, 8*time.Second
	}
	server, end, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer end()
	m := &mode{name: herald, prepare: `SELECT 1`}
	if err := m.open(ctx, server); err != nil {
		return err
	}
	defer m.db.Close()
	defer sequence(ctx, m.db)()
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.write(ctx, m) })
	group.Go(func() error { return c.hold(ctx, m) })
	lines, err := c.watch(ctx, m)
	if writing := group.Wait(); err == nil {
		err = writing
	}
	if err != nil {
		return err
	}
	return c.tell(lines)
}

// write keeps to the rate, spread over the writers: each turn a report on one
// job, and a publication to others.
func (c *bloatCmd) write(ctx context.Context, m *mode) error {
	const writers, published = 8, 4
	publication := event.Publication{Actor: "bench", Notices: make([]event.Notice, published)}
	for i := range publication.Notices {
		user := event.UserTopic(fmt.Sprintf("user-%d", i))
		publication.Notices[i] = event.Notice{Type: "notification.bench", Topics: []event.Topic{user}, Payload: []byte(`{"text":"a few words"}`)}
	}
	var n atomic.Int64
	began := time.Now()
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			for {
				turn := n.Add(1)
				due := began.Add(time.Duration(turn) * (1 + published) * time.Second / time.Duration(c.Rate))
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(time.Until(due)):
				}
				// Jobs take turns, as when many report a few times a second.
				_, err := m.db.RecordReport(ctx, m.jobs[int(turn)%len(m.jobs)].ID, report(turn))
				if err == nil {
					_, err = m.db.Publish(ctx, publication)
				}
				if err != nil {
					return unlessOver(ctx, err)
				}
			}
		})
	}
	return group.Wait()
}

// hold keeps a transaction open that has written, so that nothing which dies
// meanwhile can be vacuumed.
func (c *bloatCmd) hold(ctx context.Context, m *mode) error {
	if !rest(ctx, c.For/3) {
		return nil
	}
	err := pgx.BeginFunc(ctx, m.db.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE held AS SELECT 1"); err != nil {
			return err
		}
		rest(ctx, c.Hold)
		return nil
	})
	return unlessOver(ctx, err)
}

// unlessOver is the error, or nil where it comes of the time being over.
func unlessOver(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// rest waits, and reports whether the whole time went by.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// watch looks thirty times in all.
func (c *bloatCmd) watch(ctx context.Context, m *mode) ([]bloatLine, error) {
	const looks = 30
	var lines []bloatLine
	began := time.Now()
	before := began
	head, err := m.db.Head(ctx)
	for i := 0; i < looks && err == nil; i++ {
		var line bloatLine
		if line, err = c.look(ctx, m, began.Add(c.For/looks*time.Duration(i+1))); err != nil {
			break
		}
		now := time.Now()
		line.at = now.Sub(began)
		line.rate = float64(line.head-head) / now.Sub(before).Seconds()
		line.held = line.at > c.For/3 && line.at < c.For/3+c.Hold
		head, before = line.head, now
		fmt.Fprintf(os.Stderr, "%v: %.0f/s, outbox %.1f+%.1f MiB\n", line.at.Round(time.Second), line.rate, line.rows, line.indexes)
		lines = append(lines, line)
	}
	return lines, unlessOver(ctx, err)
}

// look sends events through the log until shortly before the time given, and then
// measures.
func (c *bloatCmd) look(ctx context.Context, m *mode, until time.Time) (line bloatLine, err error) {
	var waits []float64
	for time.Until(until) > time.Second {
		wait, err := c.probe(ctx, m.db, m)
		if err != nil {
			return line, err
		}
		waits = append(waits, wait)
		rest(ctx, 200*time.Millisecond)
	}
	line.latency = quantile(waits, 0.5)
	if line.head, err = m.db.Head(ctx); err != nil {
		return line, err
	}
	return line, line.measure(ctx, m.db)
}

// probe returns how long an event takes into the log. It looks for it there by an
// index: to look through the outbox, dead rows and all, would be a load itself.
func (c *bloatCmd) probe(ctx context.Context, db *postgres.DB, m *mode) (float64, error) {
	const most = 1000
	head, err := db.Head(ctx)
	if err != nil {
		return 0, err
	}
	out, err := db.RecordReport(ctx, m.jobs[0].ID, report(0))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	err = until(ctx, func() (bool, error) {
		events, err := db.EventsOfJob(ctx, m.jobs[0].ID, head, most)
		return slices.ContainsFunc(events, func(e event.Event) bool { return e.ID == out.Event.ID }), err
	})
	return milliseconds(time.Since(began)), err
}

func (l *bloatLine) measure(ctx context.Context, db *postgres.DB) error {
	const mib = 1 << 20
	var log float64
	err := db.Pool().QueryRow(ctx, `SELECT pg_relation_size('herald.outbox'), pg_indexes_size('herald.outbox'),
		pg_total_relation_size('herald.jobs'), (SELECT sum(pg_total_relation_size(relid)) FROM (
			SELECT relid FROM pg_partition_tree('herald.events') UNION ALL SELECT relid FROM pg_partition_tree('herald.event_topics')
			UNION ALL SELECT relid FROM pg_partition_tree('herald.log_batches')) parts)`).Scan(&l.rows, &l.indexes, &l.jobs, &log)
	l.rows, l.indexes, l.jobs, l.log = l.rows/mib, l.indexes/mib, l.jobs/mib, log/max(float64(l.head), 1)
	return err
}

// tell prints the table.
func (c *bloatCmd) tell(lines []bloatLine) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "after\tevents/s\toutbox MiB\tits indexes MiB\tjobs MiB\tlog bytes/event\tms into the log\t")
	for _, l := range lines {
		note := ""
		if l.held {
			note = "a transaction is open"
		}
		fmt.Fprintf(table, "%v\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%.1f\t%s\n", l.at.Round(time.Second), l.rate, l.rows, l.indexes, l.jobs, l.log,
			l.latency, note)
	}
	return table.Flush()
}
