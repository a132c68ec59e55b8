package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Folder finds out whether files can be made in the folder, or, when it is not
// there yet, whether it can be made. What it writes, it removes.
func Folder(dir, advice string) Finding {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := above(dir)
		if err := writable(parent); err != nil {
			return Wrong(advice, "%s is not there, and cannot be made: %v", dir, err)
		}
		return Good("%s is not there yet; it can be made", dir)
	case err != nil:
		return Wrong(advice, "%v", err)
	case !info.IsDir():
		return Wrong(advice, "%s is not a folder", dir)
	}
	if err := writable(dir); err != nil {
		return Wrong(advice, "%v", err)
	}
	return Good("%s can be written to", dir)
}

// above is the nearest folder above dir that is there.
func above(dir string) string {
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	return dir
}

func writable(dir string) error {
	file, err := os.CreateTemp(dir, ".herald-doctor-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString("x")
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}

// The room that a disk is to have: with little, Postgres stops.
const (
	leastRoom = 512 << 20
	goodRoom  = 4 << 30
)

// Disk finds out how much room there is where each folder is, or will be.
func Disk(dirs ...string) Finding {
	least, at := uint64(0), ""
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			dir = above(dir)
		}
		var s syscall.Statfs_t
		if err := syscall.Statfs(dir, &s); err != nil {
			return Worse("see whether the disk is there", "ask for the room at %s: %v", dir, err)
		}
		if free := s.Bavail * uint64(s.Bsize); at == "" || free < least {
			least, at = free, dir
		}
	}
	return room(at, least)
}

func room(dir string, free uint64) Finding {
	text := fmt.Sprintf("%.1f GiB are free at %s", float64(free)/(1<<30), dir)
	const advice = "make room, move the data folder (--data-dir), or keep less (--retain-age, --retain-results)"
	switch {
	case free < leastRoom:
		return Wrong(advice, "%s", text)
	case free < goodRoom:
		return Worse(advice, "%s", text)
	}
	return Good("%s", text)
}

// SecretFiles finds out whether each file can be read, and by its owner and group
// alone. One that is made when it is missing is not in need.
func SecretFiles(made string, needed ...string) Finding {
	read := []string{}
	for _, file := range append([]string{made}, needed...) {
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist) && file == made:
			continue
		case err != nil:
			return Wrong("look at the setting that names it", "%v", err)
		case info.Mode().Perm()&0o007 != 0:
			return Wrong("chmod 600 "+file, "%s is open to every user of this machine (mode %04o)", file, info.Mode().Perm())
		}
		f, err := os.Open(file)
		if err != nil {
			return Wrong("run Herald as the file's owner", "%v", err)
		}
		_ = f.Close()
		read = append(read, file)
	}
	if len(read) == 0 {
		return Good("%s is made at the first start", made)
	}
	return Good("nobody else reads %s", strings.Join(read, ", "))
}

// OpenFiles finds out whether the process may open as many files as it is to have
// streams, by the rule how many so many files are enough for.
func OpenFiles(streams int, enough func(files uint64) uint64) Finding {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return Worse("see 'ulimit -n'", "ask for the limit of open files: %v", err)
	}
	if most := enough(files.Cur); most < uint64(streams) {
		return Worse("raise the limit (LimitNOFILE in systemd, 'ulimit -n' in a shell), or lower --max-streams",
			"%d open files are enough for %d streams, not for --max-streams %d", files.Cur, most, streams)
	}
	return Good("%d open files are enough for %d streams", files.Cur, streams)
}

// soon is how long before its end a certificate is to be renewed.
const soon = 14 * 24 * time.Hour

// Certificate finds out whether the certificate can be read and is good now.
func Certificate(certFile, keyFile string) Finding {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return Wrong("look at --tls-cert and --tls-key", "%v", err)
	}
	from, until := pair.Leaf.NotBefore, pair.Leaf.NotAfter
	text := fmt.Sprintf("for %s, from %s until %s", strings.Join(pair.Leaf.DNSNames, ", "), from.Format(time.DateOnly), until.Format(time.DateOnly))
	now := time.Now()
	switch {
	case now.After(until):
		return Wrong("renew it; Herald reads it again by itself", "expired: %s", text)
	case now.Before(from):
		return Wrong("look at this machine's clock", "not good yet: %s", text)
	case now.Add(soon).After(until):
		return Worse("renew it; Herald reads it again by itself", "%s", text)
	}
	return Good("%s", text)
}

// Tried turns what a trial returned into a finding.
func Tried(err error, good, advice string) Finding {
	if err != nil {
		return Wrong(advice, "%v", err)
	}
	return Good("%s", good)
}

// All is a finding of the first trial that failed, each with what to do then.
func All(ctx context.Context, good string, trials ...func(context.Context) error) Finding {
	for _, try := range trials {
		if err := try(ctx); err != nil {
			return Wrong("change the setting that is named", "%v", err)
		}
	}
	return Good("%s", good)
}
