package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"herald/internal/chain"
)

// ErrNotKeeper is returned by Partitions.Keep while another session keeps them.
var ErrNotKeeper = errors.New("another session keeps the log's partitions")

// Partitions gives sessions to Retentions.
type Partitions interface {
	// Keep opens a session and makes it the one that lets partitions go, or
	// returns ErrNotKeeper.
	Keep(ctx context.Context) (Keeper, error)
}

// Keeper is a session's hold on the log's partitions. After an error it is of
// no more use but to be closed.
type Keeper interface {
	// Due returns the oldest partition if it is to go.
	Due(ctx context.Context, limits Limits) (due Partition, ok bool, err error)
	// Scan reads the log between two ends of the chain, in order.
	Scan(ctx context.Context, after, upto chain.Point, to chain.Sink) error
	// SetArchive keeps the manifest of the partition's archive.
	SetArchive(ctx context.Context, p Partition, manifest json.RawMessage) error
	// SetDropped raises the log's floor to the end of the partition: from then on
	// no reader counts on it.
	SetDropped(ctx context.Context, p Partition) error
	// Expire removes what else is kept for a time only: idempotency keys that have
	// expired, connections that ended long ago.
	Expire(ctx context.Context) error
	// Sweep removes the tables of all partitions below the floor, wherever an
	// earlier Sweep was interrupted.
	Sweep(ctx context.Context) error
	// Close ends the session and the hold.
	Close()
}

// Partition is a stretch of the log that is kept, archived and dropped as one.
type Partition struct {
	Before  chain.Point     // the end of the log before it
	End     chain.Point     // its own end
	Archive json.RawMessage // the manifest of its archive; nil: it has none
}

// Limits says which partitions are to go.
type Limits struct {
	Age  time.Duration // those whose last event is older; below zero: none is too old
	Size int64         // the oldest while all are larger together, in bytes; 0: none is too large
}

// Archive is where partitions are kept when they go.
type Archive interface {
	// Save archives the log between two ends of the chain, which fill hands over,
	// and returns the manifest when it has read all of it back.
	Save(ctx context.Context, before, end chain.Point, fill func(to chain.Sink) error) (manifest json.RawMessage, err error)
	// Check says whether an archive is still what it was when it was saved.
	Check(ctx context.Context, manifest json.RawMessage) error
}

// RetentionConfig is how long the log is kept. The zero RetentionConfig is fit
// for use.
type RetentionConfig struct {
	Age      time.Duration // default 90 days; below zero: for ever
	Size     int64         // bytes of all partitions together; default 0: any size
	Archive  Archive       // default nil: what goes is gone
	Interval time.Duration // how often partitions are looked at; default 1 min
}

// Retention lets the oldest partitions of the log go, and archives them first.
// Any number may run; one works at a time.
type Retention struct {
	partitions Partitions
	log        *slog.Logger
	config     RetentionConfig
}

// NewRetention returns a Retention that does nothing until Run.
func NewRetention(partitions Partitions, log *slog.Logger, config RetentionConfig) *Retention {
	if config.Age == 0 {
		config.Age = 90 * 24 * time.Hour
	}
	config.Interval = orDefault(config.Interval, time.Minute)
	return &Retention{partitions: partitions, log: log, config: config}
}

// Run lets partitions go whenever they are due, until ctx ends. It never gives
// up: what fails is tried again.
func (r *Retention) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.Once(ctx); err != nil && !errors.Is(err, ErrNotKeeper) && ctx.Err() == nil {
			r.log.WarnContext(ctx, "retention stopped", "error", err, "retry_in", r.config.Interval)
		}
		pause(ctx, r.config.Interval/2+rand.N(r.config.Interval))
	}
	return nil
}

// Once lets go all partitions that are due, and what else is kept for a time only,
// or returns ErrNotKeeper when another session is at it.
func (r *Retention) Once(ctx context.Context) error {
	keeper, err := r.partitions.Keep(ctx)
	if err != nil {
		return err
	}
	defer keeper.Close()
	if err := keeper.Expire(ctx); err != nil {
		return err
	}
	for {
		// Before anything else, what an interrupted one has left.
		if err := keeper.Sweep(ctx); err != nil {
			return err
		}
		p, ok, err := keeper.Due(ctx, Limits{Age: r.config.Age, Size: r.config.Size})
		if err != nil || !ok {
			return err
		}
		if err := r.release(ctx, keeper, p); err != nil {
			return fmt.Errorf("let seqs %d to %d go: %w", p.Before.Seq+1, p.End.Seq, err)
		}
	}
}

// release archives the partition and raises the floor. A crash leaves the log
// as it was, and maybe an archive, which the next one checks or writes over.
func (r *Retention) release(ctx context.Context, keeper Keeper, p Partition) error {
	if r.config.Archive != nil && (p.Archive == nil || r.config.Archive.Check(ctx, p.Archive) != nil) {
		manifest, err := r.config.Archive.Save(ctx, p.Before, p.End, func(to chain.Sink) error {
			return keeper.Scan(ctx, p.Before, p.End, to)
		})
		if err != nil {
			return err
		}
		if err := keeper.SetArchive(ctx, p, manifest); err != nil {
			return err
		}
	}
	if err := keeper.SetDropped(ctx, p); err != nil {
		return err
	}
	r.log.InfoContext(ctx, "partition goes", "first_seq", p.Before.Seq+1, "last_seq", p.End.Seq, "archived", r.config.Archive != nil)
	return nil
}
