package job

import (
	"math"
	"strconv"
	"time"
)

// Estimate is how long a job may still take and how long such jobs took, in
// ranges: what is inside is likely, and nothing is promised. A field is nil when
// nothing is known.
type Estimate struct {
	Low  *Millis `json:"low_ms"`  // the time left at the job's last event: at least
	High *Millis `json:"high_ms"` // at most

	UsualLow  *Millis `json:"usual_low_ms"`  // in which a tenth of such jobs were done
	UsualHigh *Millis `json:"usual_high_ms"` // in which nine tenths were
	UsualSlow *Millis `json:"usual_slow_ms"` // in which 95 % were

	// Percentile is how many of a hundred such jobs, at least, were done in the
	// time that this one has taken so far: 0, 10, 90 or 95.
	Percentile int `json:"percentile"`
}

// Usual is how long jobs of a kind and likeness took, in milliseconds: those in
// which 10, 90 and 95 % of the last were done.
type Usual [3]float64

// Pace is two earlier moments of an attempt, the older first: milliseconds since
// it began, and the progress then.
type Pace [4]float64

const (
	// settling is how long an attempt runs before anything is said of its end, and
	// enough is how far it has to be before its own rate says something.
	settling = 3000
	enough   = 0.005
	// firstPace is when the first moment is kept.
	firstPace = 1000
	// mostMillis bounds what is said.
	mostMillis = 1e15
)

// keepPace keeps the moment when the time has doubled since the last one that was
// kept, so that the older one is never long ago nor just now.
func (j *Job) keepPace(now time.Time) {
	if j.AttemptStartedAt == nil {
		return
	}
	if elapsed := millis(*j.AttemptStartedAt, now); elapsed >= firstPace && elapsed >= 2*j.Pace[2] {
		j.Pace = Pace{j.Pace[2], j.Pace[3], elapsed, j.Progress}
	}
}

// millis are the milliseconds between two times, to the microsecond.
func millis(from, to time.Time) float64 { return float64(to.Sub(from).Microseconds()) / 1000 }

// Estimated returns the job with its Estimate.
func (j Job) Estimated() Job {
	j.Estimate = j.estimate()
	return j
}

// estimate is herald.job_estimate in SQL, to the bit.
func (j Job) estimate() *Estimate {
	if j.State != Running || j.AttemptStartedAt == nil {
		return nil
	}
	elapsed := millis(*j.AttemptStartedAt, j.UpdatedAt)
	low, high, known := j.left(elapsed)
	if !known && j.Usual == nil {
		return nil
	}
	e := &Estimate{}
	if known {
		e.Low, e.High = new(Millis(math.Floor(low))), new(Millis(math.Ceil(high)))
	}
	if u := j.Usual; u != nil {
		e.UsualLow, e.UsualHigh, e.UsualSlow = new(Millis(math.Floor(u[0]))), new(Millis(math.Ceil(u[1]))), new(Millis(math.Ceil(u[2])))
		e.Percentile = u.percentile(elapsed)
	}
	return e
}

func (u Usual) percentile(elapsed float64) int {
	for i, percent := range []int{95, 90, 10} {
		if elapsed > u[2-i] {
			return percent
		}
	}
	return 0
}

// left is a range for the time left after so many milliseconds. It spans the
// attempt's rate on the whole, its rate of late, and what its worker says, and
// some more the less is done; at first, how long such jobs took counts for most.
func (j Job) left(elapsed float64) (low, high float64, known bool) {
	if elapsed < settling {
		return 0, 0, false
	}
	low, high, known = j.ownRate(elapsed)
	if j.Remaining != nil {
		said := float64(*j.Remaining)
		if !known {
			low, high, known = said, said, true
		}
		low, high = min(low, said), max(high, said)
	}
	undone := 1 - j.Progress
	low *= 0.9 - float64(0.3*undone)
	high *= 1.1 + float64(0.3*undone)
	if u := j.Usual; u != nil && elapsed < u[1] {
		soon, late := max(u[0]-elapsed, 0), u[1]-elapsed
		if !known {
			low, high, known = soon, late, true
		}
		weight := 0.0
		if j.Progress >= enough {
			weight = j.Progress
		}
		low = soon + float64((low-soon)*weight)
		high = late + float64((high-late)*weight)
	}
	high = min(high, mostMillis)
	return min(low, high), high, known
}

// ownRate is the time left by the attempt's rate on the whole, and of late.
func (j Job) ownRate(elapsed float64) (low, high float64, known bool) {
	if j.Progress < enough {
		return 0, 0, false
	}
	const some = 0.001 // of the whole, without which a rate says nothing
	undone := 1 - j.Progress
	average := elapsed * undone / j.Progress
	recent := average
	if done := j.Progress - j.Pace[1]; done >= some && elapsed > j.Pace[0] {
		recent = (elapsed - j.Pace[0]) * undone / done
	}
	return min(average, recent), max(average, recent), true
}

// sizeClass is a likeness of jobs of about the same size: within a factor of two.
func sizeClass(size int64) string {
	if size <= 0 {
		return ""
	}
	return " 2^" + strconv.Itoa(int(math.Log2(float64(size))))
}
