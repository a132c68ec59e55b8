package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the user whom Postgres runs as. Postgres refuses to run as root, so
// root lends it another one.
type owner struct {
	name       string
	credential *syscall.Credential // nil: as ourselves
}

func findOwner() (owner, error) {
	if os.Getuid() != 0 {
		return owner{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return owner{}, fmt.Errorf("user %s: %w", name, err)
		}
		return owner{name: name, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return owner{}, errors.New("Postgres does not run as root, and there is neither a user postgres nor nobody to run it as")
}

// makeDir makes a folder that is the owner's alone.
func (o owner) makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if o.credential != nil {
		if err := os.Chown(dir, int(o.credential.Uid), int(o.credential.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o700)
}

// openWay lets the owner reach dir. Herald's own data folder, which is dir's
// parent, and dir itself may be opened for passing through; what lies above
// them is not ours to change.
func (o owner) openWay(dir string) error {
	if o.credential == nil {
		return nil
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); !o.passes(info) {
			if at != dir && at != filepath.Dir(dir) {
				return fmt.Errorf("the user %s, whom Postgres runs as, cannot pass through %s: choose a data folder elsewhere with --data-dir",
					o.name, at)
			}
			if err := os.Chmod(at, mode|0o011); err != nil {
				return err
			}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func (o owner) passes(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case ok && stat.Uid == o.credential.Uid:
		return mode&0o100 != 0
	case ok && stat.Gid == o.credential.Gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
