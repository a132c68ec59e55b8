package postgres_test

import (
	"context"
	"testing"

	"herald/internal/event"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// A reader that waits for an answer, and will not get one, gets an error: when its
// time is up, and when its session is ended.
func TestEventsThatDoNotCome(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"its time is up":   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
		"its session ends": "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.New(t)
			db, reader := openAt(t, url, postgres.Config{}), openAt(t, url, postgres.Config{MaxConns: 1})
			if _, err := reader.EventsOfTopics(t.Context(), []event.Topic{"all"}, 0, 10, 10); err != nil {
				t.Fatalf("EventsOfTopics() = %v", err)
			}
			tx, err := db.Pool().Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(t.Context()) //nolint:errcheck // nothing was written
			if _, err := tx.Exec(t.Context(), "LOCK TABLE herald.events IN ACCESS EXCLUSIVE MODE"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			answered := make(chan error, 1)
			go func() {
				_, err := reader.EventsOfTopics(ctx, []event.Topic{"all"}, 0, 10, 10)
				answered <- err
			}()
			for waiting := 0; waiting == 0; {
				if err := db.Pool().QueryRow(t.Context(), query).Scan(&waiting); err != nil {
					t.Fatal(err)
				}
			}
			if name == "its time is up" {
				cancel()
			}
			if err := <-answered; err == nil {
				t.Error("EventsOfTopics() gave no error")
			}
		})
	}
}

func openAt(t *testing.T, url string, config postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}
