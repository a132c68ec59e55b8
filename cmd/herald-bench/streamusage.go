package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a server process has used since it began.
type usage struct {
	CPU        time.Duration // user and system
	Mallocs    uint64
	Queries    int64 // of a log, since the node's start
	Goroutines int   // there are now
}

// currentUsage is this process's. To tell it costs next to nothing, so that it
// may be asked for in the middle of what it is to measure.
func currentUsage() (usage, error) {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return usage{}, err
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return usage{
		CPU:     time.Duration(used.Utime.Nano() + used.Stime.Nano()),
		Mallocs: memory.Mallocs, Goroutines: runtime.NumGoroutine(),
	}, nil
}

// resident is how much of this process is in memory, in bytes, without garbage.
func resident() (int64, error) {
	runtime.GC()
	debug.FreeOSMemory() // a second collection, which takes what finalizers have let go of
	kilobytes, err := number("/proc/self/smaps_rollup", "Rss:")
	return kilobytes << 10, err
}

// descriptors is how many of them this process has open.
func descriptors() (int, error) {
	list, err := os.ReadDir("/proc/self/fd")
	return len(list), err
}

// kernelMemory is what the machine's TCP sockets hold, in bytes.
func kernelMemory() (int64, error) {
	pages, err := number("/proc/net/sockstat", "TCP:", "mem")
	return pages * int64(os.Getpagesize()), err
}

// number is the one that follows the words in a file of the kernel's.
func number(path string, words ...string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for _, word := range words {
		_, after, found := bytes.Cut(text, []byte(word))
		if !found {
			return 0, fmt.Errorf("%s has no %s", path, word)
		}
		text = after
	}
	fields := bytes.Fields(text)
	if len(fields) == 0 {
		return 0, fmt.Errorf("%s ends after %v", path, words)
	}
	return strconv.ParseInt(string(fields[0]), 10, 64)
}

// openFiles is how many files this process and one that it starts may each have
// open. The Go runtime has raised it as far as it may.
func openFiles() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(min(limit.Cur, 1<<30)), nil
}
