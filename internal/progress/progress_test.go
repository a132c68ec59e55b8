package progress_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"herald/internal/job"
	"herald/internal/progress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder remembers what was recorded, and when.
type recorder struct {
	began time.Time

	mu      sync.Mutex
	reports []job.Report
	at      []time.Duration
	late    bool
	state   job.State
	fail    error
}

func (r *recorder) RecordReport(_ context.Context, _ uuid.UUID, report job.Report) (job.Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return job.Outcome{}, r.fail
	}
	r.reports = append(r.reports, report)
	r.at = append(r.at, time.Since(r.began))
	return job.Outcome{Late: r.late, Job: job.Job{State: r.state}}, nil
}

func (r *recorder) setFail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *recorder) setLate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = true
}

func (r *recorder) recorded() []job.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.reports)
}

func (r *recorder) times() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

func (r *recorder) shares() []float64 {
	shares := []float64{}
	for _, report := range r.recorded() {
		if report.Progress != nil {
			shares = append(shares, *report.Progress)
		}
	}
	return shares
}

// run starts an attempt in a bubble and ends it after the test.
func run(t *testing.T, test func(t *testing.T, rec *recorder, a *progress.Attempt, result <-chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{began: time.Now()}
		a := progress.New(rec, progress.Config{}).Attempt(uuid.New(), 3)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- a.Run(ctx) }()
		test(t, rec, a, result)
		cancel()
	})
}

func share(v float64) job.Report { return job.Report{Progress: &v} }

func TestProgressIsPacedAndItsLastIsRecorded(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, a *progress.Attempt, _ <-chan error) {
		t.Helper()
		for i := range 100 { // for a second
			a.Progress(share(float64(i+1) / 100))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		got := rec.shares()
		if len(got) < 4 || len(got) > 5 {
			t.Errorf("%d records of a second's progress, want four or five", len(got))
		}
		if got[0] != 0.01 || got[len(got)-1] != 1 {
			t.Errorf("recorded %v, want the first at once and the last at last", got)
		}
		if n := rec.recorded()[0].Attempt; n != 3 {
			t.Errorf("attempt %d, want 3", n)
		}
	})
}

func TestReportDoesNotWaitAndTakesProgressAlong(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, a *progress.Attempt, _ <-chan error) {
		t.Helper()
		a.Progress(share(0.1))
		synctest.Wait()
		a.Progress(share(0.2))
		if err := a.Report(t.Context(), job.Report{Step: "transcode"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]float64{0.1, 0.2}, rec.shares()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if last, at := rec.recorded()[1], rec.times()[1]; last.Step != "transcode" || at != 0 {
			t.Errorf("recorded %+v at %v, want the step at once", last, at)
		}
		time.Sleep(2 * time.Second)
		if n := len(rec.recorded()); n != 2 {
			t.Errorf("%d records, want no third: nothing was said since", n)
		}
	})
}

func TestWithTakesWhatWaits(t *testing.T) {
	t.Parallel()
	a := progress.New(&recorder{}, progress.Config{}).Attempt(uuid.New(), 3)
	a.Progress(share(0.7))
	r := a.With(job.Report{State: job.Succeeded})
	if r.State != job.Succeeded || r.Progress == nil || *r.Progress != 0.7 || r.Attempt != 3 {
		t.Errorf("With() = %+v, want both merged", r)
	}
	if again := a.With(job.Report{}); !again.Heartbeat() {
		t.Errorf("With() = %+v, want nothing to wait any more", again)
	}
}

func TestSilenceIsFilledWithHeartbeats(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, _ *progress.Attempt, _ <-chan error) {
		t.Helper()
		time.Sleep(16 * time.Second)
		if got := rec.recorded(); len(got) != 3 || !got[0].Heartbeat() {
			t.Errorf("recorded %+v, want three heartbeats", got)
		}
	})
}

func TestRunEndsWhenTheAttemptIsOver(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, a *progress.Attempt, result <-chan error) {
		t.Helper()
		rec.setLate()
		a.Progress(share(0.1))
		if err := <-result; !errors.Is(err, progress.ErrOver) {
			t.Errorf("Run() = %v, want %v", err, progress.ErrOver)
		}
	})
}

func TestRunEndsWhenTheJobIsGone(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, a *progress.Attempt, result <-chan error) {
		t.Helper()
		rec.setFail(job.ErrNotFound)
		a.Progress(share(0.1))
		if err := <-result; !errors.Is(err, progress.ErrOver) {
			t.Errorf("Run() = %v, want %v", err, progress.ErrOver)
		}
	})
}

func TestRunEndsWhenTheJobIsToBeCancelled(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, _ *progress.Attempt, result <-chan error) {
		t.Helper()
		rec.mu.Lock()
		rec.state = job.Cancelling
		rec.mu.Unlock()
		if err := <-result; !errors.Is(err, progress.ErrCancelled) { // with the next heartbeat
			t.Errorf("Run() = %v, want %v", err, progress.ErrCancelled)
		}
	})
}

func TestRunEndsAtARefusedReport(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, a *progress.Attempt, result <-chan error) {
		t.Helper()
		rec.setFail(&job.InvalidError{Field: "progress", Reason: "no"})
		a.Progress(share(7))
		var invalid *job.InvalidError
		if err := <-result; !errors.As(err, &invalid) {
			t.Errorf("Run() = %v, want an *InvalidError", err)
		}
	})
}

func TestProgressOutlastsADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, rec *recorder, a *progress.Attempt, _ <-chan error) {
		t.Helper()
		rec.setFail(errors.New("the database is away"))
		processed := int64(5)
		a.Progress(job.Report{Processed: &processed})
		time.Sleep(3 * time.Second)
		a.Progress(share(0.5))
		rec.setFail(nil)
		time.Sleep(time.Second)
		if got := rec.recorded(); len(got) != 1 || *got[0].Processed != 5 || *got[0].Progress != 0.5 {
			t.Errorf("recorded %+v, want one report that has both", got)
		}
	})
}
