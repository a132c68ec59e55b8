package heraldriver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
	"pgregory.net/rapid"

	"herald/heraldriver"
	"herald/internal/event"
	"herald/internal/job"
)

// Whatever River's own statements do to a job, in any order, its row and its
// events are what package job makes of the same.
func TestTriggersAndJobAreTwins(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	client := b.inserter()
	rapid.Check(t, func(rt *rapid.T) {
		tw := &twins{bench: b, T: rt, client: client, row: b.insert(client, &river.InsertOpts{MaxAttempts: rapid.IntRange(1, 3).Draw(rt, "attempts")})}
		tw.model = b.job(tw.row)
		for range rapid.IntRange(1, 14).Draw(rt, "steps") {
			tw.act()
			tw.compare()
		}
	})
}

// twins are a River job that Herald records, and what package job makes of it.
type twins struct {
	*bench
	*rapid.T
	client *river.Client[pgx.Tx]
	row    *rivertype.JobRow // as River has it
	model  job.Job
	want   []event.Type
	seen   int64 // the last event compared
}

func (w *twins) Helper() { w.bench.Helper() }

func (w *twins) ok(err error) {
	if err != nil {
		w.Fatal(err)
	}
}

// apply takes over what package job says becomes of the job.
func (w *twins) apply(out job.Outcome, err error) {
	w.ok(err)
	w.model = out.Job
	if out.Event != nil {
		w.want = append(w.want, out.Event.Type)
	}
}

// act does one thing to both.
func (w *twins) act() {
	ctx, now := w.bench.Context(), time.Now().UTC()
	switch {
	case w.model.State.Ended():
		if w.model.State == job.Succeeded {
			return // River would run it again, package job never
		}
		row, err := w.client.JobRetry(ctx, w.row.ID)
		w.ok(err)
		w.row = row
		w.apply(w.model.Requeue("river", row.MaxAttempts-row.Attempt, now))
	case !w.model.State.Working():
		if rapid.IntRange(0, 5).Draw(w.T, "cancel") == 0 {
			_, err := w.client.JobCancel(ctx, w.row.ID)
			w.ok(err)
			w.apply(w.model.Cancel("river", now))
			return
		}
		// As the scheduler does. Jobs of rounds before are fetched as well.
		w.exec(`UPDATE shop.river_job SET state = 'available', scheduled_at = now() WHERE id = $1`, w.row.ID)
		for _, row := range w.fetch() {
			if row.ID == w.row.ID {
				w.row = row
			}
		}
		w.apply(w.model.Start("w1", nil, now))
		w.model.HeartbeatAt = nil // the triggers cannot know that its worker reports
	case rapid.IntRange(0, 2).Draw(w.T, "end") > 0:
		w.report(now)
	case w.model.State == job.Running && rapid.IntRange(0, 3).Draw(w.T, "ask") == 0:
		_, err := w.client.JobCancel(ctx, w.row.ID)
		w.ok(err)
		w.apply(w.model.Cancel("river", now))
	default:
		w.end(now)
	}
}

// report has the worker report, sometimes one of an earlier attempt.
func (w *twins) report(now time.Time) {
	r, run := w.anyReport(), w.row.AttemptedAt.UnixMicro()
	if w.model.Attempt > 1 && rapid.IntRange(0, 3).Draw(w.T, "zombie") == 0 {
		r.Attempt, run = w.model.Attempt-1, run-1
	}
	_, err := w.pool.Exec(w.bench.Context(), `SELECT herald.river_report($1, $2, $3)`, w.model.ID, run, said(r, run, nil))
	w.ok(err)
	w.apply(w.model.Apply(r, now))
}

func (w *twins) anyReport() job.Report {
	share := rapid.Ptr(rapid.Float64Range(0, 1), true)
	count := rapid.Ptr(rapid.Int64Range(0, 100), true)
	return job.Report{
		Attempt: w.model.Attempt, Progress: share.Draw(w.T, "progress"), Step: rapid.SampledFrom([]string{"", "a", "b<&>"}).Draw(w.T, "step"),
		Processed: count.Draw(w.T, "processed"), Total: count.Draw(w.T, "total"),
		Unit:     rapid.SampledFrom([]string{"", "rows"}).Draw(w.T, "unit"),
		Message:  rapid.SampledFrom([]string{"", "hm", "\u2028\"\\\x01ö"}).Draw(w.T, "message"),
		Metadata: rapid.SampledFrom([]json.RawMessage{nil, nil, json.RawMessage(`{"tenant":"a"}`)}).Draw(w.T, "metadata"),
	}
}

// said is the report as package heraldriver passes it on.
func said(r job.Report, run int64, result json.RawMessage) []byte {
	object := map[string]any{"run": run}
	for name, v := range map[string]any{"progress": r.Progress, "processed": r.Processed, "total": r.Total} {
		if p, ok := v.(*float64); ok && p != nil {
			object[name] = *p
		}
		if p, ok := v.(*int64); ok && p != nil {
			object[name] = *p
		}
	}
	for name, text := range map[string]string{"step": r.Step, "unit": r.Unit, "message": r.Message} {
		if text != "" {
			object[name] = text
		}
	}
	if r.Metadata != nil {
		object["metadata"] = r.Metadata
	}
	if result != nil {
		object["result"] = result
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return encoded
}

// end ends the attempt, with a last word or without.
func (w *twins) end(now time.Time) {
	var carried []byte
	result := json.RawMessage(nil)
	if rapid.Bool().Draw(w.T, "last word") {
		last := w.anyReport()
		result = json.RawMessage(`{"rows":7}`)
		carried = fmt.Appendf(nil, `{"herald:report":%s}`, said(last, w.row.AttemptedAt.UnixMicro(), result))
		if !last.Heartbeat() {
			w.apply(w.model.Apply(last, now))
		}
	}
	id, attempt := w.row.ID, w.row.Attempt
	soon := now.Add(time.Hour).Truncate(time.Microsecond)
	broke := fmt.Appendf(nil, `{"attempt":%d,"error":"it <broke>"}`, attempt)
	r := job.Report{Attempt: w.model.Attempt}
	asked := w.model.State == job.Cancelling // River makes a cancelled job of what would go back to the queue
	switch rapid.IntRange(0, 5).Draw(w.T, "how") {
	case 0:
		w.setState(riverdriver.JobSetStateCompleted(id, now, carried))
		r.State, r.Result = job.Succeeded, result
	case 1:
		w.setState(riverdriver.JobSetStateErrorRetryable(id, soon, broke, carried))
		r.State, r.Error, r.RetryAt = job.Retrying, "it <broke>", &soon
	case 2:
		w.setState(riverdriver.JobSetStateSnoozed(id, soon, attempt-1, carried))
		r.State, r.Error, r.RetryAt, r.Unblamed = job.Retrying, "The worker snoozed the job.", &soon, true
	case 3:
		past := now.Add(-time.Hour).Truncate(time.Microsecond)
		w.setState(riverdriver.JobSetStateInterrupted(id, past, attempt-1, carried))
		r.State, r.Error, r.RetryAt, r.Unblamed = job.Retrying, "The worker handed the job back to the queue.", &past, true
	case 4:
		w.setState(riverdriver.JobSetStateDiscarded(id, now, broke, carried))
		r.State, r.Error = job.Failed, "it <broke>"
	case 5:
		w.setState(riverdriver.JobSetStateCancelled(id, now, broke, carried))
		r.State, r.Error = job.Cancelled, "it <broke>"
	}
	if asked && r.State == job.Retrying {
		text := ""
		if !r.Unblamed {
			text = r.Error
		}
		r = job.Report{Attempt: r.Attempt, State: job.Cancelled, Error: text}
	}
	w.apply(w.model.Apply(r, now))
}

// compare reads the row, and what is new of its events.
func (w *twins) compare() {
	got, err := w.db.Job(w.bench.Context(), w.model.ID)
	w.ok(err)
	times := cmp.Comparer(func(x, y time.Time) bool { return x.Equal(y) || x.Sub(y).Abs() < 10*time.Minute })
	clock := cmpopts.IgnoreFields(job.Job{}, "Pace") // by the database's clock, and only of attempts that last
	if diff := cmp.Diff(plain(w.model), plain(got), times, clock, cmpopts.EquateEmpty()); diff != "" {
		w.Fatalf("after %v: -package job +triggers:\n%s", w.want, diff)
	}
	rows, err := w.pool.Query(w.bench.Context(), `SELECT id, type, coalesce(payload, herald.river_json(job_id, job_version, created_at, brief))::text FROM herald.outbox WHERE job_id = $1 AND id > $2 ORDER BY id`, w.model.ID, w.seen)
	w.ok(err)
	defer rows.Close()
	var types []event.Type
	for rows.Next() {
		var kind event.Type
		var payload string
		w.ok(rows.Scan(&w.seen, &kind, &payload))
		types = append(types, kind)
		if err := event.CheckJSON([]byte(payload)); err != nil {
			w.Fatal(err)
		}
	}
	w.ok(errors.Join(rows.Err()))
	if len(types) > 0 && types[0] == event.JobQueued && w.model.Version > 0 && len(types) > len(w.want) {
		types = types[1:] // that of its making
	}
	if diff := cmp.Diff(w.want, types, cmpopts.EquateEmpty()); diff != "" {
		w.Fatalf("events: -package job +triggers:\n%s", diff)
	}
	w.want = nil
}
