package postgres_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres"
)

// Two jobs that are alike are told the same, one by Go and one by SQL: whatever
// it is, they stay alike, in their rows, in their events, and in what is refused.
// The session of SQL's caller has odd settings, which must not show.
func TestReportsFromSQLAndGoAreTwins(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	config := db.Pool().Config()
	maps.Copy(config.ConnConfig.RuntimeParams, map[string]string{
		"timezone": "Asia/Kathmandu", "datestyle": "SQL, DMY", "extra_float_digits": "-3", "standard_conforming_strings": "off",
		"escape_string_warning": "off", "bytea_output": "escape", "search_path": "public",
	})
	odd, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer odd.Close()
	rapid.Check(t, func(rt *rapid.T) {
		p := pair{T: rt, t: t, db: db, odd: odd, q: q}
		p.make()
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			p.act(step)
			p.compare()
		}
	})
}

// pair is two jobs: the first is Go's, the second SQL's.
type pair struct {
	*rapid.T
	t    *testing.T
	db   *postgres.DB
	odd  *pgxpool.Pool // SQL's
	q    *queue
	jobs [2]job.Job
	seen [2]int64 // the last event compared
}

func (p *pair) must(err error) {
	if err != nil {
		p.Fatal(err)
	}
}

func (p *pair) make() {
	n := job.New{
		Kind: "test", Owner: rapid.SampledFrom([]string{"demo", "ünï<&>", "a:b"}).Draw(p.T, "owner"),
		Title: oddText(p.T, "title", job.MaxTitle-1) + "!", MaxAttempts: 3,
		Args:     json.RawMessage(`{"u":"<\u00e9>"}`),
		Metadata: metadata(p.T),
		Watchers: rapid.SampledFrom([][]event.Topic{nil, {"channel:ops", "all"}}).Draw(p.T, "watchers"),
	}
	plan := rapid.SampledFrom([][]job.Step{
		nil,
		{{Name: "one", Weight: 0.1}, {Name: "two", Weight: 0.7}, {Name: "drei<&>\u2028", Weight: 1e-6}},
		{{Name: "one", Weight: 1}, {Name: "two", Weight: 3}, {Name: "one", Weight: 5}},
		{{Name: "one"}, {Name: "two"}},
	}).Draw(p.T, "plan")
	start := rapid.IntRange(0, 19).Draw(p.T, "start") > 0
	for i := range p.jobs {
		j, err := p.db.CreateJob(p.t.Context(), n, p.q)
		p.must(err)
		if start {
			j, err = p.db.StartJob(p.t.Context(), j.ID, j.QueueID, "w<ö>", plan)
			p.must(err)
		}
		p.jobs[i] = j
	}
}

// act does one thing to both.
func (p *pair) act(step int) {
	switch rapid.IntRange(0, 11).Draw(p.T, "act") {
	case 0:
		p.both(func(j job.Job) error { _, err := p.db.CancelJob(p.t.Context(), j.ID, "demo", p.q); return err })
	case 1:
		p.both(func(j job.Job) error {
			_, err := p.db.Pool().Exec(p.t.Context(),
				`UPDATE herald.jobs SET stalled = TRUE WHERE id = $1 AND state IN ('running', 'cancelling')`, j.ID)
			return err
		})
	case 2: // another attempt
		p.both(func(j job.Job) error {
			_, err := p.db.StartJob(p.t.Context(), j.ID, j.QueueID, "w2", []job.Step{{Name: "two", Weight: 1}})
			return err
		})
	case 3: // through the plan, as most jobs go
		for _, s := range p.jobs[0].Steps {
			p.tell(job.Report{Attempt: p.jobs[0].Attempt, Step: s.Name})
			p.compare()
		}
	default:
		p.report(step)
	}
}

func (p *pair) both(do func(job.Job) error) {
	first, second := do(p.jobs[0]), do(p.jobs[1])
	if (first == nil) != (second == nil) {
		p.Fatalf("%v and %v", first, second)
	}
}

func (p *pair) report(step int) {
	r := anyReport(p.T, p.jobs[0].Attempt)
	if rapid.Bool().Draw(p.T, "keyed") && r.Key == "" {
		r.Key = fmt.Sprintf("key %d", step)
	}
	if rapid.IntRange(0, 29).Draw(p.T, "unknown") == 0 {
		_, goErr := p.db.RecordReport(p.t.Context(), uuid.New(), r)
		_, sqlErr := sqlReport(p.t.Context(), p.odd, uuid.New(), r)
		p.alike(r, goErr, sqlErr)
		return
	}
	p.tell(r)
}

// tell reports the same on both.
func (p *pair) tell(r job.Report) {
	out, goErr := p.db.RecordReport(p.t.Context(), p.jobs[0].ID, r)
	answer, sqlErr := sqlReport(p.t.Context(), p.odd, p.jobs[1].ID, r)
	p.alike(r, goErr, sqlErr)
	if goErr != nil {
		return
	}
	if diff := cmp.Diff(anonymous(out.Answer()), anonymous(answer)); diff != "" {
		p.Fatalf("answers to %+v: -Go +SQL:\n%s", r, diff)
	}
	if r.Key != "" {
		p.repeat(r, out.Answer(), answer)
	}
}

// repeat repeats a report the other way round: each under the other's key.
func (p *pair) repeat(r job.Report, first, second job.Answer) {
	again, err := sqlReport(p.t.Context(), p.odd, p.jobs[0].ID, r)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		p.Fatalf("Go's %+v again in SQL: %v, -first +again:\n%s", r, err, diff)
	}
	out, err := p.db.RecordReport(p.t.Context(), p.jobs[1].ID, r)
	if diff := cmp.Diff(second, out.Answer()); err != nil || diff != "" || !out.Repeated {
		p.Fatalf("SQL's %+v again in Go: %v, %+v, -first +again:\n%s", r, err, out, diff)
	}
	r.Attempt += 100 // which the job would refuse, were it asked before the key
	_, goErr := p.db.RecordReport(p.t.Context(), p.jobs[1].ID, r)
	_, sqlErr := sqlReport(p.t.Context(), p.odd, p.jobs[0].ID, r)
	p.alike(r, goErr, sqlErr)
	if goErr == nil {
		p.Fatalf("%+v was taken for another report under its key", r)
	}
}

func (p *pair) alike(r job.Report, goErr, sqlErr error) {
	goKind, goField := kindOf(p, goErr)
	sqlKind, sqlField := kindOf(p, sqlErr)
	if goKind != sqlKind || goField != sqlField && sqlField != "" {
		p.Fatalf("%+v on a %s job: Go: %v, SQL: %v", r, p.jobs[0].State, goErr, sqlErr)
	}
}

func anonymous(a job.Answer) job.Answer {
	a.JobID = uuid.Nil
	if a.EventID != nil {
		a.EventID = new(uuid.UUID)
	}
	return a
}

// compare reads both jobs and what is new in the outbox.
func (p *pair) compare() {
	var rows [2]job.Job
	var times [2][]int
	var events [2][]told
	for i := range p.jobs {
		j, err := p.db.Job(p.t.Context(), p.jobs[i].ID)
		p.must(err)
		p.jobs[i] = j
		c := clock{}
		rows[i] = c.row(j)
		events[i] = p.told(i, c)
		times[i] = c.pattern()
	}
	if diff := cmp.Diff(rows[0], rows[1]); diff != "" {
		p.Fatalf("rows: -Go +SQL:\n%s", diff)
	}
	if diff := cmp.Diff(events[0], events[1]); diff != "" {
		p.Fatalf("events: -Go +SQL:\n%s", diff)
	}
	if diff := cmp.Diff(times[0], times[1]); diff != "" {
		p.Fatalf("times: -Go +SQL:\n%s", diff)
	}
}

// clock takes the place of times that differ between twins: what counts is
// which of a job's times are the same.
type clock map[string][]time.Time

func (c clock) pattern() []int {
	list := c["all"]
	places := make([]int, len(list))
	for i, t := range list {
		for k := range i + 1 {
			if list[k].Equal(t) {
				places[i] = k
				break
			}
		}
	}
	return places
}

func (c clock) note(t *time.Time) *time.Time {
	if t == nil {
		c["all"] = append(c["all"], time.Time{})
		return nil
	}
	c["all"] = append(c["all"], *t)
	return &time.Time{}
}

func (c clock) row(j job.Job) job.Job {
	var heard time.Time
	if j.HeartbeatAt != nil {
		heard = *j.HeartbeatAt
	}
	j.ID, j.QueueID = uuid.Nil, 0
	j.CreatedAt, j.UpdatedAt = *c.note(&j.CreatedAt), *c.note(&j.UpdatedAt)
	j.StartedAt, j.HeartbeatAt, j.FinishedAt = c.note(j.StartedAt), c.note(j.HeartbeatAt), c.note(j.FinishedAt)
	j.AttemptStartedAt, j.CancelAskedAt = c.note(j.AttemptStartedAt), c.note(j.CancelAskedAt)
	if j.NextDueAt != nil && j.HeartbeatAt != nil {
		j.NextDueAt = new(time.Time{}.Add(j.NextDueAt.Sub(heard)))
	}
	j.Pace, j.Estimate = job.Pace{}, nil                              // which come of how long it took: TestEstimatesFromSQLAndGoAreTwins
	if j.RetryAt != nil && time.Since(*j.RetryAt).Abs() < time.Hour { // the server's, of a lost attempt
		j.RetryAt = c.note(j.RetryAt)
	}
	steps := j.Steps
	j.Steps = nil
	for _, s := range steps {
		s.StartedAt, s.FinishedAt = c.note(s.StartedAt), c.note(s.FinishedAt)
		j.Steps = append(j.Steps, s)
	}
	return j
}

// told is an event as it is compared.
type told struct {
	Type    string
	Topics  []string
	Version int64
	Actor   string
	Payload any
}

func (p *pair) told(i int, c clock) []told {
	rows, err := p.db.Pool().Query(p.t.Context(), `SELECT id, event_id, type, topics, job_version, actor, created_at, payload::text
		FROM herald.outbox WHERE job_id = $1 AND id > $2 ORDER BY id`, p.jobs[i].ID, p.seen[i])
	p.must(err)
	defer rows.Close()
	var list []told
	for rows.Next() {
		var e told
		var id uuid.UUID
		var at time.Time
		var payload string
		p.must(rows.Scan(&p.seen[i], &id, &e.Type, &e.Topics, &e.Version, &e.Actor, &at, &payload))
		if made := time.Unix(id.Time().UnixTime()); id.Version() != 7 || time.Since(made).Abs() > time.Minute {
			p.Fatalf("event id %s of %v is not a UUIDv7 of now", id, made)
		}
		for k, topic := range e.Topics {
			e.Topics[k] = strings.ReplaceAll(topic, p.jobs[i].ID.String(), "ID")
		}
		decoder := json.NewDecoder(strings.NewReader(payload))
		decoder.UseNumber()
		p.must(decoder.Decode(&e.Payload))
		c.note(&at)
		e.Payload = p.plain(e.Payload, p.jobs[i].ID.String(), c)
		list = append(list, e)
	}
	p.must(rows.Err())
	return list
}

// plain is the value with numbers by their value, and without the job's id and
// times, whose text must be Go's.
func (p *pair) plain(v any, id string, c clock) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if name == "estimate" {
				v[name] = "an estimate"
				continue
			}
			text, _ := member.(string)
			at, err := time.Parse(time.RFC3339Nano, text)
			if !strings.HasSuffix(name, "_at") || err != nil || time.Since(at).Abs() > time.Hour { // the report's own
				v[name] = p.plain(member, id, c)
				continue
			}
			if at.Format(time.RFC3339Nano) != text {
				p.Fatalf("%s is %q, want it as Go writes times", name, text)
			}
			v[name] = "a time"
		}
	case []any:
		for i, member := range v {
			v[i] = p.plain(member, id, c)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case string:
		if v == id {
			return "ID"
		}
	}
	return v
}

// oddText is a text of at most so many bytes.
func oddText(t *rapid.T, name string, longest int) string {
	return rapid.OneOf(
		rapid.Just(""),
		rapid.SampledFrom([]string{"half", "<b>&amp;</b>", "\u2028\u0085\x7f\x01", "e\u0301\U0001f3ac", "\ufffd\"\\/", strings.Repeat("x", longest)}),
		rapid.Custom(func(t *rapid.T) string {
			return strings.ReplaceAll(rapid.StringN(0, 20, longest).Draw(t, "text"), "\x00", "")
		}),
	).Draw(t, name)
}

// anyReport is one that makes sense by itself, with at most one fault.
func anyReport(t *rapid.T, attempt int) job.Report {
	share := rapid.Ptr(rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, 5e-324, 1 / 3.0})), true)
	number := rapid.Ptr(rapid.OneOf(rapid.Int64Range(0, 100), rapid.Just[int64](math.MaxInt64)), true)
	object := rapid.SampledFrom([]json.RawMessage{
		nil, nil, json.RawMessage(`{}`), json.RawMessage(`{"x":1.50,"x":2}`), json.RawMessage(" {\n\"<\" : [ 1e400 , -0 ] } "),
		json.RawMessage(`{"a":"\ud83d\ude00 \\u0000 \u00e9"}`), json.RawMessage(`{"a":"` + strings.Repeat("x", 4096-8) + `"}`),
	})
	r := job.Report{
		Attempt:      max(1, attempt-max(0, rapid.IntRange(-5, 1).Draw(t, "behind"))),
		State:        anyState(t),
		Progress:     share.Draw(t, "progress"),
		Step:         rapid.SampledFrom([]string{"", "one", "two", "drei<&>\u2028"}).Draw(t, "step"),
		StepProgress: share.Draw(t, "step progress"),
		Processed:    number.Draw(t, "processed"), Total: number.Draw(t, "total"),
		Unit: oddText(t, "unit", 80), Message: oddText(t, "message", job.MaxMessage),
		Details:  object.Draw(t, "details"),
		Error:    oddText(t, "error", job.MaxError-1),
		Unblamed: rapid.Bool().Draw(t, "unblamed"),
		Metadata: metadata(t),
	}
	if ms := number.Draw(t, "remaining"); ms != nil {
		r.Remaining = new(time.Duration(*ms%100_000) * time.Millisecond)
	}
	if rapid.IntRange(0, 3).Draw(t, "bare") == 0 {
		r = job.Report{Attempt: r.Attempt}
	}
	if within := rapid.Ptr(rapid.Int64Range(1, 86_400_000), true).Draw(t, "next within"); within != nil {
		r.NextWithin = new(time.Duration(*within) * time.Millisecond)
	}
	if r.State == job.Failed || r.State == job.Retrying {
		r.Error += "!"
		r.RetryAt = rapid.SampledFrom([]*time.Time{nil, new(time.Date(2030, 1, 2, 3, 4, 5, 678_901_999, time.FixedZone("", 3600))), new(time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC))}).Draw(t, "retry at")
	}
	if r.State == job.Succeeded {
		r.Result = object.Draw(t, "result")
	}
	if rapid.IntRange(0, 4).Draw(t, "faulty") == 0 {
		fault := rapid.SampledFrom(faults()).Draw(t, "fault")
		fault(&r)
	}
	return r
}

func metadata(t *rapid.T) json.RawMessage {
	return rapid.SampledFrom([]json.RawMessage{
		nil, nil, json.RawMessage(`{}`), json.RawMessage(`{ "tenant" : "a\u00e9<&>", "size": 1.50, "live":true }`),
		json.RawMessage(`{"k":"` + strings.Repeat("x", 2048-8) + `"}`),
	}).Draw(t, "metadata")
}

// anyState is mostly none, so that a job lives for some reports.
func anyState(t *rapid.T) job.State {
	if rapid.IntRange(0, 4).Draw(t, "goes on") > 0 {
		return ""
	}
	return rapid.SampledFrom([]job.State{job.Retrying, job.Succeeded, job.Failed, job.Cancelled}).Draw(t, "state")
}

// faults are what a report must not say, each of a kind of its own.
func faults() []func(*job.Report) {
	var list []func(*job.Report)
	for _, text := range []string{"a\x00b", "a\xffb", "\xed\xa0\x80", strings.Repeat("ö", job.MaxError/2) + "x"} {
		list = append(list, func(r *job.Report) { r.Step = text }, func(r *job.Report) { r.Unit = text },
			func(r *job.Report) { r.Message = text }, func(r *job.Report) { r.Error = text })
	}
	for _, share := range []float64{-1e-300, math.Nextafter(1, 2), math.NaN(), math.Inf(1), math.Inf(-1)} {
		list = append(list, func(r *job.Report) { r.Progress = &share }, func(r *job.Report) { r.StepProgress = &share })
	}
	for _, object := range []string{
		`{`, `null`, ` [1]`, `7`, `"{}"`, `{"a":"\u0000"}`, `{"a":"\\\u0000"}`, `{"\ud800":1}`, `{"a":"\udc00\ud800"}`,
		"{\"a\":\"\xff\"}", "{\"a\":\"\x00\"}", `{"a":"` + strings.Repeat("x", 16<<10) + `"}`, `{"a":01}`, `{} {}`,
	} {
		list = append(list, func(r *job.Report) { r.Details = json.RawMessage(object) },
			func(r *job.Report) { r.State, r.Error, r.Result = job.Succeeded, "", json.RawMessage(object) })
	}
	for _, object := range []string{
		`[]`, `{"a":null}`, `{"a":{}}`, `{"a":[1]}`, `{"a":"\u0000"}`, `{"k":"` + strings.Repeat("x", 2049-8) + `"}`,
		`{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"10":1,"11":1,"12":1,"13":1,"14":1,"15":1,"16":1,"17":1}`,
	} {
		list = append(list, func(r *job.Report) { r.Metadata = json.RawMessage(object) })
	}
	for _, key := range []string{"a\nb", "\u0085", strings.Repeat("k", event.MaxKey+1), "a\xff"} {
		list = append(list, func(r *job.Report) { r.Key = key })
	}
	return append(list,
		func(r *job.Report) { r.Attempt++ }, func(r *job.Report) { r.Attempt = 0 }, func(r *job.Report) { r.Attempt = -1 },
		func(r *job.Report) { r.Processed = new(int64(-1)) }, func(r *job.Report) { r.Total = new(int64(math.MinInt64)) },
		func(r *job.Report) { r.Remaining = new(-time.Second) },
		func(r *job.Report) { r.NextWithin = new(time.Duration(0)) }, func(r *job.Report) { r.NextWithin = new(24*time.Hour + time.Millisecond) },
		func(r *job.Report) { r.State, r.Error, r.Result = job.Failed, "", nil },
		func(r *job.Report) { r.State, r.Result = "", json.RawMessage(`{}`) },
		func(r *job.Report) { r.State, r.Result = job.Running, nil },
		func(r *job.Report) { r.State, r.Result = "dancing", nil },
		func(r *job.Report) { r.Step = "store" }, func(r *job.Report) { r.Step = strings.Repeat("s", 81) },
		func(r *job.Report) { r.RetryAt = new(time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)) },
		func(r *job.Report) { r.RetryAt = new(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) },
	)
}
