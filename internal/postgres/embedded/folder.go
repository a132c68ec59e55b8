package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is returned when another process runs a Server in the folder.
var ErrInUse = errors.New("another Herald uses this data folder: end that one, or choose another folder with --data-dir")

// dyingTime bounds the wait for the processes of a Herald that was killed. They
// end by themselves, usually within milliseconds.
const dyingTime = 15 * time.Second

// folder is a Postgres' place on disk, ours as long as we hold its two locks.
// Both are the kernel's, which gives them back however their holders end.
type folder struct {
	dir   string
	owner owner
	ours  *os.File // held by us alone: one Herald at a time
	life  *os.File // held by us and, by inheritance, by each process that works in the folder
}

// takeFolder makes the folder if it is missing, and locks it. Processes that a
// killed predecessor left behind are waited for.
func takeFolder(ctx context.Context, dir string) (*folder, error) {
	f := &folder{dir: dir}
	if err := f.take(ctx); err != nil {
		f.release()
		return nil, err
	}
	return f, nil
}

func (f *folder) take(ctx context.Context) (err error) {
	if f.owner, err = findOwner(f.data()); err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o711); err != nil {
		return fmt.Errorf("make Postgres' folder: %w: choose another data folder with --data-dir", err)
	}
	if err := f.owner.openWay(f.dir); err != nil {
		return err
	}
	if f.ours, err = f.lockFile("lock"); err != nil {
		return err
	}
	if held, err := tryLock(f.ours); err != nil {
		return err
	} else if !held {
		return fmt.Errorf("%s: %w", filepath.Dir(f.dir), ErrInUse)
	}
	if f.life, err = f.lockFile("life"); err != nil {
		return err
	}
	if err := f.outlive(ctx); err != nil {
		return err
	}
	return f.removeStalePID()
}

func (f *folder) lockFile(name string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock Postgres' folder: %w: choose another data folder with --data-dir", err)
	}
	return file, nil
}

// tryLock locks the file, unless somebody else holds it.
func tryLock(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return true, nil
}

// outlive waits until no process of a predecessor is left.
func (f *folder) outlive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dyingTime)
	defer cancel()
	for {
		if held, err := tryLock(f.life); held || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the Postgres of a Herald that was killed still runs in %s: end it, then start again: %w", f.dir, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (f *folder) data() string    { return filepath.Join(f.dir, "data") }
func (f *folder) pidFile() string { return filepath.Join(f.data(), "postmaster.pid") }

// removeStalePID removes what a killed server left, when its process id is now
// that of some other program: Postgres would take that one for its predecessor
// and refuse to start. Of another Postgres it can tell by itself.
func (f *folder) removeStalePID() error {
	text, err := os.ReadFile(f.pidFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what the last Postgres left: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	if pid, err := strconv.Atoi(first); err == nil {
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && string(bytes.TrimSpace(name)) == "postgres" {
			return nil
		}
	}
	if err := os.Remove(f.pidFile()); err != nil {
		return fmt.Errorf("remove what the last Postgres left: %w", err)
	}
	return nil
}

// madeBy is the version that made the data folder, 0 when there is none.
func (f *folder) madeBy() (int, error) {
	text, err := os.ReadFile(filepath.Join(f.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read Postgres' data folder: %w: choose another data folder with --data-dir", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read the version of Postgres' data folder: %w", err)
	}
	return major, nil
}

// initdb sets up a new data folder under another name first, so that half of
// one is never taken for a whole.
func (f *folder) initdb(ctx context.Context, bin Binaries) error {
	half := f.data() + ".new"
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("remove what is left of a broken start: %w", err)
	}
	if err := f.owner.makeDir(half); err != nil {
		return fmt.Errorf("make Postgres' data folder: %w", err)
	}
	cmd := command(ctx, filepath.Join(bin.Dir, "initdb"), "--pgdata="+half, "--username="+User, "--auth=trust",
		"--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions")
	f.adopt(cmd, syscall.SIGKILL)
	// The kernel ends the process when the thread that started it ends.
	runtime.LockOSThread()
	out, err := cmd.CombinedOutput()
	runtime.UnlockOSThread()
	if err != nil {
		return fmt.Errorf("set up Postgres: %w: %s", err, bytes.ReplaceAll(bytes.TrimSpace(out), []byte("\n"), []byte("; ")))
	}
	if err := os.Rename(half, f.data()); err != nil {
		return fmt.Errorf("set up Postgres: %w", err)
	}
	return syncDir(f.dir)
}

// syncDir makes the names in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// adopt makes the program one that works in the folder: as its owner, holding
// its lock, and ended by the signal when the thread that starts it ends, and so
// when we are killed.
func (f *folder) adopt(cmd *exec.Cmd, death syscall.Signal) {
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{f.life}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: f.owner.credential,
		Setpgid:    true, // a Ctrl-C in the terminal is ours alone
		Pdeathsig:  death,
	}
}

// release gives the folder back. Our own lock is given up before its file is
// closed: a program that another goroutine is starting has the file as well,
// between fork and exec, and would hold the lock for that long.
func (f *folder) release() {
	if f.ours != nil {
		_ = syscall.Flock(int(f.ours.Fd()), syscall.LOCK_UN)
	}
	for _, lock := range []*os.File{f.ours, f.life} {
		if lock != nil {
			_ = lock.Close()
		}
	}
}
