package ffmpeg_test

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/exectest"
	"herald/internal/ffmpeg"
)

// Each limit ends a film of an hour, with an error of its own.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limits ffmpeg.Limits
		want   error
	}{
		{"time", ffmpeg.Limits{Time: 100 * time.Millisecond}, ffmpeg.ErrTooLong},
		{"output", ffmpeg.Limits{Output: 10_000}, ffmpeg.ErrTooLarge},
		{"disk", ffmpeg.Limits{Reserve: math.MaxInt64}, ffmpeg.ErrDiskFull},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limited := tools(t)
			limited.Limits = tt.limits
			err := limited.MakeTest(t.Context(), time.Hour, filepath.Join(t.TempDir(), "test.mp4"), func(ffmpeg.Progress) {})
			if !errors.Is(err, tt.want) {
				t.Errorf("MakeTest() = %v, want %v", err, tt.want)
			}
		})
	}
}

// What is written after the last look counts too.
func TestOutputOfAShortRunIsLimited(t *testing.T) {
	t.Parallel()
	limited := tools(t)
	limited.Limits = ffmpeg.Limits{Output: 100}
	w := work(t, "mp4-480p", moving(t), ffmpeg.Options{})
	if _, err := limited.Transcode(t.Context(), w, t.TempDir(), func(ffmpeg.Progress) {}); !errors.Is(err, ffmpeg.ErrTooLarge) {
		t.Errorf("Transcode() = %v, want %v", err, ffmpeg.ErrTooLarge)
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	limits := ffmpeg.Limits{Reserve: 1}
	if err := limits.Room(t.TempDir(), 0); err != nil {
		t.Errorf("Room(0) = %v", err)
	}
	if err := limits.Room(t.TempDir(), math.MaxInt64/2); !errors.Is(err, ffmpeg.ErrDiskFull) {
		t.Errorf("Room(more than any disk has) = %v, want %v", err, ffmpeg.ErrDiskFull)
	}
}

// Decoder, filters and encoder all get the number of threads.
func TestThreadsAreLimited(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	program := filepath.Join(folder, "ffmpeg")
	if err := exectest.WriteScript(program, "echo \"$*\" >&2\nexit 1"); err != nil {
		t.Fatal(err)
	}
	for _, preset := range []string{"mp4-480p", "hls"} {
		w := work(t, preset, moving(t), ffmpeg.Options{})
		limited := ffmpeg.Tools{FFmpeg: program, Limits: ffmpeg.Limits{Threads: 3}}
		_, err := limited.Transcode(t.Context(), w, folder, func(ffmpeg.Progress) {})
		var said *ffmpeg.Error
		if !errors.As(err, &said) {
			t.Fatalf("Transcode() = %v, want the arguments", err)
		}
		input, output, _ := strings.Cut(said.Said, " -i ")
		if strings.Count(input, "-threads 3") != 1 || strings.Count(output, "-threads 3") != 1 || !strings.Contains(input, "-filter_complex_threads 3") {
			t.Errorf("%s: the arguments are %s, want three threads for each part", preset, said.Said)
		}
	}
}
