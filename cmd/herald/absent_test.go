package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"herald"
	"herald/internal/auth"
	"herald/internal/postgres/pgtest"
)

// patience bounds a wait for something that is sure to happen.
const patience = 2 * time.Minute

// told is a webhook about a user who was absent.
type told struct{ id, job string }

// absentSite is a database, a receiver of what absent users are told, and nodes in
// processes of their own, one at a time.
type absentSite struct {
	database, dir string
	conn          *pgx.Conn
	key           *auth.Key
	receiver      *httptest.Server

	mu   sync.Mutex // guards the field below
	told []told
}

func newAbsentSite(t *testing.T) *absentSite {
	t.Helper()
	s := &absentSite{database: pgtest.New(t), dir: t.TempDir()}
	var err error
	if s.key, err = auth.LoadOrCreateKey(filepath.Join(s.dir, "signing.key")); err != nil {
		t.Fatal(err)
	}
	s.conn = s.connect(t)
	s.receiver = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.receiver.Close)
	return s
}

func (s *absentSite) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func (s *absentSite) receive(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Data struct {
			Event struct{ Data herald.Job }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, told{r.Header.Get("Webhook-Id"), body.Data.Event.Data.ID})
}

// received are the webhooks about the job.
func (s *absentSite) received(job string) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.told {
		if m.job == job {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// start starts a node of its own and returns where it serves. A node of the same
// command that was killed is known to be lost from then on.
func (s *absentSite) start(t *testing.T, command string) *clusterNode {
	t.Helper()
	return startNode(t, []string{"HERALD_DATABASE_URL=" + s.database, "HERALD_ABSENT_SECRET=whsec_" + strings.Repeat("c2Vj", 16)},
		command, "--addr", "127.0.0.1:0", "--node", command, "--log-level", "error",
		"--data-dir", filepath.Join(s.dir, command), "--key-file", filepath.Join(s.dir, "signing.key"),
		"--absent-after", "1m", "--absent-url", s.receiver.URL, "--callback-allow", "127.0.0.0/8", "--callback-http")
}

// kill ends a node in the middle of what it is doing.
func kill(t *testing.T, n *clusterNode) {
	t.Helper()
	if err := n.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = n.Wait() // it was killed
}

// until waits for a condition that the database knows.
func (s *absentSite) until(t *testing.T, condition string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		var holds bool
		if err := s.conn.QueryRow(ctx, "SELECT "+condition, args...).Scan(&holds); err != nil {
			t.Fatalf("waiting for %s: %v", condition, err)
		}
		if holds {
			return
		}
		<-ticker.C
	}
}

// untilWaiting waits until a node waits for a lock in the query, named as sqlc does.
func (s *absentSite) untilWaiting(t *testing.T, query string) {
	t.Helper()
	s.until(t, `EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '-- name: ' || $1 || ' %')`, query)
}

// lock holds what a node then waits for, until the returned function is called.
func (s *absentSite) lock(t *testing.T, sql string, args ...any) (release func()) {
	t.Helper()
	tx, err := s.connect(t).Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), sql, args...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// end ends a job of alice's, who is not there.
func (s *absentSite) end(t *testing.T, n *clusterNode) (id string) {
	t.Helper()
	s.until(t, `seq IS NOT NULL FROM herald.absence_state`) // what was in the log before is nobody's absence
	token, err := s.key.Issue(auth.Principal{User: "robot", Roles: []auth.Role{auth.RoleBackend, auth.RoleWorker}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	client, err := herald.New(herald.Config{URL: n.url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	j, err := client.CreateJob(t.Context(), herald.NewJob{Kind: "build", Title: "Nightly build", Owner: "alice", External: true, Start: true})
	if err == nil {
		_, err = client.Report(t.Context(), j.ID, herald.Report{Attempt: j.Attempt, State: herald.Succeeded})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.until(t, `EXISTS (SELECT FROM herald.events WHERE job_id = $1 AND type = 'job.succeeded')`, j.ID)
	return j.ID
}

// due makes the job's end one that nobody has acknowledged for long.
func (s *absentSite) due(t *testing.T, id string) {
	t.Helper()
	if _, err := s.conn.Exec(t.Context(), `UPDATE herald.events SET recorded_at = recorded_at - interval '2 min' WHERE job_id = $1`, id); err != nil {
		t.Fatal(err)
	}
}

// delivered waits until it is recorded that alice was told.
func (s *absentSite) delivered(t *testing.T, id string) {
	t.Helper()
	s.until(t, `EXISTS (SELECT FROM herald.events WHERE job_id = $1 AND type = 'job.absent' AND payload ->> 'outcome' = 'delivered')`, id)
}

// wantTold wants the job's end to have been told so often, under one id, whatever else
// is killed and comes to pass.
func (s *absentSite) wantTold(t *testing.T, id string, times int, nodes ...*clusterNode) {
	t.Helper()
	s.delivered(t, id)
	for _, n := range nodes {
		kill(t, n)
	}
	server := s.start(t, "serve")
	s.start(t, "work")
	next := s.end(t, server)
	s.due(t, next)
	s.delivered(t, next)
	got := s.received(id)
	if len(got) != times || len(slices.Compact(got)) != 1 {
		t.Errorf("the user was told %v, want %d of one id", got, times)
	}
	if got := s.received(next); len(got) != 1 {
		t.Errorf("of the next job the user was told %v, want once", got)
	}
	var tries int
	if err := s.conn.QueryRow(t.Context(), `SELECT count(*) FROM herald.events WHERE job_id = $1 AND type = 'job.absent'`, id).Scan(&tries); err != nil || tries != 1 {
		t.Errorf("%d tries on the timeline, %v, want the one that was recorded", tries, err)
	}
}

// Nodes are killed at each step on the way of what an absent user is told, and others
// go on. The user is told once; only a worker that is killed after it has sent, and
// before that is recorded, has it sent again, under the same id.
func TestNodesAreKilledWhileTheyTellAnAbsentUser(t *testing.T) {
	t.Parallel()
	t.Run("before it is decided", func(t *testing.T) {
		t.Parallel()
		s := newAbsentSite(t)
		server, worker := s.start(t, "serve"), s.start(t, "work")
		id := s.end(t, server)
		release := s.lock(t, `SELECT FROM herald.absence_state FOR UPDATE`)
		s.due(t, id)
		kill(t, server)
		release()
		s.wantTold(t, id, 1, s.start(t, "serve"), worker)
	})
	t.Run("while it is decided", func(t *testing.T) {
		t.Parallel()
		s := newAbsentSite(t)
		server, worker := s.start(t, "serve"), s.start(t, "work")
		id := s.end(t, server)
		release := s.lock(t, `LOCK TABLE herald.absences IN SHARE MODE`)
		s.due(t, id)
		s.untilWaiting(t, "AbsenceInsert")
		kill(t, server)
		release()
		s.wantTold(t, id, 1, s.start(t, "serve"), worker)
	})
	t.Run("when it is decided, and not sent", func(t *testing.T) {
		t.Parallel()
		s := newAbsentSite(t)
		server := s.start(t, "serve")
		id := s.end(t, server)
		s.due(t, id)
		s.until(t, `EXISTS (SELECT FROM herald_queue.river_job WHERE kind = 'absence')`)
		kill(t, server)
		release := s.lock(t, `LOCK TABLE herald.connections IN ACCESS EXCLUSIVE MODE`)
		worker := s.start(t, "work")
		s.untilWaiting(t, "AbsenceOver")
		kill(t, worker)
		release()
		s.wantTold(t, id, 1, s.start(t, "serve"), s.start(t, "work"))
	})
	t.Run("when it is sent, and not recorded", func(t *testing.T) {
		t.Parallel()
		s := newAbsentSite(t)
		server, worker := s.start(t, "serve"), s.start(t, "work")
		id := s.end(t, server)
		release := s.lock(t, `SELECT FROM herald.jobs WHERE id = $1 FOR UPDATE`, id)
		s.due(t, id)
		s.untilWaiting(t, "JobGetForUpdate")
		if got := s.received(id); len(got) != 1 {
			t.Errorf("the user was told %v before the worker is killed, want once", got)
		}
		kill(t, worker)
		release()
		s.wantTold(t, id, 2, server, s.start(t, "work"))
	})
}
