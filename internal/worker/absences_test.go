package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/absent"
	"herald/internal/job"
	"herald/internal/mailer"
	"herald/internal/mailer/smtptest"
	"herald/internal/worker"
)

// tellAbsent enqueues what the job's owner is told, as the log's leader does.
func (b *bench) tellAbsent(t *testing.T, j job.Job, medium string) {
	t.Helper()
	args, err := json.Marshal(absent.Message{
		ID: "msg_" + medium, Medium: medium, User: j.Owner, JobID: j.ID, Seq: 7, Told: "job.succeeded", Title: j.Title,
		At: time.Now(), Body: `{"type":"absent"}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.Pool().Exec(t.Context(), `INSERT INTO herald_queue.river_job (kind, queue, max_attempts, args)
		VALUES ('absence', 'errands', 12, $1)`, args); err != nil {
		t.Fatal(err)
	}
}

// awaitAbsences returns the tries on the job's timeline as soon as there are so many.
func (b *bench) awaitAbsences(t *testing.T, id uuid.UUID, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		rows, err := b.db.Pool().Query(ctx, `SELECT payload FROM herald.outbox WHERE job_id = $1 AND type = 'job.absent' ORDER BY id`, id)
		if err != nil {
			t.Fatal(err)
		}
		tries, err := pgx.CollectRows(rows, pgx.RowTo[job.Absence])
		if err != nil {
			t.Fatal(err)
		}
		if len(tries) >= n {
			var told []string
			for _, a := range tries {
				told = append(told, fmt.Sprintf("%s %d %s %d", a.Medium, a.Try, a.Outcome, a.Status))
			}
			return told
		}
		if _, err := b.changes.WaitForNotification(ctx); err != nil {
			t.Fatalf("waiting for %d tries, there are %+v", n, tries)
		}
	}
}

// absentConfig sends to the receiver and by the mail server.
func (b *bench) absentConfig(t *testing.T, r *receiver, s *smtptest.Server) worker.Config {
	t.Helper()
	c := b.config("n1")
	m, err := mailer.New(mailer.Config{
		Addr: s.Addr, User: smtptest.User, Password: smtptest.Password, From: "herald@example.org", To: "{user}@example.org", Roots: s.Roots,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Absences = worker.Absences{URL: r.URL + "/absent", Webhook: c.Callbacks, Mail: m}
	return c
}

// Both ways are tried until they get through, and each try is on the timeline.
func TestAbsentUsersAreTold(t *testing.T) {
	t.Parallel()
	b, r, s := setup(t), newReceiver(t, http.StatusServiceUnavailable), smtptest.New(t, smtptest.Temporary())
	b.run(t, b.absentConfig(t, r, s), noWork)
	byWebhook, byMail := b.endJob(t, ""), b.endJob(t, "")
	b.tellAbsent(t, byWebhook, job.ByWebhook)
	b.tellAbsent(t, byMail, job.ByMail)
	if told := fmt.Sprint(b.awaitAbsences(t, byWebhook.ID, 2)); told != "[webhook 1 retrying 503 webhook 2 delivered 204]" {
		t.Errorf("the webhook's tries = %v", told)
	}
	if told := fmt.Sprint(b.awaitAbsences(t, byMail.ID, 2)); told != "[mail 1 retrying 451 mail 2 delivered 250]" {
		t.Errorf("the mail's tries = %v", told)
	}
	ids, bodies := r.got()
	if strings.Join(ids, " ") != "msg_webhook msg_webhook" || bodies[1] != `{"type":"absent"}` {
		t.Errorf("the receiver got %v %v", ids, bodies)
	}
	if mails := s.Mails(); len(mails) != 1 || mails[0].To[0] != "demo@example.org" {
		t.Errorf("mails = %+v", mails)
	}
}

// Who is refused for good is not tried again; who has come back is not told at all.
func TestAbsentUsersWhoNeedNotBeTold(t *testing.T) {
	t.Parallel()
	b, r, s := setup(t), newReceiver(t), smtptest.New(t, smtptest.Permanent())
	refused, back := b.endJob(t, ""), b.endJob(t, "")
	if _, err := b.db.Pool().Exec(t.Context(), `INSERT INTO herald.connections (id, node, user_id, topics, opened_at, opened_seq, written_seq, acked_seq)
		VALUES (gen_random_uuid(), 'n', 'demo', ARRAY['job:' || $1::text], now(), 0, 9, 9)`, back.ID); err != nil {
		t.Fatal(err)
	}
	b.run(t, b.absentConfig(t, r, s), noWork)
	b.tellAbsent(t, refused, job.ByMail)
	b.tellAbsent(t, back, job.ByWebhook)
	if told := fmt.Sprint(b.awaitAbsences(t, refused.ID, 1)); told != "[mail 1 given_up 550]" {
		t.Errorf("tries = %v", told)
	}
	if told := fmt.Sprint(b.awaitAbsences(t, back.ID, 1)); told != "[webhook 1 came_back 0]" {
		t.Errorf("tries = %v", told)
	}
	if ids, _ := r.got(); len(ids) != 0 {
		t.Errorf("somebody who is back was told: %v", ids)
	}
}

// forgetful loses its first record, as when a worker is killed after it has sent.
type forgetful struct {
	worker.Store

	lost atomic.Bool
}

func (f *forgetful) RecordAbsence(ctx context.Context, id uuid.UUID, a job.Absence, complete func(context.Context, pgx.Tx) error) error {
	if f.lost.CompareAndSwap(false, true) {
		return errors.New("killed")
	}
	return f.Store.RecordAbsence(ctx, id, a, complete)
}

// A message that was sent and not recorded is sent again, under the same id.
func TestAbsentUserIsToldAgainAfterACrash(t *testing.T) {
	t.Parallel()
	b, r, s := setup(t), newReceiver(t), smtptest.New(t)
	c := b.absentConfig(t, r, s)
	c.Store = &forgetful{Store: c.Store}
	b.run(t, c, noWork)
	j := b.endJob(t, "")
	b.tellAbsent(t, j, job.ByWebhook)
	if told := fmt.Sprint(b.awaitAbsences(t, j.ID, 1)); told != "[webhook 2 delivered 204]" {
		t.Errorf("tries = %v", told)
	}
	if ids, _ := r.got(); strings.Join(ids, " ") != "msg_webhook msg_webhook" {
		t.Errorf("the receiver got %v, want the same twice", ids)
	}
}
