package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

func TestAPipelineIsATransaction(t *testing.T) {
	t.Parallel()
	db := openAt(t, pgtest.New(t), postgres.Config{MaxConns: 1})
	if _, err := db.Pool().Exec(t.Context(), `CREATE TABLE numbers (n int PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	own := errors.New("of the function")
	cancelled, cancel := context.WithCancel(t.Context())
	insert := func(ctx context.Context, tx *postgres.Pipeline, n int) error {
		_, err := postgres.Later(tx).Exec(ctx, `INSERT INTO numbers VALUES ($1)`, n)
		return err
	}
	for _, tt := range []struct {
		name string
		run  func(ctx context.Context, tx *postgres.Pipeline) error
		want func(error) bool
		kept int
	}{
		{"what waits is committed, in its order", func(ctx context.Context, tx *postgres.Pipeline) error {
			return errors.Join(insert(ctx, tx, 1), insert(ctx, tx, 2))
		}, func(err error) bool { return err == nil }, 2},
		{"an answer has what waited before it", func(ctx context.Context, tx *postgres.Pipeline) error {
			var n int
			if err := errors.Join(insert(ctx, tx, 3), tx.QueryRow(ctx, `SELECT count(*) FROM numbers`).Scan(&n)); err != nil || n != 3 {
				t.Errorf("%d numbers, %v, want 3", n, err)
			}
			rows, err := tx.Query(ctx, `SELECT n FROM numbers ORDER BY n`)
			if err != nil {
				return err
			}
			if all, err := pgx.CollectRows(rows, pgx.RowTo[int]); err != nil || len(all) != 3 {
				t.Errorf("%v, %v", all, err)
			}
			tag, err := tx.Exec(ctx, `UPDATE numbers SET n = n + 10 WHERE n > 1`)
			if tag.RowsAffected() != 2 {
				t.Errorf("%d rows changed, want 2", tag.RowsAffected())
			}
			return err
		}, func(err error) bool { return err == nil }, 3},
		{"the function's error undoes all", func(ctx context.Context, tx *postgres.Pipeline) error {
			if _, err := tx.Exec(ctx, `INSERT INTO numbers VALUES (20)`); err != nil {
				t.Error(err)
			}
			return own
		}, func(err error) bool { return errors.Is(err, own) }, 3},
		{"before anything was sent too", func(ctx context.Context, tx *postgres.Pipeline) error {
			return errors.Join(own, insert(ctx, tx, 21))
		}, func(err error) bool { return errors.Is(err, own) }, 3},
		{"what is wrong with what waits is the commit's error", func(ctx context.Context, tx *postgres.Pipeline) error {
			return errors.Join(insert(ctx, tx, 22), insert(ctx, tx, 1))
		}, isDuplicate, 3},
		{"or the next one's", func(ctx context.Context, tx *postgres.Pipeline) error {
			return errors.Join(insert(ctx, tx, 1), tx.QueryRow(ctx, `SELECT 1`).Scan(new(int)))
		}, isDuplicate, 3},
		{"no row is no row", func(ctx context.Context, tx *postgres.Pipeline) error {
			return tx.QueryRow(ctx, `SELECT n FROM numbers WHERE n = 99 FOR UPDATE`).Scan(new(int))
		}, func(err error) bool { return errors.Is(err, pgx.ErrNoRows) }, 3},
		{"an end of the context undoes all", func(_ context.Context, tx *postgres.Pipeline) error {
			if _, err := tx.Exec(cancelled, `INSERT INTO numbers VALUES (23)`); err != nil {
				t.Error(err)
			}
			cancel()
			_, err := tx.Exec(cancelled, `INSERT INTO numbers VALUES (24)`)
			return err
		}, func(err error) bool { return errors.Is(err, context.Canceled) }, 3},
	} {
		err := db.InPipeline(t.Context(), func(tx *postgres.Pipeline) error { return tt.run(t.Context(), tx) })
		if !tt.want(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		var kept int
		if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM numbers`).Scan(&kept); err != nil || kept != tt.kept {
			t.Errorf("%s: %d numbers are kept, %v, want %d", tt.name, kept, err, tt.kept)
		}
	}
}

func isDuplicate(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}
