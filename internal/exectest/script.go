// Package exectest gives tests programs to run.
package exectest

import (
	"os"
	"syscall"
)

// WriteScript writes a shell script that can be run as soon as it returns. While it
// is open for writing, nothing forks: a child would have it open as well, and Linux
// runs no file that somebody may write to (ETXTBSY, golang.org/issue/22315).
func WriteScript(path, text string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755) //nolint:gosec // another user may be the one who runs it
}
