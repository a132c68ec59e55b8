package ffmpeg_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
		{"mp4", "mp4-720p", both, 160, 120, true},
		{"webm", "webm", both, 160, 120, true},
		{"hls", "hls", both, 160, 120, true},
		{"audio", "audio", both, 0, 0, true},
		{"odd size", "mp4-720p", picture("161x121"), 162, 122, false},
		{"never larger", "mp4-1080p", picture("320x180"), 320, 180, false},
		{"smaller", "mp4-720p", picture("1920x1080"), 1280, 720, false},
		{"tiny", "mp4-720p", picture("1x1"), 2, 2, false},
		{"tiny webm", "webm", picture("1x1"), 2, 2, false},
		{"upright", "mp4-720p", picture("1080x1920"), 720, 1280, false},
		{"a wide strip", "mp4-720p", picture("3840x64"), 1280, 22, false},
		{"pixels that are not square", "mp4-720p", join(picture("100x100"), []string{"-vf", "setsar=2/1"}), 200, 100, false},
		{"sound alone", "audio", tone(), 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			input := film(t, "in.mkv", tt.input...)
			got, reports := transcode(t, tt.preset, input)
			if got.Width != tt.width || got.Height != tt.height || got.HasAudio != tt.audio {
				t.Errorf("the output is %+v, want %dx%d, sound %v", got, tt.width, tt.height, tt.audio)
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

// transcode processes the input and probes the output.
func transcode(t *testing.T, preset, input string) (ffmpeg.Media, []ffmpeg.Progress) {
	t.Helper()
	p, ok := ffmpeg.PresetByName(preset)
	if !ok {
		t.Fatalf("there is no preset %s", preset)
	}
	m, err := tools(t).Probe(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(m); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	var reports []ffmpeg.Progress
	length, err := tools(t).Transcode(t.Context(), p, m, input, folder, func(r ffmpeg.Progress) { reports = append(reports, r) })
	if err != nil {
		t.Fatal(err)
	}
	if last := reports[len(reports)-1]; length != last.Time {
		t.Errorf("Transcode() = %v, want %v as reported last", length, last.Time)
	}
	output := filepath.Join(folder, p.Output)
	if p.Folder { // a playlist is not taken as an input
		if text, err := os.ReadFile(output); err != nil || !strings.Contains(string(text), "#EXT-X-ENDLIST") {
			t.Fatalf("the playlist is %q, %v, want a whole one", text, err)
		}
		output = filepath.Join(folder, "segment-00000.ts")
	}
	got, err := tools(t).Probe(t.Context(), output)
	if err != nil {
		t.Fatal(err)
	}
	return got, reports
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
	m, err := tools(t).Probe(t.Context(), turned)
	if err != nil {
		t.Fatal(err)
	}
	if m.Width != 120 || m.Height != 160 {
		t.Fatalf("Probe() = %dx%d, want 120x160", m.Width, m.Height)
	}
	if got, _ := transcode(t, "mp4-720p", turned); got.Width != 120 || got.Height != 160 {
		t.Errorf("the output is %dx%d, want 120x160", got.Width, got.Height)
	}
}

func TestCheckRefusesWhatAPresetCannotMake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		preset string
		input  []string
		want   error
	}{{"mp4-720p", tone(), ffmpeg.ErrNoVideo}, {"audio", picture("160x120"), ffmpeg.ErrNoAudio}} {
		p, _ := ffmpeg.PresetByName(tt.preset)
		m, err := tools(t).Probe(t.Context(), film(t, "in.mkv", tt.input...))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(m); !errors.Is(err, tt.want) {
			t.Errorf("Check(%s of %v) = %v, want %v", tt.preset, m, err, tt.want)
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
		"a playlist":       "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
		"a concat script":  "ffconcat version 1.0\nfile /etc/passwd\n",
		"a session":        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
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
	p, _ := ffmpeg.PresetByName("mp4-720p")
	folder := t.TempDir()
	got, err := tools(t).Transcode(t.Context(), p, m, input, folder, func(ffmpeg.Progress) {})
	if err != nil || got < time.Second || got > 2*time.Second {
		t.Errorf("Transcode() = %v, %v, want the second and a half that is there", got, err)
	}
	if _, err := tools(t).Thumbnails(t.Context(), m, input, folder); err != nil {
		t.Errorf("Thumbnails() = %v, want pictures of what is there", err)
	}
}

// Two pictures an hour apart are two pictures, not an hour of copies.
func TestAHoleIsNotFilled(t *testing.T) {
	t.Parallel()
	input := film(t, "in.mkv", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=1:duration=2",
		"-vf", `setpts=if(eq(N\,1)\,3600/TB\,PTS)`, "-fps_mode", "vfr", "-c:v", "png")
	m, err := tools(t).Probe(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := ffmpeg.PresetByName("hls")
	var last ffmpeg.Progress
	if _, err := tools(t).Transcode(t.Context(), p, m, input, t.TempDir(), func(p ffmpeg.Progress) { last = p }); err != nil || last.Frame != 2 {
		t.Errorf("Transcode() wrote %d pictures, %v, want 2", last.Frame, err)
	}
}

func TestThumbnails(t *testing.T) {
	t.Parallel()
	for _, size := range []string{"160x120", "161x121", "1x1", "40x400"} {
		input := film(t, "in.mkv", picture(size)...)
		m, err := tools(t).Probe(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		strip, err := tools(t).Thumbnails(t.Context(), m, input, folder)
		if err != nil {
			t.Errorf("%s: Thumbnails() = %v", size, err)
			continue
		}
		if strip.Columns != 2 || strip.Interval != time.Second {
			t.Errorf("%s: Thumbnails() = %+v, want two frames, a second apart", size, strip)
		}
		for _, name := range []string{ffmpeg.PosterFile, ffmpeg.StripFile} {
			if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %s: %v", size, name, err)
			}
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
	m := ffmpeg.Media{HasVideo: true, Width: 2, Height: 2}
	_, err := tools(t).Transcode(t.Context(), p, m, filepath.Join(folder, "none"), folder, func(ffmpeg.Progress) {})
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
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700); err != nil {
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
