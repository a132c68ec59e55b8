package postgres_test

import (
	"testing"
	"time"

	"herald/internal/job"
	"herald/internal/postgres"
)

const patience = 10 * time.Second

// rescue takes up lost jobs and returns how the job stands then.
func rescue(t *testing.T, db *postgres.DB, q postgres.Queue, j job.Job) job.Job {
	t.Helper()
	if _, err := db.RescueJobs(t.Context(), patience, q); err != nil {
		t.Fatal(err)
	}
	now, err := db.Job(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// silence makes a node look as if it had said nothing for longer than it may.
func silence(t *testing.T, db *postgres.DB, node string) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), `UPDATE herald.nodes SET heartbeat_at = now() - $2::interval WHERE id = $1`,
		node, (patience + time.Second).String()); err != nil {
		t.Fatal(err)
	}
}

func TestRescueLeavesALiveNodeAlone(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	if err := db.StartNode(t.Context(), "w"); err != nil {
		t.Fatal(err)
	}
	j := started(t, db, q, "w")
	if now := rescue(t, db, q, j); now.State != job.Running || now.QueueID != j.QueueID {
		t.Errorf("the job is %s, want it running as before", now.State)
	}
}

func TestRescue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, db *postgres.DB)
	}{
		{"a node that is gone", func(t *testing.T, db *postgres.DB) {
			t.Helper()
			if err := db.StopNode(t.Context(), "w"); err != nil {
				t.Fatal(err)
			}
		}},
		{"a node that is silent", func(t *testing.T, db *postgres.DB) {
			t.Helper()
			silence(t, db, "w")
		}},
		{"a node that has started anew", func(t *testing.T, db *postgres.DB) {
			t.Helper()
			if err := db.StartNode(t.Context(), "w"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db, q := open(t), &queue{}
			if err := db.StartNode(t.Context(), "w"); err != nil {
				t.Fatal(err)
			}
			j := started(t, db, q, "w")
			tt.lose(t, db)
			now := rescue(t, db, q, j)
			if now.State != job.Retrying || now.Error == "" || now.QueueID == j.QueueID {
				t.Fatalf("the job is %+v, want it retrying under a new entry, and to say why", now)
			}
			again := rescue(t, db, q, j)
			if again.Version != now.Version {
				t.Errorf("a second rescue changed the job: %+v", again)
			}
			if next, err := db.StartJob(t.Context(), j.ID, now.QueueID, "w2", nil); err != nil || next.Attempt != 2 {
				t.Errorf("StartJob() = attempt %d, %v, want attempt 2", next.Attempt, err)
			}
			if out, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded}); err != nil || !out.Late {
				t.Errorf("the zombie's report: %+v, %v, want it late", out, err)
			}
		})
	}
}

func TestRescueOfAJobThatWasFetchedButNotStarted(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := create(t, db, q)
	take(t, db, j.QueueID, "gone")
	now := rescue(t, db, q, j)
	if now.State != job.Queued || now.QueueID == j.QueueID {
		t.Errorf("the job is %s under entry %d, want it queued under a new one", now.State, now.QueueID)
	}
}

func TestRescueEndsWhatWasToBeCancelled(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "gone")
	if _, err := db.CancelJob(t.Context(), j.ID, "demo", q); err != nil {
		t.Fatal(err)
	}
	if now := rescue(t, db, q, j); now.State != job.Cancelled || now.QueueID != j.QueueID {
		t.Errorf("the job is %s, want it cancelled, and no new entry", now.State)
	}
}

func TestRescueEndsWhatHasNoAttemptLeft(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "gone")
	for range job.DefaultAttempts - 1 {
		j = rescue(t, db, q, j)
		take(t, db, j.QueueID, "gone")
		var err error
		if j, err = db.StartJob(t.Context(), j.ID, j.QueueID, "gone", nil); err != nil {
			t.Fatal(err)
		}
	}
	if now := rescue(t, db, q, j); now.State != job.Failed {
		t.Errorf("after its last attempt was lost, the job is %s, want it failed", now.State)
	}
}

func TestRescueOfAnEntryWhoseJobIsDeleted(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "gone")
	if _, err := db.Pool().Exec(t.Context(), `DELETE FROM herald.jobs`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		if n, err := db.RescueJobs(t.Context(), patience, q); n != want || err != nil {
			t.Errorf("RescueJobs() = %d, %v, want %d (entry %d)", n, err, want, j.QueueID)
		}
	}
}
