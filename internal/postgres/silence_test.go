package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres"
)

// waits is how long workers are waited for in tests.
func waits() job.Patience {
	return job.Patience{Silence: 30 * time.Second, Cancel: time.Minute, Lease: 10 * time.Minute}
}

// endSilence looks after silent workers and returns how the job stands then.
func endSilence(t *testing.T, db *postgres.DB, q postgres.Queue, j job.Job, p job.Patience) job.Job {
	t.Helper()
	if _, err := db.EndSilence(t.Context(), p, q); err != nil {
		t.Fatal(err)
	}
	now, err := db.Job(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// age makes all that a job's worker and those who want it cancelled have said so
// much older.
func age(t *testing.T, db *postgres.DB, j job.Job, by time.Duration) {
	t.Helper()
	execute(t, db.Pool(), `UPDATE herald.jobs SET heartbeat_at = heartbeat_at - $2::interval, next_due_at = next_due_at - $2::interval,
		cancel_asked_at = cancel_asked_at - $2::interval WHERE id = $1`, j.ID, by.String())
}

func TestStall(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	silent, talking, promised := started(t, db, q, "w"), started(t, db, q, "w"), makeElsewhere(t, db)
	if _, err := sqlReport(t.Context(), db.Pool(), promised.ID, job.Report{Attempt: 1, NextWithin: new(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	age(t, db, silent, 31*time.Second)
	age(t, db, promised, 31*time.Second)
	for _, want := range []int{1, 0} {
		if n, err := db.EndSilence(t.Context(), waits(), q); n != want || err != nil {
			t.Errorf("EndSilence() = %d, %v, want %d", n, err, want)
		}
	}
	for _, tt := range []struct {
		job  job.Job
		want bool
	}{{silent, true}, {talking, false}, {promised, false}} {
		if now, err := db.Job(t.Context(), tt.job.ID); err != nil || now.Stalled != tt.want {
			t.Errorf("stalled = %v, %v, want %v", now.Stalled, err, tt.want)
		}
	}
	out, err := db.RecordReport(t.Context(), silent.ID, job.Report{Attempt: 1})
	if err != nil || out.Job.Stalled || out.Event.Type != event.JobResumed {
		t.Errorf("RecordReport(heartbeat) = %+v, %v, want the job resumed", out, err)
	}
	age(t, db, promised, 30*time.Second)
	if now := endSilence(t, db, q, promised, waits()); !now.Stalled {
		t.Error("a worker that broke its word is not stalled")
	}
}

// A worker elsewhere that is silent beyond its lease loses its attempt, another may
// take the next one, and after the last the job has failed.
func TestALeaseEnds(t *testing.T) {
	t.Parallel()
	db := open(t)
	n := elsewhere()
	n.MaxAttempts = 2
	j, err := db.CreateJob(t.Context(), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	age(t, db, j, 11*time.Minute)
	spared := waits()
	spared.Spare = true
	if now := endSilence(t, db, nil, j, spared); now.State != job.Running || !now.Stalled {
		t.Fatalf("while all are spared, the job is %s", now.State)
	}
	if now := endSilence(t, db, nil, j, waits()); now.State != job.Retrying || now.Error == "" {
		t.Fatalf("after the lease, the job is %+v, want it retrying and to say why", now)
	}
	next, attempt, err := db.ClaimNextJob(t.Context(), []string{"build"}, job.Claim{By: "w2"})
	if err != nil || next.ID != j.ID || attempt != 2 {
		t.Fatalf("ClaimNextJob() = %s, %d, %v, want attempt 2", next.ID, attempt, err)
	}
	if out, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded}); err != nil || !out.Late {
		t.Errorf("the first worker's report: %+v, %v, want it late", out, err)
	}
	age(t, db, j, 11*time.Minute)
	if now := endSilence(t, db, nil, j, waits()); now.State != job.Failed || now.Error != "The worker was lost." {
		t.Errorf("after the last attempt's lease, the job is %s: %s", now.State, now.Error)
	}
}

func TestAJobsOwnLeaseCounts(t *testing.T) {
	t.Parallel()
	db := open(t)
	n := elsewhere()
	n.Lease = time.Hour
	long, err := db.CreateJob(t.Context(), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	age(t, db, long, 59*time.Minute)
	if now := endSilence(t, db, nil, long, waits()); now.State != job.Running {
		t.Errorf("within its lease, the job is %s", now.State)
	}
	age(t, db, long, time.Minute)
	if now := endSilence(t, db, nil, long, waits()); now.State != job.Retrying {
		t.Errorf("after its lease, the job is %s", now.State)
	}
}

// A worker of ours that says nothing for so long, though its node lives, loses its
// entry in the queue as well.
func TestALeaseEndsInTheQueueToo(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	age(t, db, j, 11*time.Minute)
	now := endSilence(t, db, q, j, waits())
	if now.State != job.Retrying || now.QueueID == j.QueueID {
		t.Fatalf("the job is %s under entry %d, want it retrying under a new one", now.State, now.QueueID)
	}
	if n := count(t, db.Pool(), "SELECT count(*) FROM herald_queue.river_job WHERE id = $1 AND state = 'cancelled'", j.QueueID); n != 1 {
		t.Error("the old entry is still in the worker's hands")
	}
	if next, err := db.StartJob(t.Context(), j.ID, now.QueueID, "w2", nil); err != nil || next.Attempt != 2 {
		t.Errorf("StartJob() = attempt %d, %v, want attempt 2", next.Attempt, err)
	}
}

// A cancel that nobody answers ends by itself, wherever the worker is; what that
// says afterwards is late, in Go and in SQL.
func TestACancelThatIsNotAnsweredEnds(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	for name, j := range map[string]job.Job{"elsewhere": makeElsewhere(t, db), "in the queue": started(t, db, q, "w")} {
		asked, err := db.CancelJob(t.Context(), j.ID, "alice", q)
		if err != nil || asked.State != job.Cancelling || asked.CancelAskedAt == nil {
			t.Fatalf("%s: CancelJob() = %+v, %v", name, asked, err)
		}
		if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, Message: "what?"}); err != nil {
			t.Fatal(err)
		}
		age(t, db, j, time.Minute-time.Second)
		if now := endSilence(t, db, q, j, waits()); now.State != job.Cancelling {
			t.Fatalf("%s: too soon, the job is %s", name, now.State)
		}
		age(t, db, j, time.Second)
		if now := endSilence(t, db, q, j, waits()); now.State != job.Cancelled || now.CancelAskedAt == nil {
			t.Fatalf("%s: the job is %+v, want it cancelled, and to say since when that was asked for", name, now)
		}
		if answer, err := sqlReport(t.Context(), db.Pool(), j.ID, job.Report{Attempt: 1, State: job.Succeeded}); err != nil || !answer.Late || answer.State != job.Cancelled {
			t.Errorf("%s: herald.report() = %+v, %v, want it late", name, answer, err)
		}
		if out, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Cancelled}); err != nil || !out.Late {
			t.Errorf("%s: RecordReport() = %+v, %v, want it late", name, out, err)
		}
	}
}

// However many are silent, all are looked after, also past one that cannot be.
func TestAllSilentJobsAreLookedAfter(t *testing.T) {
	t.Parallel()
	db := open(t)
	for range 250 {
		makeElsewhere(t, db)
	}
	execute(t, db.Pool(), `UPDATE herald.jobs SET heartbeat_at = now() - interval '1 hour'`)
	execute(t, db.Pool(), `UPDATE herald.jobs SET args = json_build_object('a', repeat('x', 65536)) WHERE id = (SELECT id FROM herald.jobs ORDER BY id LIMIT 1)`)
	if n, err := db.EndSilence(t.Context(), waits(), nil); n != 249 || !errors.Is(err, event.ErrPayload) {
		t.Errorf("EndSilence() = %d, %v, want 249, and why not the one", n, err)
	}
}

// Who may call herald.report may call it after an upgrade, and after going back.
func TestGrantsOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	db := open(t)
	url := db.Pool().Config().ConnString()
	role := "reporter_" + uuid.NewString()[:8]
	execute(t, db.Pool(), fmt.Sprintf("CREATE ROLE %s", role))
	t.Cleanup(func() {
		if _, err := db.Pool().Exec(context.WithoutCancel(t.Context()), fmt.Sprintf("DROP OWNED BY %s; DROP ROLE %s", role, role)); err != nil {
			t.Error(err)
		}
	})
	execute(t, db.Pool(), fmt.Sprintf("GRANT EXECUTE ON FUNCTION herald.report TO %s", role))
	for _, version := range []int64{9, 10} {
		if err := postgres.MigrateTo(t.Context(), url, version); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db.Pool(), `SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'herald'::regnamespace AND p.proname = 'report'
			AND has_function_privilege($1, p.oid, 'EXECUTE') AND NOT has_function_privilege('public', p.oid, 'EXECUTE')`, role); n != 1 {
			t.Errorf("at version %d, the role may call %d functions, want 1", version, n)
		}
	}
}

// What SQL and Go expect of a job is the same to the millisecond, and so are the
// moments that they keep for it.
func TestEstimatesFromSQLAndGoAreTwins(t *testing.T) {
	t.Parallel()
	db := open(t)
	id := makeElsewhere(t, db).ID
	tx := begin(t, db, pgx.ReadCommitted) // in which it is always the same time
	rapid.Check(t, func(rt *rapid.T) {
		share := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 5e-324, 0.0049, 0.005, 1 / 3.0, 1}))
		ms := rapid.OneOf(rapid.Int64Range(0, 10_000), rapid.Int64Range(0, 1e9))
		elapsed := ms.Draw(rt, "elapsed")*1000 + rapid.Int64Range(0, 999).Draw(rt, "microseconds")
		pace := []float64{rapid.Float64Range(0, 2e6).Draw(rt, "older"), share.Draw(rt, "older progress"), rapid.Float64Range(0, 2e6).Draw(rt, "newer"), share.Draw(rt, "newer progress")}
		usual := rapid.SampledFrom([][]float64{nil, {1000, 5000.5, 9000}, {2.5e5, 3.7e6, 1e8 / 3}}).Draw(rt, "usual")
		execute(t, tx, `UPDATE herald.jobs SET attempt_started_at = now() - $2 * interval '1 us', progress = $3, pace = $4, usual_ms = $5,
			remaining_ms = NULL WHERE id = $1`, id, elapsed, min(share.Draw(rt, "progress"), pace[3]), pace, usual)
		r := job.Report{Attempt: 1, Progress: rapid.Ptr(share, true).Draw(rt, "reported"), Message: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "message")}
		if left := rapid.Ptr(rapid.OneOf(ms, rapid.Just[int64](9e12)), true).Draw(rt, "remaining"); left != nil {
			r.Remaining = new(time.Duration(*left) * time.Millisecond)
		}
		tell := func(report func() error) (pace []float64, estimate, told string) {
			execute(t, tx, "SAVEPOINT s")
			if err := report(); err != nil {
				rt.Fatal(err)
			}
			if err := tx.QueryRow(t.Context(), `SELECT j.pace, coalesce(herald.job_estimate(j)::text, 'null'), (
				SELECT coalesce((o.payload -> 'estimate')::text, 'null') FROM herald.outbox o WHERE o.job_id = j.id ORDER BY o.id DESC LIMIT 1)
				FROM herald.jobs j WHERE id = $1`, id).Scan(&pace, &estimate, &told); err != nil {
				rt.Fatal(err)
			}
			execute(t, tx, "ROLLBACK TO s")
			return pace, estimate, told
		}
		pace1, inSQL, byGo := tell(func() error { _, err := db.RecordReportTx(t.Context(), tx, id, r); return err })
		pace2, again, bySQL := tell(func() error { _, err := sqlReport(t.Context(), tx, id, r); return err })
		if diff := cmp.Diff(pace1, pace2); diff != "" {
			rt.Fatalf("pace: -Go +SQL:\n%s", diff)
		}
		want := asEstimate(rt, byGo)
		for name, text := range map[string]string{"in SQL after Go": inSQL, "in SQL after SQL": again, "told by SQL": bySQL} {
			if diff := cmp.Diff(want, asEstimate(rt, text)); diff != "" {
				rt.Fatalf("%s: -Go +SQL:\n%s", name, diff)
			}
		}
	})
}

func asEstimate(t *rapid.T, text string) *job.Estimate {
	var e *job.Estimate
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return e
}
