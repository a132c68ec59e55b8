// Package ffmpeg runs ffmpeg and ffprobe on files that nobody vouches for, and
// turns what ffmpeg says of its progress into numbers.
package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNotInstalled is returned when ffmpeg or ffprobe is missing. Its text says
// how to get them.
var ErrNotInstalled = errors.New("ffmpeg is not installed: run 'sudo apt-get install --no-install-recommends ffmpeg'")

// Tools are the programs, and what a run of them may take.
type Tools struct {
	FFmpeg, FFprobe string
	Limits          Limits
}

// Find looks for the programs on the PATH.
func Find() (Tools, error) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return Tools{}, ErrNotInstalled
	}
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		return Tools{}, ErrNotInstalled
	}
	return Tools{FFmpeg: ffmpeg, FFprobe: ffprobe}, nil
}

// formats are the containers that an input may be in. Those that name other
// files or addresses to be read (playlists, concat scripts, image sequences,
// session descriptions) are not among them.
const formats = "mov,mp4,m4a,3gp,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,live_flv,asf,wav,w64,aiff,au,mp3,flac,aac,ac3,eac3," +
	"amr,caf,dv,gif,gxf,h264,hevc,av1,ivf,m4v,mjpeg,mxf,nut,rm,vc1,wv,yuv4mpegpipe"

// maxPixels bounds a picture, so that a small file cannot take all memory.
const maxPixels = 1 << 26

// untrusted are the options that stand before an input which somebody sent us.
func untrusted() []string {
	return []string{"-protocol_whitelist", "file", "-format_whitelist", formats, "-max_pixels", strconv.Itoa(maxPixels)}
}

// stopTime is how long ffmpeg may take to stop before it is killed.
const stopTime = 400 * time.Millisecond

// run runs a program until it ends or ctx does, and returns the last that it
// said on stderr. Should we die, the kernel kills it.
func run(ctx context.Context, dir string, stdout io.Writer, name string, args ...string) (said string, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	last := &tail{}
	cmd.Stdout, cmd.Stderr = stdout, last
	// The kernel sends the signal when the thread that started the process ends,
	// so it has to live as long.
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- cmd.Run()
	}()
	err = <-done
	if ctx.Err() != nil {
		return last.String(), context.Cause(ctx)
	}
	return last.String(), err
}

// tail keeps the last of what is written to it.
type tail struct{ kept []byte }

const tailSize = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// String is the kept text in whole lines, without the names and addresses of the
// parts of ffmpeg that speak.
func (t *tail) String() string {
	text := t.kept
	if len(text) == tailSize {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return strings.TrimSpace(speaker.ReplaceAllString(strings.ToValidUTF8(string(text), "\uFFFD"), ""))
}

// speaker is what ffmpeg puts before a line, such as "[mp4 @ 0x55b5c98715c0] ".
var speaker = regexp.MustCompile(`(?m)^(\[[^\]\n]* @ 0x[0-9a-f]+\] )+`)

// failure says why a program failed that nobody stopped.
func failure(program, said string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ErrNotInstalled
	case strings.Contains(said, "No space left on device"):
		return ErrDiskFull
	default:
		return &Error{Program: program, Said: said, Err: err}
	}
}

// Error says how a program failed, in its own words.
type Error struct {
	Program string
	Said    string // the last lines that it wrote
	Err     error  // how it ended
}

func (e *Error) Error() string {
	var exit *exec.ExitError
	switch {
	case errors.As(e.Err, &exit) && !exit.Exited():
		return fmt.Sprintf("%s was stopped from outside (%v): perhaps memory ran out", e.Program, e.Err)
	case e.Said == "":
		return fmt.Sprintf("%s: %v", e.Program, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Program, e.Said)
}

// Unwrap returns how the program ended.
func (e *Error) Unwrap() error { return e.Err }
