package postgres_test

import (
	"testing"

	"herald/internal/postgres"
)

func TestBacklog(t *testing.T) {
	t.Parallel()
	db := open(t)
	if b, err := db.Backlog(t.Context()); err != nil || b.Rows != 0 || b.Oldest != 0 {
		t.Errorf("Backlog() = %+v, %v, want nothing", b, err)
	}
	post(t, db, 3, "all")
	if b, err := db.Backlog(t.Context()); err != nil || b.Rows != 3 || b.Oldest <= 0 {
		t.Errorf("Backlog() = %+v, %v, want 3 rows of some age", b, err)
	}
}

func TestVacuumMakesRoomForWriters(t *testing.T) {
	t.Parallel()
	db := open(t)
	var sizes []int64
	for range 5 {
		post(t, db, 3000, "all")
		drain(t, db)
		if err := db.Vacuum(t.Context()); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, outboxSize(t, db))
	}
	if sizes[4] != sizes[1] {
		t.Errorf("the outbox's rows take %d bytes after so many rounds of writing, want the same from the second on", sizes)
	}
}

func outboxSize(t *testing.T, db *postgres.DB) int64 {
	t.Helper()
	var size int64
	if err := db.Pool().QueryRow(t.Context(), "SELECT pg_relation_size('herald.outbox')").Scan(&size); err != nil {
		t.Fatal(err)
	}
	return size
}

// A pooler may hand a connection on, so what each of ours needs is set on it by
// statements.
func TestEveryConnectionHasItsSettings(t *testing.T) {
	t.Parallel()
	db := open(t)
	session, err := db.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(t.Context())
	for name, want := range map[string]string{"jit": "off", "plan_cache_mode": "force_generic_plan"} {
		var pooled, own string
		if err := db.Pool().QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&pooled); err != nil {
			t.Fatal(err)
		}
		if err := session.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&own); err != nil {
			t.Fatal(err)
		}
		if pooled != want || own != want {
			t.Errorf("%s is %q in the pool and %q in a session, want %q", name, pooled, own, want)
		}
	}
}
