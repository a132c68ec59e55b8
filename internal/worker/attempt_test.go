package worker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/artifact"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/progress"
	"herald/internal/worker"
)

// make puts a file into the blob store, as a job's output.
func (s *site) make(ctx context.Context, t worker.Task) ([]artifact.Artifact, error) {
	a := artifact.Artifact{
		ID: uuid.Must(uuid.NewV7()), JobID: t.Job.ID, Owner: t.Job.Owner, Kind: artifact.Video, Name: "video.mp4",
		BlobKey: t.Prefix + "video.mp4", CreatedAt: time.Now(),
	}
	return []artifact.Artifact{a}, s.blobs.WriteAll(ctx, a.BlobKey, []byte("film"), nil)
}

// checkMade checks that exactly the attempts given have left their output, and
// that all of it is entered.
func (b *bench) checkMade(t *testing.T, j job.Job, attempts ...string) {
	t.Helper()
	made, err := b.db.ArtifactsOfJob(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	keys := b.keys(t)
	if len(made) != len(attempts) || len(keys) != len(attempts) {
		t.Fatalf("%d artifacts entered, stored: %v, want those of attempts %v", len(made), keys, attempts)
	}
	for i, attempt := range attempts {
		if want := "jobs/" + j.ID.String() + "/" + attempt + "/video.mp4"; made[i].BlobKey != want || keys[i] != want {
			t.Errorf("entered %s, stored %s, want %s", made[i].BlobKey, keys[i], want)
		}
	}
}

func TestShutdownHandsJobsBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.run(t, b.config("first"), func(ctx context.Context, task worker.Task) ([]artifact.Artifact, error) {
		made, err := b.make(ctx, task)
		if err != nil {
			return nil, err
		}
		if err := task.Attempt.Report(ctx, job.Report{Message: "under way"}); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return made, ctx.Err()
	})
	j := b.create(t, worker.TestKind, `{}`)
	b.await(t, j.ID, "under way", func(j job.Job) bool { return j.Message == "under way" })
	stop()
	if j = b.job(t, j.ID); j.State != job.Retrying || j.MaxAttempts != job.DefaultAttempts+1 || !strings.Contains(j.Error, "shutting down") {
		t.Fatalf("after the shutdown the job is %+v, want it retrying, with one more attempt", j)
	}
	b.checkMade(t, j)
	stop = b.run(t, b.config("second"), b.make)
	j = b.awaitState(t, j.ID, job.Succeeded)
	checkState(t, j, job.Succeeded)
	stop()
	if j.Attempt != 2 || j.Worker != "second" {
		t.Errorf("attempt %d on %s, want 2 on second", j.Attempt, j.Worker)
	}
	b.checkMade(t, j, "2")
}

// An attempt that was taken for dead comes back after the next one has ended.
func TestZombieChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun, release := make(chan struct{}), make(chan struct{})
	stop := b.run(t, b.config("w"), func(ctx context.Context, task worker.Task) ([]artifact.Artifact, error) {
		if task.Job.Attempt == 1 {
			close(begun)
			<-release
		}
		return b.make(context.WithoutCancel(ctx), task)
	})
	j := b.create(t, worker.TestKind, `{}`)
	<-begun
	b.exec(t, `UPDATE herald.nodes SET started_at = now()`) // as if the node had started after it took the job
	j = b.awaitState(t, j.ID, job.Succeeded)
	checkState(t, j, job.Succeeded)
	close(release)
	stop()
	if now := b.job(t, j.ID); now.Version != j.Version {
		t.Errorf("the zombie changed the job from %+v to %+v", j, now)
	}
	b.checkMade(t, j, "2")
}

func TestPanicFailsTheJobAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.config("w")
	var log logs
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	stop := b.run(t, c, func(ctx context.Context, task worker.Task) ([]artifact.Artifact, error) {
		if task.Job.Title == "clip.mov" {
			panic("out of cheese")
		}
		return b.make(ctx, task)
	})
	j := b.awaitState(t, b.create(t, worker.TestKind, `{}`).ID, job.Failed)
	checkState(t, j, job.Failed)
	if j.Attempt != 1 || !strings.Contains(j.Error, "defect") || strings.Contains(j.Error, "cheese") {
		t.Errorf("attempt %d: %q, want a sentence for people, once", j.Attempt, j.Error)
	}
	other, err := b.db.CreateJob(t.Context(), job.New{Kind: worker.TestKind, Owner: "demo", Title: "another"}, b.queue)
	if err != nil {
		t.Fatal(err)
	}
	checkState(t, b.awaitState(t, other.ID, job.Succeeded), job.Succeeded)
	stop()
	if text := log.String(); !strings.Contains(text, "out of cheese") || !strings.Contains(text, "attempt_test.go") {
		t.Errorf("the log has no value and stack: %s", text)
	}
}

// logs is a log that many goroutines write.
type logs struct {
	mu     sync.Mutex // guards buffer
	buffer bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

func TestFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.run(t, b.config("w"), func(ctx context.Context, task worker.Task) ([]artifact.Artifact, error) {
		made, err := b.make(ctx, task)
		if task.Job.Attempt == 1 {
			err = errors.New("the network is away")
		}
		return made, err
	})
	j := b.create(t, worker.TestKind, `{}`)
	j = b.awaitState(t, j.ID, job.Retrying)
	checkState(t, j, job.Retrying)
	if wait := time.Until(*j.RetryAt); j.Error != "The network is away." || wait < 3*time.Second || wait > 5*time.Second {
		t.Errorf("retrying in %v: %q, want it in 5 s, and to say why", wait, j.Error)
	}
	j = b.awaitState(t, j.ID, job.Succeeded)
	checkState(t, j, job.Succeeded)
	stop()
	b.checkMade(t, j, "2")
}

func TestLastFailureIsFinal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, b.config("w"), func(context.Context, worker.Task) ([]artifact.Artifact, error) {
		return nil, errors.New("the network is away")
	})
	j, err := b.db.CreateJob(t.Context(), job.New{Kind: worker.TestKind, Owner: "demo", Title: "x", MaxAttempts: 1}, b.queue)
	if err != nil {
		t.Fatal(err)
	}
	j = b.awaitState(t, j.ID, job.Failed)
	checkState(t, j, job.Failed)
	if j, err = b.db.RetryJob(t.Context(), j.ID, "demo", b.queue); err != nil {
		t.Fatal(err)
	}
	j = b.awaitState(t, j.ID, job.Retrying)
	if checkState(t, j, job.Retrying); j.Attempt != 2 {
		t.Errorf("a new life begins with attempt %d, want 2", j.Attempt)
	}
	if _, err := b.db.CancelJob(t.Context(), j.ID, "demo", b.queue); err != nil {
		t.Fatal(err)
	}
	checkState(t, b.awaitState(t, j.ID, job.Cancelled), job.Cancelled)
}

// deaf is a queue whose word to the workers is lost.
type deaf struct{ *worker.Queue }

func (deaf) CancelTx(context.Context, pgx.Tx, int64) error { return nil }

func TestCancelThatRiverDoesNotPassOn(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]worker.Work{
		"is noticed by the heartbeat": func(ctx context.Context, _ worker.Task) ([]artifact.Artifact, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"is noticed when the attempt fails": func(context.Context, worker.Task) ([]artifact.Artifact, error) {
			return nil, errors.New("the network is away")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.config("w")
			c.Reports = progress.New(b.db, progress.Config{Pace: time.Millisecond, Heartbeat: 50 * time.Millisecond})
			stop := b.run(t, c, func(ctx context.Context, task worker.Task) ([]artifact.Artifact, error) {
				if _, err := b.db.CancelJob(ctx, task.Job.ID, "demo", deaf{b.queue}); err != nil {
					return nil, err
				}
				return ending(ctx, task)
			})
			j := b.awaitState(t, b.create(t, worker.TestKind, `{}`).ID, job.Cancelled)
			checkState(t, j, job.Cancelled)
			stop()
		})
	}
}

// flaky is a database that is away when a success is to be recorded.
type flaky struct {
	*postgres.DB
	misses  atomic.Int32 // how often it does not answer
	commits bool         // whether it does what it was asked to before
}

var errAway = errors.New("the database is away")

func (f *flaky) FinishJob(
	ctx context.Context, id uuid.UUID, r job.Report, finish func(context.Context, pgx.Tx) error,
) (out job.Outcome, err error) {
	miss := f.misses.Add(-1) >= 0
	if !miss || f.commits {
		out, err = f.DB.FinishJob(ctx, id, r, finish)
	}
	if miss {
		return job.Outcome{}, errAway
	}
	return out, err
}

func TestSuccessSurvivesADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	for name, commits := range map[string]bool{"before the commit": false, "before the answer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.config("w")
			store := &flaky{DB: b.db, commits: commits}
			store.misses.Store(3)
			c.Store = store
			stop := b.run(t, c, b.make)
			j := b.awaitState(t, b.create(t, worker.TestKind, `{}`).ID, job.Succeeded)
			checkState(t, j, job.Succeeded)
			stop()
			b.checkMade(t, j, "1")
			if now := b.job(t, j.ID); now.Attempt != 1 || now.Version != j.Version {
				t.Errorf("the job went on to %+v", now)
			}
		})
	}
}
