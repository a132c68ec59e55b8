package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/blob"

	"herald"
	"herald/internal/archive"
	"herald/internal/config"
	"herald/internal/eventlog"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// logged is an installation with 45 events, of which 40 are archived.
type logged struct {
	db    *postgres.DB
	dir   string
	flags []string
}

func newLogged(t *testing.T) logged {
	t.Helper()
	l := logged{dir: t.TempDir()}
	url := pgtest.New(t)
	l.flags = []string{"--data-dir", l.dir, "--database-url", url}
	c := config.Config{DataDir: l.dir, Addr: ":0", Workers: 1, MaxUploadSize: 1}
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.db, err = postgres.Open(t.Context(), url, postgres.Config{Partition: 10}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.db.Close)
	session, err := l.db.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	l.exec(t, `INSERT INTO herald.outbox (event_id, type, topics, payload) SELECT gen_random_uuid(), 'test.' || n % 3,
		ARRAY['user:u' || n % 2, 'all'], json_build_object('n', n, 'text', E'\x1b[31m') FROM generate_series(1, 45) n`)
	for head := 0; head < 45; {
		batch, err := session.Sequence(t.Context(), eventlog.Mark{}, 4)
		if err != nil {
			t.Fatal(err)
		}
		head = int(batch.Head)
	}
	bucket, err := blob.OpenBucket(t.Context(), c.BlobURL)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	retention := eventlog.RetentionConfig{Age: -1, Size: 1, Archive: archive.NewStore(bucket)}
	if err := eventlog.NewRetention(l.db, slog.New(slog.DiscardHandler), retention).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l logged) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := l.db.Pool().Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// run runs a command on the installation.
func (l logged) run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return program(t, append(args, l.flags...)...)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	l := newLogged(t)
	status, stdout, stderr := l.run(t, "verify")
	if status != 0 || !strings.HasPrefix(stdout, "checked 45 events in ") || stderr != "" {
		t.Errorf("verify: %d, %q, %q", status, stdout, stderr)
	}
	if status, stdout, _ = l.run(t, "verify", "--no-archives"); status != 0 || !strings.HasPrefix(stdout, "checked 5 events in ") {
		t.Errorf("verify --no-archives: %d, %q", status, stdout)
	}
	l.exec(t, `UPDATE herald.events SET actor = 'eve' WHERE seq = 43`)
	status, _, stderr = l.run(t, "verify")
	if want := "herald: seq 43 was altered: the event is not the one whose hash was recorded\n"; status != 1 || stderr != want {
		t.Errorf("verify: %d, %q, want 1 and %q", status, stderr, want)
	}
	status, stdout, _ = l.run(t, "verify", "--json")
	var got report
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 1 || got.OK || got.Last != 45 || got.Archived != 40 ||
		got.Fault == nil || got.Fault.Seq != 43 || got.Missing == nil {
		t.Errorf("verify --json: %d, %s, %v", status, stdout, err)
	}
	if status, _, stderr = l.run(t, "verify", "--sign", filepath.Join(l.dir, "never")); status != 1 {
		t.Errorf("verify --sign of what does not verify: %d, %q", status, stderr)
	}
	if _, err := os.Stat(filepath.Join(l.dir, "never")); err == nil {
		t.Error("a checkpoint was signed of what does not verify")
	}
}

func TestSignedCheckpoints(t *testing.T) {
	t.Parallel()
	l := newLogged(t)
	file := filepath.Join(l.dir, "checkpoint")
	status, stdout, stderr := l.run(t, "verify", "--sign", file)
	public, err := os.ReadFile(filepath.Join(l.dir, "audit.pub"))
	if err != nil || status != 0 || !strings.HasSuffix(stdout, string(public)) {
		t.Fatalf("verify --sign: %d, %q, %q (%v), want the public key %q", status, stdout, stderr, err, public)
	}
	if info, err := os.Stat(filepath.Join(l.dir, "audit.key")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key's mode is %v, %v, want it to be its owner's alone", info.Mode(), err)
	}
	key := strings.TrimSpace(string(public))
	for _, args := range [][]string{{"--against", file}, {"--against", file, "--key", key}, {"--against", file, "--sign", file}} {
		if status, _, stderr := l.run(t, append([]string{"verify"}, args...)...); status != 0 {
			t.Errorf("verify %v: %d, %q", args, status, stderr)
		}
	}
	other := newLogged(t)
	if status, _, stderr := other.run(t, "verify", "--against", file, "--key", key); status != 1 || !strings.Contains(stderr, "seq 45 was rewritten") {
		t.Errorf("verify of another log against it: %d, %q", status, stderr)
	}
	if status, _, stderr := other.run(t, "verify", "--against", file); status != 1 || !strings.Contains(stderr, "--key") {
		t.Errorf("verify without a key: %d, %q", status, stderr)
	}
	if status, _, stderr := other.run(t, "verify", "--sign", filepath.Join(other.dir, "c")); status != 0 {
		t.Fatal(stderr)
	}
	if status, _, stderr := other.run(t, "verify", "--against", file); status != 1 || !strings.Contains(stderr, "not a checkpoint that this key has signed") {
		t.Errorf("verify with another key: %d, %q", status, stderr)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	l := newLogged(t)
	for _, tt := range []struct {
		args        []string
		first, last int
		lines       int
	}{
		{nil, 41, 45, 5},
		{[]string{"--after", "43"}, 44, 45, 2},
		{[]string{"--limit", "2"}, 41, 42, 2},
		{[]string{"--topic", "user:u1"}, 41, 45, 3},
		{[]string{"--topic", "user:u1", "--topic", "user:u0", "--type", "test.0"}, 42, 45, 2},
		{[]string{"--archive"}, 1, 40, 40},
		{[]string{"--archive", "--after", "19", "--limit", "3"}, 20, 22, 3},
		{[]string{"--archive", "--topic", "user:u1", "--type", "test.1", "--type", "test.2"}, 1, 37, 13},
	} {
		status, stdout, stderr := l.run(t, append([]string{"events"}, tt.args...)...)
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if status != 0 || len(lines) != tt.lines || !strings.HasPrefix(lines[0], fmt.Sprintf(`{"seq":%d,`, tt.first)) ||
			!strings.HasPrefix(lines[len(lines)-1], fmt.Sprintf(`{"seq":%d,`, tt.last)) {
			t.Errorf("events %v: %d, %d lines %q…, %q, want %d from %d to %d", tt.args, status, len(lines), lines[0], stderr, tt.lines, tt.first, tt.last)
		}
	}
	if status, _, stderr := l.run(t, "events", "--after", "7"); status != 1 || !strings.Contains(stderr, "--archive") {
		t.Errorf("events of what was archived: %d, %q, want to be told of --archive", status, stderr)
	}
	if status, _, stderr := l.run(t, "events", "--topic", "nobody"); status != 1 || !strings.Contains(stderr, "--topic") {
		t.Errorf("events of no topic: %d, %q", status, stderr)
	}
}

func TestATerminalGetsNoOrders(t *testing.T) {
	t.Parallel()
	l := newLogged(t)
	events, err := l.db.Events(t.Context(), 40, 1)
	if err != nil {
		t.Fatal(err)
	}
	events[0].Actor, events[0].Payload = "\x1b[2J", json.RawMessage("\"\u202e\n\"")
	row := string(appendRow(nil, events[0]))
	if strings.ContainsAny(row, "\x1b\u202e") || strings.Count(row, "\n") != 1 || !strings.Contains(row, "user:u1") {
		t.Errorf("the row is %q", row)
	}
}

// With a token, a server lists events by its filters, and explains them.
func TestEventsOfAServer(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	stdout, stop := up(t, "--data-dir", dir, "--addr", "127.0.0.1:0", "--database-url", pgtest.New(t))
	_, link, _ := strings.Cut(stdout.String(), "http://")
	address, _, _ := strings.Cut(link, "\n")
	status, token, stderr := program(t, "token", "--data-dir", dir, "--user", "ann", "--role", "admin")
	if status != 0 {
		t.Fatal(stderr)
	}
	ask := []string{"--url", "http://" + address, "--token", strings.TrimSpace(token)}
	if status, _, stderr := program(t, with(ask, "run", "--metadata", "tenant=acme", "--", "true")...); status != 0 {
		t.Fatalf("run: %d, %q", status, stderr)
	}
	var ended herald.Event
	for ended.Seq == 0 { // its last event is in the log a moment after it was reported
		status, stdout, stderr := program(t, with(ask, "events", "--user", "ann", "--type", "job.succeeded", "--newest", "--limit", "1")...)
		if status != 0 || stdout != "" && json.Unmarshal([]byte(stdout), &ended) != nil {
			t.Fatalf("events: %d, %q, %q", status, stdout, stderr)
		}
	}
	if ended.Type != "job.succeeded" || ended.Actor == "" || len(ended.Topics) != 2 {
		t.Errorf("the event is %+v", ended)
	}
	for _, tt := range []struct {
		args []string
		want bool
	}{
		{[]string{"--metadata", "tenant=acme"}, true},
		{[]string{"--metadata", "tenant=other", "--metadata", "tenant=acme"}, true},
		{[]string{"--metadata", "tenant=acme", "--metadata", "region=eu"}, false},
	} {
		args := append([]string{"events", "--type", "job.succeeded"}, tt.args...)
		if status, stdout, stderr := program(t, with(ask, args[0], args[1:]...)...); status != 0 || strings.Contains(stdout, "job.succeeded") != tt.want {
			t.Errorf("%v: %d, %q, %q, want the event: %v", args, status, stdout, stderr, tt.want)
		}
	}
	if status, _, stderr := program(t, with(ask, "events", "--metadata", "tenant")...); status != 1 || !strings.Contains(stderr, "KEY=VALUE") {
		t.Errorf("metadata without a value: %d, %q", status, stderr)
	}
	status, text, stderr := program(t, with(ask, "explain", fmt.Sprint(ended.Seq))...)
	if status != 0 || !strings.Contains(text, "ann did not get event") || !strings.Contains(text, "no_connection") {
		t.Errorf("explain: %d, %q, %q", status, text, stderr)
	}
	if status, _, stderr := program(t, "events", "--data-dir", dir, "--actor", "x"); status != 1 || !strings.Contains(stderr, "--token") {
		t.Errorf("a server's filter without a token: %d, %q", status, stderr)
	}
	if status := stop(); status != 0 {
		t.Errorf("stopped with %d", status)
	}
}

// Without a database given, it is that of the data folder, whether Herald runs
// there or not.
func TestVerifyTheDataFolder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if status, _, stderr := program(t, "verify", "--data-dir", dir); status != 1 || !strings.Contains(stderr, "HERALD_DATABASE_URL") {
		t.Errorf("without one: %d, %q", status, stderr)
	}
	_, stop := up(t, "--data-dir", dir, "--addr", "127.0.0.1:0")
	var seen int
	for seen == 0 { // the clean-up of files that a start makes is in the log a moment later
		status, stdout, stderr := program(t, "verify", "--data-dir", dir)
		if status != 0 {
			t.Fatalf("while it runs: %d, %q, %q", status, stdout, stderr)
		}
		if _, err := fmt.Sscanf(stdout, "checked %d events", &seen); err != nil {
			t.Fatalf("while it runs: %q: %v", stdout, err)
		}
	}
	if status := stop(); status != 0 {
		t.Errorf("stopped with %d", status)
	}
	status, stdout, stderr := program(t, "events", "--data-dir", dir)
	if status != 0 {
		t.Fatalf("when it has stopped: %d, %q", status, stderr)
	}
	if n := strings.Count(stdout, "\n"); n < seen || !strings.HasPrefix(stdout, `{"seq":1,`) {
		t.Errorf("when it has stopped: %d events of the %d before, %q", n, seen, stdout)
	}
}
