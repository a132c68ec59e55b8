package heraldriver

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"herald/internal/job"
	"herald/internal/progress"
)

// The longest texts that are shown, in bytes. A Reporter cuts longer ones.
const (
	MaxStep    = 80
	MaxUnit    = 80
	MaxMessage = job.MaxMessage
)

// reportKey is the member of a River job's metadata in which the triggers find
// what the worker had not said yet when its attempt ended.
const reportKey = "herald:report"

// Reporter says how one attempt of one job is doing. Its calls take note and
// return at once: what comes faster than the pace is merged, and the last is
// recorded with the end of the attempt. Nothing counts that comes after another
// attempt has begun. Its methods may be called from any goroutine, and do nothing
// on a nil Reporter or after the attempt.
type Reporter struct {
	middleware *Middleware
	id         uuid.UUID
	run        int64
	number     int // River's, of the attempt

	speaks  sync.Once // guards the making of attempt: most workers say nothing
	attempt *progress.Attempt

	began atomic.Bool // there is, or was, something to record
	over  atomic.Bool // nothing counts any more

	mu     sync.Mutex // guards the fields below
	closed bool
	stop   context.CancelFunc // ends the recording; nil before it begins
	ended  chan struct{}      // closed when the recording has ended
	result json.RawMessage
	handed job.Report // what was given to River, to be recorded with the end
}

type contextKey struct{}

// FromContext returns the reporter of the River job that ctx belongs to. Without
// the middleware it is nil, and so does nothing.
func FromContext(ctx context.Context) *Reporter {
	r, _ := ctx.Value(contextKey{}).(*Reporter)
	return r
}

// JobID is Herald's id of the job; zero for a nil Reporter.
func (r *Reporter) JobID() uuid.UUID {
	if r == nil {
		return uuid.Nil
	}
	return r.id
}

// Progress says which share of the job is done, from 0 to 1. It never goes back
// within an attempt.
func (r *Reporter) Progress(share float64) {
	if r != nil && !math.IsNaN(share) {
		r.note(job.Report{Progress: new(min(max(share, 0), 1))})
	}
}

// Count says how much is done, in the unit. A total of 0 or less is unknown; a
// known one sets the progress.
func (r *Reporter) Count(processed, total int64, unit string) {
	if r == nil {
		return
	}
	v := &struct { // one allocation: workers call this in their innermost loops
		processed, total int64
		share            float64
	}{max(processed, 0), total, 0}
	said := job.Report{Processed: &v.processed, Unit: clip(unit, MaxUnit)}
	if total > 0 {
		v.share = min(float64(v.processed)/float64(total), 1)
		said.Total, said.Progress = &v.total, &v.share
	}
	r.note(said)
}

// Step says which step is under way. Counts belong to a step, so they start
// afresh.
func (r *Reporter) Step(name string) {
	r.note(job.Report{Step: clip(name, MaxStep)})
}

// Message says what is being done, to those who watch.
func (r *Reporter) Message(text string) {
	r.note(job.Report{Message: clip(text, MaxMessage)})
}

// Metadata replaces what streams are filtered by: at most 16 strings, numbers and
// booleans, 2 KiB of JSON. Its error says what is wrong with them.
func (r *Reporter) Metadata(metadata map[string]any) error {
	if r == nil {
		return nil
	}
	object, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	said := job.Report{Attempt: 1, Metadata: object}
	if err := said.Check(); err != nil {
		return err
	}
	r.note(said)
	return nil
}

// Result is what comes of the job, recorded if it succeeds: v is encoded at once,
// as a JSON object of at most 16 KiB.
func (r *Reporter) Result(v any) error {
	if r == nil {
		return nil
	}
	object, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := (job.Report{Attempt: 1, State: job.Succeeded, Result: object}).Check(); err != nil {
		return err
	}
	r.mu.Lock()
	r.result = object
	r.mu.Unlock()
	return nil
}

// CompleteTx is river.JobCompleteTx that also records, in the same transaction,
// all that the job's reporter was told. The worker returns nil after the commit.
func CompleteTx[T river.JobArgs](ctx context.Context, tx pgx.Tx, j *river.Job[T]) (*river.Job[T], error) {
	if r := FromContext(ctx); r != nil {
		if err := r.handOver(ctx); err != nil {
			return nil, err
		}
	}
	return river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, j)
}

func (r *Reporter) note(said job.Report) {
	if r == nil || r.over.Load() {
		return
	}
	r.speaks.Do(func() { r.attempt = r.middleware.attempt(r) })
	r.attempt.Progress(said)
	if !r.began.Load() {
		r.begin()
	}
}

// begin starts the recording, with the first word. It lasts until close, whatever
// becomes of who spoke.
func (r *Reporter) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.began.Swap(true) {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.ended = stop, make(chan struct{})
	go func() {
		defer close(r.ended)
		r.record(ctx)
	}()
}

// record records what is said until ctx ends or nothing counts any more.
func (r *Reporter) record(ctx context.Context) {
	for {
		err := r.attempt.Run(ctx)
		var invalid *job.InvalidError
		switch {
		case errors.As(err, &invalid):
			r.middleware.log.WarnContext(ctx, "report refused", "job", r.id, "error", err)
			continue
		case errors.Is(err, progress.ErrOver):
			r.middleware.log.DebugContext(ctx, "reports no longer count", "job", r.id)
			r.over.Store(true)
		}
		return
	}
}

// close ends the recording, and leaves to River what is still to be recorded.
func (r *Reporter) close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	stop, ended := r.stop, r.ended
	r.mu.Unlock()
	if stop != nil {
		stop()
		<-ended
	}
	if err := r.handOver(ctx); err != nil {
		r.middleware.log.WarnContext(ctx, "last report lost", "job", r.id, "error", err)
	}
}

// handOver puts what waits into the metadata that River writes with the end of
// the attempt, which costs no statement of its own.
func (r *Reporter) handOver(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	waits := r.began.Load() && !r.over.Load()
	if !waits && r.result == nil {
		return nil
	}
	if waits {
		r.handed = r.handed.Merge(r.attempt.With(job.Report{}))
	}
	if r.result == nil && r.handed.Heartbeat() {
		return nil
	}
	return river.MetadataSet(ctx, reportKey, saidOf(r.handed, r.run, r.result))
}

// said is a report as herald.river_report takes it.
type said struct {
	Run       int64           `json:"run"`
	Progress  *float64        `json:"progress,omitempty"`
	Step      string          `json:"step,omitempty"`
	Processed *int64          `json:"processed,omitempty"`
	Total     *int64          `json:"total,omitempty"`
	Unit      string          `json:"unit,omitempty"`
	Message   string          `json:"message,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
}

func saidOf(r job.Report, run int64, result json.RawMessage) said {
	return said{
		Run: run, Progress: r.Progress, Step: r.Step, Processed: r.Processed, Total: r.Total, Unit: r.Unit, Message: r.Message,
		Metadata: r.Metadata, Result: result,
	}
}

// clip cuts a text that people read to so many bytes, and makes it one that the
// database takes, no longer than it was.
func clip(text string, longest int) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text[:min(len(text), longest)], "?"), "\x00", "?")
}
