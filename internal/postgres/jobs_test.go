package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/artifact"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	for _, step := range []func(context.Context, string) error{
		postgres.Migrate, postgres.MigrateDown, postgres.Migrate, postgres.Migrate,
	} {
		if err := step(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	if err := postgres.MigrateDown(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := postgres.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestAJobReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j, err := db.CreateJob(t.Context(), job.New{
		Kind: "test", Owner: "demo", Title: "ünï \U0001f3ac", Args: json.RawMessage(`{"a":1}`), Watchers: []event.Topic{"channel:ops"},
	}, q)
	if err != nil {
		t.Fatal(err)
	}
	plan := []job.Step{{Name: "one", Weight: 1}, {Name: "two", Weight: 3}}
	if j, err = db.StartJob(t.Context(), j.ID, j.QueueID, "w", plan); err != nil {
		t.Fatal(err)
	}
	left := 5 * time.Second
	out, err := db.RecordReport(t.Context(), j.ID, job.Report{
		Attempt: 1, Step: "two", StepProgress: new(0.5), Processed: new(int64(3)), Total: new(int64(6)), Unit: "rows",
		Message: "half", Remaining: &left, Details: json.RawMessage(`{"x":2}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	read, err := db.Job(t.Context(), j.ID)
	if diff := cmp.Diff(out.Job, read); diff != "" || err != nil {
		t.Errorf("Job(): %v, -recorded +read:\n%s", err, diff)
	}
	if read.Progress != 0.625 || read.Steps[1].StartedAt == nil || read.UpdatedAt.Location() != time.UTC {
		t.Errorf("Job() = %+v, want 0.625 done, in its second step, times in UTC", read)
	}
}

func TestStartJobIsFenced(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := create(t, db, q)
	if _, err := db.StartJob(t.Context(), j.ID, j.QueueID+1, "w", nil); !errors.Is(err, job.ErrSuperseded) {
		t.Errorf("StartJob(another entry) = %v, want %v", err, job.ErrSuperseded)
	}
	if _, err := db.StartJob(t.Context(), j.ID, j.QueueID, "w", nil); err != nil {
		t.Fatal(err)
	}
	for attempt := 2; attempt <= job.DefaultAttempts; attempt++ {
		again, err := db.StartJob(t.Context(), j.ID, j.QueueID, "w", nil)
		if err != nil || again.Attempt != attempt {
			t.Errorf("StartJob(the same entry) = attempt %d, %v, want %d", again.Attempt, err, attempt)
		}
	}
	var transition *job.TransitionError
	for range 2 {
		if _, err := db.StartJob(t.Context(), j.ID, j.QueueID, "w", nil); !errors.As(err, &transition) || transition.From != job.Failed {
			t.Errorf("StartJob(no attempt left) = %v, want a *TransitionError from %s", err, job.Failed)
		}
	}
	if _, err := db.StartJob(t.Context(), uuid.New(), 1, "w", nil); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("StartJob(unknown) = %v, want %v", err, job.ErrNotFound)
	}
}

func TestARefusedReportLeavesNothing(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	for _, r := range []job.Report{
		{Attempt: 1, Message: "a\x00b"},
		{Attempt: 1, Progress: new(2.0)},
		{Attempt: 2, Message: "from the future"},
		{Attempt: 1, State: job.Queued},
	} {
		var invalid *job.InvalidError
		if _, err := db.RecordReport(t.Context(), j.ID, r); !errors.As(err, &invalid) {
			t.Errorf("RecordReport(%+v) = %v, want an *InvalidError", r, err)
		}
	}
	if read, err := db.Job(t.Context(), j.ID); err != nil || read.Version != j.Version {
		t.Errorf("the job is at version %d (%v), want %d still", read.Version, err, j.Version)
	}
	if n := drain(t, db); n != 2 {
		t.Errorf("%d events, want the two of its start", n)
	}
}

// drain sequences what is in the outbox, and returns the log's head.
func drain(t *testing.T, db *postgres.DB) event.Seq {
	t.Helper()
	session, err := db.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for {
		batch, err := session.Sequence(t.Context(), eventlog.Mark{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		if batch.Events == 0 {
			break
		}
	}
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func TestALateReportIsKeptAndChangesNothing(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	out, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded})
	if err != nil {
		t.Fatal(err)
	}
	late, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, Message: "still here"})
	if err != nil || !late.Late {
		t.Errorf("RecordReport(after the end) = %+v, %v, want it late", late, err)
	}
	read, err := db.Job(t.Context(), j.ID)
	if diff := cmp.Diff(out.Job, read); diff != "" || err != nil {
		t.Errorf("Job(): %v, -before +after:\n%s", err, diff)
	}
	drain(t, db)
	events, err := db.EventsOfJob(t.Context(), j.ID, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var types []event.Type
	for _, e := range events {
		types = append(types, e.Type)
	}
	want := []event.Type{event.JobQueued, event.JobStarted, event.JobSucceeded, event.JobLateReport}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("timeline: -want +got:\n%s", diff)
	}
}

func TestCancelReachesTheQueue(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	waiting, running := create(t, db, q), started(t, db, q, "w")
	for j, want := range map[*job.Job]job.State{&waiting: job.Cancelled, &running: job.Cancelling} {
		got, err := db.CancelJob(t.Context(), j.ID, "demo", q)
		if err != nil || got.State != want {
			t.Errorf("CancelJob(%s) = %s, %v, want %s", j.State, got.State, err, want)
		}
		if _, err := db.CancelJob(t.Context(), j.ID, "demo", q); err != nil {
			t.Errorf("CancelJob() again = %v", err)
		}
	}
	if len(q.cancelled) != 2 {
		t.Errorf("cancelled entries %v, want both, once each", q.cancelled)
	}
}

func TestRetryAndDelete(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	if err := db.DeleteJob(t.Context(), j.ID, "demo"); !errors.Is(err, job.ErrNotEnded) {
		t.Errorf("DeleteJob(running) = %v, want %v", err, job.ErrNotEnded)
	}
	if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Failed, Error: "broke"}); err != nil {
		t.Fatal(err)
	}
	again, err := db.RetryJob(t.Context(), j.ID, "demo", q)
	if err != nil || again.State != job.Queued || again.QueueID == j.QueueID {
		t.Errorf("RetryJob() = %+v, %v, want it queued under a new entry", again, err)
	}
	if _, err := db.CancelJob(t.Context(), j.ID, "demo", q); err != nil {
		t.Fatal(err)
	}
	if err := db.SaveArtifact(t.Context(), artifact.Artifact{ID: uuid.New(), JobID: j.ID, Owner: "demo", Kind: artifact.Video, CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteJob(t.Context(), j.ID, "demo"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Job(t.Context(), j.ID); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("Job(deleted) = %v, want %v", err, job.ErrNotFound)
	}
	if head := drain(t, db); head != 6 {
		t.Errorf("the log ends at %d, want 6: a deleted job's events stay", head)
	}
}

func TestFinishJobIsOneTransaction(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	broken := errors.New("the queue is broken")
	r := job.Report{Attempt: 1, State: job.Succeeded}
	if _, err := db.FinishJob(t.Context(), j.ID, r, func(context.Context, pgx.Tx) error { return broken }); !errors.Is(err, broken) {
		t.Fatalf("FinishJob() = %v, want %v", err, broken)
	}
	if read, err := db.Job(t.Context(), j.ID); err != nil || read.State != job.Running {
		t.Errorf("after a failed FinishJob the job is %s, %v, want it running", read.State, err)
	}
	if _, err := db.FinishJob(t.Context(), j.ID, r, func(context.Context, pgx.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	out, err := db.FinishJob(t.Context(), j.ID, r, func(context.Context, pgx.Tx) error { return broken })
	if err != nil || !out.Late || out.Job.State != job.Succeeded {
		t.Errorf("FinishJob(again) = %+v, %v, want it late, and nothing completed", out, err)
	}
}

func TestJobsListsPages(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	var made []uuid.UUID
	for range 5 {
		made = append([]uuid.UUID{create(t, db, q).ID}, made...)
	}
	if _, err := db.CancelJob(t.Context(), made[2], "demo", q); err != nil {
		t.Fatal(err)
	}
	if _, err := db.CreateJob(t.Context(), job.New{Kind: "test", Owner: "alice", Title: "hers"}, q); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter job.Filter
		want   []uuid.UUID
	}{
		{"first page", job.Filter{Owner: "demo", Limit: 2}, made[:2]},
		{"next page", job.Filter{Owner: "demo", Limit: 2, Before: made[1]}, made[2:4]},
		{"last page", job.Filter{Owner: "demo", Limit: 2, Before: made[3]}, made[4:]},
		{"by state", job.Filter{Owner: "demo", Limit: 9, States: []job.State{job.Cancelled}}, made[2:3]},
		{"by text", job.Filter{Owner: "demo", Limit: 9, Text: "A TE"}, made},
		{"by text that is no pattern", job.Filter{Owner: "demo", Limit: 9, Text: "%"}, nil},
		{"by kind", job.Filter{Owner: "demo", Limit: 9, Kind: "other"}, nil},
	} {
		jobs, err := db.Jobs(t.Context(), tt.filter)
		var got []uuid.UUID
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got:\n%s", tt.name, err, diff)
		}
	}
	active, err := db.ActiveJobs(t.Context(), []event.Topic{"user:demo", "all", event.JobTopic(made[0])})
	if err != nil || len(active) != 4 {
		t.Errorf("ActiveJobs() = %d jobs, %v, want 4", len(active), err)
	}
}

func TestEventsOfTopicsGivesEachEventOnce(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	for i := range 20 {
		if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, Message: string(rune('a' + i))}); err != nil {
			t.Fatal(err)
		}
	}
	create(t, db, q)
	head := drain(t, db)
	var want []event.Seq
	for seq := event.Seq(1); seq < head; seq++ {
		want = append(want, seq)
	}
	for _, topics := range [][]event.Topic{
		{"user:demo"},
		{"user:demo", event.JobTopic(j.ID)},
		{"user:demo", "user:demo", "all", "channel:a", event.JobTopic(j.ID), "channel:b"}, // more than have a part each
	} {
		var got []event.Seq
		for after := event.Seq(0); ; after = got[len(got)-1] {
			page, err := db.EventsOfTopics(t.Context(), topics, after, head-1, 7)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				got = append(got, e.Seq)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of %v: -want +got:\n%s", topics, diff)
		}
	}
	if none, err := db.EventsOfTopics(t.Context(), nil, 0, head, 7); err != nil || len(none) != 0 {
		t.Errorf("EventsOfTopics() of no topic = %d events, %v, want none", len(none), err)
	}
}

func TestCheckSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	if err := postgres.CheckSchema(t.Context(), url); err != nil {
		t.Errorf("CheckSchema() = %v", err)
	}
	if err := postgres.MigrateDown(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := postgres.CheckSchema(t.Context(), url); !errors.Is(err, postgres.ErrOldSchema) {
		t.Errorf("CheckSchema() of a database without a schema = %v, want %v", err, postgres.ErrOldSchema)
	}
}
