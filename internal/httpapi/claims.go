package httpapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"herald/internal/auth"
	"herald/internal/job"
)

type (
	nextIn struct {
		Key  string `header:"Idempotency-Key" maxLength:"200" doc:"With one under which a job was claimed, that job comes again, as it stands now."`
		Body struct {
			Kinds  []string   `json:"kinds" minItems:"1" maxItems:"16" doc:"What the worker can do."`
			Worker string     `json:"worker,omitempty" maxLength:"200" doc:"What people call the worker; by default, who asks."`
			Steps  []planStep `json:"steps,omitempty" maxItems:"32" doc:"The attempt's plan."`
			Wait   int        `json:"wait,omitempty" minimum:"0" maximum:"30" doc:"How many seconds to wait for a job; 0: not at all."`
		}
	}
	nextOut struct {
		Body struct {
			Attempt int      `json:"attempt" doc:"The number that reports name; 0 when no job was there."`
			Job     *job.Job `json:"job" doc:"Null when no job was there: ask again."`
		}
	}
)

// claimNextJob begins an attempt of the oldest job of the kinds, as soon as one
// waits for a worker.
func (a *api) claimNextJob(ctx context.Context, in *nextIn) (*nextOut, error) {
	p := principalOf(ctx)
	if !p.MayClaim() {
		return nil, fmt.Errorf("%w: run jobs", auth.ErrForbidden)
	}
	claim := job.Claim{By: p.User, Worker: in.Body.Worker, Plan: planOf(in.Body.Steps), Key: in.Key}
	kinds := slices.Compact(slices.Sorted(slices.Values(in.Body.Kinds)))
	if !isText(strings.Join(kinds, "")) {
		return nil, &job.InvalidError{Field: "kinds", Reason: "there is a NUL byte in a kind's name"}
	}
	out := &nextOut{}
	try := func() error {
		j, attempt, err := a.Jobs.ClaimNextJob(ctx, kinds, claim)
		if err == nil {
			out.Body.Job, out.Body.Attempt = &j, attempt
		}
		return err
	}
	err := try()
	if errors.Is(err, job.ErrNoneWaits) && in.Body.Wait > 0 {
		err = a.awaitJob(ctx, time.Duration(in.Body.Wait)*time.Second, kinds, try)
	}
	if errors.Is(err, job.ErrNoneWaits) {
		err = nil
	}
	return out, err
}

// awaitJob tries again whenever there may be a job, for as long as given. The error
// is job.ErrNoneWaits then.
func (a *api) awaitJob(ctx context.Context, longest time.Duration, kinds []string, try func() error) error {
	left, err := a.limits.wait(principalOf(ctx).User)
	if err != nil {
		return err
	}
	defer left()
	waiting, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return a.waiters.await(waiting, a.Hub.Closing(), kinds, try)
}

// claimable lists the jobs of the kind that wait for a worker elsewhere.
func (a *api) claimable(ctx context.Context, f job.Filter) ([]job.Job, error) {
	switch {
	case !principalOf(ctx).MayClaim():
		return nil, fmt.Errorf("%w: see what waits for a worker", auth.ErrForbidden)
	case f.Kind == "" || len(f.States) > 0:
		return nil, fmt.Errorf("%w: claimable goes with a kind, and without a state", errBadQuery)
	}
	if err := a.note(ctx, "", "claimable:"+f.Kind); err != nil {
		return nil, err
	}
	return a.Jobs.ClaimableJobs(ctx, []string{f.Kind}, f.Before, f.Limit)
}

// waiters are the requests that wait for a job to claim. One of them, whoever has
// the turn, looks for all, so that the database is asked once in a while however
// many wait.
type waiters struct {
	jobs Jobs
	turn chan struct{} // holds one unless somebody has it

	mu  sync.Mutex // guards the field below
	all map[*waiter]struct{}
}

// waiter is one that waits.
type waiter struct {
	kinds []string
	woken chan struct{} // holds one when there may be a job
}

// lookInterval is how often somebody looks.
const lookInterval = 300 * time.Millisecond

func newWaiters(jobs Jobs) *waiters {
	ws := &waiters{jobs: jobs, turn: make(chan struct{}, 1), all: map[*waiter]struct{}{}}
	ws.turn <- struct{}{}
	return ws
}

// await tries again whenever there may be a job of the kinds, until there was one
// or it is refused. It returns job.ErrNoneWaits when ctx has ended, or the node is
// to stop.
func (ws *waiters) await(ctx context.Context, closing <-chan struct{}, kinds []string, try func() error) error {
	w := &waiter{kinds: kinds, woken: make(chan struct{}, 1)}
	ws.enter(w)
	defer ws.leave(w)
	for {
		select {
		case <-ctx.Done():
			return job.ErrNoneWaits
		case <-closing:
			return job.ErrNoneWaits
		case <-w.woken:
			if err := try(); !errors.Is(err, job.ErrNoneWaits) {
				return err
			}
		case <-ws.turn:
			err := ws.look(ctx, closing, w)
			ws.turn <- struct{}{}
			if err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (ws *waiters) enter(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.all[w] = struct{}{}
}

func (ws *waiters) leave(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
}

// look looks for all now and then, until the waiter that does so is woken itself.
func (ws *waiters) look(ctx context.Context, closing <-chan struct{}, w *waiter) error {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for len(w.woken) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-closing:
			return nil
		case <-ticker.C:
		}
		kinds, most := ws.asked()
		jobs, err := ws.jobs.CountClaimable(ctx, kinds, most)
		if err != nil {
			return err
		}
		ws.wake(jobs)
	}
	return nil
}

// asked returns the kinds that are waited for, and how many wait.
func (ws *waiters) asked() (kinds []string, most int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		kinds = append(kinds, w.kinds...)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds), len(ws.all)
}

// wake wakes as many of those that wait for a kind as there are jobs of it.
func (ws *waiters) wake(jobs map[string]int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		at := slices.IndexFunc(w.kinds, func(kind string) bool { return jobs[kind] > 0 })
		if at < 0 {
			continue
		}
		jobs[w.kinds[at]]--
		select {
		case w.woken <- struct{}{}:
		default: // it has been woken, and did not look yet
		}
	}
}
