package ffmpeg_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/internal/exectest"
	"herald/internal/ffmpeg"
)

// childVariable makes the test binary work on a film of an hour, with the ffmpeg
// that it names, until it is killed.
const childVariable = "HERALD_TEST_FFMPEG"

func TestMain(m *testing.M) {
	if program := os.Getenv(childVariable); program != "" {
		output := filepath.Join(filepath.Dir(program), "test.mp4")
		err := ffmpeg.Tools{FFmpeg: program}.MakeTest(context.Background(), time.Hour, output, func(ffmpeg.Progress) {})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// When we are killed, so is ffmpeg. It holds a pipe open that ends with it.
func TestKilledProcessLeavesNoFFmpeg(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	pipe, program := filepath.Join(folder, "pipe"), filepath.Join(folder, "ffmpeg")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("exec 3>'%s'\necho started >&3\nexec '%s' \"$@\"", pipe, tools(t).FFmpeg)
	if err := exectest.WriteScript(program, script); err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	// Until ffmpeg has its end of the pipe, ours keeps it from looking ended.
	open, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+program)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()         //nolint:errcheck // it was killed
	defer child.Process.Kill() //nolint:errcheck // it may have been killed before
	if err := held.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(held)
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatalf("ffmpeg did not start: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(reader); err != nil {
		t.Errorf("ffmpeg lives on: %v", err)
	}
}
