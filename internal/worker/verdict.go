package worker

import (
	"errors"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/riverqueue/river"

	"herald/internal/export"
	"herald/internal/ffmpeg"
	"herald/internal/job"
	"herald/internal/progress"
)

// verdict decides what an attempt's end means: its job is cancelled, goes back
// to the queue, gets another attempt after a while, or has failed.
func (p *Pool) verdict(j job.Job, err error) (r job.Report, again time.Duration) {
	if errors.Is(err, progress.ErrCancelled) || errors.Is(err, river.ErrJobCancelledRemotely) {
		return job.Report{State: job.Cancelled}, 0
	}
	now := time.Now()
	if p.isStopping() {
		return job.Report{
			State: job.Retrying, Error: "The worker is shutting down; the job goes back to the queue.", RetryAt: &now, Unblamed: true,
		}, 0
	}
	text := explain(err)
	if isPermanent(err) || j.Attempt >= j.MaxAttempts {
		return job.Report{State: job.Failed, Error: text}, 0
	}
	again = backoff(j.Attempt)
	at := now.Add(again)
	return job.Report{State: job.Retrying, Error: text, RetryAt: &at}, again
}

// backoff is the wait after the attempt with the number: 5 s, 20 s, 80 s and so
// on, up to ten minutes.
func backoff(attempt int) time.Duration {
	const first, longest, doublings = 5 * time.Second, 10 * time.Minute, 5
	return min(first<<(2*min(attempt-1, doublings)), longest)
}

// isPermanent reports whether another attempt would fail the same way.
func isPermanent(err error) bool {
	var invalid *job.InvalidError
	var panicked *panicError
	var query *export.QueryError
	if errors.As(err, &query) || errors.As(err, &invalid) || errors.As(err, &panicked) {
		return true
	}
	for _, reason := range []error{
		export.ErrValue, export.ErrColumns, errNoInput, ffmpeg.ErrNotMedia, ffmpeg.ErrNoVideo, ffmpeg.ErrNoAudio, ffmpeg.ErrNothing,
		ffmpeg.ErrTooLong, ffmpeg.ErrTooLarge,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// explain says what went wrong in a sentence for people.
func explain(err error) string {
	var panicked *panicError
	switch {
	case errors.As(err, &panicked):
		return "The worker broke down on this job. This is a defect; its trace is in the worker's log."
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, ffmpeg.ErrDiskFull):
		return "The worker's disk is full; somebody has to make room."
	}
	return sentence(err.Error())
}

// sentence makes a sentence of an error's text, of a length that a job takes.
func sentence(text string) string {
	text = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", ""))
	if text == "" {
		return "The job failed and gave no reason."
	}
	const stop = "."
	if short := clip(text, job.MaxError); short != text {
		text = short
	} else if len(text) < job.MaxError && !strings.ContainsAny(text[len(text)-1:], ".!?…") {
		text += stop
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// clip is the text, or as much of it as fits into so many bytes.
func clip(text string, longest int) string {
	const ellipsis = "…"
	if len(text) <= longest-len(ellipsis) {
		return text
	}
	return strings.ToValidUTF8(text[:longest-len(ellipsis)-utf8.UTFMax], "") + ellipsis
}
