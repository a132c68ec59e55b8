package postgres_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// elsewhere is a job that the robot runs, begun.
func elsewhere() job.New {
	return job.New{
		Kind: "build", Owner: "alice", Title: "a build", External: true, CreatedBy: "robot",
		Metadata: json.RawMessage(`{"tenant":"acme"}`), Begin: &job.Claim{By: "robot", Plan: []job.Step{{Name: "one", Weight: 1}}},
	}
}

func makeElsewhere(t *testing.T, db *postgres.DB) job.Job {
	t.Helper()
	j, err := db.CreateJob(t.Context(), elsewhere(), nil) // no queue: none is asked
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestAJobThatRunsElsewhereBeginsWithItsFirstAttempt(t *testing.T) {
	t.Parallel()
	db := open(t)
	made := makeElsewhere(t, db)
	j, err := db.Job(t.Context(), made.ID)
	if err != nil || !j.External || j.State != job.Running || j.Attempt != 1 || j.QueueID != 0 || j.Worker != "robot" ||
		j.CreatedBy != "robot" || j.ClaimedBy != "robot" || string(j.Metadata) != `{"tenant":"acme"}` || len(j.Steps) != 1 {
		t.Errorf("the job is %+v, %v", j, err)
	}
	if n := count(t, db.Pool(), `SELECT count(*) FROM herald.outbox WHERE actor = 'robot' AND payload -> 'metadata' ->> 'tenant' = 'acme'`); n != 2 {
		t.Errorf("%d events by the robot with the metadata, want those of its making and of its beginning", n)
	}
}

// However often a request to make a job comes, and however many at once, there is
// one job; another request under the key is refused.
func TestAJobIsMadeOnceUnderItsKey(t *testing.T) {
	t.Parallel()
	db := open(t)
	n := elsewhere()
	n.Key = "tonight"
	made := make([]job.Job, 8)
	var group errgroup.Group
	for i := range made {
		group.Go(func() (err error) {
			made[i], err = db.CreateJob(t.Context(), n, nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, j := range made {
		if j.ID != made[0].ID || j.Version != 2 {
			t.Errorf("job %s at version %d, want %s at 2", j.ID, j.Version, made[0].ID)
		}
	}
	if jobs, events := count(t, db.Pool(), "SELECT count(*) FROM herald.jobs"), outboxed(t, db.Pool()); jobs != 1 || events != 2 {
		t.Errorf("%d jobs and %d events, want 1 and 2", jobs, events)
	}
	for name, change := range map[string]func(*job.New){
		"title": func(n *job.New) { n.Title = "another" }, "plan": func(n *job.New) { n.Begin = &job.Claim{By: "robot"} },
		"watchers": func(n *job.New) { n.Watchers = []event.Topic{"all"} }, "no start": func(n *job.New) { n.Begin = nil },
	} {
		other := n
		change(&other)
		if _, err := db.CreateJob(t.Context(), other, nil); !errors.Is(err, event.ErrKeyReused) {
			t.Errorf("with another %s: %v, want %v", name, err, event.ErrKeyReused)
		}
	}
	n.CreatedBy = "another robot" // has keys of its own
	if j, err := db.CreateJob(t.Context(), n, nil); err != nil || j.ID == made[0].ID {
		t.Errorf("another's job under the same key: %s, %v", j.ID, err)
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	db := open(t)
	n := elsewhere()
	n.Begin = nil
	j, err := db.CreateJob(t.Context(), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	claim := job.Claim{By: "w1", Worker: "w1 on host", Key: "k"}
	first, err := db.ClaimJob(t.Context(), j.ID, claim)
	if err != nil || first.Job.Attempt != 1 || first.Job.Worker != "w1 on host" || first.Job.ClaimedBy != "w1" {
		t.Fatalf("ClaimJob() = %+v, %v", first.Job, err)
	}
	var wrong *job.TransitionError
	if _, err := db.ClaimJob(t.Context(), j.ID, job.Claim{By: "w2"}); !errors.As(err, &wrong) {
		t.Errorf("a job that is run was claimed: %v", err)
	}
	if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Retrying, Error: "oh"}); err != nil {
		t.Fatal(err)
	}
	if out, err := db.ClaimJob(t.Context(), j.ID, job.Claim{By: "w2"}); err != nil || out.Job.Attempt != 2 {
		t.Errorf("the second attempt is %d, %v", out.Job.Attempt, err)
	}
	again, err := db.ClaimJob(t.Context(), j.ID, claim)
	if diff := cmp.Diff(first.Answer(), again.Answer()); err != nil || diff != "" || !again.Repeated {
		t.Errorf("the first claim again: %v, -first +again:\n%s", err, diff)
	}
	ours, err := db.CreateJob(t.Context(), job.New{Kind: "test", Owner: "demo", Title: "ours"}, &queue{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ClaimJob(t.Context(), ours.ID, job.Claim{By: "w1"}); !errors.Is(err, job.ErrNotExternal) {
		t.Errorf("a job of our workers' was claimed: %v", err)
	}
	if _, err := db.ClaimJob(t.Context(), uuid.New(), job.Claim{By: "w1"}); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("no job was claimed: %v", err)
	}
}

func TestAJobThatRunsElsewhereIsRetriedWithoutAQueue(t *testing.T) {
	t.Parallel()
	db := open(t)
	j := makeElsewhere(t, db)
	if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Failed, Error: "oh"}); err != nil {
		t.Fatal(err)
	}
	again, err := db.RetryJob(t.Context(), j.ID, "alice", nil)
	if err != nil || again.State != job.Queued || again.QueueID != 0 || again.ClaimedBy != "" {
		t.Errorf("RetryJob() = %+v, %v, want it to wait for a claim", again, err)
	}
}

func TestReportsAreRecordedTogether(t *testing.T) {
	t.Parallel()
	db := open(t)
	j := makeElsewhere(t, db)
	before := outboxed(t, db.Pool())
	reports := []job.Report{
		{Attempt: 1, Progress: new(0.5)}, {Attempt: 1}, {Attempt: 1, State: job.Succeeded}, {Attempt: 1, Message: "too late"},
	}
	outs := make([][]job.Outcome, 6)
	var group errgroup.Group
	for i := range outs {
		group.Go(func() (err error) {
			outs[i], err = db.RecordReports(t.Context(), j.ID, reports, "batch", anybody)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, got := range outs {
		for i, out := range got {
			if diff := cmp.Diff(outs[0][i].Answer(), out.Answer()); diff != "" {
				t.Errorf("answer %d differs:\n%s", i, diff)
			}
		}
		if got[0].Event == nil || got[1].Event != nil || got[2].Job.State != job.Succeeded || !got[3].Late {
			t.Errorf("answers %+v, want progress, a heartbeat, an end, and what is late", got)
		}
	}
	if n := outboxed(t, db.Pool()) - before; n != 3 {
		t.Errorf("%d events, want 3", n)
	}
	if _, err := db.RecordReports(t.Context(), j.ID, reports[:2], "batch", anybody); !errors.Is(err, event.ErrKeyReused) {
		t.Errorf("other reports under the key: %v", err)
	}
}

func TestOneBadReportRefusesAll(t *testing.T) {
	t.Parallel()
	db := open(t)
	j := makeElsewhere(t, db)
	before := outboxed(t, db.Pool())
	for name, bad := range map[string]job.Report{"by itself": {Attempt: 1, Progress: new(2.0)}, "on this job": {Attempt: 1, Step: "none of the plan"}} {
		_, err := db.RecordReports(t.Context(), j.ID, []job.Report{{Attempt: 1, Progress: new(0.5)}, bad}, "k", anybody)
		var invalid *job.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "report 2 of 2") {
			t.Errorf("a report that is bad %s: %v, want it named", name, err)
		}
	}
	if n := outboxed(t, db.Pool()) - before; n != 0 {
		t.Errorf("%d events, want none", n)
	}
	if _, err := db.RecordReports(t.Context(), uuid.New(), []job.Report{{Attempt: 1}, {Attempt: 1}}, "", anybody); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("reports on no job: %v", err)
	}
}

func anybody(job.Job) error { return nil }

// Who may not report leaves nothing behind, nor the job's row locked.
func TestWhoMayNotReportChangesNothing(t *testing.T) {
	t.Parallel()
	db := openAt(t, pgtest.New(t), postgres.Config{MaxConns: 1})
	j := makeElsewhere(t, db)
	before := outboxed(t, db.Pool())
	forbidden := errors.New("forbidden")
	for n := range 3 { // one alone has a way of its own
		reports := make([]job.Report, n+1)
		for i := range reports {
			reports[i] = job.Report{Attempt: 1, Message: "not mine"}
		}
		_, err := db.RecordReports(t.Context(), j.ID, reports, "k", func(asked job.Job) error {
			if asked.ID != j.ID || asked.Owner != j.Owner {
				t.Errorf("asked about %s of %s", asked.ID, asked.Owner)
			}
			return forbidden
		})
		if !errors.Is(err, forbidden) {
			t.Errorf("%d reports: %v, want what was said", n+1, err)
		}
	}
	if n := outboxed(t, db.Pool()) - before; n != 0 {
		t.Errorf("%d events, want none", n)
	}
	out, err := db.RecordReports(t.Context(), j.ID, []job.Report{{Attempt: 1, Message: "mine"}}, "k", anybody)
	if err != nil || out[0].Repeated || out[0].Job.Message != "mine" {
		t.Errorf("the one who may: %+v, %v", out, err)
	}
}

// Workers of attempts that are over report all the while that the next ones begin:
// in the log no attempt speaks once it is over, no change is lost, and each report is
// told of in one way or the other.
func TestAZombieWinsNoRace(t *testing.T) {
	t.Parallel()
	db := open(t)
	const attempts = 20
	n := elsewhere()
	n.MaxAttempts = attempts + 1
	j, err := db.CreateJob(t.Context(), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	var begun, recorded, late atomic.Int64
	begun.Store(1)
	done := make(chan struct{})
	var zombies errgroup.Group
	for range 4 {
		zombies.Go(func() error {
			for i := int64(0); ; i++ {
				select {
				case <-done:
					return nil
				default:
				}
				out, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: int(max(1, begun.Load()-i%2)), Message: strconv.FormatInt(i, 10)})
				switch {
				case err != nil:
					return err
				case out.Late:
					late.Add(1)
				default:
					recorded.Add(1)
				}
			}
		})
	}
	for attempt := 1; attempt < attempts; attempt++ {
		if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: attempt, State: job.Retrying, Error: "lost"}); err != nil {
			t.Fatal(err)
		}
		out, err := db.ClaimJob(t.Context(), j.ID, job.Claim{By: "robot"})
		if err != nil || out.Job.Attempt != attempt+1 {
			t.Fatalf("ClaimJob() = attempt %d, %v, want %d", out.Job.Attempt, err, attempt+1)
		}
		begun.Store(int64(attempt + 1))
	}
	close(done)
	if err := zombies.Wait(); err != nil {
		t.Fatal(err)
	}
	drain(t, db)
	told := map[event.Type]int64{}
	attempt, running, version := 0, false, int64(0)
	for _, e := range all(t, db) {
		var said struct{ Attempt int }
		if err := json.Unmarshal(e.Payload, &said); err != nil {
			t.Fatal(err)
		}
		told[e.Type]++
		if e.Type != event.JobLateReport {
			if version++; e.JobVersion != version {
				t.Fatalf("event %d is of version %d, want %d", e.Seq, e.JobVersion, version)
			}
		}
		if e.Type == event.JobStarted {
			attempt = said.Attempt
		}
		running = e.Type == event.JobStarted || running && e.Type != event.JobRetrying
		if e.Type == event.JobMessage && (said.Attempt != attempt || !running) {
			t.Errorf("event %d is of attempt %d, when attempt %d is running %v", e.Seq, said.Attempt, attempt, running)
		}
	}
	if told[event.JobMessage] != recorded.Load() || told[event.JobLateReport] != late.Load() || told[event.JobStarted] != attempts || late.Load() == 0 {
		t.Errorf("the log has %v, and the workers were told of %d recorded and %d late", told, recorded.Load(), late.Load())
	}
}
