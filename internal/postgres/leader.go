package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/eventlog"
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

// Lead opens a session and tries to make it the leading sequencer's. It returns
// eventlog.ErrNotLeader when another session leads.
func (db *DB) Lead(ctx context.Context) (eventlog.Session, error) {
	conn, err := db.session(ctx, map[string]string{
		"synchronous_commit":      "on", // a seq that somebody has seen must survive a crash
		"jit":                     "off",
		"plan_cache_mode":         "force_generic_plan",
		"tcp_keepalives_idle":     "3",
		"tcp_keepalives_interval": "1",
		"tcp_keepalives_count":    "3",
		"tcp_user_timeout":        "5000",
	})
	if err != nil {
		return nil, err
	}
	s := &leader{conn: conn}
	if err := s.lead(ctx); err != nil {
		s.Close() //nolint:contextcheck // it is closed even when ctx has ended
		return nil, err
	}
	return s, nil
}

// leader is the session of the leading sequencer. All that it writes, it writes
// on the connection that holds the lock, so that losing the lock is losing the
// right to write.
type leader struct{ conn *pgx.Conn }

// lead takes the lock if it is free. It never waits for it: a session that
// waits for a lock holds back the horizon of vacuum.
func (s *leader) lead(ctx context.Context) error {
	var got bool
	if err := s.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(leaderLock)).Scan(&got); err != nil {
		return fmt.Errorf("take the sequencer's lock: %w", err)
	}
	if !got {
		return eventlog.ErrNotLeader
	}
	if _, err := s.conn.Exec(ctx, "LISTEN "+bellChannel); err != nil {
		return fmt.Errorf("listen for the bell: %w", err)
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

// sequence moves outbox rows to the end of the log in one statement: take the
// rows by id, give each the next seq, append them, move the head, and announce
// it once. Its snapshot says what a later scan need not look at again.
//
// The rows are cut off by id and not by (xid, id): within a job, ids follow the
// order of commits and transaction ids need not.
const sequence = `
WITH taken AS (
    DELETE FROM herald.outbox o
    USING (
        SELECT xid, id FROM herald.outbox
        WHERE xid >= $1::xid8 OR xid = ANY ($2::xid8[])
        ORDER BY id
        LIMIT $3
    ) due
    WHERE o.xid = due.xid AND o.id = due.id
    RETURNING o.id, o.event_id, o.type, o.topics, o.job_id, o.job_version, o.actor, o.created_at, o.payload
), size AS (
    SELECT count(*) AS n FROM taken
), head AS (
    UPDATE herald.log_state SET seq = seq + size.n FROM size WHERE size.n > 0
    RETURNING seq, seq - size.n AS before
), numbered AS (
    SELECT head.before + row_number() OVER (ORDER BY taken.id) AS seq, taken.* FROM taken, head
), appended AS (
    INSERT INTO herald.events
        (seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)
    SELECT seq, event_id, type, topics, job_id, job_version, actor, created_at, now(), payload
    FROM numbered ORDER BY seq
), indexed AS (
    INSERT INTO herald.event_topics (topic, seq)
    SELECT DISTINCT t.topic, n.seq FROM numbered n, unnest(n.topics) AS t (topic) ORDER BY 2
)
SELECT size.n, coalesce((SELECT seq FROM head), 0), pg_current_snapshot()::text,
    CASE WHEN size.n > 0 THEN pg_notify('` + LogChannel + `', (SELECT seq FROM head)::text) END IS NULL
FROM size`

// Sequence appends up to limit committed events to the log. Rows that no
// snapshot since the mark can have shown are not looked for.
func (s *leader) Sequence(ctx context.Context, mark eventlog.Mark, limit int) (eventlog.Batch, error) {
	var (
		batch    eventlog.Batch
		head     int64
		snapshot string
		silent   bool
	)
	err := s.conn.QueryRow(ctx, sequence, uint64(mark.Next), xids(mark.Open), limit).
		Scan(&batch.Events, &head, &snapshot, &silent)
	if err != nil {
		return eventlog.Batch{}, fmt.Errorf("append to the log: %w", err)
	}
	batch.Head = event.Seq(head)
	if batch.Snapshot, err = eventlog.ParseSnapshot(snapshot); err != nil {
		return eventlog.Batch{}, err
	}
	return batch, nil
}

func xids(list []eventlog.XID) []uint64 {
	ids := make([]uint64, len(list))
	for i, x := range list {
		ids[i] = uint64(x)
	}
	return ids
}

// WaitBell waits until a writer rings or the time is over, whichever is first.
func (s *leader) WaitBell(ctx context.Context, longest time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if _, err := s.conn.WaitForNotification(ctx); err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("wait for the bell: %w", err)
	}
	return nil
}

// Close ends the session, and with it the lead.
func (s *leader) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // the server gives the lock up however the connection ends
}
