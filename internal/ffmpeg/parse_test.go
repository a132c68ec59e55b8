package ffmpeg_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/ffmpeg"
)

const twoBlocks = "frame=0\nfps=0.00\nout_time_us=N/A\nspeed=N/A\nprogress=continue\n" +
	"frame=48\nfps=24.50\nout_time_us=2000000\nout_time_ms=2000000\nspeed=1.25x\nprogress=end\n"

func TestProgress(t *testing.T) {
	t.Parallel()
	want := []ffmpeg.Progress{{}, {Frame: 48, FPS: 24.5, Time: 2 * time.Second, Speed: 1.25}}
	for cut := range len(twoBlocks) {
		got := ffmpeg.ParseProgress(twoBlocks[:cut], twoBlocks[cut:])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("cut at %d: -want +got:\n%s", cut, diff)
		}
	}
}

func TestProgressShareAndRemaining(t *testing.T) {
	t.Parallel()
	p := ffmpeg.Progress{Time: 2 * time.Second, Speed: 2}
	if got := p.Share(8 * time.Second); got != 0.25 {
		t.Errorf("Share() = %v, want 0.25", got)
	}
	if got, known := p.Remaining(8 * time.Second); got != 3*time.Second || !known {
		t.Errorf("Remaining() = %v, %v, want 3 s", got, known)
	}
	if got := p.Share(time.Second); got != 1 {
		t.Errorf("Share(of less) = %v, want 1", got)
	}
	for name, unknown := range map[string]ffmpeg.Progress{"no speed": {Time: 1}, "hardly any": {Speed: 1e-9}} {
		if got, known := unknown.Remaining(time.Hour); known {
			t.Errorf("%s: Remaining() = %v, want it unknown", name, got)
		}
	}
}

func FuzzProgress(f *testing.F) {
	f.Add(twoBlocks)
	f.Add("frame=-1\nspeed=-infx\nout_time_us=9223372036854775807\nprogress=\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range ffmpeg.ParseProgress(text) {
			share := p.Share(time.Minute)
			left, _ := p.Remaining(time.Minute)
			if !(share >= 0 && share <= 1) || left < 0 || p.Frame < 0 || !(p.FPS >= 0) || !(p.Speed >= 0) {
				t.Errorf("%q gives %+v, %v done, %v left", text, p, share, left)
			}
		}
	})
}

func FuzzProbe(f *testing.F) {
	f.Add([]byte(`{"streams":[{"codec_type":"video","codec_name":"x","width":3,"height":2,"sample_aspect_ratio":"4:3",` +
		`"avg_frame_rate":"30000/1001","side_data_list":[{"rotation":-90}]}],"format":{"duration":"2.5"}}`))
	f.Fuzz(func(t *testing.T, output []byte) {
		m, err := ffmpeg.ParseProbe(output)
		if err != nil {
			return
		}
		if m.Duration < 0 || m.HasVideo && (m.Width < 1 || m.Height < 1) || !(m.FPS >= 0) {
			t.Errorf("%s gives %+v", output, m)
		}
	})
}
