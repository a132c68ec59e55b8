package postgres_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
	"herald/internal/presence"
)

// However many others are connected, a look at one client, at one user, or at who
// follows a topic reads the rows of those asked for.
func TestParity_24_LookUpsDoNotGrowWithConnections(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), pgtest.New(t), postgres.Config{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	mine := []presence.Connection{connection("n", "alice"), connection("n", "alice")}
	write(t, db, "n", mine)
	for range 4 {
		others := make([]presence.Connection, 1000)
		for i := range others {
			others[i] = connection("n", "user-"+uuid.NewString())
		}
		write(t, db, "n", others)
	}
	if _, err := db.Pool().Exec(t.Context(), "VACUUM ANALYZE herald.connections"); err != nil {
		t.Fatal(err)
	}
	for name, look := range map[string]func() error{
		"a client": func() error { _, err := db.Connection(t.Context(), mine[0].ID); return err },
		"a user":   func() error { _, err := db.UserPresence(t.Context(), "alice"); return err },
		"a topic": func() error {
			counts, err := db.CountAddressed(t.Context(), [][]event.Topic{{event.UserTopic("alice")}})
			if !slices.Equal(counts, []int{2}) {
				t.Errorf("%v connections follow alice's topic, want 2", counts)
			}
			return err
		},
	} {
		before := rowsRead(t, db)
		if err := look(); err != nil {
			t.Fatal(err)
		}
		const most = 10 // of the few that are asked for, some are read by two parts of a statement
		if read := rowsRead(t, db) - before; read < 1 || read > most {
			t.Errorf("a look at %s reads %d rows, beside 4,000 connections of others, want 1 to %d", name, read, most)
		}
	}
}

// rowsRead is how many rows of the connections have been read. The database is told
// to say what it has counted, on the one connection that there is.
func rowsRead(t *testing.T, db *postgres.DB) (n int) {
	t.Helper()
	_, err := db.Pool().Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
	if err == nil {
		err = db.Pool().QueryRow(t.Context(), `SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables
			WHERE relid = 'herald.connections'::regclass`).Scan(&n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
