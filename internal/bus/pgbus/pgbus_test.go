package pgbus_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"herald/internal/bus"
	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var _ bus.Bus = (*pgbus.Bus)(nil)

// follow runs a bus and returns what it hears, until the test ends.
func follow(t *testing.T, connect func(context.Context) (*pgx.Conn, error)) <-chan event.Seq {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	heard := make(chan event.Seq, 100)
	done := make(chan error, 1)
	go func() {
		done <- pgbus.New(connect, "herald_log", slog.New(slog.DiscardHandler)).Follow(ctx, func(head event.Seq) { heard <- head })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return heard
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestFollowHearsAnnouncements(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	heard := follow(t, func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, url) })
	got := []event.Seq{<-heard}
	exec(t, url, "SELECT pg_notify('herald_log', '7'), pg_notify('other', '8')")
	exec(t, url, "SELECT pg_notify('herald_log', '9')")
	got = append(got, <-heard, <-heard)
	if diff := cmp.Diff([]event.Seq{0, 7, 9}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFollowOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	heard := follow(t, func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, url) })
	<-heard
	exec(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if head := <-heard; head != 0 {
		t.Errorf("after a reconnect it hears %d, want 0: what was missed is not known", head)
	}
	exec(t, url, "SELECT pg_notify('herald_log', '3')")
	if head := <-heard; head != 3 {
		t.Errorf("heard %d, want 3", head)
	}
}

func TestFollowTriesAgainWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	tries := 0
	heard := follow(t, func(ctx context.Context) (*pgx.Conn, error) {
		if tries++; tries < 3 {
			return nil, errors.New("the database is away")
		}
		return pgx.Connect(ctx, url)
	})
	<-heard
	if tries != 3 {
		t.Errorf("%d tries, want 3", tries)
	}
}

func TestGarbageEndsTheConnectionAlone(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	heard := follow(t, func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, url) })
	<-heard
	exec(t, url, "SELECT pg_notify('herald_log', 'nonsense')")
	if head := <-heard; head != 0 {
		t.Errorf("after garbage it hears %d, want 0, as after a reconnect", head)
	}
}
