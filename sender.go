package herald

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// run sends what waits, at the pace, and heartbeats in between, until the
// Reporter is closed or ctx ends.
func (r *Reporter) run(ctx context.Context) {
	defer r.finish()
	var sent time.Time // when the last report was; the zero time lets the first go out at once
	began := time.Now()
	for {
		if !r.awaitWork(ctx, sent, began) {
			return
		}
		batch, more := r.take()
		if !more {
			r.settle()
			return
		}
		if !r.deliver(ctx, batch) {
			return
		}
		sent = time.Now()
		if r.settle() {
			return
		}
	}
}

// awaitWork waits until something is to be sent: what waits, when the pace allows
// it or it is urgent, or a heartbeat. It reports false when ctx has ended.
func (r *Reporter) awaitWork(ctx context.Context, sent, began time.Time) bool {
	for {
		r.mu.Lock()
		urgent := r.urgent || r.closing || r.over != nil
		some := len(r.waiting) > 0
		r.mu.Unlock()
		due := later(sent, began).Add(r.client.config.Heartbeat)
		if some {
			due = sent.Add(r.client.config.Pace)
		}
		wait := time.Until(due)
		if urgent || wait <= 0 {
			return ctx.Err() == nil
		}
		if !r.pause(ctx, wait) {
			return false
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pause waits for the time, or for something new. It reports false when ctx has
// ended.
func (r *Reporter) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-r.wake:
	}
	return true
}

// take returns what waits, which then waits no more, or a heartbeat. It reports
// false when nothing is to be sent any more.
func (r *Reporter) take() ([]Report, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := r.waiting
	r.waiting, r.urgent = nil, false
	switch {
	case r.over != nil:
		return nil, false
	case len(batch) == 0:
		return []Report{{Attempt: r.attempt, NextWithinMS: r.promise()}}, !r.closing
	}
	batch[len(batch)-1].NextWithinMS = r.promise()
	return batch, true
}

// promise is when the server hears from the Reporter again at the latest, if that
// is not soon: whoever chose a long heartbeat is not to pass for stalled.
func (r *Reporter) promise() *int64 {
	const soon, longest, lost = 10 * time.Second, 24 * time.Hour, 3
	if r.client.config.Heartbeat <= soon {
		return nil
	}
	return new(min(lost*r.client.config.Heartbeat, longest).Milliseconds())
}

// deliver sends the reports for as long as it may help, and always under the
// same key: nothing is recorded twice, and nothing that comes later overtakes it.
// It reports false when ctx has ended before.
func (r *Reporter) deliver(ctx context.Context, batch []Report) bool {
	key := newKey()
	for failures := 1; ; failures++ {
		receipt, err := r.client.report(ctx, r.id, batch, key, 1)
		if err == nil {
			r.learn(batch, receipt)
			return true
		}
		if ctx.Err() != nil {
			r.putBack(batch)
			return false
		}
		r.client.config.Log.WarnContext(ctx, "report not recorded", "job", r.id, "error", err)
		switch {
		case errors.Is(err, ErrNotFound): // another worker's by now, or deleted
			r.give(ErrOver)
			return true
		case isRefusal(err):
			return r.salvage(ctx, batch, err)
		case isBeat(batch) && r.hasWork(): // which is as good a sign of life
			return true
		}
		if !r.pauseAfter(ctx, err, failures) {
			r.putBack(batch)
			return false
		}
	}
}

// isRefusal reports whether sending a report again would be of no use. A token
// that is refused may be replaced.
func isRefusal(err error) bool {
	return errors.Is(err, ErrInvalid) || !repeatable(err) && !errors.Is(err, ErrUnauthorized)
}

func isBeat(batch []Report) bool {
	return sameReport(batch[0], Report{Attempt: batch[0].Attempt, NextWithinMS: batch[0].NextWithinMS})
}

func sameReport(a, b Report) bool { return reflect.DeepEqual(a, b) }

// salvage sends what is not to blame for the refusal of a batch: each report by
// itself, and of the last one at least how the attempt has ended.
func (r *Reporter) salvage(ctx context.Context, batch []Report, why error) bool {
	if len(batch) > 1 {
		for i := range batch {
			if !r.deliver(ctx, batch[i:i+1]) {
				r.putBack(batch[i+1:])
				return false
			}
		}
		return true
	}
	r.refused(fmt.Errorf("report on job %s: %w", r.id, why))
	whole := batch[0]
	bare := Report{Attempt: whole.Attempt, State: whole.State, Error: whole.Error, RetryAt: whole.RetryAt, Result: whole.Result}
	if whole.State == "" || sameReport(whole, bare) {
		return true
	}
	return r.deliver(ctx, []Report{bare})
}

// refused keeps the reason why a report is lost.
func (r *Reporter) refused(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// pauseAfter waits before the next try: not for long while somebody waits for the
// Reporter's last word, unless the server wants it so. It reports false when ctx
// has ended.
func (r *Reporter) pauseAfter(ctx context.Context, err error, failures int) bool {
	const impatient = 3 // failures, after which a last word waits no longer
	var least time.Duration
	if refused, ok := errors.AsType[*Error](err); ok {
		least = min(refused.RetryAfter, r.client.config.MaxWait)
	}
	usual := r.client.backoff(failures)
	for began := time.Now(); ; {
		wait := usual
		if r.isEnding() {
			wait = min(wait, r.client.backoff(min(failures, impatient)))
		}
		left := time.Until(began.Add(max(wait, least)))
		if left <= 0 {
			return ctx.Err() == nil
		}
		if !r.pause(ctx, left) {
			return false
		}
	}
}

func (r *Reporter) isEnding() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ending || r.closing
}

// learn reads from the answer whether the attempt has ended, and whether the
// worker is to stop.
func (r *Reporter) learn(batch []Report, receipt Receipt) {
	late := false
	for _, recorded := range receipt.Reports {
		late = late || recorded.Outcome == Late
	}
	switch {
	case late || receipt.Attempt != r.attempt:
		r.give(ErrOver)
	case batch[len(batch)-1].State != "":
		r.mu.Lock()
		defer r.mu.Unlock()
		r.over = errEnded
	case receipt.State == Cancelling:
		r.cancel(ErrCancelled)
	}
}

// give ends the attempt: nothing that it says counts any more.
func (r *Reporter) give(why error) {
	r.mu.Lock()
	if r.over == nil {
		r.over = why
	}
	r.mu.Unlock()
	r.cancel(why)
	r.signal()
}

// errEnded is why a Reporter takes nothing after the report that has ended its
// attempt.
var errEnded = errors.New("the attempt was reported to have ended")

// settle tells those who wait when nothing does any more, and reports whether the
// Reporter is done.
func (r *Reporter) settle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil && len(r.waiting) > 0 {
		return false
	}
	for _, w := range r.waiters {
		w <- r.outcome()
	}
	r.waiters = nil
	return r.over != nil || r.closing
}

// outcome is what those are told who have said how the attempt ended. It is
// called with mu held.
func (r *Reporter) outcome() error {
	switch {
	case errors.Is(r.over, errEnded):
		return nil
	case r.over != nil:
		return r.over
	}
	return r.err
}

// finish lets nobody wait for a Reporter that sends nothing more.
func (r *Reporter) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters = nil // they see that it has ended
}

func (r *Reporter) hasWork() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) > 0 || r.closing
}

// putBack keeps what was not sent, for Close to tell.
func (r *Reporter) putBack(batch []Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(slices.Clone(batch), r.waiting...)
}

// stopped ends the attempt, unless that is what its own last report has done.
func (r *Reporter) stopped() {
	r.mu.Lock()
	ending := r.ending
	r.mu.Unlock()
	if !ending {
		r.give(ErrOver)
	}
}

// listen waits for what the worker is to do, so that a cancel reaches it at once.
// Whatever it misses, the answer to the next report tells.
func (r *Reporter) listen(ctx context.Context) {
	const wait = 25 * time.Second
	for failures := 0; ; {
		commands, err := r.client.Commands(ctx, r.id, r.attempt, wait)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrNotFound):
			r.give(ErrOver)
			return
		case err != nil:
			failures++
			if !sleep(ctx, r.client.backoff(failures)) {
				return
			}
			continue
		}
		failures = 0
		for _, c := range commands.Commands {
			switch c {
			case CommandCancel:
				r.cancel(ErrCancelled)
				return
			case CommandStop:
				r.stopped()
				return
			}
		}
		if !sleep(ctx, r.client.backoff(1)) { // a server that does not wait is not asked all the time
			return
		}
	}
}
