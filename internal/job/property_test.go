package job_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/job"
)

// Whatever is asked of a job and reported about it, in any order: no state is
// reached that is none, progress never goes back within an attempt, attempts
// and versions only grow, an end is an end, and every event fits into the log.
func TestAnyLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		created, err := job.Create(job.New{Kind: "video", Owner: "demo", Title: "clip", MaxAttempts: rapid.IntRange(1, 4).Draw(t, "attempts")}, now)
		if err != nil {
			t.Fatal(err)
		}
		j := created.Job
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at := j.UpdatedAt.Add(time.Second)
			out, err := anyAct(t, j, at)
			if err != nil {
				continue
			}
			checkStep(t, j, out)
			j = out.Job
		}
	})
}

func anyAct(t *rapid.T, j job.Job, at time.Time) (job.Outcome, error) {
	switch rapid.IntRange(0, 8).Draw(t, "act") {
	case 0:
		return j.Start("w", rapid.SampledFrom([][]job.Step{nil, plan()}).Draw(t, "plan"), at)
	case 1:
		return j.Cancel("demo", at)
	case 2:
		return j.Requeue("demo", 2, at)
	case 3:
		return j.Lose(at)
	case 4:
		return j.Stall(at)
	case 5:
		silence := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "silence"))
		return j.Silent(job.Patience{
			Silence: silence / 20, Cancel: silence / 10, Lease: silence, Spare: rapid.Bool().Draw(t, "spare"),
		}, at)
	default:
		return j.Apply(anyReport(t, j), at)
	}
}

func anyReport(t *rapid.T, j job.Job) job.Report {
	share := rapid.Ptr(rapid.Float64Range(0, 1), true)
	r := job.Report{
		Attempt:      max(1, j.Attempt-rapid.IntRange(0, 1).Draw(t, "behind")),
		State:        rapid.SampledFrom([]job.State{"", "", "", job.Retrying, job.Succeeded, job.Failed, job.Cancelled}).Draw(t, "state"),
		Progress:     share.Draw(t, "progress"),
		Step:         rapid.SampledFrom([]string{"", "probe", "transcode", "store"}).Draw(t, "step"),
		StepProgress: share.Draw(t, "step progress"),
		Message:      rapid.StringN(0, 20, 80).Draw(t, "message"),
	}
	if within := rapid.Ptr(rapid.Int64Range(int64(time.Millisecond), int64(24*time.Hour)), true).Draw(t, "next within"); within != nil {
		r.NextWithin = new(time.Duration(*within))
	}
	if r.State == job.Failed || r.State == job.Retrying {
		r.Error = "it broke"
	}
	return r
}

func checkStep(t *rapid.T, before job.Job, out job.Outcome) {
	t.Helper()
	after := out.Job
	switch {
	case !after.State.Valid():
		t.Fatalf("state %q", after.State)
	case after.Progress < 0 || after.Progress > 1:
		t.Fatalf("progress %v", after.Progress)
	case after.Attempt == before.Attempt && after.State != job.Queued && after.Progress < before.Progress:
		t.Fatalf("progress went back from %v to %v", before.Progress, after.Progress)
	case after.Attempt < before.Attempt || after.Attempt > before.Attempt+1:
		t.Fatalf("attempt went from %d to %d", before.Attempt, after.Attempt)
	case before.State.Ended() && after.State != before.State && after.State != job.Queued:
		t.Fatalf("a %s job became %s", before.State, after.State)
	case after.State == job.Cancelling && after.CancelAskedAt == nil:
		t.Fatal("nobody knows since when a cancel is asked for")
	case !after.State.Working() && (after.NextDueAt != nil || after.Stalled):
		t.Fatalf("a %s job waits for its worker's word", after.State)
	case after.State.Ended() != (after.FinishedAt != nil):
		t.Fatalf("a %s job has finished at %v", after.State, after.FinishedAt)
	}
	if changed := out.Event != nil && !out.Late; after.Version != before.Version && !changed || changed && after.Version != before.Version+1 {
		t.Fatalf("version went from %d to %d with event %v", before.Version, after.Version, out.Event)
	}
	if out.Event != nil {
		checkEvent(t, out)
	}
}

func checkEvent(t *rapid.T, out job.Outcome) {
	t.Helper()
	if err := out.Event.Check(); err != nil {
		t.Fatalf("the log would refuse %s: %v", out.Event.Type, err)
	}
	if out.Late {
		return
	}
	var said struct {
		Version int64     `json:"version"`
		State   job.State `json:"state"`
	}
	if err := json.Unmarshal(out.Event.Payload, &said); err != nil || said.Version != out.Job.Version || said.State != out.Job.State {
		t.Fatalf("%s says %+v, %v of a job at version %d, %s", out.Event.Type, said, err, out.Job.Version, out.Job.State)
	}
	if out.Event.Type == event.JobProgress && out.Event.JobVersion != out.Job.Version {
		t.Fatalf("event of version %d for a job at %d", out.Event.JobVersion, out.Job.Version)
	}
}
