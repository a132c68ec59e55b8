package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres/dbsqlc"
)

// leaderLock is the advisory lock whose holder is the leading sequencer of the
// database.
const leaderLock = 0x4865_7261_6c64_0001

// bellChannel is where a writer rings while the sequencer sleeps, and
// LogChannel where the sequencer announces the log's new head.
const (
	bellChannel = "herald_bell"
	LogChannel  = "herald_log"
)

// standby is how often a session that does not lead tries to.
const standby = 50 * time.Millisecond

// Lead opens a session and waits until no other one leads, so that it does. It
// tries again and again and does not wait for the lock itself: a session that
// waits for a lock holds back the horizon of vacuum.
func (db *DB) Lead(ctx context.Context) (eventlog.Session, error) {
	s, err := db.leaderSession(ctx)
	if err != nil {
		return nil, err
	}
	if err = s.lock(ctx); err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		s.Close() //nolint:contextcheck // it is closed even when ctx has ended
		return nil, err
	}
	return s, nil
}

// leader is the session of the leading sequencer. All that it writes, it writes
// on the connection that holds the lock, so that losing the lock is losing the
// right to write.
type leader struct {
	conn      *pgx.Conn
	partition int64   // events in each partition made from now on
	head      int64   // the last seq given, as this session knows it
	digest    []byte  // of the batch that ends there
	ends      []int64 // last seqs of the partition that the next event falls into, and of those after it
}

func (db *DB) leaderSession(ctx context.Context) (*leader, error) {
	conn, err := db.session(ctx, map[string]string{
		"synchronous_commit": "on",  // a seq that somebody has seen must survive a crash
		"enable_seqscan":     "off", // the outbox has no statistics to plan by: it is empty one moment and full the next
		"enable_hashjoin":    "off",
		"enable_mergejoin":   "off",
		"extra_float_digits": "1", // what a River's trigger left becomes JSON here
	})
	if err != nil {
		return nil, err
	}
	return &leader{conn: conn, partition: db.partition}, nil
}

// lock takes the lock as soon as it is free.
func (s *leader) lock(ctx context.Context) error {
	ticker := time.NewTicker(standby)
	defer ticker.Stop()
	for {
		var got bool
		err := s.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(leaderLock)).Scan(&got)
		if err != nil {
			return fmt.Errorf("take the sequencer's lock: %w", err)
		}
		if got {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("take the sequencer's lock: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// prepare makes the session ready to append.
func (s *leader) prepare(ctx context.Context) error {
	if _, err := s.conn.Exec(ctx, "LISTEN "+bellChannel); err != nil {
		return fmt.Errorf("listen for the bell: %w", err)
	}
	q := dbsqlc.New(s.conn)
	end, err := q.LogEnd(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		end, err = dbsqlc.LogEndRow{Digest: make([]byte, sha256.Size)}, nil
	}
	if err != nil {
		return fmt.Errorf("read the log's end: %w", err)
	}
	s.head, s.digest = end.LastSeq, end.Digest
	if s.ends, err = q.PartitionListEnds(ctx, s.head); err != nil {
		return fmt.Errorf("list the log's partitions: %w", err)
	}
	return s.extend(ctx)
}

// extend makes partitions ahead, so that there is always a whole one behind the
// one that is being filled.
func (s *leader) extend(ctx context.Context) error {
	for len(s.ends) < 2 {
		end, err := dbsqlc.New(s.conn).PartitionAdd(ctx, s.partition)
		if err != nil {
			return fmt.Errorf("make a partition of the log: %w", err)
		}
		s.ends = append(s.ends, end)
	}
	return nil
}

// Arm says whether writers are to ring. It is committed when Arm returns.
func (s *leader) Arm(ctx context.Context, armed bool) error {
	if _, err := s.conn.Exec(ctx, "SELECT setval('herald.bell', 1, $1)", armed); err != nil {
		return fmt.Errorf("arm the bell: %w", err)
	}
	return nil
}

// Barrier takes a transaction id that is later than that of every transaction
// that may have read the bell before the last Arm.
func (s *leader) Barrier(ctx context.Context) (eventlog.XID, error) {
	var xid uint64
	if err := s.conn.QueryRow(ctx, "SELECT pg_current_xact_id()").Scan(&xid); err != nil {
		return 0, fmt.Errorf("take the barrier: %w", err)
	}
	return eventlog.XID(xid), nil
}

// due are the ways of finding the outbox rows of a batch, each in the order of
// id: a job's events have ids in the order of its commits, and transaction ids
// need not.
const (
	// dueMarked finds what has become visible since a drained scan. The rows are
	// found by xid, past all that is dead but cannot be vacuumed yet, and sorted.
	dueMarked = `SELECT ctid FROM herald.outbox WHERE xid >= $4::xid8 OR xid = ANY ($5::xid8[]) ORDER BY id LIMIT $3`
	// dueAll finds what a snapshot shows after an id; the empty snapshot is this
	// statement's own.
	dueAll = `SELECT ctid FROM herald.outbox
    WHERE id > $4 AND ($5::text = '' OR pg_visible_in_snapshot(xid, $5::text::pg_snapshot)) ORDER BY id LIMIT $3`
)

// A batch is moved to the end of the log by one statement: find the rows due,
// remove them, give each the next seq, append them, chain the batch to the one
// before, and announce the new head once. Where the log ends is the session's
// own knowledge. Should another session have appended, the statement fails: on
// a seq that is there already, or for want of a leaf for a row that was gone.
const (
	sequenceMarked = find + dueMarked + move
	sequenceAll    = find + dueAll + move

	find = `WITH found AS MATERIALIZED (SELECT ARRAY(`
	move = `) AS rows), taken AS (
    DELETE FROM herald.outbox WHERE ctid = ANY ((SELECT rows FROM found)::tid[])
    RETURNING id AS outbox_id, event_id, type, topics, job_id, job_version, actor, created_at,
        coalesce(payload, herald.river_json(job_id, job_version, created_at, brief)) AS payload
), numbered AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY outbox_id) AS n, taken.* FROM taken
), appended AS (
    INSERT INTO herald.events (seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)
    SELECT $1 + n, event_id, type, topics, job_id, job_version, actor, created_at, now(), payload FROM numbered
), indexed AS (
    INSERT INTO herald.event_topics (topic, seq)
    SELECT DISTINCT t.topic, $1 + n FROM numbered, unnest(topics[3:]) AS t (topic) WHERE cardinality(topics) > 2
), size AS MATERIALIZED (
    SELECT cardinality((SELECT rows FROM found)) AS n, max(outbox_id) AS last, string_agg(
        herald.event_leaf(event_id, type, topics, job_id, job_version, actor, created_at, now(), payload), '' ORDER BY n) AS leaves
    FROM numbered
), batch AS (
    INSERT INTO herald.log_batches (first_seq, last_seq, recorded_at, leaves, digest)
    SELECT $1 + 1, $1 + n, now(), leaves, herald.batch_digest($2, $1 + 1, $1 + n, now(), leaves) FROM size WHERE n > 0
    RETURNING last_seq, digest
)
SELECT n, coalesce(last, 0), digest, pg_current_snapshot()::text,
    CASE WHEN n > 0 THEN pg_notify('` + LogChannel + `', last_seq::text) END IS NULL
FROM size LEFT JOIN batch ON TRUE`
)

// Sequence appends up to limit committed events to the log, and makes a
// partition ahead when one is full.
func (s *leader) Sequence(ctx context.Context, mark eventlog.Mark, limit int) (eventlog.Batch, error) {
	limit = int(min(int64(limit), s.ends[0]-s.head)) // a batch lies within one partition
	var row pgx.Row
	switch {
	case mark.Within != nil:
		row = s.conn.QueryRow(ctx, sequenceAll, s.head, s.digest, limit, mark.After, mark.Within.String())
	case mark.Next == 0:
		row = s.conn.QueryRow(ctx, sequenceAll, s.head, s.digest, limit, 0, "")
	default:
		row = s.conn.QueryRow(ctx, sequenceMarked, s.head, s.digest, limit, uint64(mark.Next), xids(mark.Open))
	}
	var (
		batch    eventlog.Batch
		digest   []byte
		snapshot string
		silent   bool
	)
	if err := row.Scan(&batch.Events, &batch.Last, &digest, &snapshot, &silent); err != nil {
		return eventlog.Batch{}, fmt.Errorf("append to the log after %d: %w", s.head, err)
	}
	var err error
	if batch.Snapshot, err = eventlog.ParseSnapshot(snapshot); err != nil {
		return eventlog.Batch{}, err
	}
	if batch.Events > 0 {
		s.head, s.digest = s.head+int64(batch.Events), digest
	}
	batch.Head, batch.More = event.Seq(s.head), batch.Events == limit
	if s.head == s.ends[0] {
		s.ends = s.ends[1:]
		err = s.extend(ctx)
	}
	return batch, err
}

func xids(list []eventlog.XID) []uint64 {
	ids := make([]uint64, len(list))
	for i, x := range list {
		ids[i] = uint64(x)
	}
	return ids
}

// WaitBell waits until a writer rings or the time is over, whichever is first.
func (s *leader) WaitBell(ctx context.Context, longest time.Duration) (rung bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	switch _, err := s.conn.WaitForNotification(ctx); {
	case err == nil:
		return true, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return false, nil
	default:
		return false, fmt.Errorf("wait for the bell: %w", err)
	}
}

// Close ends the session, and with it the lead.
func (s *leader) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // the server gives the lock up however the connection ends
}
