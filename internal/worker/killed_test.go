package worker_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"herald/internal/artifact"
	"herald/internal/job"
	"herald/internal/worker"
)

// These make the test binary a worker node that is to be killed.
const (
	childURL = "HERALD_TEST_WORKER_URL"
	childDir = "HERALD_TEST_WORKER_DIR"
	victim   = "victim"
)

// runChild works jobs as the node victim, none of which ever ends.
func runChild(url, dir string) error {
	s, err := newSite(context.Background(), url, dir)
	if err != nil {
		return err
	}
	pool, err := worker.NewTestPool(s.config(victim), func(ctx context.Context, t worker.Task) ([]artifact.Artifact, error) {
		if err := os.WriteFile(filepath.Join(t.Folder, "half"), []byte("half a film"), 0o600); err != nil {
			return nil, err
		}
		if err := s.blobs.WriteAll(ctx, t.Prefix+"half", []byte("half a film"), nil); err != nil {
			return nil, err
		}
		if err := t.Attempt.Report(ctx, job.Report{Message: "under way"}); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if err != nil {
		return err
	}
	return pool.Run(context.Background())
}

// startVictim starts a node in a process of its own and gives it a job.
func (b *bench) startVictim(t *testing.T) (*exec.Cmd, job.Job) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childURL+"="+b.url, childDir+"="+b.dir)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Wait() }) // its context kills it
	j := b.create(t, worker.TestKind, `{}`)
	return child, b.await(t, j.ID, "under way", func(j job.Job) bool { return j.Message == "under way" })
}

// A node is killed in the middle of a job. Another one, or the same when it
// starts again, runs the job a second time, and clears up after the first.
func TestKilledNodeLosesItsJobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, node string
		silent     bool
	}{{"to another node", "survivor", true}, {"to itself, started anew", victim, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			child, j := b.startVictim(t)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // it was killed
			if tt.silent {   // as it will be in ten seconds
				b.exec(t, `UPDATE herald.nodes SET heartbeat_at = heartbeat_at - interval '10 s' WHERE id = $1`, victim)
			}
			stop := b.run(t, b.config(tt.node), noWork)
			j = b.awaitState(t, j.ID, job.Succeeded)
			checkState(t, j, job.Succeeded)
			stop()
			if j.Attempt != 2 || j.Worker != tt.node || j.MaxAttempts != job.DefaultAttempts {
				t.Errorf("attempt %d of %d on %s, want 2 of %d on %s", j.Attempt, j.MaxAttempts, j.Worker, job.DefaultAttempts, tt.node)
			}
			if keys, files := b.keys(t), b.files(t); len(keys)+len(files) > 0 {
				t.Errorf("left behind: %v, %v", keys, files)
			}
		})
	}
}

func (b *bench) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := b.db.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
