package ffmpeg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Limits bound what one run of ffmpeg takes. A field of 0 is its default.
type Limits struct {
	Threads int           // of a decoder, of a filter, of an encoder; default: the machine's cores, 8 at most
	Time    time.Duration // how long it may take; default 6 hours
	Output  int64         // how much it may write, in bytes; default 20 GiB
	Reserve int64         // what stays free on the disk, in bytes; default 512 MiB
}

// Why a run is ended. The errors that wrap the first two say what the limit is.
var (
	ErrTooLong  = errors.New("it takes too long")
	ErrTooLarge = errors.New("the output gets too large")
	ErrDiskFull = errors.New("the disk is full")
)

// maxThreads bounds what one job takes of a large machine by default, and the
// memory that each thread's pictures need.
const maxThreads = 8

func (l Limits) withDefaults() Limits {
	return Limits{
		Threads: cmp.Or(l.Threads, min(runtime.NumCPU(), maxThreads)), Time: cmp.Or(l.Time, 6*time.Hour),
		Output: cmp.Or(l.Output, 20<<30), Reserve: cmp.Or(l.Reserve, 512<<20),
	}
}

// threads is how many threads a decoder or encoder may use.
func (l Limits) threads() []string {
	return []string{"-threads", strconv.Itoa(l.withDefaults().Threads)}
}

// Room returns ErrDiskFull unless the disk of the folder has room for so many
// bytes besides the reserve.
func (l Limits) Room(folder string, bytes int64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return fmt.Errorf("look how much room there is in %s: %w", folder, err)
	}
	if free := int64(disk.Bavail) * disk.Bsize; free-bytes < l.withDefaults().Reserve {
		return ErrDiskFull
	}
	return nil
}

// watchTime is how often a run's output is looked at.
const watchTime = 500 * time.Millisecond

// bound runs a program that writes into the folder, and ends it when it goes
// beyond the limits.
func (l Limits) bound(ctx context.Context, folder string, run func(context.Context) error) error {
	l = l.withDefaults()
	before := written(folder)
	check := func() error {
		if written(folder)-before > l.Output {
			return fmt.Errorf("%w: more than %d MB are not allowed", ErrTooLarge, max(l.Output/1e6, 1))
		}
		return l.Room(folder, 0)
	}
	if err := check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.Time, fmt.Errorf("%w: more than %v is not allowed", ErrTooLong, l.Time))
	defer cancel()
	running, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(running, stop, check)
	}()
	err := run(running)
	stop(nil)
	<-watched
	if err == nil {
		err = check() // the last of it was written since the last look
	}
	return err
}

// watch stops what runs when the check fails.
func watch(ctx context.Context, stop context.CancelCauseFunc, check func() error) {
	ticker := time.NewTicker(watchTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := check(); err != nil {
			stop(err)
			return
		}
	}
}

// written is how many bytes the files of the folder have. A file that is being
// renamed meanwhile has none.
func written(folder string) (bytes int64) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return 0
	}
	for _, file := range files {
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
	}
	return bytes
}
