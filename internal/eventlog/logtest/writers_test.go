package logtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"herald/internal/job"
)

// errRolledBack ends a transaction that a writer gives up on purpose.
var errRolledBack = errors.New("rolled back on purpose")

// writer writes transactions of every kind, one after another.
type writer struct {
	world *world
	name  string
	rng   *rand.Rand
	own   uuid.UUID // the job that nobody else writes
	made  int
}

// kind is a way of writing.
type kind struct {
	name    string
	weight  int
	options pgx.TxOptions
	write   func(ctx context.Context, a *attempt) error
}

func kinds() []kind {
	repeatable := pgx.TxOptions{IsoLevel: pgx.RepeatableRead}
	return []kind{
		{"delayed", 30, pgx.TxOptions{}, writeDelayed},
		{"two jobs", 10, pgx.TxOptions{}, writeTwoJobs},
		{"early xid", 15, pgx.TxOptions{}, writeEarlyXID},
		{"repeatable read", 15, repeatable, writeRepeatableRead},
		{"savepoints", 10, pgx.TxOptions{}, writeSavepoints},
		{"rows", 10, pgx.TxOptions{}, writeRows},
		{"rolled back", 10, pgx.TxOptions{}, writeRolledBack},
		{"seconds", 2, pgx.TxOptions{}, writeForSeconds},
		{"over a kill", 2, pgx.TxOptions{}, writeOverKill},
	}
}

// run writes until the second context ends, and finishes what it has begun. Its
// first transaction is of the kind of its number, so that there is one of each.
func (w *writer) run(ctx, until context.Context, number int, most time.Duration) error {
	all := kinds()
	err := w.transact(ctx, all[number%len(all)])
	for err == nil && until.Err() == nil {
		_ = rest(until, w.upTo(most))
		err = w.once(ctx, all)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	return nil
}

// once writes one transaction, of any kind.
func (w *writer) once(ctx context.Context, all []kind) error {
	const single = 30 // of a single statement's weight
	total := single
	for _, k := range all {
		total += k.weight
	}
	at := w.rng.IntN(total)
	for _, k := range all {
		if at -= k.weight; at < 0 {
			return w.transact(ctx, k)
		}
	}
	return w.report(ctx)
}

// report reports as a worker does, and leaves the transaction to Herald.
func (w *writer) report(ctx context.Context) error {
	tx := transaction{kind: "report", fate: unknown}
	id, token := w.anyJob(), w.token()
	out, err := w.world.db.RecordReport(ctx, id, w.words(token))
	tx.events = []written{{token, id, out.Job.Version}}
	if err == nil {
		tx.fate = committed
	} else {
		tx.events[0].version = 0
	}
	return w.settle(ctx, tx, err)
}

// transact writes a transaction of the kind.
func (w *writer) transact(ctx context.Context, k kind) error {
	pgtx, err := w.world.db.Pool().BeginTx(ctx, k.options)
	if err != nil {
		_ = rest(ctx, w.upTo(50*time.Millisecond))
		return unexpected(err)
	}
	a := &attempt{writer: w, tx: pgtx}
	if err = k.write(ctx, a); err != nil {
		_ = pgtx.Rollback(ctx)
		return w.settle(ctx, transaction{k.name, a.events, abandoned}, err)
	}
	tx := transaction{k.name, a.events, committed}
	if err = pgtx.Commit(ctx); err != nil {
		tx.fate = unknown
	}
	return w.settle(ctx, tx, err)
}

// settle enters the transaction into the ledger. When its commit was cut off,
// the events themselves say what became of it, if they are seen.
func (w *writer) settle(ctx context.Context, tx transaction, err error) error {
	if tx.fate == unknown {
		var readErr error
		if tx.fate, readErr = w.readBack(ctx, tx); readErr != nil {
			return readErr
		}
	}
	w.world.ledger.add(tx)
	return unexpected(err)
}

// readBack looks for the events on a connection of its own. Not to see them is
// to know nothing: the server may still be at their commit.
func (w *writer) readBack(ctx context.Context, tx transaction) (fate, error) {
	tokens := make([]string, len(tx.events))
	for i, e := range tx.events {
		tokens[i] = e.token
	}
	result := unknown
	err := await(ctx, func(ctx context.Context) (bool, error) {
		var seen int
		err := w.world.db.Pool().QueryRow(ctx, `SELECT count(*)
			FROM (SELECT payload FROM herald.outbox UNION ALL SELECT payload FROM herald.events) e
			WHERE payload->'details'->>'token' = ANY ($1)`, tokens).Scan(&seen)
		if err == nil && seen > 0 {
			result = committed
		}
		return err == nil, unexpected(err)
	})
	return result, err
}

// attempt is a transaction under way.
type attempt struct {
	*writer
	tx     pgx.Tx
	events []written
}

func (a *attempt) report(ctx context.Context, id uuid.UUID) error {
	token := a.token()
	out, err := a.world.db.RecordReportTx(ctx, a.tx, id, a.words(token))
	if err != nil {
		return err
	}
	a.events = append(a.events, written{token, id, out.Job.Version})
	return nil
}

// words are a report's: half are messages, each of which reaches every reader,
// and half progress, which a newer one may replace.
func (w *writer) words(token string) job.Report {
	r := job.Report{Attempt: 1, Details: tokened(token)}
	if w.rng.IntN(2) == 0 {
		r.Message = token
	}
	return r
}

// rows inserts many events at once into the outbox, as SQL of a caller's own
// would: under the job's lock.
func (a *attempt) rows(ctx context.Context, id uuid.UUID, n int) error {
	var before int64
	token := a.token()
	if err := a.tx.QueryRow(ctx, `UPDATE herald.jobs SET version = version + $2 WHERE id = $1 RETURNING version - $2`, id, n).
		Scan(&before); err != nil {
		return err
	}
	if _, err := a.tx.Exec(ctx, `INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
		SELECT gen_random_uuid(), 'job.message', ARRAY['all', 'job:' || $1::uuid], $1, $2 + n, 'test',
			json_build_object('details', json_build_object('token', $3::text || '.' || n))
		FROM generate_series(1, $4::int) n`, id, before, token, n); err != nil {
		return err
	}
	for i := range n {
		a.events = append(a.events, written{fmt.Sprintf("%s.%d", token, i+1), id, before + int64(i) + 1})
	}
	return nil
}

func writeDelayed(ctx context.Context, a *attempt) error {
	if err := a.report(ctx, a.anyJob()); err != nil {
		return err
	}
	return rest(ctx, a.upTo(50*time.Millisecond))
}

// writeTwoJobs locks them in one order, so that nobody waits for ever.
func writeTwoJobs(ctx context.Context, a *attempt) error {
	ids := []uuid.UUID{a.anyJob(), a.anyJob()}
	slices.SortFunc(ids, func(x, y uuid.UUID) int { return slices.Compare(x[:], y[:]) })
	for _, id := range ids {
		if err := a.report(ctx, id); err != nil {
			return err
		}
	}
	return rest(ctx, a.upTo(20*time.Millisecond))
}

// writeEarlyXID has a transaction id that is older than those of the
// transactions which it then waits for, so that on one job the order of
// transaction ids is not that of commits.
func writeEarlyXID(ctx context.Context, a *attempt) error {
	if _, err := a.tx.Exec(ctx, "SELECT pg_current_xact_id()"); err != nil {
		return err
	}
	if err := rest(ctx, a.upTo(50*time.Millisecond)); err != nil {
		return err
	}
	if err := a.report(ctx, a.sharedJob()); err != nil {
		return err
	}
	return rest(ctx, a.upTo(5*time.Millisecond))
}

// writeRepeatableRead has its snapshot long before it writes.
func writeRepeatableRead(ctx context.Context, a *attempt) error {
	if _, err := a.tx.Exec(ctx, "SELECT count(*) FROM herald.jobs"); err != nil {
		return err
	}
	if err := rest(ctx, a.upTo(150*time.Millisecond)); err != nil {
		return err
	}
	if err := a.report(ctx, a.own); err != nil {
		return err
	}
	return rest(ctx, a.upTo(20*time.Millisecond))
}

// writeSavepoints rolls back a part now and then, and goes on.
func writeSavepoints(ctx context.Context, a *attempt) error {
	id := a.anyJob()
	if err := a.report(ctx, id); err != nil {
		return err
	}
	for range 1 + a.rng.IntN(3) {
		if err := a.savepoint(ctx, id, a.rng.IntN(2) == 0); err != nil {
			return err
		}
	}
	return a.report(ctx, id)
}

func (a *attempt) savepoint(ctx context.Context, id uuid.UUID, keep bool) error {
	outer := a.tx
	inner, err := outer.Begin(ctx)
	if err != nil {
		return err
	}
	kept := len(a.events)
	a.tx = inner
	err = a.rows(ctx, id, 1+a.rng.IntN(3))
	a.tx = outer
	switch {
	case err != nil:
		return err
	case keep:
		return inner.Commit(ctx)
	default:
		a.world.ledger.add(transaction{"savepoint", slices.Clone(a.events[kept:]), abandoned})
		a.events = a.events[:kept]
		return inner.Rollback(ctx)
	}
}

func writeRows(ctx context.Context, a *attempt) error {
	if err := a.rows(ctx, a.anyJob(), 2+a.rng.IntN(20)); err != nil {
		return err
	}
	return rest(ctx, a.upTo(20*time.Millisecond))
}

func writeRolledBack(ctx context.Context, a *attempt) error {
	if err := a.rows(ctx, a.anyJob(), 1+a.rng.IntN(10)); err != nil {
		return err
	}
	if err := rest(ctx, a.upTo(50*time.Millisecond)); err != nil {
		return err
	}
	return errRolledBack
}

// writeForSeconds is under way for some seconds, now and then on a job that
// others want as well.
func writeForSeconds(ctx context.Context, a *attempt) error {
	id := a.own
	if a.rng.IntN(4) == 0 {
		id = a.sharedJob()
	}
	if err := a.report(ctx, id); err != nil {
		return err
	}
	if err := rest(ctx, time.Second+a.upTo(2*time.Second)); err != nil {
		return err
	}
	return a.report(ctx, id)
}

// writeOverKill is under way while a sequencer is killed, if one is soon.
func writeOverKill(ctx context.Context, a *attempt) error {
	before := a.world.sequencers.kills.Load()
	if err := a.report(ctx, a.own); err != nil {
		return err
	}
	for range 300 {
		if a.world.sequencers.kills.Load() > before {
			break
		}
		if err := rest(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return a.report(ctx, a.own)
}

func (w *writer) token() string {
	w.made++
	return fmt.Sprintf("%s-%d", w.name, w.made)
}

func (w *writer) sharedJob() uuid.UUID { return w.world.shared[w.rng.IntN(len(w.world.shared))] }

func (w *writer) anyJob() uuid.UUID {
	if w.rng.IntN(2) == 0 {
		return w.own
	}
	return w.sharedJob()
}

func (w *writer) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// unexpected is the error, unless it is one that a transaction may come to when
// its server, or its connection, is killed, or others change what it has read.
func unexpected(err error) error {
	var (
		pgErr *pgconn.PgError
		fault *faultError
	)
	switch {
	case err == nil, errors.Is(err, errRolledBack), errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &pgErr):
		switch pgErr.Code {
		case "40001", "40P01": // another transaction was first
		case "57P01", "57P02", "57P03": // terminated, crashed, starting up
		default:
			return err
		}
		return nil
	case errors.As(err, &fault):
		return err
	default:
		return nil // the connection broke, or was not made in time
	}
}
