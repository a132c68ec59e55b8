package herald

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Limits of the server on what a report says, in bytes. A Reporter cuts longer
// texts, since a long line of a log is no reason to lose a report.
const (
	MaxStep    = 80
	MaxMessage = 1000
	MaxError   = 3000
)

// maxWaiting bounds how many reports wait for the server; steps beyond it are
// merged too. It is also how many the server takes at once.
const maxWaiting = 100

// Reporter says how one attempt of one job is doing. The calls without an error
// take note and return at once; what they say goes to the server in order, at the
// Config's pace, and again for as long as the server is away. Its methods may be
// called from any goroutine. Whoever gets one closes it.
type Reporter struct {
	client  *Client
	id      string
	attempt int
	planned bool                    // there is a plan, to whose steps counts belong
	cancel  context.CancelCauseFunc // ends the worker's context
	stop    context.CancelFunc      // ends what Close does not wait for
	wake    chan struct{}           // holds one when there is something new for run
	ended   chan struct{}           // closed when run has returned

	mu      sync.Mutex // guards the fields below
	waiting []Report   // in order; only the last may still be merged with
	urgent  bool       // what waits must not wait for the pace
	over    error      // why nothing is taken any more
	ending  bool       // the attempt's last report was noted
	closing bool
	err     error        // of the last report that was refused
	waiters []chan error // of those who wait for all that waits to be sent
}

// StartJob makes a job that the caller runs, and begins it. The context that it
// returns is for the work: it ends with ctx, with Close, and when the job is to
// end: then its cause is ErrCancelled or ErrOver.
func (c *Client) StartJob(ctx context.Context, n NewJob) (*Reporter, context.Context, error) {
	n.External, n.Start = true, true
	j, err := c.CreateJob(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	r, work := c.attempt(ctx, j.ID, 1, len(n.Steps) > 0) // a later one would be another worker's
	return r, work, nil
}

// Claim begins the next attempt of a job that waits for a worker elsewhere: one
// made by CreateJob with External, or one that was retried. The error matches
// ErrConflict when the job does not wait. The context is that of StartJob.
func (c *Client) Claim(ctx context.Context, id string, worker string, plan ...Step) (*Reporter, context.Context, error) {
	body := struct {
		Worker string `json:"worker,omitempty"`
		Steps  []Step `json:"steps,omitempty"`
	}{worker, plan}
	var claimed struct {
		Attempt int `json:"attempt"`
	}
	if err := c.call(ctx, request{method: "POST", path: jobPath(id, "/attempts"), key: newKey(), body: body}, &claimed); err != nil {
		return nil, nil, err
	}
	r, work := c.attempt(ctx, id, claimed.Attempt, len(plan) > 0)
	return r, work, nil
}

// NextJob says which job a worker takes next.
type NextJob struct {
	Kinds  []string // what the worker can do: 1 to 16
	Worker string   // what people call the worker; default the token's owner
	Steps  []Step   // the attempt's plan
}

// ClaimNext waits until a job of one of the kinds waits for a worker, and begins its
// next attempt: the oldest job's first. It returns with ctx's error when ctx ends.
// The context is that of StartJob.
func (c *Client) ClaimNext(ctx context.Context, n NextJob) (Job, *Reporter, context.Context, error) {
	const wait = 25 * time.Second
	body := struct {
		Kinds  []string `json:"kinds"`
		Worker string   `json:"worker,omitempty"`
		Steps  []Step   `json:"steps,omitempty"`
		Wait   int      `json:"wait"`
	}{n.Kinds, n.Worker, n.Steps, int(wait / time.Second)}
	for {
		var claimed struct {
			Attempt int  `json:"attempt"`
			Job     *Job `json:"job"`
		}
		began := time.Now()
		if err := c.call(ctx, request{method: "POST", path: "/api/attempts", key: newKey(), body: body, extra: wait}, &claimed); err != nil {
			return Job{}, nil, nil, err
		}
		if claimed.Job != nil {
			r, work := c.attempt(ctx, claimed.Job.ID, claimed.Attempt, len(n.Steps) > 0)
			return *claimed.Job, r, work, nil
		}
		if time.Since(began) < time.Second && !sleep(ctx, c.backoff(1)) { // a server that does not wait is not asked all the time
			return Job{}, nil, nil, fmt.Errorf("herald: wait for a job: %w", ctx.Err())
		}
	}
}

// Attempt returns the Reporter of an attempt that is under way, for a worker that
// was told of it, or that has started anew. The context is that of StartJob.
func (c *Client) Attempt(ctx context.Context, id string, attempt int) (*Reporter, context.Context) {
	return c.attempt(ctx, id, attempt, false)
}

func (c *Client) attempt(ctx context.Context, id string, attempt int, planned bool) (*Reporter, context.Context) {
	work, cancel := context.WithCancelCause(ctx)
	// Reports outlive the work: the last one says how it ended.
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Reporter{
		client: c, id: id, attempt: attempt, planned: planned, cancel: cancel, stop: stop,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		r.listen(own)
	}()
	go func() {
		defer close(r.ended)
		r.run(own)
		stop()
		<-listening
	}()
	return r, work
}

// Do runs a job: it makes one, does the work, and reports how that ended, by the
// error that do returns. It returns that error, or the one that kept it from
// reporting.
func (c *Client) Do(ctx context.Context, n NewJob, do func(ctx context.Context, job *Reporter) error) error {
	r, work, err := c.StartJob(ctx, n)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // it panics, and nobody is to think that it goes on
			_ = r.Fail(ctx, errors.New("The worker panicked."))
			_ = r.Close()
		}
	}()
	err = do(work, r)
	done = true
	switch {
	case err == nil:
		err = r.Succeed(ctx, nil)
	case work.Err() != nil && errors.Is(context.Cause(work), ErrOver): // nothing counts any more
	case work.Err() != nil:
		err = errors.Join(err, r.Cancelled(ctx))
	default:
		err = errors.Join(err, r.Fail(ctx, err))
	}
	if closed := r.Close(); err == nil {
		err = closed
	}
	return err
}

// ID is the job's.
func (r *Reporter) ID() string { return r.id }

// Number is the attempt's.
func (r *Reporter) Number() int { return r.attempt }

// Progress says which share of the whole job is done, from 0 to 1.
func (r *Reporter) Progress(share float64) {
	if share = clampShare(share); share == share { //nolint:gocritic // not NaN
		r.note(Report{Progress: &share})
	}
}

// Count says how much is done, in the unit. A negative total is unknown. A known
// one sets the progress: of the step under way, if the Reporter was given a plan,
// else of the job.
func (r *Reporter) Count(processed, total int64, unit string) {
	report := Report{Processed: &processed, Unit: unit}
	if total >= 0 {
		report.Total = &total
	}
	if total > 0 {
		share := clampShare(float64(processed) / float64(total))
		if r.planned {
			report.StepProgress = &share
		} else {
			report.Progress = &share
		}
	}
	r.note(report)
}

// Step says which step is under way, one of the plan's when there is a plan. It
// goes out at once, and no step is merged with another.
func (r *Reporter) Step(name string) { r.note(Report{Step: clip(name, MaxStep)}) }

// StepProgress says which share of the step under way is done. With a plan, it
// sets the job's progress by the steps' weights.
func (r *Reporter) StepProgress(share float64) {
	if share = clampShare(share); share == share { //nolint:gocritic // not NaN
		r.note(Report{StepProgress: &share})
	}
}

// Message says what is being done, to those who watch. Of messages that come
// faster than the pace, the last is shown.
func (r *Reporter) Message(text string) { r.note(Report{Message: clip(text, MaxMessage)}) }

// Remaining is the worker's estimate of the time left.
func (r *Reporter) Remaining(left time.Duration) {
	ms := max(left.Milliseconds(), 0)
	r.note(Report{RemainingMS: &ms})
}

// Details are for a page to show; v is encoded at once, as a JSON object of at
// most 4 KiB.
func (r *Reporter) Details(v any) {
	details, err := json.Marshal(v)
	if err != nil {
		r.refused(fmt.Errorf("herald: encode details: %w", err))
		return
	}
	r.note(Report{Details: json.RawMessage(details)})
}

// Metadata replaces what streams are filtered by: strings, numbers and booleans.
func (r *Reporter) Metadata(m map[string]any) { r.note(Report{Metadata: maps.Clone(m)}) }

// Succeed says that the job is done, and what came of it: nil, or what is
// encoded as a JSON object of at most 16 KiB. Like all that end the attempt, it
// goes out at once, after what waits; it does not end with ctx, which may be the
// work's and have ended, but gives up after the Config's EndTime. An error that
// matches ErrInvalid leaves the attempt under way, to be ended in another way.
func (r *Reporter) Succeed(ctx context.Context, result any) error {
	last := Report{State: Succeeded}
	if result != nil {
		encoded, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("herald: encode the result: %w", err)
		}
		last.Result = json.RawMessage(encoded)
	}
	return r.end(ctx, last)
}

// Fail says that the job has failed, for good.
func (r *Reporter) Fail(ctx context.Context, why error) error {
	return r.end(ctx, Report{State: Failed, Error: reason(why)})
}

// Retry says that the attempt has failed, and when the next one may start; the
// zero time is any.
func (r *Reporter) Retry(ctx context.Context, why error, at time.Time) error {
	report := Report{State: Retrying, Error: reason(why)}
	if !at.IsZero() {
		report.RetryAt = &at
	}
	return r.end(ctx, report)
}

// Cancelled says that the job was stopped because somebody wanted it.
func (r *Reporter) Cancelled(ctx context.Context) error {
	return r.end(ctx, Report{State: Cancelled})
}

func reason(why error) string {
	if why == nil || why.Error() == "" {
		return "It failed."
	}
	return clip(why.Error(), MaxError)
}

// end notes the last report and waits until it is recorded.
func (r *Reporter) end(ctx context.Context, last Report) error {
	r.note(last)
	return r.flush(ctx)
}

// flush waits until all that waits is sent.
func (r *Reporter) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.client.config.EndTime)
	defer cancel()
	sent := make(chan error, 1)
	r.mu.Lock()
	r.urgent = true
	r.waiters = append(r.waiters, sent)
	r.mu.Unlock()
	r.signal()
	select {
	case err := <-sent:
		return err
	case <-r.ended:
		return r.result()
	case <-ctx.Done():
		return fmt.Errorf("herald: report on job %s: %w", r.id, ctx.Err())
	}
}

// Close sends what still waits and ends the Reporter. It returns the error of
// what could not be sent or was refused; a job that was not said to have ended
// goes on. Further calls do nothing.
func (r *Reporter) Close() error {
	defer r.cancel(context.Canceled)
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	r.signal()
	timer := time.AfterFunc(r.client.config.EndTime, r.stop)
	defer timer.Stop()
	<-r.ended
	return r.result()
}

func (r *Reporter) result() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return r.err
	case len(r.waiting) > 0 && r.over == nil:
		return fmt.Errorf("herald: report on job %s: the last reports did not reach the server", r.id)
	case errors.Is(r.over, ErrOver):
		return r.over
	}
	return nil
}

// note takes a report to those that wait.
func (r *Reporter) note(report Report) {
	report.Attempt = r.attempt
	r.mu.Lock()
	if r.over != nil {
		r.mu.Unlock()
		return
	}
	if last := len(r.waiting) - 1; last >= 0 && (!r.waiting[last].parts(report) || last+1 >= maxWaiting) {
		r.waiting[last].merge(report)
	} else {
		r.waiting = append(r.waiting, report)
	}
	if report.Step != "" || report.State != "" {
		r.urgent = true
	}
	r.ending = r.ending || report.State != ""
	r.mu.Unlock()
	r.signal()
}

// parts reports whether r and a later report must not become one: each step has
// its own beginning, and counts and shares belong to theirs.
func (r *Report) parts(later Report) bool {
	return r.State != "" || later.Step != "" && later.Step != r.Step && (r.Step != "" || r.StepProgress != nil || r.Processed != nil)
}

// merge adds all that a later report says.
func (r *Report) merge(later Report) {
	if later.Step != "" && later.Step != r.Step {
		r.StepProgress = nil
	}
	set(&r.State, later.State)
	set(&r.Progress, later.Progress)
	set(&r.Step, later.Step)
	set(&r.StepProgress, later.StepProgress)
	set(&r.Processed, later.Processed)
	set(&r.Total, later.Total)
	set(&r.Unit, later.Unit)
	set(&r.Message, later.Message)
	set(&r.RemainingMS, later.RemainingMS)
	set(&r.Error, later.Error)
	set(&r.RetryAt, later.RetryAt)
	r.NextWithinMS = later.NextWithinMS // a promise is of the last word
	if later.Details != nil {
		r.Details = later.Details
	}
	if later.Metadata != nil {
		r.Metadata = later.Metadata
	}
	if later.Result != nil {
		r.Result = later.Result
	}
}

// set writes value to target unless it says nothing.
func set[T comparable](target *T, value T) {
	var nothing T
	if value != nothing {
		*target = value
	}
}

func (r *Reporter) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// clampShare keeps rounding from making a report invalid. NaN stays.
func clampShare(share float64) float64 {
	if math.IsNaN(share) {
		return share
	}
	return min(max(share, 0), 1)
}

// clip makes a text one that the server takes: UTF-8 without NUL, of at most so
// many bytes.
func clip(text string, longest int) string {
	if len(text) > longest {
		text = text[:longest]
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(text[len(text)-min(utf8.UTFMax, len(text)):]) && text != ""; i++ {
			if r, size := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || size > 1 {
				break
			}
			text = text[:len(text)-1]
		}
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	}
	return text
}
