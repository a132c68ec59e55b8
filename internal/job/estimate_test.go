package job_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/internal/job"
)

// span is the range for the time left, in milliseconds, and whether there is one.
func span(j job.Job) (low, high job.Millis, known bool) {
	e := j.Estimated().Estimate
	if e == nil || e.Low == nil {
		return 0, 0, false
	}
	return *e.Low, *e.High, true
}

// at is the job as it reports the progress so long after its beginning.
func at(t interface{ Fatal(...any) }, j job.Job, elapsed time.Duration, progress float64) job.Job {
	out, err := j.Apply(job.Report{Attempt: 1, Progress: &progress}, now.Add(elapsed))
	if err != nil {
		t.Fatal(err)
	}
	return out.Job
}

// fresh is a job without a plan in its first attempt.
func fresh(t *testing.T) job.Job {
	t.Helper()
	out, err := queued(t).Start("w", nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return out.Job
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	const minute = 60_000
	alike := fresh(t)
	alike.Usual = &job.Usual{3 * minute, 5 * minute, 6 * minute}
	said := fresh(t)
	said.Remaining = new(job.Millis(20_000))
	half := at(t, fresh(t), 10*time.Second, 0.5)
	for name, tt := range map[string]struct {
		job       job.Job
		low, high job.Millis
		known     bool
	}{
		"at first":                      {at(t, fresh(t), 2*time.Second, 0.5), 0, 0, false},
		"nothing done":                  {at(t, fresh(t), time.Minute, 0), 0, 0, false},
		"half done in 10 s":             {half, 7_500, 12_500, true},
		"no progress since":             {at(t, half, 30*time.Second, 0.5), 22_500, 37_500, true},
		"all but done":                  {at(t, fresh(t), 10*time.Second, 1), 0, 0, true},
		"what the worker says":          {at(t, said, 10*time.Second, 0), 12_000, 28_000, true},
		"usual, nothing done":           {at(t, alike, minute*time.Millisecond, 0), 2 * minute, 4 * minute, true},
		"usual, slower than all":        {at(t, alike, 2*minute*time.Millisecond*4, 0), 0, 0, false},
		"a retrying job":                {in(t, job.Retrying), 0, 0, false},
		"a job that is to be cancelled": {in(t, job.Cancelling), 0, 0, false},
	} {
		low, high, known := span(tt.job)
		const rounding = 1
		if low < tt.low-rounding || low > tt.low || high < tt.high || high > tt.high+rounding || known != tt.known {
			t.Errorf("%s: %v to %v ms, %v, want %v to %v, %v", name, low, high, known, tt.low, tt.high, tt.known)
		}
	}
	for elapsed, want := range map[time.Duration]int{time.Minute: 0, 4 * time.Minute: 10, 330 * time.Second: 90, 7 * time.Minute: 95} {
		if e := at(t, alike, elapsed, 0.1).Estimate; e == nil || e.Percentile != want || *e.UsualLow != 3*minute || *e.UsualHigh != 5*minute {
			t.Errorf("after %v: %+v, want a percentile of %d, and what is usual", elapsed, e, want)
		}
	}
}

// A steady job's range only shrinks, and has the truth in it.
func TestTheEstimateOfASteadyJob(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		j := fresh(t)
		whole := rapid.Float64Range(10_000, 1e9).Draw(rt, "whole")
		if rapid.Bool().Draw(rt, "usual") {
			j.Usual = &job.Usual{whole * 0.9, whole * 1.1, whole * 1.2}
		}
		steps := rapid.IntRange(5, 60).Draw(rt, "steps")
		lastLow, lastHigh, had := job.Millis(0), job.Millis(0), false
		for i := 1; i <= steps; i++ {
			share := float64(i) / float64(steps)
			j = at(rt, j, time.Duration(whole*share*float64(time.Millisecond)), share)
			low, high, known := span(j)
			if !known {
				if had {
					rt.Fatalf("at %v the range is gone", share)
				}
				continue
			}
			const rounding = 2
			left := job.Millis(whole * (1 - share))
			if low > left+rounding || high < left-rounding {
				rt.Fatalf("at %v: %d to %d ms, want %d in it", share, low, high, left)
			}
			if had && high > lastHigh+rounding {
				rt.Fatalf("at %v the range went from %d–%d to %d–%d", share, lastLow, lastHigh, low, high)
			}
			lastLow, lastHigh, had = low, high, true
		}
	})
}

// Whatever a job does, a range is one: not negative, its low end first.
func TestAnyEstimate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		j := fresh(t)
		if rapid.Bool().Draw(rt, "usual") {
			low := rapid.Float64Range(0, 1e7).Draw(rt, "low")
			j.Usual = &job.Usual{low, low * 2, low * 3}
		}
		elapsed := time.Duration(0)
		for range rapid.IntRange(1, 30).Draw(rt, "reports") {
			elapsed += time.Duration(rapid.Int64Range(0, int64(rapid.SampledFrom([]time.Duration{time.Second, time.Hour, 1000 * time.Hour}).Draw(rt, "scale"))).Draw(rt, "pause"))
			r := job.Report{Attempt: 1, Progress: rapid.Ptr(rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{5e-324, 1e-9, 1})), true).Draw(rt, "progress")}
			if left := rapid.Ptr(rapid.Int64Range(0, 9e12), true).Draw(rt, "remaining"); left != nil {
				r.Remaining = new(time.Duration(*left) * time.Millisecond)
			}
			out, err := j.Apply(r, now.Add(elapsed))
			if err != nil {
				rt.Fatal(err)
			}
			j = out.Job
			low, high, known := span(j)
			if low < 0 || high < low || known && elapsed < 3*time.Second {
				rt.Fatalf("after %v at %v: %d to %d", elapsed, j.Progress, low, high)
			}
		}
	})
}

// The less regular the rate, the wider the range: of two jobs that have come as far
// in the same time, the one that did it in a rush says less.
func TestAnIrregularRateWidensTheEstimate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steady, rushed := fresh(t), fresh(t)
		rush := rapid.Float64Range(0.01, 0.9).Draw(rt, "rush") // the progress of the first half
		for second := 1; second <= 16; second++ {
			share := float64(second) / 20
			steady = at(rt, steady, time.Duration(second)*time.Second, share)
			early := min(share, 0.4) / 0.4 * rush * 0.8
			late := max(share-0.4, 0) / 0.4 * (1 - rush) * 0.8
			rushed = at(rt, rushed, time.Duration(second)*time.Second, min(early+late, 0.8))
		}
		rushed = at(rt, rushed, 16*time.Second, 0.8)
		low, high, _ := span(steady)
		otherLow, otherHigh, _ := span(rushed)
		if otherHigh-otherLow < high-low-2 {
			rt.Fatalf("%d to %d in a rush of %v, steadily %d to %d", otherLow, otherHigh, rush, low, high)
		}
	})
}
