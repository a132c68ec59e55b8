package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"herald/internal/event"
	"herald/internal/postgres/dbsqlc"
	"herald/internal/presence"
)

// connectionColumns are a presence.Connection's, in its own words. What counts as
// received is never more than was written.
const connectionColumns = `id, node, user_id AS "user", session, user_agent, address, topics, filter, whole, metadata,
    opened_at, opened_seq, opened_head, written_seq AS written, written_at, LEAST(acked_seq, written_seq) AS acked, acked_at,
    LEAST(seen_seq, written_seq) AS seen, seen_at, visible, closed_at, coalesce(closed_why, '') AS closed_why,
    close_asked_at, coalesce(close_asked_by, '') AS close_asked_by`

// connections reads the connections that a statement lists. The list is never
// nil.
func (db *DB) connections(ctx context.Context, sql string, args ...any) ([]presence.Connection, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]presence.Connection{}, rows, pgx.RowToStructByName[presence.Connection])
}

// Connection reads a connection, live or past.
func (db *DB) Connection(ctx context.Context, id uuid.UUID) (presence.Connection, error) {
	list, err := db.connections(ctx, `SELECT `+connectionColumns+` FROM herald.connections WHERE id = $1`, id)
	if err == nil && len(list) == 0 {
		err = presence.ErrNotFound
	}
	if err != nil {
		return presence.Connection{}, fmt.Errorf("connection %s: %w", id, err)
	}
	return list[0], nil
}

// Connections lists connections, newest first.
func (db *DB) Connections(ctx context.Context, f presence.Filter) ([]presence.Connection, error) {
	if f.Before == uuid.Nil {
		f.Before = uuid.Max
	}
	// One statement for each set of filters, since all plans are made before the
	// filters are known.
	sql := `SELECT ` + connectionColumns + ` FROM herald.connections WHERE id < $1`
	args := []any{f.Before, f.Limit}
	add := func(condition string, value any) {
		args = append(args, value)
		sql += condition + `$` + strconv.Itoa(len(args))
	}
	if f.User != "" {
		add(` AND user_id = `, f.User)
	}
	if f.Node != "" {
		add(` AND node = `, f.Node)
	}
	if !f.Since.IsZero() {
		add(` AND coalesce(closed_at, 'infinity') >= `, f.Since)
	}
	if f.Live || f.Node != "" {
		sql += ` AND closed_at IS NULL`
	}
	if f.Ended {
		sql += ` AND closed_at IS NOT NULL`
	}
	list, err := db.connections(ctx, sql+` ORDER BY id DESC LIMIT $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	return list, nil
}

// userPresence is of an open stream's user; who has none was last active in the
// last of their streams.
const userPresence = `
SELECT count(*), min(opened_at), coalesce(bool_or(visible), FALSE), coalesce(max(coalesce(seen_at, opened_at)), (
    SELECT coalesce(seen_at, opened_at) FROM herald.connections WHERE user_id = $1 ORDER BY id DESC LIMIT 1
))
FROM herald.connections WHERE user_id = $1 AND closed_at IS NULL`

// UserPresence says whether a user is there.
func (db *DB) UserPresence(ctx context.Context, user string) (presence.User, error) {
	u := presence.User{User: user}
	err := db.pool.QueryRow(ctx, userPresence, user).Scan(&u.Connections, &u.Since, &u.Visible, &u.LastActiveAt)
	if err != nil {
		return presence.User{}, fmt.Errorf("presence of a user: %w", err)
	}
	u.Online = u.Connections > 0
	return u, nil
}

// CloseConnection asks for the end of a connection on behalf of the actor, and
// returns how it stands. Its node ends it within about a second.
func (db *DB) CloseConnection(ctx context.Context, id uuid.UUID, actor string) (presence.Connection, error) {
	if _, err := db.queries().ConnectionAskClose(ctx, dbsqlc.ConnectionAskCloseParams{ID: id, Actor: actor}); err != nil {
		return presence.Connection{}, fmt.Errorf("ask for the end of connection %s: %w", id, err)
	}
	return db.Connection(ctx, id)
}

const (
	// writeDelay is how long before it writes a node may have looked at what it writes, and
	// how much later than it was a stream's beginning may therefore stand there.
	writeDelay = 250 * time.Millisecond
	// writeWait is how long nodes are waited for that do not write, and writeLook how
	// often one looks.
	writeWait = 5 * time.Second
	writeLook = 100 * time.Millisecond
)

// CloseUserConnections asks for the end of all of a user's connections, and
// returns for how many it did. Those that are open and not written down yet are among
// them: it waits until every node has written, which is about a second, and does so to
// the end even when ctx ends.
func (db *DB) CloseUserConnections(ctx context.Context, user, actor string) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWait)
	defer cancel()
	from, err := db.queries().TimeNow(ctx)
	asked, looked, all := 0, false, false
	for err == nil && !all && pause(ctx, looked) {
		// What was written before this look is seen by the statement after it.
		all, err = db.queries().NodesAllWroteSince(ctx, dbsqlc.NodesAllWroteSinceParams{Since: from.Add(writeDelay), SilenceS: presence.Silence.Seconds()})
		if err != nil {
			break
		}
		var n int64
		n, err = db.queries().ConnectionAskCloseOfUser(ctx, dbsqlc.ConnectionAskCloseOfUserParams{UserID: user, Actor: actor, OpenAt: from.Add(writeDelay)})
		asked += int(n)
		looked = looked || err == nil
	}
	if err != nil && (!looked || ctx.Err() == nil) { // a node that does not write cannot be asked to end a stream either
		return asked, fmt.Errorf("ask for the end of a user's connections: %w", err)
	}
	return asked, nil
}

// pause waits for writeLook if it is to, and reports whether there is still time.
func pause(ctx context.Context, wait bool) bool {
	if !wait {
		return true
	}
	select {
	case <-time.After(writeLook):
		return true
	case <-ctx.Done():
		return false
	}
}

// CountAddressed counts for each set of topics the open connections, on all
// nodes, that follow any of them.
func (db *DB) CountAddressed(ctx context.Context, sets [][]event.Topic) ([]int, error) {
	joined := make([]string, len(sets))
	for i, set := range sets {
		joined[i] = strings.Join(texts(set), ",") // no topic has a comma
	}
	rows, err := db.pool.Query(ctx, `
SELECT (SELECT count(*) FROM herald.connections c WHERE c.closed_at IS NULL AND c.topics && string_to_array(s.topics, ','))
FROM unnest($1::text[]) WITH ORDINALITY AS s (topics, nth) ORDER BY s.nth`, joined)
	var counts []int
	if err == nil {
		counts, err = pgx.CollectRows(rows, pgx.RowTo[int])
	}
	if err != nil {
		return nil, fmt.Errorf("count the connections that follow topics: %w", err)
	}
	return counts, nil
}

// ListAddressed lists open connections, on all nodes, that follow any of the
// topics: the newest, at most so many.
func (db *DB) ListAddressed(ctx context.Context, topics []event.Topic, limit int) ([]presence.Connection, error) {
	list, err := db.connections(ctx, `SELECT `+connectionColumns+` FROM herald.connections
WHERE closed_at IS NULL AND topics && $1::text[] ORDER BY id DESC LIMIT $2`, texts(topics), limit)
	if err != nil {
		return nil, fmt.Errorf("list the connections that follow topics: %w", err)
	}
	return list, nil
}

// ConnectionStatistics counts what is open.
func (db *DB) ConnectionStatistics(ctx context.Context) (presence.Statistics, error) {
	rows, err := db.queries().ConnectionCountByNode(ctx)
	if err != nil {
		return presence.Statistics{}, fmt.Errorf("count connections: %w", err)
	}
	users, err := db.queries().ConnectionCountUsers(ctx)
	if err != nil {
		return presence.Statistics{}, fmt.Errorf("count users: %w", err)
	}
	s := presence.Statistics{Users: int(users), Nodes: make(map[string]int, len(rows))}
	for _, row := range rows {
		s.Nodes[row.Node] = int(row.Count)
		s.Connections += int(row.Count)
	}
	return s, nil
}

// CloseNodeConnections ends all of a node's connections in the table but those.
// A node that is closing is over with that.
func (db *DB) CloseNodeConnections(ctx context.Context, node string, why presence.Reason, but []uuid.UUID) error {
	if but == nil {
		but = []uuid.UUID{}
	}
	err := db.queries().ConnectionCloseNode(ctx, dbsqlc.ConnectionCloseNodeParams{Node: node, Why: string(why), But: but})
	if err == nil && why == presence.Closing {
		err = db.StopNode(ctx, node)
	}
	if err != nil {
		return fmt.Errorf("end the connections of node %s: %w", node, err)
	}
	return nil
}

// lostPage bounds how many connections one CloseLostConnections ends.
const lostPage = 10_000

// CloseLostConnections ends connections of nodes that have been silent for
// presence.Silence, or, where the node's session has ended, for
// presence.EndedSilence, and returns how many there were. Any number of nodes may
// call it at once.
func (db *DB) CloseLostConnections(ctx context.Context, ended []string) (int, error) {
	if ended == nil {
		ended = []string{}
	}
	n, err := db.queries().ConnectionCloseLost(ctx, dbsqlc.ConnectionCloseLostParams{
		SilenceS: presence.Silence.Seconds(), EndedSilenceS: presence.EndedSilence.Seconds(), Ended: ended, PageSize: lostPage,
	})
	if err != nil {
		return 0, fmt.Errorf("end the connections of lost nodes: %w", err)
	}
	return int(n), nil
}

// connectionWrite is a node's sign of life, and all that it has to tell and to be
// told of its connections. Times come as microseconds that have passed, below
// zero for never, so that the database's clock alone counts. What has begun comes
// as JSON, since arrays hold no lists of several lengths; what is there already
// was inserted by a statement whose answer was lost. The node's word on whether a
// connection is open counts against that of those who took it for lost; an ack
// by another node may be newer than its own.
const connectionWrite = `
WITH before AS (
    SELECT streams_at FROM herald.nodes WHERE id = $1 FOR UPDATE
), alive AS (
    INSERT INTO herald.nodes (id, streams_at) VALUES ($1, now())
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), streams_at = now()
), told AS (
    SELECT id, visible, NULLIF(closed_why, '') AS closed_why, now() - NULLIF(closed, -1) * interval '1 microsecond' AS closed_at,
        written_seq, now() - NULLIF(written, -1) * interval '1 microsecond' AS written_at,
        acked_seq, now() - NULLIF(acked, -1) * interval '1 microsecond' AS acked_at,
        seen_seq, now() - NULLIF(seen, -1) * interval '1 microsecond' AS seen_at
    FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::boolean[],
        $11::bigint[], $12::text[])
        AS t (id, written_seq, written, acked_seq, acked, seen_seq, seen, visible, closed, closed_why)
), opened AS (
    INSERT INTO herald.connections (id, node, user_id, session, user_agent, address, topics, filter, whole, metadata, opened_at,
        opened_seq, opened_head, written_seq, written_at, acked_seq, acked_at, seen_seq, seen_at, visible, closed_at, closed_why)
    SELECT id, $1, user_id, session, user_agent, address, topics, filter, whole, metadata, now() - opened * interval '1 microsecond', opened_seq, opened_head,
        written_seq, written_at, acked_seq, acked_at, seen_seq, seen_at, visible, closed_at, closed_why
    FROM json_to_recordset($2::json) AS o (id uuid, user_id text, session text, user_agent text, address inet, topics text[],
        filter json, whole boolean, metadata json, opened bigint, opened_seq bigint, opened_head bigint)
    JOIN told USING (id)
    ON CONFLICT (id) DO NOTHING
), changed AS (
    UPDATE herald.connections c SET
        written_seq = t.written_seq, written_at = t.written_at,
        acked_seq = GREATEST(c.acked_seq, t.acked_seq), acked_at = GREATEST(c.acked_at, t.acked_at),
        seen_seq = GREATEST(c.seen_seq, t.seen_seq), seen_at = GREATEST(c.seen_at, t.seen_at),
        visible = CASE WHEN t.acked_at > coalesce(c.acked_at, '-infinity') - interval '1 second' THEN t.visible ELSE c.visible END,
        closed_at = t.closed_at, closed_why = t.closed_why
    FROM told t WHERE c.id = t.id
)
SELECT NOT EXISTS (SELECT FROM before WHERE streams_at > now() - make_interval(secs => $13)),
    ARRAY(SELECT id FROM herald.connections WHERE node = $1 AND closed_at IS NULL AND close_asked_at IS NOT NULL),
    ARRAY(SELECT n.id FROM pg_locks l JOIN herald.nodes n ON l.objid::bigint = hashtext(n.id) & 4294967295
        WHERE l.locktype = 'advisory' AND l.classid::bigint = $14 AND l.objsubid = 2 AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`

// nodeLocks is the first half of the advisory locks by which nodes are known to be
// connected; the other half is the hash of a node's name.
const nodeLocks = 0x6865726c

// NodeSession opens a connection of its own for LISTEN, as Session does, that is the
// node's: when the process dies, however it does, its connection ends, and the others see
// it.
func (db *DB) NodeSession(node string) func(context.Context) (*pgx.Conn, error) {
	return func(ctx context.Context) (*pgx.Conn, error) {
		conn, err := db.Session(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock_shared($1::integer, hashtext($2))`, nodeLocks, node); err != nil {
			return nil, errors.Join(fmt.Errorf("enter the session of node %s: %w", node, err), conn.Close(ctx))
		}
		return conn, nil
	}
}

// WriteConnections writes what changed of a node's connections, and returns what
// the node is to know.
func (db *DB) WriteConnections(ctx context.Context, b presence.Batch) (presence.Answer, error) {
	var answer presence.Answer
	err := db.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { // what has passed is taken when it can be sent at once
		opened, err := json.Marshal(openings(b.Opened))
		if err != nil {
			return err
		}
		c := columnsOf(b.Changed)
		return conn.QueryRow(ctx, connectionWrite, b.Node, opened, c.id, c.writtenSeq, c.written, c.ackedSeq, c.acked, c.seenSeq, c.seen,
			c.visible, c.closed, c.closedWhy, (presence.Silence/2).Seconds(), nodeLocks).Scan(&answer.Lost, &answer.Close, &answer.Connected)
	})
	if err != nil {
		return presence.Answer{}, fmt.Errorf("write connections: %w", err)
	}
	return answer, nil
}

// opening is how a connection began, for connectionWrite.
type opening struct {
	ID         uuid.UUID       `json:"id"`
	User       string          `json:"user_id"`
	Session    string          `json:"session"`
	UserAgent  string          `json:"user_agent"`
	Address    *netip.Addr     `json:"address"`
	Topics     []string        `json:"topics"`
	Filter     *event.Filter   `json:"filter,omitempty"`
	Whole      bool            `json:"whole"`
	Metadata   json.RawMessage `json:"metadata"`
	Opened     int64           `json:"opened"`
	OpenedSeq  event.Seq       `json:"opened_seq"`
	OpenedHead event.Seq       `json:"opened_head"`
}

func openings(opened []presence.Connection) []opening {
	list := make([]opening, len(opened))
	for i, c := range opened {
		list[i] = opening{
			ID: c.ID, User: c.User, Session: c.Session, UserAgent: c.UserAgent, Address: c.Address, Topics: texts(c.Topics), Filter: c.Filter, Whole: c.Whole,
			Metadata: c.Metadata, Opened: max(0, time.Since(c.OpenedAt).Microseconds()), OpenedSeq: c.OpenedSeq, OpenedHead: c.OpenedHead,
		}
	}
	return list
}

// passed is how many microseconds have passed since; negative for never.
func passed(since presence.Moment) int64 {
	if since == 0 {
		return -1
	}
	return since.Passed().Microseconds()
}

// progressColumns are Progresses, column by column.
type progressColumns struct {
	id                            []uuid.UUID
	writtenSeq, ackedSeq, seenSeq []int64
	written, acked, seen, closed  []int64
	visible                       []bool
	closedWhy                     []string
}

func columnsOf(changed []presence.Progress) progressColumns {
	n := len(changed)
	numbers := func() []int64 { return make([]int64, n) }
	c := progressColumns{
		id: make([]uuid.UUID, n), writtenSeq: numbers(), ackedSeq: numbers(), seenSeq: numbers(),
		written: numbers(), acked: numbers(), seen: numbers(), closed: numbers(), visible: make([]bool, n), closedWhy: make([]string, n),
	}
	for i, p := range changed {
		c.id[i], c.visible[i], c.closed[i], c.closedWhy[i] = p.ID, p.Visible, passed(p.ClosedAt), string(p.Closed)
		c.writtenSeq[i], c.written[i] = int64(p.Written), passed(p.WrittenAt)
		c.ackedSeq[i], c.acked[i] = int64(p.Acked), passed(p.AckedAt)
		c.seenSeq[i], c.seen[i] = int64(p.Seen), passed(p.SeenAt)
	}
	return c
}

// connectionWriteAcks writes acks of other nodes' connections. It waits for no
// row that is being written: two nodes that each wait for the other's rows would
// stand still. A seq that the log has not come to cannot have been written; the
// node that holds the connection may not have told yet that others were. A
// connection that has just ended still takes its last ack.
const connectionWriteAcks = `
WITH asked AS MATERIALIZED (
    SELECT a.nr, a.id, a.user_id, a.seq, a.visible, c.id IS NOT NULL AS found,
        a.seq > (SELECT coalesce((SELECT max(last_seq) FROM herald.log_batches), floor) FROM herald.log_state) AS ahead
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[]) WITH ORDINALITY AS a (id, user_id, seq, visible, nr)
    LEFT JOIN herald.connections c ON c.id = a.id AND c.user_id = a.user_id AND coalesce(c.closed_at, now()) > now() - interval '1 minute'
), free AS (
    SELECT a.* FROM asked a JOIN herald.connections c ON c.id = a.id
    WHERE a.found AND NOT a.ahead
    FOR NO KEY UPDATE OF c SKIP LOCKED
), written AS (
    UPDATE herald.connections c SET
        acked_seq = GREATEST(c.acked_seq, f.seq), acked_at = now(), visible = f.visible,
        seen_seq = CASE WHEN f.visible THEN GREATEST(c.seen_seq, f.seq) ELSE c.seen_seq END,
        seen_at = CASE WHEN f.visible THEN now() ELSE c.seen_at END
    FROM free f WHERE c.id = f.id
    RETURNING f.nr
)
SELECT a.found, a.ahead, w.nr IS NOT NULL FROM asked a LEFT JOIN written w ON w.nr = a.nr ORDER BY a.nr`

// WriteAcks writes acks of connections that other nodes hold. For each it returns
// nil, presence.ErrNotFound, ErrAhead, or ErrLater when the row is being written.
func (db *DB) WriteAcks(ctx context.Context, acks []presence.Ack) ([]error, error) {
	ids, users, seqs, visible := make([]uuid.UUID, len(acks)), make([]string, len(acks)), make([]int64, len(acks)), make([]bool, len(acks))
	for i, a := range acks {
		ids[i], users[i], seqs[i], visible[i] = a.Client, a.User, int64(a.Seq), a.Visible
	}
	rows, err := db.pool.Query(ctx, connectionWriteAcks, ids, users, seqs, visible)
	if err != nil {
		return nil, fmt.Errorf("write acks: %w", err)
	}
	answers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (answer error, err error) {
		var found, ahead, written bool
		err = row.Scan(&found, &ahead, &written)
		switch {
		case !found:
			answer = presence.ErrNotFound
		case ahead:
			answer = presence.ErrAhead
		case !written:
			answer = presence.ErrLater
		}
		return answer, err
	})
	if err != nil {
		return nil, fmt.Errorf("write acks: %w", err)
	}
	return answers, nil
}
