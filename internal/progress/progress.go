// Package progress is the write side: it records what workers report, paced so
// that a chatty worker costs the database no more than a calm one, and sees to
// what comes of those who report nothing.
package progress

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"herald/internal/job"
)

// Why a worker is to stop.
var (
	// ErrOver means that the job has ended, or another attempt has begun;
	// nothing that this one says counts any more.
	ErrOver = errors.New("the attempt is over")
	// ErrCancelled means that somebody has asked for the job's end. The worker
	// stops, and reports that the job is cancelled.
	ErrCancelled = errors.New("the job is to be cancelled")
)

// Recorder records a report in one transaction.
type Recorder interface {
	RecordReport(ctx context.Context, id uuid.UUID, r job.Report) (job.Outcome, error)
}

// Config is how a Reporter paces. The zero Config is fit for use.
type Config struct {
	Pace      time.Duration // least time between two records of progress of one job; default 250 ms
	Heartbeat time.Duration // longest silence of a running attempt; default 5 s
}

// Reporter records what workers report, each report in one transaction.
type Reporter struct {
	recorder Recorder
	config   Config
}

// New returns a Reporter that records with the recorder.
func New(recorder Recorder, config Config) *Reporter {
	if config.Pace <= 0 {
		config.Pace = 250 * time.Millisecond
	}
	if config.Heartbeat <= 0 {
		config.Heartbeat = 5 * time.Second
	}
	return &Reporter{recorder: recorder, config: config}
}

// Report records one report at once. When it returns nil or ErrCancelled, the
// report is committed.
func (r *Reporter) Report(ctx context.Context, id uuid.UUID, report job.Report) error {
	out, err := r.recorder.RecordReport(ctx, id, report)
	gone := errors.Is(err, job.ErrNotFound) // it had ended, and was deleted
	if err != nil && !gone {
		return fmt.Errorf("report on job %s: %w", id, err)
	}
	if out.Late || gone {
		return fmt.Errorf("report on job %s, attempt %d: %w", id, report.Attempt, ErrOver)
	}
	if out.Job.State == job.Cancelling {
		return ErrCancelled
	}
	return nil
}

// Attempt is one attempt of one job, in the hands of its worker. Its methods
// may be called from any goroutine.
type Attempt struct {
	reporter *Reporter
	id       uuid.UUID
	number   int

	recording sync.Mutex // held while a report is being recorded, so that reports stay in order

	mu      sync.Mutex // guards the fields below
	waits   bool
	waiting job.Report    // zero unless something waits; no pointer, so that the next report costs no memory
	changed chan struct{} // tells Run that something waits; holds one
}

// Attempt returns the attempt of the job with the number that Job.Start gave it.
func (r *Reporter) Attempt(id uuid.UUID, number int) *Attempt {
	return &Attempt{reporter: r, id: id, number: number, changed: make(chan struct{}, 1)}
}

// Progress takes note of progress and returns at once. What comes faster than
// the pace is merged; Run records it. The last is never lost unless the
// process is: Report and With take it along.
func (a *Attempt) Progress(r job.Report) {
	r.Attempt = a.number
	a.mu.Lock()
	waited := a.waits
	if waited {
		r = a.waiting.Merge(r)
	}
	a.waiting, a.waits = r, true
	a.mu.Unlock()
	if !waited {
		a.signal()
	}
}

// Report records what waits and r in one report, at once. It is for what must
// not wait: a new step, a message.
func (a *Attempt) Report(ctx context.Context, r job.Report) error {
	a.recording.Lock()
	defer a.recording.Unlock()
	return a.reporter.Report(ctx, a.id, a.with(r))
}

// With returns r merged into what waits, which then waits no more. It is for a
// last report that the caller records in a transaction of its own.
func (a *Attempt) With(r job.Report) job.Report {
	a.recording.Lock()
	defer a.recording.Unlock()
	return a.with(r)
}

func (a *Attempt) with(r job.Report) job.Report {
	r.Attempt = a.number
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waits {
		r = a.waiting.Merge(r)
		a.waiting, a.waits = job.Report{}, false
	}
	return r
}

// Run records progress at the reporter's pace, and heartbeats in between, until
// ctx ends; what still waits then is left to Report and With. It returns
// ErrOver or ErrCancelled as soon as a report is answered so, and the
// *job.InvalidError of one that is refused, so that the worker's own context can end with it. Any other
// failure is tried again, merged with what has come since: a database that is
// away for a moment is no reason to stop the work.
func (a *Attempt) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.changed:
			if !a.isWaiting() { // Report was faster
				continue
			}
		case <-time.After(a.reporter.config.Heartbeat):
		}
		if err := a.flush(ctx); isFinal(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(a.reporter.config.Pace):
		}
	}
}

// isFinal reports whether saying it again would be of no use.
func isFinal(err error) bool {
	var invalid *job.InvalidError
	return errors.Is(err, ErrOver) || errors.Is(err, ErrCancelled) || errors.As(err, &invalid)
}

// flush records what waits, or a heartbeat when nothing does. What could not be
// recorded waits on.
func (a *Attempt) flush(ctx context.Context) error {
	a.recording.Lock()
	defer a.recording.Unlock()
	r := a.with(job.Report{})
	err := a.reporter.Report(ctx, a.id, r)
	if err != nil && !isFinal(err) && !r.Heartbeat() {
		a.putBack(r)
	}
	return err
}

func (a *Attempt) isWaiting() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waits
}

func (a *Attempt) putBack(r job.Report) {
	a.mu.Lock()
	if a.waits {
		r = r.Merge(a.waiting)
	}
	a.waiting, a.waits = r, true
	a.mu.Unlock()
	a.signal()
}

func (a *Attempt) signal() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}
