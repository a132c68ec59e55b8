package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"herald/internal/job"
)

// folderPrefix begins the name of every pool's folder, so that nothing else is
// ever removed.
const folderPrefix = "pool-"

// folder is a pool's own folder below the one that the pools of a machine share.
// A lock on it, which ends with the process, says that it is in use.
type folder struct{ held *os.File }

// openFolder makes a folder, and removes those of pools that are gone.
func openFolder(shared string) (*folder, error) {
	if err := os.MkdirAll(shared, 0o700); err != nil {
		return nil, err
	}
	all, err := lock(shared, syscall.LOCK_EX) // a folder that has just been made is not locked yet
	if err != nil {
		return nil, err
	}
	defer all.Close() //nolint:errcheck // nothing was written
	if err := removeAbandoned(shared); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(shared, folderPrefix)
	if err != nil {
		return nil, err
	}
	held, err := lock(path, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return &folder{held}, nil
}

func removeAbandoned(shared string) error {
	entries, err := os.ReadDir(shared)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), folderPrefix) {
			continue
		}
		held, err := lock(filepath.Join(shared, e.Name()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		if err := (&folder{held}).remove(); err != nil {
			return err
		}
	}
	return nil
}

// lock locks a folder for as long as the file is open.
func lock(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// make makes a folder in it for an attempt.
func (f *folder) make(j job.Job) (string, error) {
	path := filepath.Join(f.held.Name(), fmt.Sprintf("%s-%d", j.ID, j.Attempt))
	return path, os.Mkdir(path, 0o700)
}

// remove removes the folder with all that is in it.
func (f *folder) remove() error {
	return errors.Join(os.RemoveAll(f.held.Name()), f.held.Close())
}
