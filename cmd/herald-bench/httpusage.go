package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"herald/internal/postgres"
)

// processStat is what the kernel tells of a process.
type processStat struct {
	parent int
	own    time.Duration // processor time
	ended  time.Duration // that of children that have ended
}

// statOf reads /proc/PID/stat.
func statOf(path string) (s processStat, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // its name may have anything in it
	const parent, own, ended, tick = 1, 11, 13, 10 * time.Millisecond
	if len(fields) <= ended+1 {
		return s, fmt.Errorf("%s ends after %d fields", path, len(fields))
	}
	number := func(field int) int64 {
		n, parseErr := strconv.ParseInt(string(fields[field]), 10, 64)
		err = errors.Join(err, parseErr)
		return n
	}
	s = processStat{
		parent: int(number(parent)),
		own:    time.Duration(number(own)+number(own+1)) * tick,
		ended:  time.Duration(number(ended)+number(ended+1)) * tick,
	}
	return s, err
}

// postmaster is the id of the process whose children serve the database.
func postmaster(ctx context.Context, db *postgres.DB) (int, error) {
	var backend int
	if err := db.Pool().QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return 0, err
	}
	s, err := statOf(fmt.Sprintf("/proc/%d/stat", backend))
	return s.parent, err
}

// familyCPU is the processor time of a process and its children, also those that
// have ended.
func familyCPU(parent int) (time.Duration, error) {
	list, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, path := range list {
		s, err := statOf(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH): // it has ended since
		case err != nil:
			return 0, err
		case path == fmt.Sprintf("/proc/%d/stat", parent):
			sum += s.own + s.ended
		case s.parent == parent:
			sum += s.own
		}
	}
	return sum, nil
}
