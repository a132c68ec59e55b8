package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres/dbsqlc"
)

// keeperLock is the advisory lock whose holder lets partitions go.
const keeperLock = 0x4865_7261_6c64_0002

// Keep opens a session and tries to make it the one that lets partitions go. It
// returns eventlog.ErrNotKeeper when another session does.
func (db *DB) Keep(ctx context.Context) (eventlog.Keeper, error) {
	conn, err := db.session(ctx, map[string]string{
		// While it waits for a lock on the log, the sequencer and new readers may
		// have to wait behind it.
		"lock_timeout": "2s",
	})
	if err != nil {
		return nil, err
	}
	k := &keeper{conn: conn, connectionAge: db.connectionAge}
	var got bool
	// It never waits for the lock: see leader.lead.
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(keeperLock)).Scan(&got); err != nil {
		k.Close() //nolint:contextcheck // it is closed even when ctx has ended
		return nil, fmt.Errorf("take retention's lock: %w", err)
	}
	if !got {
		k.Close() //nolint:contextcheck // as above
		return nil, eventlog.ErrNotKeeper
	}
	return k, nil
}

// keeper is the session that lets partitions go. It works on the connection
// that holds the lock, as the leader does.
type keeper struct {
	conn          *pgx.Conn
	connectionAge time.Duration
}

// Close ends the session, and with it the hold.
func (k *keeper) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = k.conn.Close(ctx) // the server gives the lock up however the connection ends
}

// Due returns the oldest partition if it is to go.
func (k *keeper) Due(ctx context.Context, limits eventlog.Limits) (eventlog.Partition, bool, error) {
	row, err := dbsqlc.New(k.conn).PartitionDue(ctx, dbsqlc.PartitionDueParams{
		AgeSeconds: limits.Age.Seconds(), Size: limits.Size,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return eventlog.Partition{}, false, nil
	}
	if err != nil {
		return eventlog.Partition{}, false, fmt.Errorf("look for a partition that is due: %w", err)
	}
	p := eventlog.Partition{Archive: row.Archive}
	if p.Before, err = point(row.FirstSeq-1, row.DigestBefore); err != nil {
		return eventlog.Partition{}, false, err
	}
	p.End, err = point(row.LastSeq, row.Digest)
	return p, err == nil, err
}

// Scan reads the log between two ends of the chain, in order.
func (k *keeper) Scan(ctx context.Context, after, upto chain.Point, to chain.Sink) error {
	return scan(ctx, k.conn, after.Seq, upto.Seq, to)
}

// SetArchive keeps the manifest of the partition's archive.
func (k *keeper) SetArchive(ctx context.Context, p eventlog.Partition, manifest json.RawMessage) error {
	n, err := dbsqlc.New(k.conn).PartitionSetArchive(ctx, dbsqlc.PartitionSetArchiveParams{
		FirstSeq: int64(p.Before.Seq + 1), Archive: manifest,
	})
	return one(n, err, "keep the archive's manifest")
}

// SetDropped raises the floor to the end of the partition.
func (k *keeper) SetDropped(ctx context.Context, p eventlog.Partition) error {
	return pgx.BeginFunc(ctx, k.conn, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		n, err := q.LogRaiseFloor(ctx, dbsqlc.LogRaiseFloorParams{FromSeq: int64(p.Before.Seq), Upto: int64(p.End.Seq)})
		if err := one(n, err, "raise the log's floor"); err != nil {
			return err
		}
		n, err = q.PartitionSetDropped(ctx, dbsqlc.PartitionSetDroppedParams{
			FirstSeq: int64(p.Before.Seq + 1), Digest: p.End.Digest[:],
		})
		return one(n, err, "note that the partition goes")
	})
}

// one is the error of a statement that has to change one row.
func one(n int64, err error, what string) error {
	if err == nil && n != 1 {
		err = fmt.Errorf("%d rows, want 1: it has been changed by another", n)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// leftovers finds the tables of partitions below the floor.
const leftovers = `
SELECT parent.name, c.relname, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, FALSE)
FROM herald.log_state s
JOIN herald.log_partitions p ON p.dropped_at IS NOT NULL AND p.last_seq <= s.floor
CROSS JOIN unnest(ARRAY['events', 'event_topics', 'log_batches']) AS parent (name)
JOIN pg_catalog.pg_class c ON c.relname = parent.name || '_' || p.first_seq AND c.relnamespace = 'herald'::regnamespace
LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
ORDER BY p.first_seq, parent.name`

type leftover struct {
	Parent, Name      string
	Attached, Pending bool // part of the log; on its way out of it
}

// Expire removes the idempotency keys that have expired, and the connections that
// ended long ago.
func (k *keeper) Expire(ctx context.Context) error {
	q := dbsqlc.New(k.conn)
	err := pages(10_000, func(page int32) (int64, error) { return q.KeyDeleteExpired(ctx, page) })
	if err != nil {
		return fmt.Errorf("remove expired idempotency keys: %w", err)
	}
	err = pages(1000, func(page int32) (int64, error) {
		return q.ConnectionDeletePast(ctx, dbsqlc.ConnectionDeletePastParams{AgeS: k.connectionAge.Seconds(), PageSize: page})
	})
	if err != nil {
		return fmt.Errorf("remove past connections: %w", err)
	}
	return nil
}

// pages removes page after page, until there is less than one.
func pages(page int32, remove func(page int32) (int64, error)) error {
	for {
		if n, err := remove(page); err != nil || n < int64(page) {
			return err
		}
	}
}

// Sweep removes the tables of all partitions below the floor. Each is detached
// first, in two transactions that lock no reader out and wait for those that
// still read it; a crash between them leaves it pending.
func (k *keeper) Sweep(ctx context.Context) error {
	rows, err := k.conn.Query(ctx, leftovers)
	if err != nil {
		return fmt.Errorf("look for dropped partitions: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[leftover])
	if err != nil {
		return fmt.Errorf("look for dropped partitions: %w", err)
	}
	for _, t := range tables {
		table := pgx.Identifier{"herald", t.Name}.Sanitize()
		detach := "ALTER TABLE " + pgx.Identifier{"herald", t.Parent}.Sanitize() + " DETACH PARTITION " + table
		switch {
		case t.Pending:
			_, err = k.conn.Exec(ctx, detach+" FINALIZE")
		case t.Attached:
			_, err = k.conn.Exec(ctx, detach+" CONCURRENTLY")
		}
		if err == nil {
			_, err = k.conn.Exec(ctx, "DROP TABLE "+table)
		}
		if err != nil {
			return fmt.Errorf("drop %s: %w", t.Name, err)
		}
	}
	return nil
}

// Ends reads both ends of the log as of one moment, and the first seq of any row
// behind its head, where none may be; 0 says that there is none.
func (db *DB) Ends(ctx context.Context) (floor, head chain.Point, beyond event.Seq, err error) {
	row, err := db.queries().LogEnds(ctx)
	if err != nil {
		return floor, head, 0, fmt.Errorf("read the log's ends: %w", err)
	}
	if floor, err = point(row.Floor, row.FloorDigest); err != nil {
		return floor, head, 0, err
	}
	head, err = point(row.Head, row.Digest)
	return floor, head, event.Seq(row.Beyond), err
}

// point is a row's place in the chain.
func point(seq int64, digest []byte) (chain.Point, error) {
	if len(digest) != len(chain.Digest{}) {
		return chain.Point{}, fmt.Errorf("the digest of seq %d has %d bytes, want a SHA-256: run herald verify", seq, len(digest))
	}
	return chain.Point{Seq: event.Seq(seq), Digest: chain.Digest(digest)}, nil
}

// Dropped lists the partitions that are no longer kept, in order.
func (db *DB) Dropped(ctx context.Context) ([]eventlog.Partition, error) {
	rows, err := db.queries().PartitionList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the log's partitions: %w", err)
	}
	var (
		list   []eventlog.Partition
		before chain.Digest
	)
	for _, row := range rows {
		if row.DroppedAt == nil {
			break
		}
		end, err := point(row.LastSeq, row.Digest)
		if err != nil {
			return nil, err
		}
		list = append(list, eventlog.Partition{
			Before: chain.Point{Seq: event.Seq(row.FirstSeq - 1), Digest: before}, End: end, Archive: row.Archive,
		})
		before = end.Digest
	}
	return list, nil
}

// Scan reads the log after one Seq and up to another, in order, each batch
// before its events. It holds one batch of events' hashes and one row at a
// time. It returns event.ErrTooOld when what it reads is no longer kept, and
// otherwise the error of the sink.
func (db *DB) Scan(ctx context.Context, after, upto event.Seq, to chain.Sink) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	return scan(ctx, conn.Conn(), after, upto, to)
}

// stretch is how many events are read by one query.
const stretch = 20_000

func scan(ctx context.Context, conn *pgx.Conn, after, upto event.Seq, to chain.Sink) error {
	for after < upto {
		next, err := scanStretch(ctx, conn, after, upto, to)
		// The floor is looked at after the rows, so that what was missing because
		// its partition went is not taken for a fault of the log.
		if err := tooOld(ctx, conn, after); err != nil {
			return err
		}
		if err != nil || next == after {
			return err
		}
		after = next
	}
	return nil
}

// scanStretch reads a stretch and returns where it ends, which is where it began
// when there are no more batches.
func scanStretch(ctx context.Context, conn *pgx.Conn, after, upto event.Seq, to chain.Sink) (event.Seq, error) {
	batches, err := dbsqlc.New(conn).BatchListWithin(ctx, dbsqlc.BatchListWithinParams{
		After: int64(after), Upto: int64(min(upto, after+stretch)),
	})
	if err != nil {
		return after, fmt.Errorf("read the log's batches after %d: %w", after, err)
	}
	if len(batches) == 0 || batches[0].LastSeq > int64(upto) {
		return after, nil
	}
	s := &scanner{to: to, batches: batches}
	if err := s.batch(); err != nil {
		return after, err
	}
	end := batches[len(batches)-1].LastSeq
	rows, err := conn.Query(ctx, eventScan, int64(after), end)
	if err != nil {
		return after, fmt.Errorf("read the log after %d: %w", after, err)
	}
	defer rows.Close()
	events := newEventRows(rows)
	for rows.Next() {
		e, err := events.event()
		if err == nil {
			err = s.event(e)
		}
		if err != nil {
			return after, err
		}
	}
	if err := rows.Err(); err != nil {
		return after, fmt.Errorf("read the log after %d: %w", after, err)
	}
	for len(s.batches) > 0 {
		if err := s.batch(); err != nil {
			return after, err
		}
	}
	return event.Seq(end), nil
}

const eventScan = `SELECT ` + eventColumns + ` FROM herald.events WHERE seq > $1 AND seq <= $2 ORDER BY seq`

// scanner merges events with the batches they belong to.
type scanner struct {
	to      chain.Sink
	batches []dbsqlc.BatchListWithinRow // those whose turn has not come
	end     int64                       // of the one whose turn it is
}

// batch hands over the next batch.
func (s *scanner) batch() error {
	row := s.batches[0]
	s.batches, s.end = s.batches[1:], row.LastSeq
	return s.to.Batch(chain.Batch{
		First: event.Seq(row.FirstSeq), Last: event.Seq(row.LastSeq), RecordedAt: row.RecordedAt, Leaves: row.Leaves,
		Digest: chain.Digest(row.Digest),
	})
}

// event hands over the event, and first the batches up to its own.
func (s *scanner) event(e event.Event) error {
	for int64(e.Seq) > s.end {
		if err := s.batch(); err != nil {
			return err
		}
	}
	return s.to.Event(e)
}

// tooOld returns event.ErrTooOld when the floor has passed the Seq. It is asked
// after the log was read: the floor is raised before a partition goes, so a
// reader from which rows were missing is told.
func tooOld(ctx context.Context, conn dbsqlc.DBTX, after event.Seq) error {
	var floor int64
	if err := conn.QueryRow(ctx, logFloor).Scan(&floor); err != nil {
		return fmt.Errorf("read the log's floor: %w", err)
	}
	return above(floor, after)
}

const logFloor = `SELECT floor FROM herald.log_state`

// above returns event.ErrTooOld when the floor has passed the Seq.
func above(floor int64, after event.Seq) error {
	if floor > int64(after) {
		return fmt.Errorf("read the log after %d, which begins at %d: %w", after, floor+1, event.ErrTooOld)
	}
	return nil
}
