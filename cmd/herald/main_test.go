package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"herald/internal/auth"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" { // a node of its own, for tests that kill it
		main()
	}
	pgtest.Main(m)
}

// terminalText is a terminal that a test looks at while a program writes to it.
type terminalText struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newTerminal() *terminalText { return &terminalText{changed: make(chan struct{}, 1)} }

func (tt *terminalText) Write(b []byte) (int, error) {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	select {
	case tt.changed <- struct{}{}:
	default:
	}
	return tt.text.Write(b)
}

func (tt *terminalText) String() string {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return tt.text.String()
}

// program runs the program to its end.
func program(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, nil, &out, &err)
	return status, out.String(), err.String()
}

// dataDir is a folder that Postgres' own user can reach.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "herald-cmd-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// up starts 'herald up' and waits until it is; the returned function stops it
// and returns its exit status.
func up(t *testing.T, args ...string) (stdout *terminalText, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr := newTerminal(), newTerminal()
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, append([]string{"up"}, args...), nil, stdout, stderr) }()
	for !strings.Contains(stdout.String(), "#token=") {
		select {
		case <-stdout.changed:
		case status := <-ended:
			t.Fatalf("herald up ended with %d: %s", status, stderr)
		}
	}
	return stdout, func() int {
		cancel()
		return <-ended
	}
}

// Each mistake gets one line that says what to do, and an exit status that is
// not 0.
func TestMistakesGetOneClearLine(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{"unknown command", []string{"dance"}, usage, []string{"dance", "--help"}},
		{"unknown flag", []string{"up", "--dance"}, usage, []string{"--dance", "--help"}},
		{"bad address", []string{"up", "--addr", "nowhere"}, 1, []string{"--addr", "127.0.0.1:8080"}},
		{"bad size", []string{"up", "--max-upload-size", "lots"}, usage, []string{"--max-upload-size", "20GiB"}},
		{"a bad proxy", []string{"serve", "--trusted-proxies", "everybody"}, usage, []string{"--trusted-proxies", "everybody", "10.0.0.0/8"}},
		{"anybody from anywhere", []string{"up", "--query-identity", "--addr", "0.0.0.0:0"}, 1, []string{"--query-identity", "--addr"}},
		{"anybody in production", []string{"up", "--query-identity", "--no-dev", "--addr", "127.0.0.1:0"}, 1, []string{"--query-identity", "--dev"}},
		{"half of TLS", []string{"serve", "--tls-cert", "cert.pem"}, 1, []string{"--tls-cert", "--tls-key"}},
		{"no database", []string{"serve", "--data-dir", t.TempDir()}, 1, []string{"HERALD_DATABASE_URL"}},
		{"unreachable database", []string{"migrate", "--data-dir", t.TempDir(), "--database-url", "postgres://u:secret@127.0.0.1:1/x"}, 1, []string{"127.0.0.1", "database"}},
		{"no database URL", []string{"migrate", "--data-dir", t.TempDir(), "--database-url", "postgres://u:secret@[x"}, 1, []string{"database"}},
		{"port taken", []string{"up", "--data-dir", dataDir(t), "--addr", taken.Addr().String()}, 1, []string{"taken", "--addr"}},
		{"no data folder", []string{"up", "--data-dir", filepath.Join(file, "x")}, 1, []string{"--data-dir"}},
		{"no Postgres", []string{"up", "--data-dir", dataDir(t), "--postgres-bin", t.TempDir()}, 1, []string{"HERALD_POSTGRES_BIN"}},
		{"nobody's token", []string{"token"}, usage, []string{"--user"}},
		{"a bad name", []string{"token", "--data-dir", t.TempDir(), "--user", "two words"}, 1, []string{"name"}},
		{"a bad role", []string{"token", "--data-dir", t.TempDir(), "--user", "x", "--role", "root"}, usage, []string{"root", "support"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := program(t, tt.args...)
			last := stderr[strings.LastIndex(strings.TrimSpace(stderr), "\n")+1:]
			if status != tt.status || stdout != "" || !strings.HasPrefix(last, "herald: ") {
				t.Errorf("exit status %d, stdout %q, last line %q, want %d and one line", status, stdout, last, tt.status)
			}
			for _, want := range tt.want {
				if !strings.Contains(last, want) {
					t.Errorf("it says %q, want %q in it", last, want)
				}
			}
			if strings.Contains(stderr, "secret") {
				t.Errorf("it tells a secret: %q", stderr)
			}
		})
	}
}

func TestUnknownVariableIsRefused(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"token", "--user", "x"}, []string{"HERALD_ADRR=x"}, &stdout, &stderr)
	if status != usage || !strings.Contains(stderr.String(), "HERALD_ADRR") {
		t.Errorf("exit status %d, %q, want the variable named", status, stderr.String())
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	status, stdout, _ := program(t, "--help")
	if status != 0 || !strings.Contains(stdout, "herald <command>") {
		t.Errorf("exit status %d, %q, want help", status, stdout)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	status, token, stderr := program(t, "token", "--data-dir", dir, "--user", "alice", "--role", "support")
	if status != 0 {
		t.Fatal(stderr)
	}
	key, err := auth.LoadOrCreateKey(filepath.Join(dir, "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := key.Verify(t.Context(), strings.TrimSpace(token)); err != nil || p.User != "alice" || !p.Is(auth.RoleSupport) {
		t.Errorf("the token says %+v, %v, want alice of support", p, err)
	}
	if _, link, _ := program(t, "token", "--data-dir", dir, "--user", "alice", "--link", "--addr", "127.0.0.1:9"); !strings.HasPrefix(link, "http://127.0.0.1:9/#token=") {
		t.Errorf("the link is %q", link)
	}
}

func TestUpTwiceInOneFolder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	stdout, stop := up(t, "--data-dir", dir, "--addr", "127.0.0.1:0")
	for _, want := range []string{"Sign in as demo", "/dev#token="} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("it says %q, want %s", stdout, want)
		}
	}
	status, _, stderr := program(t, "up", "--data-dir", dir, "--addr", "127.0.0.1:0")
	if status != 1 || !strings.Contains(stderr, "another Herald uses this data folder") {
		t.Errorf("a second one: exit status %d, %q, want to be told of the first", status, stderr)
	}
	if status := stop(); status != 0 {
		t.Errorf("stopped with %d, want 0", status)
	}
	stdout, stop = up(t, "--data-dir", dir, "--addr", "127.0.0.1:0", "--no-dev")
	if strings.Contains(stdout.String(), "/dev") {
		t.Errorf("it says %q, want nothing of a page that is not there", stdout)
	}
	if status := stop(); status != 0 {
		t.Errorf("stopped with %d the second time, want 0", status)
	}
}
