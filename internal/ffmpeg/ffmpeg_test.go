package ffmpeg_test

import (
	"cmp"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/exectest"
	"herald/internal/ffmpeg"
)

func tools(t *testing.T) ffmpeg.Tools {
	t.Helper()
	found, err := ffmpeg.Find()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// film makes a small film with ffmpeg itself.
func film(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), tools(t).FFmpeg, append(append([]string{"-nostdin", "-loglevel", "error"}, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v: %s", name, err, out)
	}
	return path
}

// picture is two seconds of film of exactly the size, odd or not.
func picture(size string) []string {
	return []string{"-f", "lavfi", "-i", "color=c=teal:rate=10:duration=2:size=" + size + ",format=rgb24", "-c:v", "png"}
}

func tone() []string { return []string{"-f", "lavfi", "-i", "sine=duration=2"} }

func join(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// Every preset, on inputs of every odd kind, gives a file that holds what it
// should.
func TestTranscode(t *testing.T) {
	t.Parallel()
	both := join(tone(), picture("160x120"))
	for _, tt := range []struct {
		name, preset  string
		input         []string
		width, height int
		audio         bool
	}{
		{"mp4 720p", "mp4-720p", both, 160, 120, true},
		{"webm", "webm", both, 160, 120, true},
		{"hls", "hls", both, 160, 120, true},
		{"hls without sound", "hls", picture("160x120"), 160, 120, false},
		{"audio", "audio", both, 0, 0, true},
		{"gif", "gif", both, 160, 120, false},
		{"odd size", "mp4-720p", picture("161x121"), 162, 122, false},
		{"never larger", "mp4-1080p", picture("320x180"), 320, 180, false},
		{"smaller", "mp4-480p", picture("1280x720"), 854, 480, false},
		{"smaller gif", "gif", picture("1280x720"), 480, 270, false},
		{"tiny", "mp4-720p", picture("1x1"), 2, 2, false},
		{"tiny webm", "webm", picture("1x1"), 2, 2, false},
		{"tiny hls", "hls", picture("1x1"), 2, 2, false},
		{"tiny gif", "gif", picture("1x1"), 2, 2, false},
		{"upright", "mp4-480p", picture("720x1280"), 480, 854, false},
		{"a wide strip", "mp4-720p", picture("3840x64"), 1280, 22, false},
		{"pixels that are not square", "mp4-720p", join(picture("100x100"), []string{"-vf", "setsar=2/1"}), 200, 100, false},
		{"sound alone", "audio", tone(), 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := work(t, tt.preset, film(t, "in.mkv", tt.input...), ffmpeg.Options{})
			got, reports := transcode(t, w)
			if got.Width != tt.width || got.Height != tt.height || got.HasAudio != tt.audio {
				t.Errorf("the output is %+v, want %dx%d, sound %v", got, tt.width, tt.height, tt.audio)
			}
			if width, height := w.Size(); width != tt.width || height != tt.height {
				t.Errorf("Size() = %dx%d, want %dx%d", width, height, tt.width, tt.height)
			}
			if seconds := got.Duration.Seconds(); seconds < 1.8 || seconds > 2.3 {
				t.Errorf("the output lasts %v, want 2 s", got.Duration)
			}
			if last := reports[len(reports)-1]; last.Share(2*time.Second) < 0.85 {
				t.Errorf("the last progress is %+v, want the end", last)
			}
			if !slices.IsSortedFunc(reports, func(a, b ffmpeg.Progress) int { return cmp.Compare(a.Time, b.Time) }) {
				t.Errorf("progress went back: %+v", reports)
			}
		})
	}
}

// work is what is to be made of a film.
func work(t *testing.T, preset, input string, o ffmpeg.Options) ffmpeg.Work {
	t.Helper()
	p, ok := ffmpeg.PresetByName(preset)
	if !ok {
		t.Fatalf("there is no preset %s", preset)
	}
	m, err := tools(t).Probe(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	w := ffmpeg.Work{Preset: p, Options: o, Media: m, Input: input}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	return w
}

// transcode does the work and probes the output, of HLS the largest rendition's
// first piece.
func transcode(t *testing.T, w ffmpeg.Work) (ffmpeg.Media, []ffmpeg.Progress) {
	t.Helper()
	folder, reports := output(t, w)
	path := filepath.Join(folder, w.Preset.Output)
	if w.Preset.Folder { // a playlist is not taken as an input
		pieces, err := filepath.Glob(filepath.Join(folder, "v*-00000.ts"))
		if err != nil || len(pieces) == 0 {
			t.Fatalf("the pieces are %v, %v", pieces, err)
		}
		path = pieces[len(pieces)-1]
	}
	got, err := tools(t).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return got, reports
}

// output does the work and returns the folder that the output is in.
func output(t *testing.T, w ffmpeg.Work) (string, []ffmpeg.Progress) {
	t.Helper()
	folder := t.TempDir()
	var reports []ffmpeg.Progress
	length, err := tools(t).Transcode(t.Context(), w, folder, func(r ffmpeg.Progress) { reports = append(reports, r) })
	if err != nil {
		t.Fatal(err)
	}
	if last := reports[len(reports)-1]; length != last.Time {
		t.Errorf("Transcode() = %v, want %v as reported last", length, last.Time)
	}
	return folder, reports
}

func TestRotationIsTakenOut(t *testing.T) {
	t.Parallel()
	upright := film(t, "in.mp4", join(picture("160x120"), []string{"-c:v", "libx264"})...)
	turned := filepath.Join(t.TempDir(), "turned.mp4")
	newer := []string{"-display_rotation", "90", "-i", upright, "-c", "copy", turned}      // ffmpeg 6
	older := []string{"-i", upright, "-c", "copy", "-metadata:s:v:0", "rotate=90", turned} // ffmpeg 5
	if exec.CommandContext(t.Context(), tools(t).FFmpeg, newer...).Run() != nil {
		if err := exec.CommandContext(t.Context(), tools(t).FFmpeg, older...).Run(); err != nil {
			t.Fatal(err)
		}
	}
	w := work(t, "mp4-720p", turned, ffmpeg.Options{})
	if w.Media.Width != 120 || w.Media.Height != 160 {
		t.Fatalf("Probe() = %dx%d, want 120x160", w.Media.Width, w.Media.Height)
	}
	for _, preset := range []string{"mp4-720p", "hls"} {
		if got, _ := transcode(t, work(t, preset, turned, ffmpeg.Options{})); got.Width != 120 || got.Height != 160 {
			t.Errorf("%s: the output is %dx%d, want 120x160", preset, got.Width, got.Height)
		}
	}
	folder := t.TempDir()
	if _, err := tools(t).Thumbnails(t.Context(), w, 2*time.Second, folder); err != nil {
		t.Fatal(err)
	}
	if got := pixels(t, filepath.Join(folder, ffmpeg.PosterFile)); got != image.Pt(120, 160) {
		t.Errorf("the poster has %v pixels, want 120x160", got)
	}
}

// pixels is the size of a JPEG.
func pixels(t *testing.T, path string) image.Point {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config, err := jpeg.DecodeConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return image.Pt(config.Width, config.Height)
}

func TestCheckRefusesWhatAPresetCannotMake(t *testing.T) {
	t.Parallel()
	sound, silent := film(t, "sound.mkv", tone()...), film(t, "silent.mkv", picture("64x48")...)
	for _, p := range ffmpeg.Presets() {
		input, want := sound, ffmpeg.ErrNoVideo
		if p.Height == 0 {
			input, want = silent, ffmpeg.ErrNoAudio
		}
		m, err := tools(t).Probe(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		if err := (ffmpeg.Work{Preset: p, Media: m, Input: input}).Check(); !errors.Is(err, want) {
			t.Errorf("%s: Check(of %v) = %v, want %v", p.Name, m, err, want)
		}
	}
}

func TestProbeRefuses(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(film(t, "in.mp4", join(picture("160x120"), []string{"-c:v", "libx264"})...))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"nothing":          "",
		"text":             "This is not a video.",
		"noise":            noise(100_000),
		"subtitles":        "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n",
		"a truncated film": string(whole[:len(whole)/3]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "input")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := tools(t).Probe(t.Context(), path)
			if !errors.Is(err, ffmpeg.ErrNotMedia) {
				t.Fatalf("Probe() = %+v, %v, want %v", m, err, ffmpeg.ErrNotMedia)
			}
			var said *ffmpeg.Error
			if !errors.As(err, &said) || said.Said == "" || strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "@ 0x") {
				t.Errorf("Probe() = %q, want ffprobe's words without our path", err)
			}
		})
	}
}

// noise is the same random bytes each time.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

// A file of a megabyte may hold a picture that takes gigabytes.
func TestProbeRefusesAHugePicture(t *testing.T) {
	t.Parallel()
	input := film(t, "in.avi", "-f", "lavfi", "-i", "color=c=red:size=12000x12000:rate=1:duration=1", "-c:v", "mjpeg")
	if m, err := tools(t).Probe(t.Context(), input); !errors.Is(err, ffmpeg.ErrNotMedia) || !strings.Contains(err.Error(), "megapixels") {
		t.Errorf("Probe() = %+v, %v, want it refused for its size", m, err)
	}
}

func TestMissingProgramIsNotTheFilesFault(t *testing.T) {
	t.Parallel()
	gone := filepath.Join(t.TempDir(), "gone")
	_, err := ffmpeg.Tools{FFmpeg: gone, FFprobe: gone}.Probe(t.Context(), filepath.Join(t.TempDir(), "input"))
	if !errors.Is(err, ffmpeg.ErrNotInstalled) || errors.Is(err, ffmpeg.ErrNotMedia) {
		t.Errorf("Probe() = %v, want %v", err, ffmpeg.ErrNotInstalled)
	}
}

// What a file says of its own length is not to be trusted.
func TestATruncatedFilmGivesWhatIsThere(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(film(t, "in.mkv", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=30", "-c:v", "png"))
	if err != nil {
		t.Fatal(err)
	}
	input := filepath.Join(t.TempDir(), "in.mkv")
	if err := os.WriteFile(input, content[:len(content)/20], 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := tools(t).Probe(t.Context(), input)
	if err != nil || m.Duration < 20*time.Second {
		t.Fatalf("Probe() = %+v, %v, want it to believe the file's header", m, err)
	}
	w, folder := work(t, "mp4-720p", input, ffmpeg.Options{}), t.TempDir()
	got, err := tools(t).Transcode(t.Context(), w, folder, func(ffmpeg.Progress) {})
	if err != nil || got < time.Second || got > 2*time.Second {
		t.Errorf("Transcode() = %v, %v, want the second and a half that is there", got, err)
	}
	if _, err := tools(t).Thumbnails(t.Context(), w, got, folder); err != nil {
		t.Errorf("Thumbnails() = %v, want pictures of what is there", err)
	}
}

// Two pictures an hour apart are two pictures, not an hour of copies.
func TestAHoleIsNotFilled(t *testing.T) {
	t.Parallel()
	input := film(t, "in.mkv", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=1:duration=2",
		"-vf", `setpts=if(eq(N\,1)\,3600/TB\,PTS)`, "-fps_mode", "vfr", "-c:v", "png")
	w := work(t, "hls", input, ffmpeg.Options{})
	var last ffmpeg.Progress
	if _, err := tools(t).Transcode(t.Context(), w, t.TempDir(), func(p ffmpeg.Progress) { last = p }); err != nil || last.Frame != 2 {
		t.Errorf("Transcode() wrote %d pictures, %v, want 2", last.Frame, err)
	}
}

func TestThumbnails(t *testing.T) {
	t.Parallel()
	for _, size := range []string{"160x120", "161x121", "1x1", "40x400"} {
		w, folder := work(t, "mp4-720p", film(t, "in.mkv", picture(size)...), ffmpeg.Options{}), t.TempDir()
		sprite, err := tools(t).Thumbnails(t.Context(), w, 2*time.Second, folder)
		if err != nil {
			t.Errorf("%s: Thumbnails() = %v", size, err)
			continue
		}
		if sprite.Count != 2 || sprite.Columns != 2 || sprite.Rows != 1 || sprite.Interval != time.Second {
			t.Errorf("%s: Thumbnails() = %+v, want two frames, a second apart", size, sprite)
		}
		if got := pixels(t, filepath.Join(folder, ffmpeg.SpriteFile)); got != image.Pt(sprite.Columns*sprite.Width, sprite.Rows*sprite.Height) {
			t.Errorf("%s: the sprite has %v pixels, want as %+v has it", size, got, sprite)
		}
		if info, err := os.Stat(filepath.Join(folder, ffmpeg.PosterFile)); err != nil || info.Size() == 0 {
			t.Errorf("%s: the poster: %v", size, err)
		}
	}
}

func TestCancelEndsFFmpegAtOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("somebody asked")
	output := filepath.Join(t.TempDir(), "test.mp4")
	began := make(chan struct{}, 100)
	done := make(chan error, 1) // its error tells that ffmpeg has been waited for
	go func() {
		done <- tools(t).MakeTest(ctx, time.Hour, output, func(ffmpeg.Progress) { began <- struct{}{} })
	}()
	<-began
	asked := time.Now()
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("MakeTest() = %v, want %v", err, why)
	}
	t.Logf("ffmpeg ended %v after it was asked to", time.Since(asked))
}

func TestFailureHasFFmpegsWords(t *testing.T) {
	t.Parallel()
	p, _ := ffmpeg.PresetByName("mp4-720p")
	folder := t.TempDir()
	w := ffmpeg.Work{Preset: p, Media: ffmpeg.Media{HasVideo: true, Width: 2, Height: 2}, Input: filepath.Join(folder, "none")}
	_, err := tools(t).Transcode(t.Context(), w, folder, func(ffmpeg.Progress) {})
	var said *ffmpeg.Error
	if !errors.As(err, &said) || !strings.Contains(said.Said, "No such file") {
		t.Errorf("Transcode(no input) = %v, want what ffmpeg said", err)
	}
}

// How ffmpeg ends says what is wrong: not every failure is the file's.
func TestFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, says string }{
		{"killed", "kill -9 $$", "ffmpeg was stopped from outside (signal: killed): perhaps memory ran out"},
		{"disk full", "echo 'av_interleaved_write_frame(): No space left on device' >&2; exit 1", ffmpeg.ErrDiskFull.Error()},
		{"its words", "echo '[mp4 @ 0x55b5c98715c0] Broken beyond repair' >&2; exit 1", "ffmpeg: Broken beyond repair"},
		{"no words", "exit 3", "ffmpeg: exit status 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "ffmpeg")
			if err := exectest.WriteScript(program, tt.script); err != nil {
				t.Fatal(err)
			}
			output := filepath.Join(t.TempDir(), "test.mp4")
			err := ffmpeg.Tools{FFmpeg: program}.MakeTest(t.Context(), time.Second, output, func(ffmpeg.Progress) {})
			if err == nil || err.Error() != tt.says {
				t.Errorf("MakeTest() = %v, want %s", err, tt.says)
			}
		})
	}
}
