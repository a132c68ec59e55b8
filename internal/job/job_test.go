package job_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
	"herald/internal/job"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant but for its type

// patience is how long workers are waited for.
//
//nolint:gochecknoglobals // a constant but for its type
var patience = job.Patience{Silence: 30 * time.Second, Cancel: time.Minute, Lease: 10 * time.Minute}

// queued returns a fresh job.
func queued(t *testing.T) job.Job {
	t.Helper()
	out, err := job.Create(job.New{Kind: "video", Owner: "demo", Title: "clip.mp4"}, now)
	if err != nil {
		t.Fatal(err)
	}
	return out.Job
}

func plan() []job.Step {
	return []job.Step{{Name: "probe", Weight: 1}, {Name: "transcode", Weight: 8}, {Name: "store", Weight: 1}}
}

// running returns a job in its first attempt.
func running(t *testing.T) job.Job {
	t.Helper()
	out, err := queued(t).Start("w1", plan(), now)
	if err != nil {
		t.Fatal(err)
	}
	return out.Job
}

// in returns a job in the state.
func in(t *testing.T, state job.State) job.Job {
	t.Helper()
	j := running(t)
	var err error
	out := job.Outcome{Job: j}
	switch state {
	case job.Queued:
		out.Job = queued(t)
	case job.Running:
	case job.Cancelling:
		out, err = j.Cancel("demo", now)
	case job.Retrying, job.Failed:
		out, err = j.Apply(job.Report{Attempt: 1, State: state, Error: "it broke"}, now)
	case job.Succeeded, job.Cancelled:
		out, err = j.Apply(job.Report{Attempt: 1, State: state}, now)
	}
	if err != nil || out.Job.State != state {
		t.Fatalf("cannot make a %s job: %v", state, err)
	}
	return out.Job
}

func TestCreate(t *testing.T) {
	t.Parallel()
	out, err := job.Create(job.New{Kind: "video", Owner: "demo", Title: "clip", Watchers: []event.Topic{"channel:ops"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	j := out.Job
	if j.State != job.Queued || j.Version != 1 || j.Attempt != 0 || j.MaxAttempts != job.DefaultAttempts {
		t.Errorf("Create() = %+v, want a queued job at version 1 before its first attempt", j)
	}
	want := []event.Topic{event.JobTopic(j.ID), "user:demo", "channel:ops"}
	if diff := cmp.Diff(want, out.Event.Topics); diff != "" {
		t.Errorf("topics: -want +got:\n%s", diff)
	}
	if out.Event.Type != event.JobQueued || out.Event.JobVersion != 1 || out.Event.Check() != nil {
		t.Errorf("event = %+v, want a valid %s of version 1", out.Event, event.JobQueued)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	for field, harm := range map[string]func(*job.New){
		"kind":         func(n *job.New) { n.Kind = "" },
		"title":        func(n *job.New) { n.Title = strings.Repeat("x", job.MaxTitle+1) },
		"owner":        func(n *job.New) { n.Owner = "two words" },
		"args":         func(n *job.New) { n.Args = json.RawMessage(`[1]`) },
		"max_attempts": func(n *job.New) { n.MaxAttempts = -1 },
		"lease_ms":     func(n *job.New) { n.Lease = job.MinLease - 1 },
		"size":         func(n *job.New) { n.Size = -1 },
	} {
		n := job.New{Kind: "video", Owner: "demo", Title: "clip"}
		harm(&n)
		_, err := job.Create(n, now)
		var invalid *job.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("Create(%+v) = %v, want an error about %s", n, err, field)
		}
	}
}

// Every state against everything that can be asked of a job or reported.
func TestTransitions(t *testing.T) {
	t.Parallel()
	type act func(job.Job) (job.Outcome, error)
	report := func(s job.State) act {
		return func(j job.Job) (job.Outcome, error) {
			r := job.Report{Attempt: max(j.Attempt, 1), State: s}
			if s == job.Failed || s == job.Retrying {
				r.Error = "it broke"
			}
			return j.Apply(r, now)
		}
	}
	acts := map[string]act{
		"start":   func(j job.Job) (job.Outcome, error) { return j.Start("w2", plan(), now) },
		"retry":   report(job.Retrying),
		"succeed": report(job.Succeeded),
		"fail":    report(job.Failed),
		"stop":    report(job.Cancelled),
		"cancel":  func(j job.Job) (job.Outcome, error) { return j.Cancel("demo", now) },
		"requeue": func(j job.Job) (job.Outcome, error) { return j.Requeue("demo", 3, now) },
		"lose":    func(j job.Job) (job.Outcome, error) { return j.Lose(now) },
		"silent":  func(j job.Job) (job.Outcome, error) { return j.Silent(patience, now.Add(patience.Silence)) },
		"late":    func(j job.Job) (job.Outcome, error) { return j.Silent(patience, now.Add(patience.Lease)) },
		"hush":    func(j job.Job) (job.Outcome, error) { return j.Silent(patience, now.Add(patience.Cancel)) },
		"stall":   func(j job.Job) (job.Outcome, error) { return j.Stall(now) },
		"delete":  func(j job.Job) (job.Outcome, error) { return j.Delete("demo", now) },
	}
	const refused, late, same = "refused", "late", "same"
	// Each cell is the state that follows, or what becomes of the act instead.
	table := map[job.State]map[string]string{
		job.Queued: {
			"start": "running", "cancel": "cancelled", "requeue": refused, "lose": same, "stall": same, "delete": refused,
			"retry": refused, "succeed": refused, "fail": refused, "stop": refused,
			"silent": same, "hush": same, "late": same,
		},
		job.Running: {
			"start": refused, "retry": "retrying", "succeed": "succeeded", "fail": "failed", "stop": "cancelled",
			"cancel": "cancelling", "requeue": refused, "lose": "retrying", "stall": "running", "delete": refused,
			"silent": "running", "hush": "running", "late": "retrying",
		},
		job.Retrying: {
			"start": "running", "retry": late, "succeed": late, "fail": late, "stop": late,
			"cancel": "cancelled", "requeue": refused, "lose": same, "stall": same, "delete": refused,
			"silent": same, "hush": same, "late": same,
		},
		job.Cancelling: {
			"start": refused, "retry": refused, "succeed": "succeeded", "fail": "failed", "stop": "cancelled",
			"cancel": same, "requeue": refused, "lose": "cancelled", "stall": "cancelling", "delete": refused,
			"silent": "cancelling", "hush": "cancelled", "late": "cancelled",
		},
		job.Succeeded: {
			"start": refused, "retry": late, "succeed": late, "fail": late, "stop": late,
			"cancel": refused, "requeue": refused, "lose": same, "stall": same, "delete": "succeeded",
			"silent": same, "hush": same, "late": same,
		},
		job.Failed: {
			"start": refused, "retry": late, "succeed": late, "fail": late, "stop": late,
			"cancel": refused, "requeue": "queued", "lose": same, "stall": same, "delete": "failed",
			"silent": same, "hush": same, "late": same,
		},
		job.Cancelled: {
			"start": refused, "retry": late, "succeed": late, "fail": late, "stop": late,
			"cancel": same, "requeue": "queued", "lose": same, "stall": same, "delete": "cancelled",
			"silent": same, "hush": same, "late": same,
		},
	}
	for _, state := range job.States() {
		for name, act := range acts {
			j := in(t, state)
			out, err := act(j)
			got := string(out.Job.State)
			switch {
			case err != nil:
				got = refused
			case out.Late:
				got = late
			case out.Event == nil:
				got = same
			}
			if want := table[state][name]; got != want {
				t.Errorf("%s of a %s job: %s (%v), want %s", name, state, got, err, want)
			}
			if out.Event != nil && !out.Late && out.Job.Version != j.Version+1 {
				t.Errorf("%s of a %s job: version %d, want %d", name, state, out.Job.Version, j.Version+1)
			}
			if (got == late || got == same) && out.Job.Version != j.Version {
				t.Errorf("%s of a %s job is %s, but raised the version", name, state, got)
			}
		}
	}
}

func TestApplyChoosesTheEvent(t *testing.T) {
	t.Parallel()
	stalled := func(j job.Job) job.Job {
		out, err := j.Stall(now)
		if err != nil {
			t.Fatal(err)
		}
		return out.Job
	}
	same := func(j job.Job) job.Job { return j }
	for _, tt := range []struct {
		name   string
		from   func(job.Job) job.Job
		report job.Report
		want   event.Type
	}{
		{"progress", same, job.Report{Progress: new(0.5)}, event.JobProgress},
		{"counts", same, job.Report{Processed: new(int64(3))}, event.JobProgress},
		{"message", same, job.Report{Message: "hello", Progress: new(0.5)}, event.JobMessage},
		{"step", same, job.Report{Step: "probe", Message: "hello"}, event.JobStep},
		{"end", same, job.Report{State: job.Succeeded, Step: "store"}, event.JobSucceeded},
		{"life after a stall", stalled, job.Report{Progress: new(0.5)}, event.JobResumed},
		{"heartbeat after a stall", stalled, job.Report{}, event.JobResumed},
		{"end after a stall", stalled, job.Report{State: job.Succeeded}, event.JobSucceeded},
	} {
		tt.report.Attempt = 1
		out, err := tt.from(running(t)).Apply(tt.report, now)
		if err != nil || out.Event == nil || out.Event.Type != tt.want {
			t.Errorf("%s: Apply(%+v) = %+v, %v, want %s", tt.name, tt.report, out.Event, err, tt.want)
		}
		if out.Job.Stalled {
			t.Errorf("%s: the job is still stalled", tt.name)
		}
	}
}

func TestHeartbeatHasNoEvent(t *testing.T) {
	t.Parallel()
	j := running(t)
	later := now.Add(time.Second)
	out, err := j.Apply(job.Report{Attempt: 1}, later)
	if err != nil || out.Event != nil || !out.Job.HeartbeatAt.Equal(later) || out.Job.Version != j.Version {
		t.Errorf("Apply(heartbeat) = %+v, %v, want the time alone to change", out, err)
	}
}

func TestReportsAreFencedByAttempt(t *testing.T) {
	t.Parallel()
	second, err := in(t, job.Retrying).Start("w2", plan(), now)
	if err != nil {
		t.Fatal(err)
	}
	j := second.Job
	if j.Attempt != 2 {
		t.Fatalf("attempt = %d, want 2", j.Attempt)
	}
	out, err := j.Apply(job.Report{Attempt: 1, State: job.Succeeded, Message: "done!"}, now)
	if err != nil || !out.Late {
		t.Fatalf("Apply(report of attempt 1) = %+v, %v, want it to be late", out, err)
	}
	if diff := cmp.Diff(j, out.Job); diff != "" {
		t.Errorf("a late report changed the job: -want +got:\n%s", diff)
	}
	if out.Event.Type != event.JobLateReport || !cmp.Equal(out.Event.Topics, []event.Topic{event.JobTopic(j.ID)}) {
		t.Errorf("event = %+v, want a %s that its owner does not see", out.Event, event.JobLateReport)
	}
	var invalid *job.InvalidError
	if _, err := j.Apply(job.Report{Attempt: 3}, now); !errors.As(err, &invalid) {
		t.Errorf("Apply(report of attempt 3) = %v, want an *InvalidError", err)
	}
}

func TestStepsWeighIn(t *testing.T) {
	t.Parallel()
	j := running(t)
	for _, tt := range []struct {
		report job.Report
		want   float64
	}{
		{job.Report{Step: "probe"}, 0},
		{job.Report{StepProgress: new(0.5)}, 0.05},
		{job.Report{Step: "transcode"}, 0.1},
		{job.Report{StepProgress: new(0.5)}, 0.5},
		{job.Report{StepProgress: new(0.25)}, 0.5}, // never back
		{job.Report{Step: "store", StepProgress: new(1.0)}, 1},
	} {
		tt.report.Attempt = 1
		out, err := j.Apply(tt.report, now)
		if err != nil {
			t.Fatalf("Apply(%+v) = %v", tt.report, err)
		}
		j = out.Job
		if diff := j.Progress - tt.want; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("after %+v progress is %v, want %v", tt.report, j.Progress, tt.want)
		}
	}
	if j.Steps[0].FinishedAt == nil || j.Steps[1].FinishedAt == nil || j.Steps[2].FinishedAt != nil {
		t.Errorf("steps = %+v, want the first two finished", j.Steps)
	}
	var invalid *job.InvalidError
	if _, err := j.Apply(job.Report{Attempt: 1, Step: "dance"}, now); !errors.As(err, &invalid) {
		t.Errorf("Apply(unknown step) = %v, want an *InvalidError", err)
	}
}

func TestApplyLeavesItsJobAlone(t *testing.T) {
	t.Parallel()
	j := running(t)
	before, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []job.Report{{Step: "transcode"}, {Step: "store"}, {State: job.Succeeded}} {
		r.Attempt = 1
		if _, err := j.Apply(r, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	after, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("Apply changed its receiver: -want +got:\n%s", diff)
	}
}

func TestRequeueStartsAfresh(t *testing.T) {
	t.Parallel()
	out, err := in(t, job.Failed).Requeue("demo", 3, now)
	if err != nil {
		t.Fatal(err)
	}
	j := out.Job
	if j.State != job.Queued || j.Progress != 0 || j.Error != "" || j.FinishedAt != nil || j.Attempt != 1 || j.MaxAttempts != 4 {
		t.Errorf("Requeue() = %+v, want a queued job with three attempts after its first", j)
	}
}

func TestLoseEndsWhatHasNoAttemptLeft(t *testing.T) {
	t.Parallel()
	j := running(t)
	j.MaxAttempts = 1
	out, err := j.Lose(now)
	if err != nil || out.Job.State != job.Failed || out.Job.Error == "" {
		t.Errorf("Lose() = %+v, %v, want a failed job that says why", out.Job, err)
	}
}

func TestAnUnblamedAttemptDoesNotCount(t *testing.T) {
	t.Parallel()
	r := job.Report{Attempt: 1, State: job.Retrying, Error: "The worker is shutting down.", Unblamed: true}
	out, err := running(t).Apply(r, now)
	if err != nil || out.Job.MaxAttempts != job.DefaultAttempts+1 {
		t.Errorf("Apply() = at most %d attempts, %v, want %d", out.Job.MaxAttempts, err, job.DefaultAttempts+1)
	}
}

func TestReportCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		report job.Report
		field  string
	}{
		{job.Report{Attempt: 1}, ""},
		{job.Report{}, "attempt"},
		{job.Report{Attempt: 1, Progress: new(1.01)}, "progress"},
		{job.Report{Attempt: 1, StepProgress: new(-0.1)}, "step_progress"},
		{job.Report{Attempt: 1, Processed: new(int64(-1))}, "processed"},
		{job.Report{Attempt: 1, Total: new(int64(-1))}, "total"},
		{job.Report{Attempt: 1, Message: "a\x00b"}, "message"},
		{job.Report{Attempt: 1, Message: "a\xffb"}, "message"},
		{job.Report{Attempt: 1, Message: strings.Repeat("x", job.MaxMessage+1)}, "message"},
		{job.Report{Attempt: 1, Details: json.RawMessage(`7`)}, "details"},
		{job.Report{Attempt: 1, Details: json.RawMessage(`{`)}, "details"},
		{job.Report{Attempt: 1, Details: json.RawMessage(`null`)}, "details"},
		{job.Report{Attempt: 1, Details: json.RawMessage(`{"a":"\u0000"}`)}, "details"},
		{job.Report{Attempt: 1, Details: json.RawMessage(" \n{}")}, ""},
		{job.Report{Attempt: 1, RetryAt: new(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))}, "retry_at"},
		{job.Report{Attempt: 1, Key: strings.Repeat("k", 200)}, ""},
		{job.Report{Attempt: 1, Key: strings.Repeat("k", 201)}, "idempotency_key"},
		{job.Report{Attempt: 1, Key: "a\nb"}, "idempotency_key"},
		{job.Report{Attempt: 1, Remaining: new(-time.Second)}, "remaining_ms"},
		{job.Report{Attempt: 1, State: job.Failed}, "error"},
		{job.Report{Attempt: 1, State: job.Running}, "state"},
		{job.Report{Attempt: 1, State: "dancing"}, "state"},
		{job.Report{Attempt: 1, Result: json.RawMessage(`{}`)}, "result"},
		{job.Report{Attempt: 1, NextWithin: new(time.Millisecond)}, ""},
		{job.Report{Attempt: 1, NextWithin: new(time.Duration(0))}, "next_within_ms"},
		{job.Report{Attempt: 1, NextWithin: new(24*time.Hour + 1)}, "next_within_ms"},
	} {
		err := tt.report.Check()
		var invalid *job.InvalidError
		if tt.field == "" && err != nil || tt.field != "" && (!errors.As(err, &invalid) || invalid.Field != tt.field) {
			t.Errorf("Check(%+v) = %v, want an error about %q", tt.report, err, tt.field)
		}
	}
}

func TestMetadataIsOnEveryEvent(t *testing.T) {
	t.Parallel()
	out, err := job.Create(job.New{Kind: "build", Owner: "demo", Title: "x", External: true, Metadata: json.RawMessage(`{"tenant":"a"}`)}, now)
	if err != nil {
		t.Fatal(err)
	}
	check := func(out job.Outcome, err error) job.Job {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if m := event.MetadataOf(out.Event.Payload); len(m) == 0 {
			t.Errorf("%s has no metadata: %s", out.Event.Type, out.Event.Payload)
		}
		return out.Job
	}
	j := check(out, nil)
	j = check(j.Claim(job.Claim{By: "w"}, now))
	j = check(j.Apply(job.Report{Attempt: 1, Progress: new(0.5)}, now))
	j = check(j.Apply(job.Report{Attempt: 1, Metadata: json.RawMessage(`{"build":7,"live":true}`)}, now))
	if m := event.MetadataOf(out.Event.Payload); string(j.Metadata) != `{"build":7,"live":true}` || m["tenant"] != "a" {
		t.Errorf("metadata %s, at first %v", j.Metadata, m)
	}
	j = check(j.Apply(job.Report{Attempt: 1, State: job.Succeeded}, now))
	check(j.Apply(job.Report{Attempt: 1, Message: "late"}, now))
	check(j.Delete("demo", now))
}

func TestMerge(t *testing.T) {
	t.Parallel()
	older := job.Report{
		Attempt: 1, Step: "probe", StepProgress: new(0.9), Progress: new(0.1), Message: "one", Unit: "frames",
		Details: json.RawMessage(`{"fps":1}`), Key: "older",
	}
	older.NextWithin = new(time.Hour) // which the later one does not repeat
	got := older.Merge(job.Report{Attempt: 1, Key: "later", Step: "transcode", Processed: new(int64(4)), Message: "two"})
	want := job.Report{
		Attempt: 1, Step: "transcode", Progress: new(0.1), Processed: new(int64(4)), Message: "two",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Merge(): -want +got:\n%s", diff)
	}
}

// Each thing that a report says is in its fingerprint.
func TestFingerprintTellsReportsApart(t *testing.T) {
	t.Parallel()
	text, object := "x", json.RawMessage(`{}`)
	reports := []job.Report{
		{Attempt: 1},
		{Attempt: 2},
		{State: job.Failed},
		{Progress: new(0.0)},
		{Progress: new(5e-324)},
		{Step: text},
		{StepProgress: new(0.0)},
		{Processed: new(int64(0))},
		{Total: new(int64(0))},
		{Unit: text},
		{Message: text},
		{Details: object},
		{Remaining: new(time.Duration(0))},
		{Error: text},
		{RetryAt: &now},
		{Unblamed: true},
		{Result: object},
		{Result: json.RawMessage(`{ }`)},
		{NextWithin: new(time.Second)},
		{NextWithin: new(2 * time.Second)},
	}
	seen := map[string]job.Report{}
	for _, r := range reports {
		mark := string(r.Fingerprint())
		if other, ok := seen[mark]; ok {
			t.Errorf("Fingerprint(%+v) = Fingerprint(%+v)", r, other)
		}
		seen[mark] = r
	}
	at := now.Add(999 * time.Nanosecond).In(time.FixedZone("", 3600))
	keyed := job.Report{RetryAt: &at, Key: "k"}
	if diff := cmp.Diff(job.Report{RetryAt: &now}.Fingerprint(), keyed.Fingerprint()); diff != "" {
		t.Errorf("a time zone, nanoseconds or the key make another request: -want +got:\n%s", diff)
	}
}

// What a job says fits into its event, also when HTML would blow it up.
func TestAJobOfHTMLFitsIntoItsEvent(t *testing.T) {
	t.Parallel()
	html := json.RawMessage(`{"html":"` + strings.Repeat("<", 16<<10-11) + `"}`)
	out, err := running(t).Apply(job.Report{Attempt: 1, State: job.Succeeded, Result: html, Message: strings.Repeat("&", job.MaxMessage)}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Event.Check(); err != nil {
		t.Errorf("Check() = %v", err)
	}
}
