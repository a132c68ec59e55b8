package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"herald/internal/postgres/embedded"
)

const (
	// asChild makes the test binary a process that starts a server in the folder
	// and is killed.
	asChild = "HERALD_TEST_EMBEDDED_DIR"
	// childBin is the folder of the programs that it uses.
	childBin = "HERALD_TEST_EMBEDDED_BIN"
)

// child starts a server, commits a row, says so, and waits to be killed.
func child(dir string) {
	c := config(dir)
	if bin := os.Getenv(childBin); bin != "" {
		c.BinDir = bin
	}
	server, err := embedded.Start(context.Background(), c)
	if err == nil {
		err = exec1(server, "CREATE TABLE kept AS SELECT 42 AS answer")
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	_, _ = fmt.Fprintln(os.Stdout, "ready")
	select {}
}

// startChild starts a child; what it prints comes from the reader.
func startChild(t *testing.T, dir string, environ ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), asChild+"="+dir), environ...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// awaitLife waits until no process holds the lock that each one inherits.
func awaitLife(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "life"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

func wantKept(t *testing.T, server *embedded.Server) {
	t.Helper()
	if got := show(t, server, "SELECT answer::text FROM kept"); got != "42" {
		t.Errorf("the row is %q after the kill, want 42", got)
	}
}

func TestPostgresDiesWithItsParent(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, out := startChild(t, dir, "PGPORT=1") // which is for other programs
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if len(processes(t, dir)) == 0 {
		t.Error("no process is seen to work in the folder")
	}
	kill(t, cmd)
	awaitLife(t, dir)
	if left := processes(t, dir); left != nil {
		t.Errorf("left running: %v", left)
	}
}

// A start right after the kill waits by itself until the last server has ended,
// and what was committed is there.
func TestStartRightAfterAKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, out := startChild(t, dir)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	kill(t, cmd)
	server := start(t, config(dir))
	defer stop(t, server)
	wantKept(t, server)
}

// Killed in the middle of setting up, we leave nothing running and nothing that
// the next start takes for whole.
func TestStartAfterAKillWhileSettingUp(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	pipe := filepath.Join(filepath.Dir(dir), "pipe")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o666), os.Chmod(pipe, 0o666)); err != nil {
		t.Fatal(err)
	}
	bin := programs(t, 15, `for arg; do case "$arg" in --pgdata=*) echo half >"${arg#*=}/PG_VERSION" ;; esac; done
echo $$ >`+pipe+"\nexec sleep 60")
	cmd, _ := startChild(t, dir, childBin+"="+bin)
	said, err := os.ReadFile(pipe)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(said)))
	if err != nil {
		t.Fatal(err)
	}
	kill(t, cmd)
	server := start(t, config(dir))
	defer stop(t, server)
	if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		t.Errorf("initdb is still there: %s", program)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := start(t, config(dir))
	if err := exec1(server, "CREATE TABLE kept AS SELECT 42 AS answer"); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if left := processes(t, dir); left != nil {
		t.Errorf("left running: %v", left)
	}
	again := start(t, config(dir))
	defer stop(t, again)
	wantKept(t, again)
}

// After a crash of the machine, the id that the last server had may be that of
// any program, one of the same user's too.
func TestTheLastServersProcessIDIsSomebodyElses(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := start(t, config(dir))
	if err := exec1(server, "CREATE TABLE kept AS SELECT 42 AS answer"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "data", "postmaster.pid")
	left, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()

	stat := info.Sys().(*syscall.Stat_t)
	other := exec.CommandContext(t.Context(), "sleep", "60")
	if os.Getuid() == 0 {
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}}
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { kill(t, other) }()
	_, rest, _ := strings.Cut(string(left), "\n")
	left = []byte(strconv.Itoa(other.Process.Pid) + "\n" + rest)
	if err := errors.Join(os.WriteFile(file, left, 0o600), os.Chown(file, int(stat.Uid), int(stat.Gid))); err != nil {
		t.Fatal(err)
	}
	again := start(t, config(dir))
	defer stop(t, again)
	wantKept(t, again)
}

// A program that another goroutine is starting has all our files for a moment.
func TestAProgramThatIsBeingStartedHoldsNoFolder(t *testing.T) {
	t.Parallel()
	if err := embedded.HeldAcrossRelease(t.Context(), folder(t)); err != nil {
		t.Error(err)
	}
}
