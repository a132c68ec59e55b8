package job_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/job"
)

// What a worker's silence comes to, and when.
func TestSilence(t *testing.T) {
	t.Parallel()
	promised := func(within time.Duration) job.Job {
		out, err := running(t).Apply(job.Report{Attempt: 1, NextWithin: &within}, now)
		if err != nil || out.Event != nil {
			t.Fatalf("a promise alone is %+v, %v, want a heartbeat", out, err)
		}
		return out.Job
	}
	leased := running(t)
	leased.Lease = new(job.Millis(60_000))
	last := running(t)
	last.MaxAttempts = 1
	stalled := promised(time.Second)
	stalled.Stalled = true
	const just = time.Microsecond
	for name, tt := range map[string]struct {
		job   job.Job
		after time.Duration
		spare bool
		want  event.Type
	}{
		"soon":                               {running(t), 30*time.Second - just, false, ""},
		"30 s":                               {running(t), 30 * time.Second, false, event.JobStalled},
		"a promise kept so far":              {promised(time.Hour), time.Hour - just, false, ""},
		"a promise broken":                   {promised(time.Hour), time.Hour, false, event.JobStalled},
		"a short promise broken":             {promised(time.Second), time.Second, false, event.JobStalled},
		"told of before":                     {stalled, time.Minute, false, ""},
		"the lease":                          {running(t), 10 * time.Minute, false, event.JobRetrying},
		"the lease after a promise":          {promised(time.Hour), time.Hour + 10*time.Minute, false, event.JobRetrying},
		"its own lease":                      {leased, time.Minute, false, event.JobRetrying},
		"the lease of the last attempt":      {last, 10 * time.Minute, false, event.JobFailed},
		"the lease, when all are spared":     {running(t), 10 * time.Minute, true, event.JobStalled},
		"a cancel, not yet":                  {in(t, job.Cancelling), 30*time.Second - just, false, ""},
		"a cancel unanswered":                {in(t, job.Cancelling), time.Minute, false, event.JobCancelled},
		"a cancel, also when all are spared": {in(t, job.Cancelling), time.Minute, true, event.JobCancelled},
	} {
		p := patience
		p.Spare = tt.spare
		out, err := tt.job.Silent(p, now.Add(tt.after))
		var got event.Type
		if out.Event != nil {
			got = out.Event.Type
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tt.want)
		}
		if got != "" && (out.Event.Actor != job.Herald || !out.Job.HeartbeatAt.Equal(now)) {
			t.Errorf("%s: by %q, last heard of at %v, want it by Herald, and the worker's last word kept", name, out.Event.Actor, out.Job.HeartbeatAt)
		}
	}
}

// A worker that comes back after it was given up changes nothing.
func TestAReportAfterTheLeaseIsLate(t *testing.T) {
	t.Parallel()
	for _, j := range []job.Job{running(t), in(t, job.Cancelling)} {
		out, err := j.Silent(patience, now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		late, err := out.Job.Apply(job.Report{Attempt: 1, State: job.Succeeded}, now.Add(2*time.Hour))
		if err != nil || !late.Late || late.Job.State != out.Job.State {
			t.Errorf("a report on the %s job: %+v, %v, want it late", out.Job.State, late, err)
		}
	}
}

// A cancel shows since when it is asked for, until the job gets another life.
func TestACancelHasATime(t *testing.T) {
	t.Parallel()
	j := in(t, job.Cancelling)
	again, err := j.Cancel("demo", now.Add(time.Minute))
	if err != nil || again.Job.CancelAskedAt == nil || !again.Job.CancelAskedAt.Equal(now) {
		t.Errorf("asked at %v, %v, want it to be the first time", again.Job.CancelAskedAt, err)
	}
	ended, err := j.Silent(patience, now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if next, err := ended.Job.Requeue("demo", 3, now); err != nil || next.Job.CancelAskedAt != nil {
		t.Errorf("after a retry it is asked for at %v, %v", next.Job.CancelAskedAt, err)
	}
}

// However a worker behaves, and whatever it promises: once it is silent for good,
// its job does not stay with it.
func TestNoJobHangs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		j := running(t)
		at := now
		for range rapid.IntRange(0, 20).Draw(rt, "acts") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "pause")))
			out, err := anyAct(rt, j, at)
			if err == nil {
				j = out.Job
			}
		}
		working := j.State.Working()
		out, err := j.Silent(patience, at.Add(24*time.Hour+patience.Lease))
		if err != nil || out.Job.State.Working() {
			rt.Fatalf("after a day's silence and the lease, a job that was %s is %s, %v", j.State, out.Job.State, err)
		}
		if working != (out.Event != nil) {
			rt.Fatalf("a %s job became %s with event %v", j.State, out.Job.State, out.Event)
		}
	})
}
