package logtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

// These make the test binary one of two machines: the server, in the folder
// given, and one with a leader, which does as it is told.
const (
	asNetworkServer = "HERALD_TEST_NETWORK_SERVER"
	asFarLeader     = "HERALD_TEST_FAR_LEADER"
)

// The addresses of the two, which nobody else has.
const (
	serverAddress = "192.0.2.1"
	farAddress    = "192.0.2.2"
	nobodysMAC    = "02:00:00:00:00:99"
)

// cutOffBound is what the sessions of a leader that is cut off may last.
const cutOffBound = 15 * time.Second

// A leader is cut off by the network, which says nothing to either side: packets
// vanish. The server ends its session, another sequencer leads, and when the
// network is back the old leader can append nothing. A leader that sleeps or
// waits for an answer finds out by itself, while it is still cut off.
func TestLeaderIsCutOff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		before, during string // what the leader is told to do, before the cut and after it
		rung           bool   // the server has something to say to it after the cut
	}{
		{"while it sleeps", "wait", "", false},
		{"while it sleeps, and is rung", "wait", "", true},
		{"and asks for a batch", "", "sequence", false},
		{"and does nothing", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			n.write(t)
			n.order(t, "lead")
			n.want(t, "ok")
			n.order(t, "sequence")
			n.want(t, "ok")
			if tt.before != "" {
				n.order(t, tt.before)
			}
			old := n.leader(t)

			n.cut(t)
			if tt.rung {
				n.write(t)
			}
			if tt.during != "" {
				n.order(t, tt.during)
			}
			n.awaitEnd(t, old)
			stop := n.standby(t)
			n.write(t)
			n.awaitHead(t)
			if tt.before != "" || tt.during != "" {
				n.wantError(t)
			}
			stop()

			n.mend(t)
			n.write(t)
			n.order(t, "sequence")
			n.wantError(t)
			n.standby(t)
			n.awaitHead(t)
			wantWholeLog(t, n.db, n.written)
		})
	}
}

// network is a server and a far machine with a cable between them.
type network struct {
	server, far *process
	db          *postgres.DB // not by way of the cable
	heard       chan string  // the far machine's answers
	written     int
}

// newNetwork makes the two machines, each a process in a network of its own.
func newNetwork(t *testing.T) *network {
	t.Helper()
	for _, program := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("cutting a network takes the program %s (Debian: iproute2, util-linux)", program)
		}
	}
	dir, err := os.MkdirTemp("", "network-") //nolint:usetesting // t.TempDir is closed to Postgres' own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	n := &network{heard: make(chan string, 10)}
	n.server, n.far = machine(t, asNetworkServer, dir), machine(t, asFarLeader, "yes")
	run(t, "ip", "link", "add", "cable", "netns", n.server.id(), "type", "veth", "peer", "name", "cable", "netns", n.far.id())
	for p, address := range map[*process]string{n.server: serverAddress, n.far: farAddress} {
		p.ip(t, "address", "add", address+"/30", "dev", "cable")
		p.ip(t, "link", "set", "cable", "up")
	}
	if err := n.server.tell("start"); err != nil {
		t.Fatal(err)
	}
	url, err := n.server.hear()
	if err != nil {
		t.Fatalf("the server says %q, %v", url, err)
	}
	n.db = open(t, url, 4)
	go func() {
		defer close(n.heard)
		for line, err := n.far.hear(); err == nil; line, err = n.far.hear() {
			n.heard <- line
		}
	}()
	t.Cleanup(func() {
		n.far.kill()
		for range n.heard { // until there is no more
		}
	})
	return n
}

// machine starts a process in a network of its own. Without the right to, the
// test is skipped.
func machine(t *testing.T, role, value string) *process {
	t.Helper()
	p, err := spawn(newTail(t), &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}, role+"="+value)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("cutting a network takes the right to make networks: run the tests as root, or with CAP_SYS_ADMIN and CAP_NET_ADMIN")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}

func (p *process) id() string { return fmt.Sprint(p.cmd.Process.Pid) }

// ip changes the network of the process.
func (p *process) ip(t *testing.T, args ...string) {
	t.Helper()
	run(t, "nsenter", append([]string{"--net", "--target", p.id(), "ip"}, args...)...)
}

// cut has each side send its packets to a card that does not exist, so that
// they vanish on the way and no error tells.
func (n *network) cut(t *testing.T) {
	t.Helper()
	n.server.ip(t, "neighbor", "replace", farAddress, "lladdr", nobodysMAC, "dev", "cable", "nud", "permanent")
	n.far.ip(t, "neighbor", "replace", serverAddress, "lladdr", nobodysMAC, "dev", "cable", "nud", "permanent")
}

func (n *network) mend(t *testing.T) {
	t.Helper()
	n.server.ip(t, "neighbor", "delete", farAddress, "dev", "cable")
	n.far.ip(t, "neighbor", "delete", serverAddress, "dev", "cable")
}

// order tells the far machine what to do.
func (n *network) order(t *testing.T, what string) {
	t.Helper()
	if err := n.far.tell(what); err != nil {
		t.Fatal(err)
	}
}

// answer is the far machine's to the last order.
func (n *network) answer(t *testing.T) string {
	t.Helper()
	select {
	case line := <-n.heard:
		return line
	case <-time.After(patience):
		t.Fatal("the leader that is cut off still waits")
		return ""
	}
}

func (n *network) want(t *testing.T, want string) {
	t.Helper()
	if got := n.answer(t); got != want {
		t.Fatalf("the leader says %q, want %q", got, want)
	}
}

func (n *network) wantError(t *testing.T) {
	t.Helper()
	got := n.answer(t)
	if !strings.HasPrefix(got, "error") {
		t.Fatalf("the leader that was cut off says %q, want an error", got)
	}
	t.Log(got)
}

// write commits an event.
func (n *network) write(t *testing.T) {
	t.Helper()
	if _, err := started(t.Context(), n.db); err != nil {
		t.Fatal(err)
	}
	n.written += 2
}

// leader reads which session leads, and that it comes over the cable.
func (n *network) leader(t *testing.T) int {
	t.Helper()
	var pid int
	if err := n.db.Pool().QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity WHERE client_addr = $1 AND pid IN (`+leaders+`)`,
		farAddress).Scan(&pid); err != nil {
		t.Fatalf("find the leader's session: %v", err)
	}
	return pid
}

// awaitEnd waits until the server has ended the session.
func (n *network) awaitEnd(t *testing.T, pid int) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), cutOffBound)
	defer cancel()
	if err := await(ctx, func(ctx context.Context) (bool, error) {
		var there bool
		err := n.db.Pool().QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid).Scan(&there)
		return !there, err
	}); err != nil {
		t.Fatalf("the session of the leader that is cut off is still there: %v", err)
	}
	t.Logf("the server ended the session %v after the cut", time.Since(began).Round(time.Millisecond))
}

// standby runs a sequencer beside the server until the returned function is
// called, or the test ends.
func (n *network) standby(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = eventlog.NewSequencer(n.db, slog.New(slog.DiscardHandler), eventlog.Config{}).Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func (n *network) awaitHead(t *testing.T) {
	t.Helper()
	if err := awaitHead(t.Context(), n.db, event.Seq(n.written)); err != nil {
		t.Fatal(err)
	}
}

// runNetworkServer is the life of the machine with the server.
func runNetworkServer(dir string) error {
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	rules := filepath.Join(dir, "rules.conf")
	if err := os.WriteFile(rules, []byte("local all all trust\nhost all all "+farAddress+"/32 trust\n"), 0o644); err != nil {
		return err
	}
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Config{
		Dir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("HERALD_POSTGRES_BIN"), Logger: slog.New(slog.DiscardHandler),
		Settings: map[string]string{"listen_addresses": serverAddress, "hba_file": rules, "fsync": "off"},
	})
	if err != nil {
		return err
	}
	defer server.Kill()
	if err := postgres.Migrate(ctx, server.URL("postgres")); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stdout, server.URL("postgres"))
	_, _ = io.Copy(io.Discard, in)
	return nil
}

// runFarLeader is the life of the machine with the leader: it answers each line
// that it reads with ok or an error.
func runFarLeader(string) error {
	ctx := context.Background()
	address := url.URL{Scheme: "postgres", User: url.User(embedded.User), Host: serverAddress + ":5432", Path: "postgres"}
	var session eventlog.Session
	orders := map[string]func() error{
		"lead": func() error {
			db, err := postgres.Open(ctx, address.String(), postgres.Config{MaxConns: 1})
			if err != nil {
				return err
			}
			session, err = db.Lead(ctx)
			return err
		},
		"sequence": func() error {
			_, err := session.Sequence(ctx, eventlog.Mark{}, 100)
			return err
		},
		"wait": func() error {
			_, err := session.WaitBell(ctx, time.Hour)
			return err
		},
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		answer := "ok"
		if err := orders[in.Text()](); err != nil {
			answer = "error: " + err.Error()
		}
		_, _ = fmt.Fprintln(os.Stdout, answer)
	}
	return nil
}
