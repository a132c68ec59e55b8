package ffmpeg_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/exectest"
	"herald/internal/ffmpeg"
)

func TestEncoders(t *testing.T) {
	t.Parallel()
	tools, err := ffmpeg.Find()
	if err != nil {
		t.Fatal(err)
	}
	if version, err := tools.Version(t.Context()); err != nil || !strings.ContainsAny(version, "0123456789") {
		t.Errorf("Version() = %q, %v", version, err)
	}
	if missing, err := tools.MissingEncoders(t.Context()); err != nil || len(missing) > 0 {
		t.Errorf("MissingEncoders() = %q, %v", missing, err)
	}
	// One that was built without most of them, and names the others alone in what it says of one.
	tools.FFmpeg = filepath.Join(t.TempDir(), "ffmpeg")
	script := "echo ' V....D mjpeg   MJPEG'\necho ' A....D aac   AAC, not libopus'\necho ' V....D libx264   H.264'"
	if err := exectest.WriteScript(tools.FFmpeg, script); err != nil {
		t.Fatal(err)
	}
	missing, err := tools.MissingEncoders(t.Context())
	if diff := cmp.Diff([]string{"gif", "libopus", "libvpx-vp9", "mov_text", "webvtt"}, missing); err != nil || diff != "" {
		t.Errorf("MissingEncoders() (-want +got):\n%s%v", diff, err)
	}
}
