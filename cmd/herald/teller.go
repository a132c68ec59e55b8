package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"herald"
)

// teller tells Herald how a command is doing. A Herald that is away is tried
// again, behind the command's back, until the command has ended.
type teller struct {
	started   chan struct{} // closed when the job is known, or will not be
	cancelled chan struct{} // closed when the job is to end
	giveUp    context.CancelFunc

	mu     sync.Mutex               // guards the fields below
	job    *herald.Reporter         // nil until it is known
	missed []func(*herald.Reporter) // the last of each kind that was said before
	last   []string                 // the last lines of the command
}

// newTeller begins to make the job.
func newTeller(ctx context.Context, client *herald.Client, n herald.NewJob, t *terminal) *teller {
	ctx, cancel := context.WithCancel(ctx)
	told := &teller{started: make(chan struct{}), cancelled: make(chan struct{}), giveUp: cancel, missed: make([]func(*herald.Reporter), 2)}
	go func() {
		defer close(told.started)
		told.start(ctx, client, n, t)
	}()
	return told
}

// start makes the job, for as long as that may help.
func (told *teller) start(ctx context.Context, client *herald.Client, n herald.NewJob, t *terminal) {
	complained := false
	for {
		r, work, err := client.StartJob(ctx, n)
		if err == nil {
			context.AfterFunc(work, func() {
				if errors.Is(context.Cause(work), herald.ErrCancelled) {
					close(told.cancelled)
				}
			})
			told.begin(r)
			return
		}
		if ctx.Err() == nil && !complained {
			complained = true
			complain(t.stderr, fmt.Errorf("the command is not reported on: %w", err))
		}
		var refused *herald.Error
		if errors.As(err, &refused) && !errors.Is(err, herald.ErrUnavailable) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// begin says what was missed.
func (told *teller) begin(r *herald.Reporter) {
	told.mu.Lock()
	defer told.mu.Unlock()
	told.job = r
	for _, say := range told.missed {
		if say != nil {
			say(r)
		}
	}
}

// awaitStart waits for the job, but not for long.
func (told *teller) awaitStart(most time.Duration) {
	select {
	case <-told.started:
	case <-time.After(most):
	}
}

// environ tells the command which job it is.
func (told *teller) environ() []string {
	told.mu.Lock()
	defer told.mu.Unlock()
	if told.job == nil {
		return nil
	}
	return []string{"HERALD_JOB=" + told.job.ID(), "HERALD_ATTEMPT=" + strconv.Itoa(told.job.Number())}
}

// The kinds of what is said.
const (
	aMessage = iota
	aProgress
)

// say says it now, or once the job is known.
func (told *teller) say(kind int, what func(*herald.Reporter)) {
	told.mu.Lock()
	defer told.mu.Unlock()
	if told.job == nil {
		told.missed[kind] = what
		return
	}
	what(told.job)
}

// end says how the command has ended.
func (told *teller) end(ctx context.Context, status int, why error) {
	told.awaitStart(lastTime)
	told.giveUp()
	<-told.started
	told.mu.Lock()
	r, last := told.job, strings.Join(told.last, "\n")
	told.mu.Unlock()
	if r == nil {
		return
	}
	switch {
	case status == 0:
		_ = r.Succeed(ctx, nil) // Close says so
	case errors.Is(why, herald.ErrCancelled) || errors.Is(why, errCancelledHere):
		_ = r.Cancelled(ctx)
	case why != nil:
		_ = r.Fail(ctx, why)
	default:
		_ = r.Fail(ctx, errors.New(strings.TrimSpace(fmt.Sprintf("exit status %d\n%s", status, last))))
	}
	_ = r.Close() // a Herald that is away is no reason for the command to fail
}

const (
	longestLine = 4 << 10 // bytes that are looked at
	lastLines   = 10      // are told of a command that fails
)

// lines returns a writer that passes everything on, and tells of the lines in it.
func (told *teller) lines(to io.Writer, pattern *regexp.Regexp, unit string) *lines {
	return &lines{to: to, told: told, pattern: pattern, unit: unit}
}

// lines is what a command writes.
type lines struct {
	to      io.Writer
	told    *teller
	pattern *regexp.Regexp
	unit    string
	line    []byte // that has not ended
}

// Write passes b on as it is.
func (l *lines) Write(b []byte) (int, error) {
	n, err := l.to.Write(b)
	for rest := b; len(rest) > 0; {
		end := bytes.IndexAny(rest, "\r\n")
		if end < 0 {
			l.add(rest)
			break
		}
		l.add(rest[:end])
		l.flush()
		rest = rest[end+1:]
	}
	return n, err
}

func (l *lines) add(part []byte) {
	l.line = append(l.line, part[:min(len(part), longestLine-len(l.line))]...)
}

// escapes are what terminals are told by, and people never see.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")

// flush tells of the line.
func (l *lines) flush() {
	text := strings.TrimSpace(plain(escapes.ReplaceAllString(string(l.line), "")))
	l.line = l.line[:0]
	if text == "" {
		return
	}
	if l.pattern != nil {
		if match := l.pattern.FindStringSubmatch(text); match != nil && l.progress(match[1:]) {
			return
		}
	}
	l.told.remember(text)
	l.told.say(aMessage, func(r *herald.Reporter) { r.Message(text) })
}

// progress tells of the numbers that a line has. It reports whether they are
// numbers.
func (l *lines) progress(groups []string) bool {
	done, err := strconv.ParseFloat(strings.TrimSpace(groups[0]), 64)
	if err != nil || math.IsNaN(done) || done < 0 {
		return false
	}
	if len(groups) == 1 {
		const whole = 100
		l.told.say(aProgress, func(r *herald.Reporter) { r.Progress(done / whole) })
		return true
	}
	all, err := strconv.ParseFloat(strings.TrimSpace(groups[1]), 64)
	if err != nil || math.IsNaN(all) || all <= 0 || math.Max(done, all) > math.MaxInt64/2 {
		return false
	}
	l.told.say(aProgress, func(r *herald.Reporter) {
		r.Count(int64(done), int64(all), l.unit)
		r.Progress(done / all)
	})
	return true
}

// remember keeps the last lines, for a failure.
func (told *teller) remember(text string) {
	told.mu.Lock()
	defer told.mu.Unlock()
	if told.last = append(told.last, text); len(told.last) > lastLines {
		told.last = told.last[1:]
	}
}
