// Package eventlog turns committed outbox rows into the log: an append-only
// sequence of events in which each has the Seq after the one before it.
// DESIGN.md beside this file has the protocol and why it holds.
package eventlog

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"herald/internal/event"
)

// Store gives sessions to sequencers.
type Store interface {
	// Lead opens a session and waits until no other one leads, so that it does.
	Lead(ctx context.Context) (Session, error)
	// Vacuum gives the room of what was taken from the outbox back to writers.
	Vacuum(ctx context.Context) error
}

// Session is the leading sequencer's hold on the log. After an error it is
// of no more use but to be closed.
type Session interface {
	// Arm says whether writers are to ring the bell; committed on return.
	Arm(ctx context.Context, armed bool) error
	// Barrier takes a new transaction id.
	Barrier(ctx context.Context) (XID, error)
	// Sequence appends to the log, in one transaction, up to limit of the events
	// that its snapshot shows in the outbox where the mark says.
	Sequence(ctx context.Context, mark Mark, limit int) (Batch, error)
	// WaitBell waits for a ring, which it does not miss if it came since the
	// last call, or for the time given. It reports whether the bell rang.
	WaitBell(ctx context.Context, longest time.Duration) (rung bool, err error)
	// Close ends the session and the lead.
	Close()
}

// Batch is what one Sequence appended.
type Batch struct {
	Events   int
	Head     event.Seq // the last Seq given
	Last     int64     // the last event's id in the outbox
	More     bool      // the batch was cut, so there may be more to be found as it was
	Snapshot Snapshot
}

// Config is how a Sequencer works. The zero Config is fit for use.
type Config struct {
	Batch      int           // most events appended at once; default 5000
	Pause      time.Duration // least rest after a batch that was not cut, so that writers get the disk; default 3 ms
	Idle       time.Duration // time with few events or none before the bell is armed; default 40 ms
	Poll       time.Duration // longest sleep, should a ring be lost; default 5 s
	Retry      time.Duration // rest before a new session, when one was lost; default 100 ms, and up to half of it longer
	DisarmRate float64       // events a second from which the bell is disarmed again, and twice what are few; default 200
	Vacuum     time.Duration // least time between two vacuums of the outbox; default 2 s
	Metrics    *Metrics      // default some that nobody collects

	// Duty is what else is done by the one who leads, for as long as it does: until
	// its context ends. Default nothing.
	Duty func(ctx context.Context) `json:"-"`
}

func (c *Config) setDefaults() {
	c.Batch = orDefault(c.Batch, 5000)
	c.Pause = orDefault(c.Pause, 3*time.Millisecond)
	c.Idle = orDefault(c.Idle, 40*time.Millisecond)
	c.Poll = orDefault(c.Poll, 5*time.Second)
	c.Retry = orDefault(c.Retry, 100*time.Millisecond)
	c.DisarmRate = orDefault(c.DisarmRate, 200)
	c.Vacuum = orDefault(c.Vacuum, 2*time.Second)
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
}

func orDefault[T int | int64 | float64 | time.Duration](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}

// Sequencer moves committed outbox rows to the end of the log; any number may
// run, one leads, and the head's row lock fences the others.
type Sequencer struct {
	store  Store
	log    *slog.Logger
	config Config
}

// NewSequencer returns a Sequencer that does nothing until Run.
func NewSequencer(store Store, log *slog.Logger, config Config) *Sequencer {
	config.setDefaults()
	return &Sequencer{store: store, log: log, config: config}
}

// Run leads whenever no other sequencer does, until ctx ends. It never gives up:
// a database that is away is tried again.
func (s *Sequencer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		session, err := s.store.Lead(ctx)
		if err == nil {
			s.log.InfoContext(ctx, "sequencer leads")
			err = s.lead(ctx, session)
			session.Close()
		}
		if ctx.Err() == nil {
			s.log.WarnContext(ctx, "sequencer lost its session", "error", err)
			pause(ctx, s.config.Retry+rand.N(s.config.Retry/2))
		}
	}
	return nil
}

// lead sequences on the session until it fails or ctx ends.
func (s *Sequencer) lead(ctx context.Context, session Session) error {
	s.config.Metrics.terms.Inc()
	s.config.Metrics.leads.Set(1)
	defer s.config.Metrics.leads.Set(0)
	l := &lead{session: session, config: s.config}
	ctx, cancel := context.WithCancel(ctx)
	var tidying sync.WaitGroup
	tidying.Go(func() { s.tidy(ctx, &l.removed) })
	if s.config.Duty != nil {
		tidying.Go(func() { s.config.Duty(ctx) })
	}
	defer tidying.Wait()
	defer cancel()
	if err := l.disarm(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := l.step(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// tidy vacuums the outbox now and then, until ctx ends: left to the server,
// which looks once a minute, it would grow by all that a minute brings. While a
// transaction is open for long, each vacuum takes longer than the one before
// and finds nothing, so the longer it takes the less often it is done.
func (s *Sequencer) tidy(ctx context.Context, removed *atomic.Int64) {
	const worthwhile, share = 1000, 20
	wait := s.config.Vacuum
	for {
		pause(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		if removed.Load() < worthwhile {
			continue
		}
		removed.Store(0)
		began := time.Now()
		if err := s.store.Vacuum(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "outbox was not vacuumed", "error", err)
		}
		took := time.Since(began)
		s.config.Metrics.vacuums.Observe(took.Seconds())
		wait = max(s.config.Vacuum, share*took)
	}
}

// lead is one leader's state. It is owned by Sequencer.lead, but for removed.
type lead struct {
	session Session
	config  Config

	mark    Mark      // where rows may still appear
	armed   bool      // writers ring
	barrier XID       // taken after the bell was armed
	busy    time.Time // when events last came at half the rate that disarms the bell, or it was disarmed
	rate    rate

	removed atomic.Int64 // rows that were taken from the outbox since the last vacuum
}

// step scans once, and then sleeps, arms the bell, or rests.
func (l *lead) step(ctx context.Context) error {
	began := time.Now()
	batch, err := l.session.Sequence(ctx, l.mark, l.config.Batch)
	if err != nil {
		return fmt.Errorf("sequence: %w", err)
	}
	now := time.Now()
	drained := l.mark.Within == nil && !batch.More // the snapshot shows no more
	l.mark = l.mark.Following(batch)
	if batch.Events > 0 {
		if err := l.found(ctx, batch, began, now); err != nil {
			return err
		}
	}
	switch {
	case !drained:
		return nil // what has come since the scan began has not been looked for yet
	case l.armed && batch.Snapshot.Xmin > l.barrier:
		rung, err := l.session.WaitBell(ctx, l.config.Poll)
		if rung {
			l.config.Metrics.rings.Inc()
		}
		return err
	case !l.armed && now.Sub(l.busy) >= l.config.Idle:
		return l.arm(ctx)
	case batch.Events == 0:
		pause(ctx, l.config.Pause)
	default:
		pause(ctx, max(l.config.Pause, min(2*now.Sub(began), longestPause)))
	}
	return nil
}

// longestPause bounds the rest after a batch, which is twice the time that the
// batch took: writers have most of the machine then, and more of them share the
// next batch.
const longestPause = 10 * time.Millisecond

// found takes note of a batch, and disarms the bell under sustained load.
func (l *lead) found(ctx context.Context, batch Batch, began, now time.Time) error {
	l.removed.Add(int64(batch.Events))
	l.config.Metrics.batchTime.Observe(now.Sub(began).Seconds())
	l.config.Metrics.batchSize.Observe(float64(batch.Events))
	l.config.Metrics.head.Set(float64(batch.Head))
	perSecond := l.rate.add(batch.Events, now)
	if perSecond >= l.config.DisarmRate/2 {
		l.busy = now
	}
	if l.armed && perSecond >= l.config.DisarmRate {
		return l.disarm(ctx)
	}
	return nil
}

// arm makes writers ring from now on. The barrier comes in a transaction after
// the one that armed the bell: DESIGN.md says what would be lost otherwise.
func (l *lead) arm(ctx context.Context) error {
	if err := l.session.Arm(ctx, true); err != nil {
		return err
	}
	barrier, err := l.session.Barrier(ctx)
	if err != nil {
		return err
	}
	l.armed, l.barrier = true, barrier
	return nil
}

func (l *lead) disarm(ctx context.Context) error {
	if err := l.session.Arm(ctx, false); err != nil {
		return err
	}
	l.armed, l.busy = false, time.Now()
	return nil
}

// rate is how many events came in the last full tenth of a second, per second.
type rate struct {
	since     time.Time
	events    int
	perSecond float64
}

func (r *rate) add(events int, now time.Time) float64 {
	const window = 100 * time.Millisecond
	if gone := now.Sub(r.since); gone >= window {
		r.perSecond = float64(r.events) / gone.Seconds()
		r.since, r.events = now, 0
	}
	r.events += events
	return r.perSecond
}

// pause rests for the time or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
