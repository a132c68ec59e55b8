package ffmpeg

import (
	"fmt"
	"time"
)

// Options are what somebody wants otherwise than the preset has it. The zero
// Options want nothing.
type Options struct {
	Trim *Trim
	FPS  *float64 // pictures a second
	CRF  *int     // how well the picture is kept; less is better
}

// Trim is the part of the film that is taken, in seconds of the input.
type Trim struct {
	Start float64  `json:"start"`
	End   *float64 `json:"end,omitempty"` // nil, or after the film's end: to its end
}

// OptionError says which option cannot be, and why.
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return e.Option + ": " + e.Reason }

// MaxTrim is the latest second that a Trim may name.
const MaxTrim = 100 * 3600

// leastTrim is the shortest part that may be taken, in seconds.
const leastTrim = 0.1

// Check says what is wrong with the options for the preset, whatever the film,
// as an *OptionError.
func (o Options) Check(p Preset) error {
	if err := o.Trim.check(p); err != nil {
		return err
	}
	if fps := o.FPS; fps != nil && !p.FPS.holds(*fps) {
		return &OptionError{"fps", p.FPS.refuse(p, *fps)}
	}
	if crf := o.CRF; crf != nil && !p.CRF.holds(float64(*crf)) {
		return &OptionError{"crf", p.CRF.refuse(p, *crf)}
	}
	return nil
}

func (t *Trim) check(p Preset) error {
	switch {
	case t == nil:
		return nil
	case !(t.Start >= 0 && t.Start <= MaxTrim):
		return &OptionError{"trim.start", fmt.Sprintf("%v: want 0 to %d, in seconds", t.Start, MaxTrim)}
	case t.End == nil:
		return nil
	case !(*t.End >= t.Start+leastTrim && *t.End <= MaxTrim):
		return &OptionError{"trim.end", fmt.Sprintf("%v: want %v s after the start at least, and %d at most, in seconds", *t.End, leastTrim, MaxTrim)}
	case p.Longest > 0 && *t.End-t.Start > p.Longest.Seconds():
		return &OptionError{"trim.end", fmt.Sprintf("%v s: %s has %v s at most", *t.End-t.Start, p.Title, p.Longest.Seconds())}
	}
	return nil
}

func (r Range) holds(value float64) bool {
	return value >= float64(r.Min) && value <= float64(r.Max) && r.Max > 0
}

func (r Range) refuse(p Preset, value any) string {
	if r == (Range{}) {
		return p.Title + " has no such option"
	}
	return fmt.Sprintf("%v: want %d to %d for %s", value, r.Min, r.Max, p.Title)
}

// start is where the part that is taken begins.
func (o Options) start() time.Duration {
	if o.Trim == nil {
		return 0
	}
	return inSeconds(o.Trim.Start)
}

// span is how long the part is that is taken, at most; 0: to the end.
func (o Options) span(p Preset) time.Duration {
	if o.Trim == nil || o.Trim.End == nil {
		return p.Longest
	}
	return inSeconds(*o.Trim.End) - o.start()
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Work is a file, and what is to be made of it.
type Work struct {
	Preset  Preset
	Options Options // that are right for the preset
	Media   Media   // as Probe found the input
	Input   string  // path
}

// Check says whether the work can be done: it returns ErrNoVideo, ErrNoAudio or
// an *OptionError.
func (w Work) Check() error {
	start := w.Options.start()
	switch {
	case w.Preset.Height > 0 && !w.Media.HasVideo:
		return ErrNoVideo
	case w.Preset.Height == 0 && !w.Media.HasAudio:
		return ErrNoAudio
	case w.Media.Duration > 0 && start >= w.Media.Duration:
		return &OptionError{"trim.start", fmt.Sprintf("%v: the file lasts %v", start, w.Media.Duration.Round(time.Millisecond))}
	}
	return w.Options.Check(w.Preset)
}

// Length is how long the output will be, or 0 when that is not known.
func (w Work) Length() time.Duration {
	span := w.Options.span(w.Preset)
	if w.Media.Duration == 0 {
		return 0 // a span may be longer than what is there
	}
	left := w.Media.Duration - w.Options.start()
	if span > 0 {
		return min(span, left)
	}
	return left
}

// Frames is about how many pictures the output will have, or 0 when that is not
// known.
func (w Work) Frames() int64 {
	length := w.Length()
	switch fps := w.fps(); {
	case w.Preset.Height == 0:
		return 0
	case fps > 0:
		return frames(length, fps)
	case length > 0:
		return frames(length, w.Media.FPS)
	case w.Options.Trim == nil && w.Preset.Longest == 0:
		return w.Media.Packets
	default:
		return 0
	}
}

// fps is the rate that the output is to have; 0: as the pictures come.
func (w Work) fps() float64 {
	if w.Options.FPS != nil {
		return *w.Options.FPS
	}
	return float64(w.Preset.FPS.Default)
}

// Size is the size of the output's picture, of the largest if there are several:
// never larger than the input's but for the even numbers that codecs want.
func (w Work) Size() (width, height int) {
	if w.Preset.Height == 0 || !w.Media.HasVideo {
		return 0, 0
	}
	return w.Media.fit(w.Preset.Height)
}

// Left says what of the film the output will not have, in words for people, or
// nothing.
func (w Work) Left() string {
	if w.Preset.subtitles == "" {
		return ""
	}
	_, dropped := w.subtitles()
	switch dropped {
	case 0:
		return ""
	case 1:
		return "One track of subtitles is left out: it is made of pictures, or of a kind that cannot be converted."
	default:
		return fmt.Sprintf("%d tracks of subtitles are left out: they are made of pictures, of a kind that cannot be converted, or too many.", dropped)
	}
}
