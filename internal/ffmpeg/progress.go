package ffmpeg

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// Progress is how far ffmpeg is.
type Progress struct {
	Frame int64         // pictures written
	FPS   float64       // pictures a second
	Time  time.Duration // how much of the output is written
	Speed float64       // seconds of output a second; 0 when it is not known yet
}

// Share is how much of an output of the length is done, 0 to 1.
func (p Progress) Share(of time.Duration) float64 {
	if of <= 0 {
		return 0
	}
	return min(max(p.Time.Seconds()/of.Seconds(), 0), 1)
}

// Remaining is how long the rest of an output of the length will take at the
// present speed, if that is known.
func (p Progress) Remaining(of time.Duration) (left time.Duration, known bool) {
	if p.Speed <= 0 || of <= 0 {
		return 0, false
	}
	seconds := max((of-p.Time).Seconds(), 0) / p.Speed
	const longest = 1e7 // a guess of months is none
	return time.Duration(seconds * float64(time.Second)), seconds < longest
}

// progressReader takes what ffmpeg prints with -progress: lines of key=value, in
// blocks that end with the key progress.
type progressReader struct {
	report func(Progress)
	rest   []byte
	block  Progress
}

// longestProgressLine bounds a line; longer ones are not ffmpeg's.
const longestProgressLine = 1 << 10

func (r *progressReader) Write(b []byte) (int, error) {
	r.rest = append(r.rest, b...)
	for {
		line, rest, found := bytes.Cut(r.rest, []byte("\n"))
		if !found {
			break
		}
		r.line(string(line))
		r.rest = rest
	}
	if len(r.rest) > longestProgressLine {
		r.rest = nil
	}
	return len(b), nil
}

func (r *progressReader) line(line string) {
	key, value, _ := strings.Cut(line, "=")
	value = strings.TrimSpace(value)
	switch key {
	case "frame":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
			r.block.Frame = n
		}
	case "fps":
		r.block.FPS = number(value)
	case "speed":
		r.block.Speed = number(strings.TrimSuffix(value, "x"))
	case "out_time_us":
		if us, err := strconv.ParseInt(value, 10, 64); err == nil && us >= 0 && us < math.MaxInt64/1000 {
			r.block.Time = time.Duration(us) * time.Microsecond
		}
	case "progress":
		r.report(r.block)
	}
}

// number reads a number that is not negative; anything else is 0, such as N/A.
func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
		return 0
	}
	return n
}
