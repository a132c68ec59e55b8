package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"herald/internal/postgres/dbsqlc"
)

// pipeline is a transaction of few round trips: BEGIN goes with its first
// statement, what nobody waits for (see later) with the one behind it, and COMMIT
// with the last.
type pipeline struct {
	conn    *pgx.Conn
	waiting *pgx.Batch
}

// inPipeline runs the function in a transaction, which ends with it.
func (db *DB) inPipeline(ctx context.Context, run func(tx *pipeline) error) error {
	return db.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		p := &pipeline{conn: conn.Conn(), waiting: &pgx.Batch{}}
		defer func() {
			if p.conn.PgConn().TxStatus() != 'I' { // as pgx.BeginFunc, which rolls back after a panic too
				_, _ = p.conn.Exec(ctx, "rollback")
			}
		}()
		p.waiting.Queue("begin")
		if err := run(p); err != nil {
			return err
		}
		_, err := p.Exec(ctx, "commit")
		return err
	})
}

// Exec runs a statement behind those that wait.
func (p *pipeline) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	answers, err := p.send(ctx, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := answers.Exec()
	if closed := answers.Close(); err == nil {
		err = closed
	}
	return tag, err
}

// Query runs those that wait, and then the statement.
func (p *pipeline) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	waiting := p.waiting
	p.waiting = &pgx.Batch{}
	if err := p.conn.SendBatch(ctx, waiting).Close(); err != nil {
		return nil, err
	}
	return p.conn.Query(ctx, sql, args...)
}

// QueryRow runs a statement behind those that wait.
func (p *pipeline) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	answers, err := p.send(ctx, sql, args)
	return lastRow{answers, err}
}

// send sends what waits with a statement, of which the answer is the next.
func (p *pipeline) send(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	batch := p.waiting
	before := batch.Len()
	batch.Queue(sql, args...)
	p.waiting = &pgx.Batch{}
	answers := p.conn.SendBatch(ctx, batch)
	for range before {
		if _, err := answers.Exec(); err != nil {
			_ = answers.Close() // it says the same
			return nil, err
		}
	}
	return answers, nil
}

// lastRow is the row that the last statement of a batch answers with.
type lastRow struct {
	answers pgx.BatchResults
	err     error
}

// Scan reads the row, and ends the batch.
func (r lastRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	err := r.answers.QueryRow().Scan(dest...)
	if closed := r.answers.Close(); err == nil {
		err = closed
	}
	return err
}

// later is for statements whose answers nobody waits for. In a pipeline they are
// sent with the next one, and what is wrong with them is that one's error.
func later(tx dbsqlc.DBTX) dbsqlc.DBTX {
	if p, ok := tx.(*pipeline); ok {
		return waitingExecs{p}
	}
	return tx
}

type waitingExecs struct{ *pipeline }

// Exec has the statement wait. The tag is empty.
func (w waitingExecs) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	w.waiting.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}
