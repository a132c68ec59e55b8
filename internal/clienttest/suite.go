// Package clienttest has the tests that herald.Client passes against every
// server: the one in heraldtest, and the real API.
package clienttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald"
)

// Target is a server with a user alice, a worker robot and a back end shop.
type Target struct {
	Config    func(who string) herald.Config // how alice, robot or shop reach it
	Interrupt func()                         // ends all streams, as when a node stops, and another takes its place
}

// Test runs all tests, each against a server of its own.
func Test(t *testing.T, setup func(t *testing.T) Target) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Target){
		"Life": life, "Do": do, "Claim": claim, "ClaimNext": claimNext, "Refusals": refusals, "Once": once, "LostAnswers": lostAnswers,
		"Reporter": reporter, "Cancel": cancel, "Stream": stream, "Filter": filter, "Pages": pages, "Publish": publish,
		"LostNotices": lostNotices,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

// client returns a client; change may alter its Config.
func (target Target) client(t *testing.T, who string, change ...func(*herald.Config)) *herald.Client {
	t.Helper()
	config := target.Config(who)
	config.Pace, config.MinWait, config.MaxWait = time.Millisecond, time.Millisecond, 200*time.Millisecond
	for _, c := range change {
		c(&config)
	}
	c, err := herald.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func build(title string) herald.NewJob {
	return herald.NewJob{Kind: "build", Title: title, Owner: "alice", Metadata: map[string]any{"tenant": "acme", "size": 3}}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func start(t *testing.T, c *herald.Client, n herald.NewJob) (*herald.Reporter, context.Context) {
	t.Helper()
	r, ctx, err := c.StartJob(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, ctx
}

func life(t *testing.T, target Target) {
	alice, robot := target.client(t, "alice"), target.client(t, "robot")
	r, _ := start(t, robot, build("a build"))
	j := must[herald.Job](t)(alice.Job(t.Context(), r.ID()))
	if j.State != herald.Running || j.Attempt != 1 || j.Owner != "alice" || j.Worker != "robot" || !j.External || j.Metadata["tenant"] != "acme" {
		t.Errorf("the job is %+v", j)
	}
	if err := r.Fail(t.Context(), errors.New("it broke")); err != nil {
		t.Fatal(err)
	}
	if j = must[herald.Job](t)(alice.RetryJob(t.Context(), j.ID)); j.State != herald.Queued {
		t.Errorf("after a retry: %s", j.State)
	}
	if j = must[herald.Job](t)(alice.CancelJob(t.Context(), j.ID)); j.State != herald.Cancelled {
		t.Errorf("after a cancel: %s", j.State)
	}
	var types []string
	for _, e := range must[[]herald.Event](t)(alice.JobEvents(t.Context(), j.ID, 0)) {
		types = append(types, e.Type)
	}
	if want := []string{"job.queued", "job.started", "job.failed", "job.queued", "job.cancelled"}; len(types) > 0 && !slices.Equal(types, want[:len(types)]) {
		t.Errorf("events %v, want %v as far as they are in the log", types, want)
	}
	for range 2 {
		if err := alice.DeleteJob(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := alice.Job(t.Context(), j.ID); !errors.Is(err, herald.ErrNotFound) {
		t.Errorf("a job that was deleted: %v", err)
	}
}

func do(t *testing.T, target Target) {
	robot := target.client(t, "robot")
	var id string
	run := func(work func(ctx context.Context, r *herald.Reporter) error) (herald.Job, error) {
		err := robot.Do(t.Context(), build("done"), func(ctx context.Context, r *herald.Reporter) error {
			id = r.ID()
			return work(ctx, r)
		})
		return must[herald.Job](t)(robot.Job(t.Context(), id)), err
	}
	if j, err := run(func(_ context.Context, r *herald.Reporter) error { r.Message("hello"); return nil }); err != nil ||
		j.State != herald.Succeeded || j.Progress != 1 || j.Message != "hello" {
		t.Errorf("after success: %+v, %v", j, err)
	}
	broken := errors.New("it broke")
	if j, err := run(func(_ context.Context, r *herald.Reporter) error { r.Progress(0.4); return broken }); !errors.Is(err, broken) ||
		j.State != herald.Failed || j.Error != "it broke" || j.Progress != 0.4 {
		t.Errorf("after a failure: %+v, %v", j, err)
	}
	if j, err := run(func(ctx context.Context, r *herald.Reporter) error {
		if _, err := target.client(t, "alice").CancelJob(t.Context(), r.ID()); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}); !errors.Is(err, herald.ErrCancelled) || j.State != herald.Cancelled {
		t.Errorf("after a cancel: %+v, %v", j, err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = run(func(context.Context, *herald.Reporter) error { panic("oh") })
	}()
	if j := must[herald.Job](t)(robot.Job(t.Context(), id)); j.State != herald.Failed {
		t.Errorf("after a panic: %+v", j)
	}
}

func claim(t *testing.T, target Target) {
	robot := target.client(t, "robot")
	n := build("to be claimed")
	n.External = true
	j := must[herald.Job](t)(robot.CreateJob(t.Context(), n))
	first, ctx, err := robot.Claim(t.Context(), j.ID, "robot on host", herald.Step{Name: "one", Weight: 1}, herald.Step{Name: "two", Weight: 3})
	if err != nil || first.Number() != 1 {
		t.Fatalf("Claim() = %v", err)
	}
	defer first.Close()
	if _, _, err := robot.Claim(t.Context(), j.ID, ""); !errors.Is(err, herald.ErrConflict) {
		t.Errorf("a second claim: %v, want a conflict", err)
	}
	first.Step("two")
	first.Count(1, 2, "rows")
	if err := first.Retry(t.Context(), errors.New("a try"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if j = must[herald.Job](t)(robot.Job(t.Context(), j.ID)); j.State != herald.Retrying || j.Progress != 0.625 || j.Step != "two" || j.Worker != "robot on host" {
		t.Errorf("the job is %+v", j)
	}
	second, _, err := robot.Claim(t.Context(), j.ID, "")
	if err != nil || second.Number() != 2 {
		t.Fatalf("the second attempt: %v", err)
	}
	defer second.Close()
	zombie, over := robot.Attempt(t.Context(), j.ID, 1)
	zombie.Message("I live")
	if err := zombie.Close(); !errors.Is(err, herald.ErrOver) || !errors.Is(context.Cause(over), herald.ErrOver) {
		t.Errorf("a report of the first attempt: %v, %v, want to be told that it is over", err, context.Cause(over))
	}
	if err := second.Succeed(t.Context(), map[string]int{"n": 7}); err != nil {
		t.Fatal(err)
	}
	j = must[herald.Job](t)(robot.Job(t.Context(), j.ID))
	if string(j.Result) != `{"n":7}` || j.Message == "I live" || ctx.Err() != nil && !errors.Is(context.Cause(ctx), herald.ErrOver) {
		t.Errorf("the job is %+v, the first attempt's context %v", j, context.Cause(ctx))
	}
}

func claimNext(t *testing.T, target Target) {
	robot := target.client(t, "robot")
	n := build("to be taken")
	n.External, n.LeaseMS, n.Size = true, 60_000, 7
	type taken struct {
		job herald.Job
		r   *herald.Reporter
		err error
	}
	next := make(chan taken, 1)
	go func() {
		j, r, _, err := robot.ClaimNext(t.Context(), herald.NextJob{Kinds: []string{"other", "build"}, Worker: "robot on host"})
		next <- taken{j, r, err}
	}()
	first, second := must[herald.Job](t)(robot.CreateJob(t.Context(), n)), must[herald.Job](t)(robot.CreateJob(t.Context(), n))
	got := <-next
	if got.err != nil || got.job.ID != first.ID || got.r.Number() != 1 || got.job.Worker != "robot on host" || *got.job.LeaseMS != 60_000 {
		t.Fatalf("ClaimNext() = %+v, %v, want attempt 1 of %s", got.job, got.err, first.ID)
	}
	if err := got.r.Succeed(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_ = got.r.Close()
	var waiting []string
	for j, err := range robot.Jobs(t.Context(), herald.JobFilter{Kind: "build", Claimable: true}) {
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, j.ID)
	}
	if !slices.Equal(waiting, []string{second.ID}) {
		t.Errorf("claimable are %v, want %s", waiting, second.ID)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, _, _, err := robot.ClaimNext(ctx, herald.NextJob{Kinds: []string{"none"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("ClaimNext() = %v, want %v", err, context.Canceled)
	}
}

func refusals(t *testing.T, target Target) {
	robot := target.client(t, "robot")
	r, _ := start(t, robot, build("refused"))
	nobody := target.client(t, "robot", func(c *herald.Config) { c.Token = "" })
	for name, tt := range map[string]struct {
		err  error
		want error
	}{
		"no such job":    {second(robot.Job(t.Context(), "0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e")), herald.ErrNotFound},
		"no token":       {second(nobody.Job(t.Context(), r.ID())), herald.ErrUnauthorized},
		"bad report":     {second(robot.Report(t.Context(), r.ID(), herald.Report{Attempt: 7})), herald.ErrInvalid},
		"bad metadata":   {second(robot.CreateJob(t.Context(), herald.NewJob{Kind: "x", Title: "x", External: true, Metadata: map[string]any{"a": nil}})), herald.ErrInvalid},
		"not to be JSON": {second(robot.CreateJob(t.Context(), herald.NewJob{Kind: "x", Title: "x", External: true, Args: func() {}})), herald.ErrInvalid},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", name, tt.err, tt.want)
		}
	}
	var refused *herald.Error
	if _, err := robot.Report(t.Context(), r.ID(), herald.Report{Attempt: 1, State: herald.Failed}); !errors.As(err, &refused) ||
		refused.Type != "/problems/invalid" || refused.Detail == "" {
		t.Errorf("a failure without an error: %#v", err)
	}
	r.Step("one")
	r.Metadata(map[string]any{"a": []int{1}}) // is refused, and takes nothing else with it
	r.Message("still here")
	if err := r.Succeed(t.Context(), nil); err != nil {
		t.Errorf("Succeed() = %v", err)
	}
	if err := r.Close(); !errors.Is(err, herald.ErrInvalid) {
		t.Errorf("Close() = %v, want what was refused", err)
	}
	if j := must[herald.Job](t)(robot.Job(t.Context(), r.ID())); j.State != herald.Succeeded {
		t.Errorf("the job is %+v, want its end recorded", j)
	}
}

func second[T any](_ T, err error) error { return err }

// wait asks until it is so; the log is written a moment after the answer.
func wait(t *testing.T, so func() bool) {
	t.Helper()
	for !so() {
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func reporter(t *testing.T, target Target) {
	robot := target.client(t, "robot")
	r, _ := start(t, robot, build("reported"))
	for i := range 1000 {
		r.Progress(float64(i) / 1000)
		r.Count(int64(i), 1000, "rows")
		r.Message(fmt.Sprintf("row %d \x00 \xff", i))
	}
	r.Remaining(90 * time.Second)
	r.Details(map[string]any{"fps": 24})
	r.Metadata(map[string]any{"tenant": "other"})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	j := must[herald.Job](t)(robot.Job(t.Context(), r.ID()))
	if j.State != herald.Running || j.Progress != 0.999 || *j.Processed != 999 || *j.Total != 1000 || j.Unit != "rows" ||
		j.Message != "row 999 ? ?" || *j.RemainingMS != 90_000 || string(j.Details) != `{"fps":24}` || j.Metadata["tenant"] != "other" {
		t.Errorf("the job is %+v, want the last of all that was said", j)
	}
	if j.Version > 1000 {
		t.Errorf("the job is at version %d: nothing was merged", j.Version)
	}
	again, _ := robot.Attempt(t.Context(), r.ID(), 1)
	if err := again.Succeed(t.Context(), nil); err != nil {
		t.Errorf("Succeed() = %v", err)
	}
	again.Message("too late")
	if err := again.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func cancel(t *testing.T, target Target) {
	robot, alice := target.client(t, "robot"), target.client(t, "alice")
	r, ctx := start(t, robot, build("cancelled"))
	must[herald.Job](t)(alice.CancelJob(t.Context(), r.ID()))
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), herald.ErrCancelled) {
		t.Errorf("the cause is %v, want %v", context.Cause(ctx), herald.ErrCancelled)
	}
	if err := r.Cancelled(ctx); err != nil { // though ctx has ended
		t.Errorf("Cancelled() = %v", err)
	}
	if j := must[herald.Job](t)(alice.Job(t.Context(), r.ID())); j.State != herald.Cancelled {
		t.Errorf("the job is %s", j.State)
	}
	other, ctx := start(t, robot, build("ended by another"))
	if _, err := robot.Report(t.Context(), other.ID(), herald.Report{Attempt: 1, State: herald.Succeeded}); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), herald.ErrOver) {
		t.Errorf("the cause is %v, want %v", context.Cause(ctx), herald.ErrOver)
	}
}

// A stream has each event once and in order, however often it is interrupted.
func stream(t *testing.T, target Target) {
	robot, alice := target.client(t, "robot"), target.client(t, "alice")
	r, _ := start(t, robot, build("followed"))
	const steps = 60
	var reports sync.WaitGroup
	defer reports.Wait()
	reports.Go(func() {
		for i := range steps {
			if i%20 == 10 {
				target.Interrupt()
			}
			if _, err := robot.Report(t.Context(), r.ID(), herald.Report{Attempt: 1, Step: fmt.Sprintf("step %d", i)}); err != nil {
				t.Error(err)
			}
		}
		if _, err := robot.Report(t.Context(), r.ID(), herald.Report{Attempt: 1, State: herald.Succeeded}); err != nil {
			t.Error(err)
		}
	})
	var j herald.Job
	var last int64
	var seen []string
	for e, err := range alice.Events(t.Context(), "job:"+r.ID()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == herald.StreamSnapshot {
			jobs := must[[]herald.Job](t)(e.Jobs())
			if len(jobs) != 1 || len(seen) > 0 {
				t.Fatalf("a snapshot of %d jobs after %d events", len(jobs), len(seen))
			}
			j, last = jobs[0], e.Seq
			continue
		}
		if e.Seq <= last {
			t.Fatalf("seq %d after %d", e.Seq, last)
		}
		last = e.Seq
		next := must[herald.Job](t)(j.Apply(e))
		if j.Version > 0 && next.Version > j.Version+1 {
			t.Fatalf("version %d after %d: something was missed", next.Version, j.Version)
		}
		if j = next; e.Type == herald.JobStep {
			seen = append(seen, j.Step)
		}
		if j.State.Ended() {
			break
		}
	}
	if j.State != herald.Succeeded || len(seen) == 0 || seen[len(seen)-1] != fmt.Sprintf("step %d", steps-1) {
		t.Errorf("%d steps seen, the last %v of a %s job", len(seen), seen[max(0, len(seen)-1):], j.State)
	}
}

func filter(t *testing.T, target Target) {
	robot, alice := target.client(t, "robot"), target.client(t, "alice")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	options := herald.StreamOptions{Types: []string{"job.succeeded"}, Metadata: map[string][]string{"size": {"3"}}}
	for e, err := range alice.Stream(ctx, options) {
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			t.Fatal(err)
		case e.Type == herald.StreamSnapshot:
			other := build("of another size")
			other.Metadata["size"] = 4
			for _, n := range []herald.NewJob{other, build("of size 3")} {
				if err := robot.Do(ctx, n, func(context.Context, *herald.Reporter) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
		default:
			j := must[herald.Job](t)(herald.Job{}.Apply(e))
			if j.Title != "of size 3" || e.Type != herald.JobSucceeded {
				t.Errorf("%s of %q came through", e.Type, j.Title)
			}
			stop()
		}
	}
	t.Error("the stream ended without an error")
}

func pages(t *testing.T, target Target) {
	robot, alice := target.client(t, "robot"), target.client(t, "alice")
	var want []string
	for i := range 3 {
		n := build(fmt.Sprintf("job %d", i))
		n.External = true
		want = append([]string{must[herald.Job](t)(robot.CreateJob(t.Context(), n)).ID}, want...)
	}
	var got []string
	for j, err := range alice.Jobs(t.Context(), herald.JobFilter{State: "active", Kind: "build"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, j.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs: -want +got:\n%s", diff)
	}
	for range alice.Jobs(t.Context(), herald.JobFilter{State: "ended"}) {
		t.Error("a job has ended")
	}
}
