package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Why a file cannot be processed in the way that was asked for.
var (
	ErrNoVideo = errors.New("the file has no picture: choose audio only")
	ErrNoAudio = errors.New("the file has no sound: choose a video preset")
	ErrNothing = errors.New("nothing in the file can be decoded: it is damaged")
)

// wide is the width of a wide screen for its height.
const wide = 16.0 / 9

// fit is the size of the picture when its short side has at most so many lines,
// and its long side what belongs to them on a wide screen.
func (m Media) fit(lines int) (width, height int) {
	scale := min(1, float64(lines)/m.lines())
	even := func(side int) int {
		n := int(math.Round(float64(side) * scale))
		return max(2, n+n%2)
	}
	return even(m.Width), even(m.Height)
}

// lines is how many lines the smallest wide screen has that shows the picture
// whole, turned as the picture is.
func (m Media) lines() float64 {
	short, long := float64(min(m.Width, m.Height)), float64(max(m.Width, m.Height))
	return max(short, long/wide)
}

// Transcode makes the preset's output in the folder, tells how far it is about
// twice a second, and returns how long the output is. That is less than the input
// says of itself when part of it is missing.
func (t Tools) Transcode(ctx context.Context, w Work, folder string, report func(Progress)) (time.Duration, error) {
	var last Progress
	err := t.ffmpeg(ctx, folder, func(p Progress) {
		last = p
		report(p)
	}, w.args(t.Limits)...)
	if err != nil {
		return last.Time, err
	}
	if w.Preset.Height > 0 && last.Frame == 0 || w.Preset.Height == 0 && last.Time == 0 {
		if w.Options.start() > 0 {
			return 0, &OptionError{"trim.start", "there is nothing in the file from there on"}
		}
		return 0, ErrNothing
	}
	if w.Preset.Folder {
		err = w.finishHLS(folder, last.Time)
	}
	return last.Time, err
}

// args are ffmpeg's arguments for the work.
func (w Work) args(limits Limits) []string {
	input := slices.Concat(untrusted(), limits.threads(), part(w.Options.start(), w.Options.span(w.Preset)), []string{"-i", "file:" + w.Input})
	subtitles, _ := w.subtitles()
	output := w.streams(subtitles)
	if w.Preset.Folder {
		output = slices.Concat(w.ladderStreams(), limits.threads(), w.ladderOutput(), w.ladderSubtitles(subtitles))
	} else {
		output = slices.Concat(output, w.quality(), w.Preset.codecs, limits.threads(), []string{w.Preset.Output})
	}
	return append(input, output...)
}

// clean are the options of an output that takes nothing over from the input but
// what is mapped.
func clean() []string {
	return []string{"-map_metadata", "-1", "-map_chapters", "-1", "-dn", "-max_muxing_queue_size", "4096"}
}

// part takes a part of the input: from a place on, and so much at most.
func part(start, span time.Duration) []string {
	var args []string
	if start > 0 {
		args = append(args, "-ss", decimal(start.Seconds()))
	}
	if span > 0 {
		args = append(args, "-t", decimal(span.Seconds()))
	}
	return args
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', 3, 64) }

// streams are the tracks of an output that is one file.
func (w Work) streams(subtitles []subtitle) []string {
	args := clean()
	if width, height := w.Size(); width > 0 {
		args = append(args, "-map", "0:V:0", "-vf", w.look(width, height))
		args = append(args, asTheyCome()...)
	}
	if w.Media.HasAudio && w.Preset.Sound {
		args = append(args, "-map", "0:a:0")
	}
	for i, s := range subtitles {
		args = append(args, w.subtitle(s)...)
		if s.language != "" {
			args = append(args, fmt.Sprintf("-metadata:s:s:%d", i), "language="+s.language)
		}
	}
	return args
}

// asTheyCome takes pictures as they come, unless a filter gives them a rate: a hole
// in the film is not filled with copies.
func asTheyCome() []string { return []string{"-fps_mode", "vfr"} }

// look is the filter that makes the picture of the size.
func (w Work) look(width, height int) string {
	filter := w.rate() + fmt.Sprintf("scale=%d:%d,setsar=1", width, height)
	if w.Preset.palette {
		filter += ",split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"
	}
	return filter
}

// rate is the filter that gives pictures at the rate that is asked for.
func (w Work) rate() string {
	if fps := w.fps(); fps > 0 {
		return "fps=" + decimal(fps) + ","
	}
	return ""
}

// quality is how well the picture is kept.
func (w Work) quality() []string {
	switch {
	case w.Options.CRF != nil:
		return []string{"-crf", strconv.Itoa(*w.Options.CRF)}
	case w.Preset.CRF.Default > 0:
		return []string{"-crf", strconv.Itoa(w.Preset.CRF.Default)}
	default:
		return nil
	}
}

// maxSubtitles bounds how many tracks of subtitles are kept.
const maxSubtitles = 8

// subtitles are the tracks that the output keeps, and how many it does not.
func (w Work) subtitles() (kept []subtitle, dropped int) {
	if w.Preset.subtitles == "" {
		return nil, len(w.Media.subtitles)
	}
	for _, s := range w.Media.subtitles {
		if s.text && len(kept) < maxSubtitles {
			kept = append(kept, s)
		}
	}
	return kept, len(w.Media.subtitles) - len(kept)
}

// subtitle is a track that the output has. What was shown before the part that is
// taken is dropped: with a time below nought, it would move all that follows.
func (w Work) subtitle(s subtitle) []string {
	args := []string{"-map", fmt.Sprintf("0:%d", s.index), "-c:s", w.Preset.subtitles}
	if w.Options.start() > 0 {
		args = append(args, "-bsf:s", `noise=drop=lt(pts\,0)`)
	}
	return args
}

// MakeTest makes a test film of the length: a moving pattern with a clock, and
// a tone.
func (t Tools) MakeTest(ctx context.Context, length time.Duration, output string, report func(Progress)) error {
	duration := decimal(length.Seconds())
	return t.ffmpeg(ctx, filepath.Dir(output), report, slices.Concat([]string{
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=" + duration,
		"-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:duration=" + duration,
		"-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest",
	}, t.Limits.threads(), []string{"-f", "mp4", filepath.Base(output)})...)
}

// ffmpeg runs ffmpeg in the folder, within the limits.
func (t Tools) ffmpeg(ctx context.Context, folder string, report func(Progress), args ...string) error {
	threads := strconv.Itoa(t.Limits.withDefaults().Threads)
	common := []string{
		"-nostdin", "-hide_banner", "-loglevel", "warning", "-nostats", "-progress", "pipe:1", "-stats_period", "0.4", "-y",
		"-filter_threads", threads, "-filter_complex_threads", threads,
	}
	return t.Limits.bound(ctx, folder, func(ctx context.Context) error {
		said, err := run(ctx, folder, &progressReader{report: report}, t.FFmpeg, append(common, args...)...)
		if ctx.Err() != nil || err == nil {
			return err
		}
		return failure("ffmpeg", strings.ReplaceAll(said, folder+"/", ""), err)
	})
}
