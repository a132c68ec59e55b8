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

// findOwner is whom the data folder belongs to, or, when there is none yet,
// whom it is going to belong to.
func findOwner(data string) (owner, error) {
	if os.Getuid() != 0 {
		return owner{}, nil
	}
	if info, err := os.Stat(data); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			u, err := user.LookupId(strconv.FormatUint(uint64(stat.Uid), 10))
			if err != nil {
				return owner{}, fmt.Errorf("find out whose %s is: %w", data, err)
			}
			return ownerOf(u)
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return ownerOf(u)
		}
	}
	return owner{}, errors.New("Postgres does not run as root, and there is neither a user postgres nor nobody to run it as")
}

func ownerOf(u *user.User) (owner, error) {
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return owner{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	return owner{name: u.Username, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
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
	for _, ours := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(ours)
		if err != nil {
			return err
		}
		if !o.passes(info) {
			if err := os.Chmod(ours, info.Mode().Perm()|0o011); err != nil {
				return err
			}
		}
	}
	if err := o.reaches(dir); err != nil {
		return fmt.Errorf("%w: choose a data folder elsewhere with --data-dir", err)
	}
	return nil
}

// reaches returns an error that names the first folder on the way to dir that
// the owner cannot pass through.
func (o owner) reaches(dir string) error {
	if o.credential == nil {
		return nil
	}
	at, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for ; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if !o.passes(info) {
			return fmt.Errorf("the user %s, whom Postgres runs as, cannot pass through %s", o.name, at)
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
