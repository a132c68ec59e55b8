package embedded

import (
	"context"
	"io"
	"log/slog"
	"syscall"
)

// LogWriter returns what takes Postgres' words, as of a server that answers.
func LogWriter(log *slog.Logger) io.Writer {
	o := newOutput(log)
	o.setLoud(true)
	return o
}

// HeldAcrossRelease takes the folder, gives it back while a copy of its lock's
// file is open, as in a program between fork and exec, and takes it again.
func HeldAcrossRelease(ctx context.Context, dir string) error {
	first, err := takeFolder(ctx, dir)
	if err != nil {
		return err
	}
	held, err := syscall.Dup(int(first.ours.Fd()))
	if err != nil {
		return err
	}
	defer syscall.Close(held)
	first.release()
	second, err := takeFolder(ctx, dir)
	if err != nil {
		return err
	}
	second.release()
	return nil
}
