package progress

import (
	"context"
	"log/slog"
	"time"

	"herald/internal/job"
)

// Silence is what a Watch needs of the database.
type Silence interface {
	// RescueJobs takes jobs out of the hands of nodes that have been silent for
	// longer than given, and returns how many there were.
	RescueJobs(ctx context.Context, silence time.Duration) (int, error)
	// EndSilence lets the silence of workers have its consequences, and returns how
	// many jobs it changed.
	EndSilence(ctx context.Context, p job.Patience) (int, error)
	// HealRiver records changes of Rivers' jobs that could not be recorded when they
	// were made, and returns of how many jobs.
	HealRiver(ctx context.Context) (int, error)
}

// WatchConfig is how long a Watch is patient. The zero WatchConfig is fit for use.
type WatchConfig struct {
	Stall  time.Duration // after so long a silence, a worker that promised nothing is stalled; default 30 s
	Lease  time.Duration // and loses its attempt after so long a one, unless its job says otherwise; default 10 min
	Cancel time.Duration // how long a worker has to answer that it was asked to stop; default 1 min
	Node   time.Duration // after so long a silence, a node that works jobs loses them; default NodePatience
	// Grace is how long all workers have to find Herald again, when nobody was there
	// to hear them, before the first one loses its attempt; default 1 min.
	Grace    time.Duration
	Interval time.Duration // how often it looks; default 2 s
}

// NodePatience is how long a node may be silent before it loses its jobs, unless a
// WatchConfig says otherwise.
const NodePatience = 10 * time.Second

func (c *WatchConfig) setDefaults() {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&c.Stall, 30 * time.Second},
		{&c.Lease, 10 * time.Minute},
		{&c.Cancel, time.Minute},
		{&c.Node, NodePatience},
		{&c.Grace, time.Minute},
		{&c.Interval, 2 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
}

// Watch sees to it that no job hangs because its worker says nothing, or because
// what its River said could not be recorded. Any number
// may run at once; one is enough, so the log's leader runs it.
type Watch struct {
	silence Silence
	log     *slog.Logger
	config  WatchConfig
	away    time.Time // when the database was last not heard of; owned by Run
}

// NewWatch returns a Watch that does nothing until Run.
func NewWatch(silence Silence, log *slog.Logger, config WatchConfig) *Watch {
	config.setDefaults()
	return &Watch{silence: silence, log: log, config: config}
}

// Run looks again and again, until ctx ends. It may be called again then, but not
// twice at once. While the database is away nobody can speak, nor while there is
// no node to hear: afterwards, all get the time to do so.
func (w *Watch) Run(ctx context.Context) {
	heard := time.Now() // since when workers may speak
	defer func() { w.away = time.Now() }()
	ticker := time.NewTicker(w.config.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if time.Since(w.away) > w.config.Node && !w.look(ctx, heard) {
			w.away = time.Now()
			heard = w.away
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// look does what is due, and reports whether the database answered.
func (w *Watch) look(ctx context.Context, heard time.Time) bool {
	rescued, err := w.silence.RescueJobs(ctx, w.config.Node)
	if rescued > 0 {
		w.log.InfoContext(ctx, "jobs of lost nodes rescued", "jobs", rescued)
	}
	changed, silenceErr := w.silence.EndSilence(ctx, job.Patience{
		Silence: w.config.Stall, Lease: w.config.Lease, Cancel: w.config.Cancel, Spare: time.Since(heard) < w.config.Grace,
	})
	if changed > 0 {
		w.log.InfoContext(ctx, "jobs of silent workers changed", "jobs", changed)
	}
	if err == nil {
		err = silenceErr
	}
	if err != nil && ctx.Err() == nil {
		w.log.WarnContext(ctx, "silent workers not looked after", "error", err)
	}
	w.heal(ctx)
	return err == nil
}

// heal makes good what was missed. That it cannot says nothing about workers.
func (w *Watch) heal(ctx context.Context) {
	healed, err := w.silence.HealRiver(ctx)
	if healed > 0 {
		w.log.InfoContext(ctx, "missed changes of River's jobs recorded", "jobs", healed)
	}
	if err != nil && ctx.Err() == nil {
		w.log.WarnContext(ctx, "missed changes of River's jobs not recorded", "error", err)
	}
}
