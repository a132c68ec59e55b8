package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/absent"
	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres"
)

// atOnce has everybody absent who has not acknowledged what is in the log.
func atOnce() absent.Rule {
	return absent.Rule{After: time.Microsecond, Media: []string{job.ByWebhook, job.ByMail}}
}

// endOf ends a job of the user's, and returns it and the seq of its end.
func endOf(t *testing.T, db *postgres.DB, user string) (job.Job, event.Seq) {
	t.Helper()
	j, err := db.CreateJob(t.Context(), job.New{Kind: "test", Owner: user, Title: "a job of " + user, External: true, Begin: &job.Claim{By: "robot"}}, &queue{})
	if err == nil {
		_, err = db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Failed, Error: "no space"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return j, drain(t, db)
}

// watched enters a stream of the user's, and how far it was acknowledged.
func watched(t *testing.T, db *postgres.DB, user string, topic event.Topic, written, acked event.Seq) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), `INSERT INTO herald.connections (id, node, user_id, topics, opened_at, opened_seq, written_seq, acked_seq)
		VALUES ($1, 'n', $2, ARRAY[$3], now(), 0, $4, $5)`, uuid.Must(uuid.NewV7()), user, string(topic), int64(written), int64(acked)); err != nil {
		t.Fatal(err)
	}
}

func absences(t *testing.T, db *postgres.DB, r absent.Rule) int {
	t.Helper()
	told, _, err := db.Absences(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// queued are the messages that wait in River's queue.
func queued(t *testing.T, db *postgres.DB) []absent.Message {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(), `SELECT args FROM herald_queue.river_job
		WHERE kind = 'absence' AND queue = 'errands' AND state = 'available' AND max_attempts = 12 ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[absent.Message])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// One user has acknowledged the end, one is away, and one has it open on a stream
// that has not come so far: the last two are told, once, however many nodes decide.
func TestAbsencesAreDecidedOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	endOf(t, db, "early")
	if told := absences(t, db, atOnce()); told != 0 {
		t.Fatalf("%d messages of what was in the log before, want none", told)
	}
	_, annsEnd := endOf(t, db, "ann")
	bobs, bobsEnd := endOf(t, db, "bob")
	_, cleosEnd := endOf(t, db, "cleo")
	endOf(t, db, job.Herald)
	watched(t, db, "ann", "user:ann", annsEnd, annsEnd)
	watched(t, db, "bob", "channel:other", cleosEnd, cleosEnd) // another stream of his tells nothing of it
	watched(t, db, "cleo", "user:cleo", cleosEnd-1, cleosEnd)  // said to be handled, but never written
	if told := absences(t, db, absent.Rule{After: time.Hour, Media: atOnce().Media}); told != 0 {
		t.Fatalf("%d messages before their time", told)
	}
	var nodes sync.WaitGroup
	var mu sync.Mutex
	told := 0
	for range 8 {
		nodes.Go(func() {
			n, _, err := db.Absences(t.Context(), atOnce())
			mu.Lock()
			defer mu.Unlock()
			if told += n; err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	told += absences(t, db, atOnce())
	list := queued(t, db)
	if told != 4 || len(list) != 4 {
		t.Fatalf("%d messages told, %d in the queue, want 4: %+v", told, len(list), list)
	}
	got := map[string]event.Seq{}
	for _, m := range list {
		got[m.User+" by "+m.Medium] = m.Seq
		if (m.Medium == job.ByWebhook) != (m.Body != "") || m.Told != event.JobFailed || m.Error != "no space" {
			t.Errorf("message = %+v", m)
		}
	}
	for _, who := range []string{"bob by webhook", "bob by mail", "cleo by webhook", "cleo by mail"} {
		if seq := got[who]; seq != bobsEnd && seq != cleosEnd {
			t.Errorf("%s: told of %d; all: %v", who, seq, got)
		}
	}
	comesBack(t, db, bobs, bobsEnd)
}

// comesBack has bob come back late: he need not be told any more.
func comesBack(t *testing.T, db *postgres.DB, j job.Job, end event.Seq) {
	t.Helper()
	m := absent.Message{User: "bob", JobID: j.ID, Seq: end}
	if over, err := db.AbsenceOver(t.Context(), m); err != nil || over {
		t.Errorf("AbsenceOver() = %v, %v while he is away", over, err)
	}
	watched(t, db, "bob", event.JobTopic(j.ID), end, end)
	if over, err := db.AbsenceOver(t.Context(), m); err != nil || !over {
		t.Errorf("AbsenceOver() = %v, %v when he is back", over, err)
	}
}

// A decision that is taken back leaves nothing, and is made again; what is older than
// a day beyond its time is nobody's absence.
func TestAbsencesAfterAFailure(t *testing.T) {
	t.Parallel()
	db := open(t)
	absences(t, db, atOnce())
	endOf(t, db, "ann")
	if _, err := db.Pool().Exec(t.Context(), `ALTER TABLE herald.absence_state ADD CONSTRAINT broken CHECK (seq IS NULL OR seq < 1)`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Absences(t.Context(), atOnce()); err == nil {
		t.Fatal("no error from a decision that cannot be written")
	}
	if list := queued(t, db); len(list) != 0 {
		t.Fatalf("a decision that failed has told %v", list)
	}
	if _, err := db.Pool().Exec(t.Context(), `ALTER TABLE herald.absence_state DROP CONSTRAINT broken`); err != nil {
		t.Fatal(err)
	}
	if told := absences(t, db, atOnce()); told != 2 {
		t.Errorf("%d messages afterwards, want 2", told)
	}
	endOf(t, db, "bob")
	if _, err := db.Pool().Exec(t.Context(), `UPDATE herald.events SET recorded_at = now() - interval '25 hours' WHERE type = 'job.failed'`); err != nil {
		t.Fatal(err)
	}
	if told := absences(t, db, atOnce()); told != 0 {
		t.Errorf("%d messages of what is too old, want none", told)
	}
}
