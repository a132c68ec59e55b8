package postgres_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"herald/internal/doctor"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// connTo is a connection to the database at the URL.
func connTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func stateOf(t *testing.T, url string) doctor.State {
	t.Helper()
	s, err := postgres.NewExaminer(url, url).State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheDoctorsState(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	s := stateOf(t, server.URL())
	if s.Version < 140000 || s.Database != "postgres" || s.Role != "herald" || s.ReadOnly || len(s.Off) > 0 || !s.Schema || len(s.Lacking) > 0 ||
		s.Connections != 197 || s.Leads || max(s.Ahead.Abs()-s.Unsure, 0) > time.Second {
		t.Errorf("State() = %+v", s)
	}
	db, err := postgres.Open(t.Context(), server.URL(), postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	leader, err := db.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := stateOf(t, server.URL()); !s.Leads || s.Used < 2 { // those that were closed may still be ending
		t.Errorf("State() = %+v, want a leader, and its connections", s)
	}
	leader.Close()
	conn := connTo(t, server.URL())
	execute(t, conn, "ALTER ROLE herald SET synchronous_commit = off; ALTER ROLE herald SET default_transaction_read_only = on")
	if s := stateOf(t, server.URL()); len(s.Off) != 1 || s.Off[0] != "synchronous_commit" || !s.ReadOnly {
		t.Errorf("State() = %+v, want to be told what is off, and that it is read-only", s)
	}
}

func TestTheDoctorKnowsTheSchema(t *testing.T) {
	t.Parallel()
	at := pgtest.New(t)
	e := postgres.NewExaminer(at, at)
	if current, err := e.SchemaIsCurrent(t.Context()); !current || err != nil {
		t.Errorf("SchemaIsCurrent() = %v, %v", current, err)
	}
	if rows, oldest, err := e.Backlog(t.Context()); rows != 0 || oldest != 0 || err != nil {
		t.Errorf("Backlog() = %d, %v, %v", rows, oldest, err)
	}
	execute(t, connTo(t, at), "DELETE FROM herald_migrations WHERE version_id = (SELECT max(version_id) FROM herald_migrations)")
	if current, err := e.SchemaIsCurrent(t.Context()); current || err != nil {
		t.Errorf("SchemaIsCurrent() = %v, %v for an old one", current, err)
	}
	gone := pgtest.New(t)
	execute(t, connTo(t, gone), "DROP SCHEMA herald CASCADE; DROP SCHEMA herald_queue CASCADE")
	if s := stateOf(t, gone); s.Schema || len(s.Lacking) > 0 {
		t.Errorf("State() = %+v, want no schema, and the right to make it", s)
	}
}

// A role that is not the owner's is told what it lacks.
func TestTheDoctorKnowsWhatARoleLacks(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	conn := connTo(t, server.URL())
	execute(t, conn, "CREATE ROLE guest LOGIN")
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("user", "guest")
	u.RawQuery = q.Encode()
	lacking := func() string { return strings.Join(stateOf(t, u.String()).Lacking, "; ") }
	if got := lacking(); !strings.Contains(got, "USAGE on schema herald") || !strings.Contains(got, "CREATE on schema herald") {
		t.Errorf("a guest lacks %q", got)
	}
	execute(t, conn, `GRANT USAGE, CREATE ON SCHEMA herald, herald_queue TO guest;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA herald, herald_queue TO guest`)
	if got := lacking(); got != "ownership of table herald.events; ownership of table herald.outbox" &&
		got != "ownership of table herald.outbox; ownership of table herald.events" {
		t.Errorf("with all grants, it lacks %q", got)
	}
	execute(t, conn, "GRANT herald TO guest")
	if got := lacking(); got != "" {
		t.Errorf("a member of the owner lacks %q", got)
	}
	execute(t, conn, "DROP SCHEMA herald CASCADE; DROP SCHEMA herald_queue CASCADE; REVOKE herald FROM guest")
	if got := lacking(); got != "CREATE on database postgres" {
		t.Errorf("without schemas, it lacks %q", got)
	}
}

func TestTheDoctorTellsASessionFromAPooler(t *testing.T) {
	t.Parallel()
	at := pgtest.New(t)
	if err := postgres.NewExaminer(at, at).CheckSession(t.Context()); err != nil {
		t.Errorf("CheckSession() = %v", err)
	}
	if err := postgres.NewExaminer(at, pgtest.New(t)).CheckSession(t.Context()); err == nil || !strings.Contains(err.Error(), "another database") {
		t.Errorf("CheckSession() = %v for another database", err)
	}
	if err := postgres.NewExaminer(at, pooled(t, at)).CheckSession(t.Context()); err == nil || !strings.Contains(err.Error(), "transaction pooler") {
		t.Errorf("CheckSession() = %v for a pooler", err)
	}
}

// pooled is the address of a transaction pooler before the database.
func pooled(t *testing.T, at string) string {
	t.Helper()
	p := &pooler{free: []*pgconn.PgConn{connTo(t, at).PgConn(), connTo(t, at).PgConn()}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	clients.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			clients.Go(func() {
				defer client.Close()
				_ = p.serve(pgproto3.NewBackend(client, client)) // until the client goes
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		clients.Wait()
	})
	return "postgres://herald@" + listener.Addr().String() + "/any?sslmode=disable"
}

// pooler gives a client the server's connection that came free last, until its
// transaction ends, as PgBouncer does. It knows simple queries alone.
type pooler struct {
	mu   sync.Mutex // guards the fields below
	free []*pgconn.PgConn
}

func (p *pooler) take() *pgconn.PgConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	conn := p.free[last]
	p.free = p.free[:last]
	return conn
}

func (p *pooler) give(conn *pgconn.PgConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, conn)
}

func (p *pooler) serve(client *pgproto3.Backend) error {
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return err
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	client.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := client.Flush(); err != nil {
		return err
	}
	var held *pgconn.PgConn
	for {
		message, err := client.Receive()
		if err != nil {
			return err
		}
		query, ok := message.(*pgproto3.Query)
		if !ok {
			return fmt.Errorf("a pooler that knows no %T", message)
		}
		if held == nil {
			held = p.take()
		}
		status, err := relay(client, held.Frontend(), query)
		if err != nil {
			return err
		}
		if status == 'I' {
			p.give(held)
			held = nil
		}
	}
}

// relay asks the server the query and gives the client all of its answer.
func relay(client *pgproto3.Backend, server *pgproto3.Frontend, query *pgproto3.Query) (status byte, err error) {
	server.Send(query)
	if err := server.Flush(); err != nil {
		return 0, err
	}
	for {
		answer, err := server.Receive()
		if err != nil {
			return 0, err
		}
		client.Send(answer)
		if end, ok := answer.(*pgproto3.ReadyForQuery); ok {
			return end.TxStatus, client.Flush()
		}
	}
}
