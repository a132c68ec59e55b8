package postgres_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres"
)

// wait makes a job of the kind that waits for a worker elsewhere.
func wait(t *testing.T, db *postgres.DB, kind string) job.Job {
	t.Helper()
	j, err := db.CreateJob(t.Context(), job.New{Kind: kind, Owner: "alice", Title: kind, External: true, CreatedBy: "shop"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// The oldest that may begin comes first, of whichever kind; what may not, does not.
func TestTheNextJob(t *testing.T) {
	t.Parallel()
	db := open(t)
	later, first, other, second := wait(t, db, "a"), wait(t, db, "b"), wait(t, db, "c"), wait(t, db, "a")
	create(t, db, &queue{}) // waits for a worker of ours
	running := makeElsewhere(t, db)
	execute(t, db.Pool(), `UPDATE herald.jobs SET state = 'retrying', retry_at = now() + interval '1 h' WHERE id = $1`, later.ID)
	listed, err := db.ClaimableJobs(t.Context(), []string{"a", "b", "build", "test"}, uuid.Nil, 10)
	if err != nil || len(listed) != 2 || listed[0].ID != first.ID || listed[1].ID != second.ID {
		t.Errorf("ClaimableJobs() = %v, %v, want two", listed, err)
	}
	counts, err := db.CountClaimable(t.Context(), []string{"a", "b", "c", "build"}, 10)
	if err != nil || counts["a"] != 1 || counts["b"] != 1 || counts["c"] != 1 || counts["build"] != 0 {
		t.Errorf("CountClaimable() = %v, %v", counts, err)
	}
	for _, want := range []uuid.UUID{first.ID, second.ID} {
		j, attempt, err := db.ClaimNextJob(t.Context(), []string{"a", "b", "build", "test"}, job.Claim{By: "w", Worker: "w on host"})
		if err != nil || j.ID != want || attempt != 1 || j.State != job.Running || j.ClaimedBy != "w" || j.Worker != "w on host" {
			t.Errorf("ClaimNextJob() = %+v, %d, %v, want %s", j, attempt, err, want)
		}
	}
	if j, _, err := db.ClaimNextJob(t.Context(), []string{"a", "b", "build", "test"}, job.Claim{By: "w"}); !errors.Is(err, job.ErrNoneWaits) {
		t.Errorf("ClaimNextJob() = %+v, %v, want none (%s runs, %s is of another kind)", j, err, running.ID, other.ID)
	}
	execute(t, db.Pool(), `UPDATE herald.jobs SET retry_at = now() WHERE id = $1`, later.ID)
	if j, _, err := db.ClaimNextJob(t.Context(), []string{"a"}, job.Claim{By: "w"}); err != nil || j.ID != later.ID {
		t.Errorf("when its time has come, ClaimNextJob() = %s, %v", j.ID, err)
	}
}

// However many workers ask at once, each job has one, and none is left.
func TestManyWorkersTakeEachJobOnce(t *testing.T) {
	t.Parallel()
	const jobs, workers = 40, 8
	db := open(t)
	for range jobs {
		wait(t, db, "build")
	}
	var mu sync.Mutex
	taken := map[uuid.UUID]string{}
	var group errgroup.Group
	for w := range workers {
		group.Go(func() error {
			for {
				name := fmt.Sprint("w", w)
				j, _, err := db.ClaimNextJob(t.Context(), []string{"build", "other"}, job.Claim{By: name})
				if errors.Is(err, job.ErrNoneWaits) {
					return nil // the others may still be about to take the last
				}
				if err != nil {
					return err
				}
				mu.Lock()
				before, twice := taken[j.ID]
				taken[j.ID] = name
				mu.Unlock()
				if twice {
					return fmt.Errorf("%s has job %s, and so has %s", name, j.ID, before)
				}
			}
		})
	}
	if err := group.Wait(); err != nil || len(taken) != jobs {
		t.Errorf("%d jobs were taken, %v, want %d", len(taken), err, jobs)
	}
}

// A claim whose answer was lost is asked for again under its key, however many do
// so at once, and takes one job.
func TestTheNextJobIsClaimedOnceUnderItsKey(t *testing.T) {
	t.Parallel()
	db := open(t)
	claim := job.Claim{By: "w", Key: "k"}
	if _, _, err := db.ClaimNextJob(t.Context(), []string{"build"}, claim); !errors.Is(err, job.ErrNoneWaits) {
		t.Fatalf("ClaimNextJob() = %v, want %v", err, job.ErrNoneWaits)
	}
	for range 6 {
		wait(t, db, "build")
	}
	ids := make([]uuid.UUID, 6)
	var group errgroup.Group
	for i := range ids {
		group.Go(func() error {
			j, attempt, err := db.ClaimNextJob(t.Context(), []string{"build"}, claim)
			if ids[i] = j.ID; err == nil && attempt != 1 {
				err = fmt.Errorf("attempt %d", attempt)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if slices.SortFunc(ids, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) }); len(slices.Compact(ids)) != 1 {
		t.Errorf("jobs %v, want one", ids)
	}
	if n := count(t, db.Pool(), "SELECT count(*) FROM herald.jobs WHERE state = 'running'"); n != 1 {
		t.Errorf("%d jobs run, want 1", n)
	}
	if _, _, err := db.ClaimNextJob(t.Context(), []string{"other"}, claim); !errors.Is(err, event.ErrKeyReused) {
		t.Errorf("another request under the key: %v, want %v", err, event.ErrKeyReused)
	}
}

// What is usual of a kind and a size is known when an attempt begins, once a few
// such jobs were done.
func TestWhatIsUsual(t *testing.T) {
	t.Parallel()
	db := open(t)
	n := elsewhere()
	n.Size = 1000
	begin := func(n job.New) *job.Estimate {
		j, err := db.CreateJob(t.Context(), n, nil)
		if err != nil {
			t.Fatal(err)
		}
		var told *job.Estimate
		var payload []byte
		if err := db.Pool().QueryRow(t.Context(), `SELECT payload -> 'estimate' FROM herald.outbox WHERE job_id = $1 AND type = 'job.started'`, j.ID).Scan(&payload); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(payload, &told); err != nil {
			t.Fatal(err)
		}
		if (told == nil) != (j.Estimate == nil) {
			t.Errorf("the event says %+v, the job %+v", told, j.Estimate)
		}
		if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded}); err != nil {
			t.Fatal(err)
		}
		execute(t, db.Pool(), `UPDATE herald.jobs SET attempt_started_at = finished_at - $2::interval WHERE id = $1`, j.ID, time.Minute.String())
		return j.Estimate
	}
	for i := range 5 {
		if e := begin(n); e != nil {
			t.Errorf("after %d jobs: %+v, want nothing said", i, e)
		}
	}
	e := begin(n)
	if e == nil || *e.UsualLow != 60_000 || *e.UsualHigh != 60_000 || e.Low != nil || e.Percentile != 0 {
		t.Errorf("after five jobs of a minute: %+v", e)
	}
	n.Size = 600 // in the same power of two
	if e := begin(n); e == nil {
		t.Errorf("a job of size %d: nothing is said", n.Size)
	}
	for name, change := range map[string]func(*job.New){"size": func(n *job.New) { n.Size = 4000 }, "kind": func(n *job.New) { n.Kind = "other" }} {
		other := n
		change(&other)
		if e := begin(other); e != nil {
			t.Errorf("of another %s: %+v, want nothing said", name, e)
		}
	}
}
