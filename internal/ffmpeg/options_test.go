package ffmpeg_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/ffmpeg"
)

func trim(start, end float64) *ffmpeg.Trim { return &ffmpeg.Trim{Start: start, End: &end} }

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		preset  string
		options ffmpeg.Options
		blames  string
	}{
		{"mp4-720p", ffmpeg.Options{}, ""},
		{"mp4-720p", ffmpeg.Options{Trim: trim(1, 2), FPS: new(23.976), CRF: new(14)}, ""},
		{"mp4-720p", ffmpeg.Options{Trim: &ffmpeg.Trim{Start: 5}}, ""},
		{"mp4-720p", ffmpeg.Options{Trim: &ffmpeg.Trim{Start: -1}}, "trim.start"},
		{"mp4-720p", ffmpeg.Options{Trim: &ffmpeg.Trim{Start: math.NaN()}}, "trim.start"},
		{"mp4-720p", ffmpeg.Options{Trim: &ffmpeg.Trim{Start: ffmpeg.MaxTrim + 1}}, "trim.start"},
		{"mp4-720p", ffmpeg.Options{Trim: trim(2, 2)}, "trim.end"},
		{"mp4-720p", ffmpeg.Options{Trim: trim(0, ffmpeg.MaxTrim+1)}, "trim.end"},
		{"gif", ffmpeg.Options{Trim: trim(20, 30)}, ""},
		{"gif", ffmpeg.Options{Trim: trim(20, 31)}, "trim.end"},
		{"gif", ffmpeg.Options{FPS: new(26.0)}, "fps"},
		{"webm", ffmpeg.Options{FPS: new(0.0)}, "fps"},
		{"webm", ffmpeg.Options{FPS: new(math.Inf(1))}, "fps"},
		{"audio", ffmpeg.Options{FPS: new(10.0)}, "fps"},
		{"hls", ffmpeg.Options{CRF: new(13)}, "crf"},
		{"hls", ffmpeg.Options{CRF: new(41)}, "crf"},
		{"webm", ffmpeg.Options{CRF: new(55)}, ""},
		{"gif", ffmpeg.Options{CRF: new(20)}, "crf"},
		{"audio", ffmpeg.Options{CRF: new(20)}, "crf"},
	} {
		p, _ := ffmpeg.PresetByName(tt.preset)
		err := tt.options.Check(p)
		var wrong *ffmpeg.OptionError
		if errors.As(err, &wrong); tt.blames == "" && err != nil || tt.blames != "" && (wrong == nil || wrong.Option != tt.blames) {
			t.Errorf("%s: Check(%+v) = %v, want it to blame %q", tt.preset, tt.options, err, tt.blames)
		}
	}
}

// moving is a film of three seconds with 30 pictures, and a tone.
func moving(t *testing.T) string {
	t.Helper()
	return film(t, "in.mkv", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=3", "-f", "lavfi", "-i", "sine=duration=3",
		"-c:v", "libx264", "-g", "30", "-c:a", "aac")
}

func TestTrimAndRate(t *testing.T) {
	t.Parallel()
	input := moving(t)
	for _, tt := range []struct {
		preset  string
		options ffmpeg.Options
		length  time.Duration
		frames  int64
	}{
		{"mp4-720p", ffmpeg.Options{Trim: trim(0.5, 1.5)}, time.Second, 10},
		{"mp4-720p", ffmpeg.Options{Trim: &ffmpeg.Trim{Start: 2}}, time.Second, 10},
		{"mp4-720p", ffmpeg.Options{Trim: trim(2, 60), FPS: new(5.0)}, time.Second, 5},
		{"webm", ffmpeg.Options{FPS: new(20.0)}, 3 * time.Second, 60},
		{"hls", ffmpeg.Options{Trim: trim(0, 1), FPS: new(5.0)}, time.Second, 5},
		{"gif", ffmpeg.Options{Trim: trim(1, 3), FPS: new(4.0)}, 2 * time.Second, 8},
		{"audio", ffmpeg.Options{Trim: trim(1, 2)}, time.Second, 0},
	} {
		w := work(t, tt.preset, input, tt.options)
		if length := w.Length().Round(100 * time.Millisecond); length != tt.length || w.Frames() < tt.frames || w.Frames() > tt.frames+1 {
			t.Errorf("%s, %+v: Length() = %v, Frames() = %d, want %v and %d", tt.preset, tt.options, length, w.Frames(), tt.length, tt.frames)
		}
		got, reports := transcode(t, w)
		last := reports[len(reports)-1]
		if off := (got.Duration - tt.length).Abs(); off > 250*time.Millisecond || last.Frame < tt.frames-1 || last.Frame > tt.frames+1 {
			t.Errorf("%s, %+v: the output lasts %v with %d pictures, want %v and %d", tt.preset, tt.options, got.Duration, last.Frame, tt.length, tt.frames)
		}
	}
}

func TestTrimBeyondTheEnd(t *testing.T) {
	t.Parallel()
	input := moving(t)
	w := work(t, "mp4-480p", input, ffmpeg.Options{})
	w.Options.Trim = &ffmpeg.Trim{Start: 3.5}
	var wrong *ffmpeg.OptionError
	if err := w.Check(); !errors.As(err, &wrong) || wrong.Option != "trim.start" {
		t.Errorf("Check() = %v, want it to blame trim.start", err)
	}
	w.Media.Duration = 0 // nobody knows, so only ffmpeg finds out
	if _, err := tools(t).Transcode(t.Context(), w, t.TempDir(), func(ffmpeg.Progress) {}); !errors.As(err, &wrong) || wrong.Option != "trim.start" {
		t.Errorf("Transcode() = %v, want it to blame trim.start", err)
	}
}

func TestLessCRFIsLarger(t *testing.T) {
	t.Parallel()
	input := moving(t)
	for _, preset := range []string{"mp4-480p", "webm"} {
		var sizes []int64
		for _, crf := range []int{15, 40} {
			w := work(t, preset, input, ffmpeg.Options{CRF: &crf})
			folder, _ := output(t, w)
			info, err := os.Stat(filepath.Join(folder, w.Preset.Output))
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, info.Size())
		}
		if sizes[0] <= sizes[1] {
			t.Errorf("%s: CRF 15 and 40 give %v bytes, want more for the first", preset, sizes)
		}
	}
}

// A preview is short, however long the film.
func TestAGIFIsShort(t *testing.T) {
	t.Parallel()
	input := film(t, "in.mkv", "-f", "lavfi", "-i", "testsrc2=size=32x32:rate=2:duration=30", "-c:v", "libx264")
	w := work(t, "gif", input, ffmpeg.Options{})
	if got, _ := transcode(t, w); w.Length() != 10*time.Second || got.Duration.Round(time.Second) != 10*time.Second {
		t.Errorf("Length() = %v, and the preview lasts %v, want 10 s", w.Length(), got.Duration)
	}
}

// The renditions are those that are not larger than the film, its own size
// among them.
func TestLadder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		size string
		want []string
	}{
		{"1280x720", []string{"640x360", "854x480", "1280x720"}},
		{"720x576", []string{"450x360", "720x576"}},
		{"64x48", []string{"64x48"}},
		{"360x640", []string{"360x640"}},
	} {
		input := film(t, "in.mkv", join(tone(), []string{"-f", "lavfi", "-i", "color=c=teal:rate=2:duration=2:size=" + tt.size, "-c:v", "libx264"})...)
		folder, _ := output(t, work(t, "hls", input, ffmpeg.Options{}))
		master := read(t, filepath.Join(folder, "index.m3u8"))
		var got []string
		for _, found := range regexp.MustCompile(`#EXT-X-STREAM-INF:.*BANDWIDTH=\d+.*RESOLUTION=(\d+x\d+).*CODECS="avc1\.[^"]*mp4a[^"]*"\n(.*)\n`).FindAllStringSubmatch(master, -1) {
			got = append(got, found[1])
			if playlist := read(t, filepath.Join(folder, found[2])); !strings.Contains(playlist, "#EXT-X-ENDLIST") {
				t.Errorf("%s: the playlist %s is not whole: %s", tt.size, found[2], playlist)
			}
			piece, err := tools(t).Probe(t.Context(), filepath.Join(folder, strings.TrimSuffix(found[2], ".m3u8")+"-00000.ts"))
			if size := fmt.Sprintf("%dx%d", piece.Width, piece.Height); err != nil || size != found[1] || !piece.HasAudio {
				t.Errorf("%s: a piece of %s is %s, %v, want %s with sound", tt.size, found[2], size, err, found[1])
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: renditions: -want +got:\n%s\n%s", tt.size, diff, master)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tracks are what ffprobe says of a file's tracks.
func tracks(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tools(t).FFprobe, "-v", "error", "-print_format", "json", "-show_streams", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Streams []struct {
			Codec string `json:"codec_name"`
			Tags  struct{ Language string }
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.Streams {
		got = append(got, strings.TrimSuffix(s.Codec+" "+s.Tags.Language, " "))
	}
	return got
}

// subtitled is a film with three tracks of subtitles: one of text with a language,
// one of pictures, and one of styled text.
func subtitled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	pictures := slices.Repeat([]byte("PG\x00\x00\x00\x5a\x00\x00\x00\x00\x80\x00\x00"), 12) // the ends of empty pictures
	for name, content := range map[string]string{
		"a.srt": "1\n00:00:00,200 --> 00:00:01,000\nHello\n\n2\n00:00:01,200 --> 00:00:02,000\nthere\n",
		"b.sup": string(pictures),
		"c.ass": "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,20\n\n[Events]\n" +
			"Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\nDialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\b1}Bold{\\b0}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return film(t, "in.mkv", join(picture("64x48")[:4], []string{
		"-i", filepath.Join(dir, "a.srt"), "-f", "sup", "-i", filepath.Join(dir, "b.sup"), "-i", filepath.Join(dir, "c.ass"),
		"-map", "0", "-map", "1", "-map", "2", "-map", "3", "-c:v", "libx264", "-c:s", "copy", "-metadata:s:s:0", "language=ger",
	})...)
}

func TestSubtitlesAreKept(t *testing.T) {
	t.Parallel()
	input := subtitled(t)
	for _, tt := range []struct {
		preset string
		want   []string
	}{
		{"mp4-480p", []string{"h264 und", "mov_text ger", "mov_text und"}},
		{"webm", []string{"vp9", "webvtt ger", "webvtt"}},
	} {
		w := work(t, tt.preset, input, ffmpeg.Options{})
		folder, _ := output(t, w)
		if diff := cmp.Diff(tt.want, tracks(t, filepath.Join(folder, w.Preset.Output))); diff != "" {
			t.Errorf("%s: tracks: -want +got:\n%s", tt.preset, diff)
		}
		if left := w.Left(); !strings.HasPrefix(left, "One track of subtitles is left out") {
			t.Errorf("%s: Left() = %q, want it to tell of the pictures", tt.preset, left)
		}
	}
	if left := work(t, "gif", input, ffmpeg.Options{}).Left(); left != "" {
		t.Errorf("gif: Left() = %q, want nothing: nobody expects subtitles there", left)
	}
}

func TestSubtitlesOfHLS(t *testing.T) {
	t.Parallel()
	folder, _ := output(t, work(t, "hls", subtitled(t), ffmpeg.Options{Trim: trim(0.5, 2)}))
	master := read(t, filepath.Join(folder, "index.m3u8"))
	for _, want := range []string{
		`#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Subtitles 1 (ger)",AUTOSELECT=YES,URI="subtitles-0.m3u8",LANGUAGE="ger"`,
		`URI="subtitles-1.m3u8"`, `,SUBTITLES="subtitles"` + "\nv0.m3u8",
	} {
		if !strings.Contains(master, want) {
			t.Errorf("the master playlist has no %s:\n%s", want, master)
		}
	}
	if playlist := read(t, filepath.Join(folder, "subtitles-0.m3u8")); !strings.Contains(playlist, "\nsubtitles-0.vtt\n#EXT-X-ENDLIST") {
		t.Errorf("the subtitles' playlist is %s", playlist)
	}
	if text := read(t, filepath.Join(folder, "subtitles-0.vtt")); !strings.HasPrefix(text, "WEBVTT") || !strings.Contains(text, "00:00.700 --> 00:01.500\nthere") {
		t.Errorf("the subtitles are %q, want them to begin where the film does", text)
	}
}

// A film whose length nobody knows is measured by its pictures.
func TestUnknownLength(t *testing.T) {
	t.Parallel()
	live, err := exec.CommandContext(t.Context(), tools(t).FFmpeg, join([]string{"-nostdin", "-loglevel", "error"}, picture("64x48"), []string{"-f", "matroska", "pipe:1"})...).Output()
	if err != nil {
		t.Fatal(err)
	}
	input := filepath.Join(t.TempDir(), "in.mkv")
	if err := os.WriteFile(input, live, 0o600); err != nil {
		t.Fatal(err)
	}
	w := work(t, "mp4-480p", input, ffmpeg.Options{})
	if w.Media.Duration != 0 || w.Length() != 0 || w.Frames() != 20 {
		t.Errorf("Probe() = %+v, with %d frames, want no duration and 20 frames", w.Media, w.Frames())
	}
	if got, reports := transcode(t, w); got.Duration.Round(time.Second) != 2*time.Second || reports[len(reports)-1].Frame != 20 {
		t.Errorf("the output is %+v, want two seconds", got)
	}
	w.Options.Trim = trim(0.5, 60)
	if w.Length() != 0 || w.Frames() != 0 {
		t.Errorf("of a part: Length() = %v, Frames() = %d, want neither known", w.Length(), w.Frames())
	}
}

func TestWebVTT(t *testing.T) {
	t.Parallel()
	s := ffmpeg.Sprite{Columns: 2, Rows: 2, Count: 3, Width: 160, Height: 90, Interval: 1500 * time.Millisecond, Length: 3_700_000 * time.Millisecond}
	want := "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na.jpg#xywh=0,0,160,90\n\n00:00:01.500 --> 00:00:03.000\na.jpg#xywh=160,0,160,90\n" +
		"\n00:00:03.000 --> 01:01:40.000\na.jpg#xywh=0,90,160,90\n"
	if diff := cmp.Diff(want, string(s.WebVTT("a.jpg"))); diff != "" {
		t.Errorf("WebVTT(): -want +got:\n%s", diff)
	}
}
