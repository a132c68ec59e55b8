package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Preset is one way of processing a file.
type Preset struct {
	Name        string
	Title       string
	Description string
	Output      string // the name of the file to open, in the output's folder
	ContentType string
	Height      int  // of the picture, at most; 0: no picture
	Folder      bool // the output is a folder of files
	codecs      []string
}

// Presets returns every preset; the first is the one to take when in doubt.
func Presets() []Preset {
	h264 := []string{"-c:v", "libx264", "-preset", "veryfast", "-crf", "22", "-pix_fmt", "yuv420p", "-profile:v", "high"}
	aac := []string{"-c:a", "aac", "-b:a", "160k", "-ac", "2"}
	join := func(lists ...[]string) []string {
		var all []string
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	return []Preset{
		{
			Name: "mp4-720p", Title: "MP4 720p", Description: "Plays everywhere. H.264 and AAC, up to 720 lines.",
			Output: "video.mp4", ContentType: "video/mp4", Height: 720,
			codecs: join(h264, aac, []string{"-movflags", "+faststart", "-f", "mp4"}),
		},
		{
			Name: "mp4-1080p", Title: "MP4 1080p", Description: "Plays everywhere, sharper. H.264 and AAC, up to 1080 lines.",
			Output: "video.mp4", ContentType: "video/mp4", Height: 1080,
			codecs: join(h264, aac, []string{"-movflags", "+faststart", "-f", "mp4"}),
		},
		{
			Name: "webm", Title: "WebM", Description: "Free codecs. VP9 and Opus, up to 720 lines; takes longer.",
			Output: "video.webm", ContentType: "video/webm", Height: 720,
			codecs: []string{
				"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "6", "-row-mt", "1", "-crf", "33", "-b:v", "0",
				"-pix_fmt", "yuv420p", "-c:a", "libopus", "-b:a", "128k", "-ac", "2", "-f", "webm",
			},
		},
		{
			Name: "hls", Title: "HLS", Description: "For streaming in pieces of four seconds. H.264 and AAC, up to 720 lines.",
			Output: "index.m3u8", ContentType: "application/vnd.apple.mpegurl", Height: 720, Folder: true,
			codecs: join(h264, aac, []string{
				"-force_key_frames", "expr:gte(t,n_forced*4)", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod",
				"-hls_segment_filename", "segment-%05d.ts",
			}),
		},
		{
			Name: "audio", Title: "Audio only", Description: "The sound alone, as AAC.",
			Output: "audio.m4a", ContentType: "audio/mp4",
			codecs: []string{"-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "ipod"},
		},
	}
}

// PresetByName returns the preset of the name.
func PresetByName(name string) (Preset, bool) {
	for _, p := range Presets() {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// Why a file cannot be processed in the way that was asked for.
var (
	ErrNoVideo = errors.New("the file has no picture: choose audio only")
	ErrNoAudio = errors.New("the file has no sound: choose a video preset")
	ErrNothing = errors.New("nothing in the file can be decoded: it is damaged")
)

// Check says whether the preset can be made from the media.
func (p Preset) Check(m Media) error {
	switch {
	case p.Height > 0 && !m.HasVideo:
		return ErrNoVideo
	case p.Height == 0 && !m.HasAudio:
		return ErrNoAudio
	}
	return nil
}

// Size is the size of the output's picture: never larger than the input's but
// for the even numbers that codecs want.
func (p Preset) Size(m Media) (width, height int) {
	if p.Height == 0 || !m.HasVideo {
		return 0, 0
	}
	return m.fit(p.Height)
}

// fit is the size of the picture when its short side has at most so many lines,
// and its long side what belongs to them on a wide screen.
func (m Media) fit(lines int) (width, height int) {
	const wide = 16.0 / 9
	short, long := float64(min(m.Width, m.Height)), float64(max(m.Width, m.Height))
	scale := min(1, float64(lines)/short, float64(lines)*wide/long)
	even := func(side int) int {
		n := int(math.Round(float64(side) * scale))
		return max(2, n+n%2)
	}
	return even(m.Width), even(m.Height)
}

// Transcode makes the preset's output from the input, in the folder, tells how
// far it is about twice a second, and returns how long the output is. That is
// less than the input says of itself when part of it is missing.
func (t Tools) Transcode(
	ctx context.Context, p Preset, m Media, input, folder string, report func(Progress),
) (time.Duration, error) {
	args := append(untrusted(), threads()...)
	args = append(args, "-i", "file:"+input, "-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn")
	width, height := p.Size(m)
	if width > 0 {
		// Pictures are taken as they come: a hole in the film is not filled with copies.
		args = append(args, "-map", "0:V:0", "-fps_mode", "vfr", "-vf", fmt.Sprintf("scale=%d:%d,setsar=1", width, height))
	} else {
		args = append(args, "-vn")
	}
	if m.HasAudio {
		args = append(args, "-map", "0:a:0")
	}
	args = append(append(append(args, p.codecs...), threads()...), p.Output)
	var last Progress
	err := t.ffmpeg(ctx, folder, func(p Progress) {
		last = p
		report(p)
	}, args...)
	if nothing := width > 0 && last.Frame == 0 || width == 0 && last.Time == 0; err == nil && nothing {
		err = ErrNothing
	}
	return last.Time, err
}

// MakeTest makes a test film of the length: a moving pattern with a clock, and
// a tone.
func (t Tools) MakeTest(ctx context.Context, length time.Duration, output string, report func(Progress)) error {
	duration := strconv.FormatFloat(length.Seconds(), 'f', 3, 64)
	return t.ffmpeg(ctx, filepath.Dir(output), report,
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration="+duration,
		"-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:duration="+duration,
		"-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest",
		"-f", "mp4", filepath.Base(output))
}

// ffmpeg runs ffmpeg in the folder.
func (t Tools) ffmpeg(ctx context.Context, folder string, report func(Progress), args ...string) error {
	common := []string{"-nostdin", "-hide_banner", "-loglevel", "warning", "-nostats", "-progress", "pipe:1", "-stats_period", "0.4", "-y"}
	said, err := run(ctx, folder, &progressReader{report: report}, t.FFmpeg, append(common, args...)...)
	if ctx.Err() != nil || err == nil {
		return err
	}
	return failure("ffmpeg", strings.ReplaceAll(said, folder+"/", ""), err)
}
