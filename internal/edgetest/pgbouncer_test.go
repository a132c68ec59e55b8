package edgetest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"herald"
	"herald/internal/app"
	"herald/internal/config"
	"herald/internal/event"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// bouncerProgram is where Debian has it, and bouncerPort where it listens.
const bouncerProgram, bouncerPort = "/usr/sbin/pgbouncer", "6432"

// serverConnections is how many connections PgBouncer has to Postgres: fewer than
// the sixteen that a node has to it.
const serverConnections = 5

// bouncer is a real PgBouncer before a database.
type bouncer struct {
	t    *testing.T
	url  string // of the database, through it
	addr string
	cmd  func() *exec.Cmd
	stop func()
}

// startBouncer starts a PgBouncer before the database, as the documentation sets
// it up, with few connections.
func startBouncer(t *testing.T, database string) *bouncer {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	host, dir, socket := newHost(), openDir(t), u.Query().Get("host")
	name := strings.TrimPrefix(u.Path, "/")
	text := documented(t, "docs/pgbouncer.md", "ini")
	for _, change := range [][2]string{
		{"herald = host=127.0.0.1 port=5432 dbname=herald", fmt.Sprintf("%s = host=%s port=%s dbname=%s", name, socket, u.Query().Get("port"), name)},
		{"listen_addr = 127.0.0.1", "listen_addr = " + host},
		{"/etc/pgbouncer", dir},
		{"default_pool_size = 20", fmt.Sprintf("default_pool_size = %d", serverConnections)},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("docs/pgbouncer.md has no %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	write(t, filepath.Join(dir, "pgbouncer.ini"), text+"unix_socket_dir =\n")
	write(t, filepath.Join(dir, "userlist.txt"), `"herald" "secret"`)

	root := debians(t, bouncerProgram)
	args := []string{filepath.Join(dir, "pgbouncer.ini")}
	if os.Getuid() == 0 { // it does not run as root, and Postgres' socket is its owner's alone
		args = append(args, "--user", ownerOf(t, socket))
	}
	addr := net.JoinHostPort(host, bouncerPort)
	b := &bouncer{t: t, addr: addr, url: "postgres://herald:secret@" + addr + "/" + name, cmd: func() *exec.Cmd {
		cmd := exec.Command(root+bouncerProgram, args...)
		if libraries, _ := filepath.Glob(root + "/usr/lib/*-linux-*"); root != "" && len(libraries) > 0 {
			cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries[0])
		}
		return cmd
	}}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *bouncer) start() {
	b.t.Helper()
	b.stop = runServer(b.t, b.cmd(), b.addr)
}

func ownerOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(info.Sys().(*syscall.Stat_t).Uid), 10))
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// show asks Postgres through PgBouncer.
func (b *bouncer) show(query string) (answer string) {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(b.t.Context()))
	if err := conn.QueryRow(b.t.Context(), query, pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
		b.t.Fatal(err)
	}
	return answer
}

// follower reads a stream and checks its order.
type follower struct {
	t    *testing.T
	next func() (herald.Event, error, bool)
	last int64
}

// follow follows all that concerns the demo user, across whatever ends connections.
func follow(t *testing.T, client *herald.Client) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // for all that it waits for
	next, stop := iter.Pull2(client.Events(ctx))
	t.Cleanup(func() { stop(); cancel() })
	f := &follower{t: t, next: next}
	f.until("its beginning", func(e herald.Event) bool { return e.Type == herald.StreamSnapshot })
	return f
}

// until reads on to the event.
func (f *follower) until(what string, is func(herald.Event) bool) {
	f.t.Helper()
	for {
		e, err, _ := f.next()
		if err != nil {
			f.t.Fatalf("waiting for %s: %v", what, err)
		}
		if e.Seq > 0 && e.Seq <= f.last {
			f.t.Fatalf("%s %d came after %d", e.Type, e.Seq, f.last)
		}
		f.last = max(f.last, e.Seq)
		if is(e) {
			return
		}
	}
}

// untilJob reads on until the job is in the state.
func (f *follower) untilJob(id string, state herald.State) {
	f.t.Helper()
	f.until(fmt.Sprintf("job %s to be %s", id, state), func(e herald.Event) bool {
		var j herald.Job
		if !strings.HasPrefix(e.Type, "job.") {
			return false
		}
		if err := json.Unmarshal(e.Data, &j); err != nil {
			f.t.Fatal(err)
		}
		if j.ID == id && j.State.Ended() && j.State != state {
			f.t.Fatalf("job %s is %s, want %s: %s", id, j.State, state, j.Error)
		}
		return j.ID == id && j.State == state
	})
}

// export starts an export, which a worker takes from the queue.
func export(t *testing.T, client *herald.Client, dataset string) (id string) {
	t.Helper()
	j, err := client.CreateJob(t.Context(), herald.NewJob{Kind: "export", Title: dataset, Args: map[string]any{"dataset": dataset}})
	if err != nil {
		t.Fatal(err)
	}
	return j.ID
}

// publishAtOnce publishes from as many goroutines as a node has connections, and
// more.
func publishAtOnce(t *testing.T, n *node) {
	t.Helper()
	const publishers, each = 32, 5
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			for range each {
				_, err := n.db.Publish(t.Context(), event.Publication{Actor: "test", Notices: []event.Notice{
					{Type: "notification.test", Topics: []event.Topic{topic}, Payload: []byte(`"at once"`)},
				}})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// Herald has sixteen connections, PgBouncer five. Jobs are worked and cancelled,
// and a stream has all of it in order, though Herald and PgBouncer are started anew.
func TestParity_26_BehindPgBouncer(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	b := startBouncer(t, database)
	datasets := t.TempDir()
	write(t, filepath.Join(datasets, "stuck.sql"), "-- roles: user\nSELECT pg_sleep(600)::text AS s")
	n := newNodeOf(t, app.Roles{API: true, Worker: true}, func(c *config.Config) {
		c.DatabaseURL, c.DirectURL, c.DatasetsDir = b.url, database, datasets
		c.CancelTimeout = time.Hour // or the job would be cancelled without its worker
	})
	client, err := herald.New(herald.Config{URL: n.url(""), Token: n.token, MaxWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	stream := follow(t, client)
	stuck := export(t, client, "stuck")
	stream.untilJob(stuck, herald.Running)
	if _, err := client.CancelJob(t.Context(), stuck); err != nil {
		t.Fatal(err)
	}
	stream.untilJob(stuck, herald.Cancelled)
	for range 2 {
		publishAtOnce(t, n)
		stream.untilJob(export(t, client, "jobs"), herald.Succeeded)
		if jit, plans := b.show("SHOW jit"), b.show("SHOW plan_cache_mode"); jit != "off" || plans != "force_generic_plan" {
			t.Errorf("jit = %s, plan_cache_mode = %s: PgBouncer did not make the settings", jit, plans)
		}
		n.stop()
		n.publish("while Herald was away")
		n.start()
		stream.untilJob(export(t, client, "events"), herald.Succeeded)

		b.stop()
		b.start()
	}
	stream.untilJob(export(t, client, "jobs"), herald.Succeeded)
	for _, complaint := range []string{"prepared statement", "lost its session", "lost its connection"} {
		if n.log.count(complaint) > 0 {
			t.Errorf("the log has %q", complaint)
		}
	}
}

// What needs a session refuses to go through PgBouncer, and says what to do.
func TestSessionsDoNotGoThroughPgBouncer(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	b := startBouncer(t, database)
	c := config.Config{Addr: newHost() + ":0", DatabaseURL: b.url, DataDir: t.TempDir(), Workers: 1, MaxUploadSize: 1}
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	node := app.New(c, app.Roles{API: true}, slog.New(slog.DiscardHandler))
	for what, err := range map[string]error{
		"a migration": postgres.Migrate(t.Context(), b.url),
		"a node":      node.Run(t.Context(), func(net.Addr) {}),
	} {
		if err == nil || !strings.Contains(err.Error(), "transaction pooler") || !strings.Contains(err.Error(), "HERALD_DIRECT_DATABASE_URL") {
			t.Errorf("%s: %v, want to be told of the pooler, and what to do", what, err)
		}
	}
	if err := postgres.NewExaminer(b.url, b.url).CheckSession(t.Context()); err == nil || !strings.Contains(err.Error(), "transaction pooler") {
		t.Errorf("CheckSession() = %v, want to be told of the pooler", err)
	}
	e := postgres.NewExaminer(b.url, database)
	if err := e.CheckSession(t.Context()); err != nil {
		t.Errorf("CheckSession() = %v past PgBouncer", err)
	}
	if s, err := e.State(t.Context()); err != nil || !s.Schema || len(s.Lacking) > 0 {
		t.Errorf("State() = %+v, %v through PgBouncer", s, err)
	}
	if _, _, err := e.Backlog(t.Context()); err != nil {
		t.Errorf("Backlog() = %v through PgBouncer", err)
	}
}
