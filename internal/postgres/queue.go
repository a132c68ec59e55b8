package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"herald/internal/queue"
)

const (
	// queueTime bounds each statement that looks into River's tables.
	queueTime = 2 * time.Second
	// queueCounted is up to how many entries are counted, sorted, or taken for a rate.
	queueCounted = 10_000
	// queueWindow is over how long rates are taken.
	queueWindow = 5 * time.Minute
	// queueListed bounds how many queues, nodes and kinds there are in an overview.
	queueListed = 100
)

// lookIntoQueue reads in one snapshot. All of what it reads is found by River's own
// indexes, however few entries the planner thinks that there are.
func (db *DB) lookIntoQueue(ctx context.Context, look func(tx pgx.Tx) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, db.pool, options, func(tx pgx.Tx) error {
		settings := fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL enable_seqscan = off", queueTime.Milliseconds())
		if _, err := tx.Conn().PgConn().Exec(ctx, settings).ReadAll(); err != nil {
			return err
		}
		return look(tx)
	})
	const queryCanceled = "57014"
	if failed := (*pgconn.PgError)(nil); errors.As(err, &failed) && failed.Code == queryCanceled && ctx.Err() == nil {
		return queue.ErrTooSlow
	}
	return err
}

// queueCounts finds each queue's states one after the other, by one look at an index
// each, and counts no further than it has to.
const queueCounts = `
WITH RECURSIVE kept AS (
    (SELECT state, queue FROM herald_queue.river_job ORDER BY state, queue LIMIT 1)
    UNION ALL
    SELECT after.state, after.queue FROM kept CROSS JOIN LATERAL (
        SELECT r.state, r.queue FROM herald_queue.river_job r
        WHERE (r.state, r.queue) > (kept.state, kept.queue) ORDER BY r.state, r.queue LIMIT 1
    ) after
)
SELECT queue, state::text, (
    SELECT count(*) FROM (SELECT FROM herald_queue.river_job r WHERE r.state = kept.state AND r.queue = kept.queue LIMIT $1) counted
) FROM kept LIMIT $2`

// queueList has the named queues, and those that River knows of. Of each, the entry
// that is first by its time is the first of one of the four priorities.
const queueList = `
SELECT coalesce(k.name, q.name) AS name, q.paused_at, oldest.at, next.at
FROM unnest($1::text[]) AS k (name)
FULL JOIN herald_queue.river_queue q ON q.name = k.name
LEFT JOIN LATERAL (
    SELECT min(first.at) AS at FROM generate_series(1, 4) AS p (priority) CROSS JOIN LATERAL (
        SELECT r.scheduled_at AS at FROM herald_queue.river_job r
        WHERE r.state = 'available' AND r.queue = coalesce(k.name, q.name) AND r.priority = p.priority::smallint
        ORDER BY r.scheduled_at LIMIT 1
    ) first
) oldest ON TRUE
LEFT JOIN LATERAL (
    SELECT min(first.at) AS at FROM generate_series(1, 4) AS p (priority)
    CROSS JOIN unnest(ARRAY['scheduled', 'retryable']::herald_queue.river_job_state[]) AS s (state) CROSS JOIN LATERAL (
        SELECT r.scheduled_at AS at FROM herald_queue.river_job r
        WHERE r.state = s.state AND r.queue = coalesce(k.name, q.name) AND r.priority = p.priority::smallint
        ORDER BY r.scheduled_at LIMIT 1
    ) first
) next ON TRUE
ORDER BY name LIMIT $2`

// queueRates counts what has ended lately. Where more has than is counted, the rate
// is taken over the time in which what is counted has ended.
const queueRates = `
WITH ended AS (
    (SELECT queue, state, finalized_at FROM herald_queue.river_job
    WHERE state = 'completed' AND finalized_at > now() - make_interval(secs => $1) ORDER BY finalized_at DESC LIMIT $2)
    UNION ALL
    (SELECT queue, state, finalized_at FROM herald_queue.river_job
    WHERE state = 'discarded' AND finalized_at > now() - make_interval(secs => $1) ORDER BY finalized_at DESC LIMIT $2)
)
SELECT queue, state::text, count(*) * 60 / CASE
    WHEN sum(count(*)) OVER of_state >= $2 THEN greatest(extract(epoch FROM now() - min(min(finalized_at)) OVER of_state), 0.1)::double precision
    ELSE $1 END
FROM ended GROUP BY queue, state WINDOW of_state AS (PARTITION BY state)`

// queueNodes are those that are entered, and those that River says have something in
// their hands.
const queueNodes = `
SELECT coalesce(n.id, w.node) AS name, coalesce(n.id, w.node) IN (SELECT leader_id FROM herald_queue.river_leader WHERE expires_at > now()),
    coalesce(w.running, 0), w.oldest_at, n.started_at, n.heartbeat_at
FROM herald.nodes n FULL JOIN (
    SELECT r.node, count(*) AS running, min(r.attempted_at) AS oldest_at FROM (
        SELECT coalesce(attempted_by[cardinality(attempted_by)], '') AS node, attempted_at
        FROM herald_queue.river_job WHERE state = 'running' LIMIT $1
    ) r GROUP BY r.node
) w ON w.node = n.id
ORDER BY name LIMIT $2`

// queueKinds finds the kinds one after the other.
const queueKinds = `
WITH RECURSIVE kinds AS (
    (SELECT kind FROM herald_queue.river_job ORDER BY kind LIMIT 1)
    UNION ALL
    SELECT (SELECT r.kind FROM herald_queue.river_job r WHERE r.kind > kinds.kind ORDER BY r.kind LIMIT 1)
    FROM kinds WHERE kinds.kind IS NOT NULL
)
SELECT kind FROM kinds WHERE kind IS NOT NULL LIMIT $1`

// QueueOverview looks at all queues. What it reads is bounded, however long they are.
func (db *DB) QueueOverview(ctx context.Context) (queue.Overview, error) {
	o := queue.Overview{MostCounted: queueCounted, RateWindow: queueWindow.Milliseconds()}
	err := db.lookIntoQueue(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, queueKinds, queueListed)
		if err != nil {
			return err
		}
		if o.Kinds, err = pgx.AppendRows([]string{}, rows, pgx.RowTo[string]); err != nil {
			return err
		}
		if o.Queues, err = queuesOf(ctx, tx); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, queueNodes, queueCounted, queueListed); err != nil {
			return err
		}
		if o.Nodes, err = pgx.AppendRows([]queue.Node{}, rows, pgx.RowToStructByPos[queue.Node]); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT now()`).Scan(&o.At)
	})
	if err != nil {
		return queue.Overview{}, fmt.Errorf("look at the queues: %w", err)
	}
	return o, nil
}

func queuesOf(ctx context.Context, tx pgx.Tx) ([]queue.Queue, error) {
	counts, names := map[string]map[queue.State]int64{}, []string{}
	rows, err := tx.Query(ctx, queueCounts, queueCounted, queueListed*len(queue.States()))
	if err != nil {
		return nil, err
	}
	var (
		name  string
		state queue.State
		count int64
		rate  float64
	)
	if _, err := pgx.ForEachRow(rows, []any{&name, &state, &count}, func() error {
		if counts[name] == nil {
			counts[name], names = map[queue.State]int64{}, append(names, name)
		}
		counts[name][state] = count
		return nil
	}); err != nil {
		return nil, err
	}
	if rows, err = tx.Query(ctx, queueList, names, queueListed); err != nil {
		return nil, err
	}
	list, err := pgx.AppendRows([]queue.Queue{}, rows, func(row pgx.CollectableRow) (q queue.Queue, err error) {
		err = row.Scan(&q.Name, &q.PausedAt, &q.OldestAt, &q.NextAt)
		if q.Counts = counts[q.Name]; q.Counts == nil {
			q.Counts = map[queue.State]int64{}
		}
		return q, err
	})
	if err != nil {
		return nil, err
	}
	if rows, err = tx.Query(ctx, queueRates, queueWindow.Seconds(), queueCounted); err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&name, &state, &rate}, func() error {
		for i := range list {
			switch {
			case list[i].Name != name:
			case state == queue.Completed:
				list[i].Completed = rate
			default:
				list[i].Discarded = rate
			}
		}
		return nil
	})
	return list, err
}

// entryColumns are an entry's, and its job's: r is its row, of which there are few.
const entryColumns = `
    r.id, r.queue, r.kind, r.state::text, r.priority, r.attempt, r.max_attempts, r.created_at, r.scheduled_at, r.attempted_at, r.finalized_at,
    coalesce(r.attempted_by[cardinality(r.attempted_by)], ''), coalesce(left(r.errors[cardinality(r.errors)] ->> 'error', 300), ''),
    about.job, coalesce(j.title, ''), coalesce(j.owner, '')`

const entryJob = `
CROSS JOIN LATERAL (
    SELECT CASE WHEN r.args ->> 'job_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (r.args ->> 'job_id')::uuid END AS job
) about
LEFT JOIN LATERAL (SELECT title, owner FROM herald.jobs WHERE id = about.job LIMIT 1) j ON TRUE`

// scanEntry reads an entry, and what comes behind it.
func scanEntry(row pgx.CollectableRow, behind ...any) (e queue.Entry, err error) {
	var (
		id uuid.NullUUID
		j  queue.EntryJob
	)
	to := []any{
		&e.ID, &e.Queue, &e.Kind, &e.State, &e.Priority, &e.Attempt, &e.MaxAttempts, &e.CreatedAt, &e.ScheduledAt, &e.AttemptedAt, &e.FinalizedAt,
		&e.Node, &e.Error, &id, &j.Title, &j.Owner,
	}
	if err := row.Scan(append(to, behind...)...); err != nil {
		return queue.Entry{}, err
	}
	if id.Valid {
		j.ID, e.Job = id.UUID, &j
	}
	return e, nil
}

// QueueEntries lists entries, newest first. River has no index for most of what can
// be asked for: so where what a filter asks for is few by an index, these are sorted,
// and else all entries are gone through in windows of ids, as long as there is
// patience.
func (db *DB) QueueEntries(ctx context.Context, f queue.Filter) (queue.Page, error) {
	r := entryReading{filter: f, page: queue.Page{Entries: []queue.Entry{}, Reached: f.Before}}
	err := db.lookIntoQueue(ctx, func(tx pgx.Tx) error { return r.run(ctx, tx) })
	if err != nil {
		return queue.Page{}, fmt.Errorf("list the queue's entries: %w", err)
	}
	return r.page, nil
}

// entryReading is a page of entries being read.
type entryReading struct {
	filter queue.Filter
	page   queue.Page
}

// condition is one that an index finds.
type condition struct {
	sql  string
	args []any
}

// indexed are the filter's conditions, by the indexes that find them. A state is no
// parameter, so that it is known when the statement is planned.
func (r *entryReading) indexed() (list []condition) {
	f := r.filter
	switch {
	case f.State.Known() && f.Queue != "":
		list = append(list, condition{`state = '` + string(f.State) + `' AND queue = $1`, []any{f.Queue}})
	case f.State.Known():
		list = append(list, condition{`state = '` + string(f.State) + `'`, nil})
	case f.Queue != "":
		list = append(list, condition{`state = ANY (enum_range(NULL::herald_queue.river_job_state)) AND queue = $1`, []any{f.Queue}})
	}
	if f.Kind != "" {
		list = append(list, condition{`kind = $1`, []any{f.Kind}})
	}
	return list
}

func (r *entryReading) run(ctx context.Context, tx pgx.Tx) error {
	for _, c := range r.indexed() {
		few, err := isFew(ctx, tx, c)
		if err != nil {
			return err
		}
		if few {
			return r.sorted(ctx, tx, c)
		}
	}
	return r.windows(ctx, tx)
}

// isFew reports whether so few entries meet the condition that they can be sorted.
func isFew(ctx context.Context, tx pgx.Tx, c condition) (few bool, err error) {
	limit := `$` + strconv.Itoa(len(c.args)+1)
	err = tx.QueryRow(ctx, `SELECT count(*) < `+limit+` FROM (SELECT FROM herald_queue.river_job WHERE `+c.sql+` LIMIT `+limit+`) counted`,
		append(c.args, queueCounted)...).Scan(&few)
	return few, err
}

// filterSQL adds the whole filter's parameters, and returns the condition on a row.
func (r *entryReading) filterSQL(args *[]any) string {
	add := func(value string) string {
		*args = append(*args, value)
		return `$` + strconv.Itoa(len(*args))
	}
	state, queueName, kind := add(string(r.filter.State)), add(r.filter.Queue), add(r.filter.Kind)
	return `(` + state + ` = '' OR state::text = ` + state + `) AND (` + queueName + ` = '' OR queue = ` + queueName + `) AND (` +
		kind + ` = '' OR kind = ` + kind + `)`
}

// before is the id before which entries are listed.
func (r *entryReading) before(ctx context.Context, tx pgx.Tx) (low, before int64, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(min(id), 1), coalesce(max(id), 0) + 1 FROM herald_queue.river_job`).Scan(&low, &before)
	if r.filter.Before > 0 {
		before = min(before, r.filter.Before)
	}
	return low, before, err
}

// sorted lists what meets a condition that few meet.
func (r *entryReading) sorted(ctx context.Context, tx pgx.Tx, c condition) error {
	_, before, err := r.before(ctx, tx)
	if err != nil {
		return err
	}
	args := append([]any{}, c.args...)
	filter := r.filterSQL(&args)
	args = append(args, before, r.filter.Limit+1)
	bound, limit := `$`+strconv.Itoa(len(args)-1), `$`+strconv.Itoa(len(args))
	return r.add(ctx, tx, `
WITH few AS MATERIALIZED (
    SELECT id, state, queue, kind FROM herald_queue.river_job WHERE `+c.sql+`
), listed AS MATERIALIZED (
    SELECT id FROM few WHERE id < `+bound+` AND `+filter+` ORDER BY id DESC LIMIT `+limit+`
)
SELECT `+entryColumns+` FROM listed JOIN herald_queue.river_job r USING (id)`+entryJob+` ORDER BY r.id DESC`, args)
}

// windows lists by going through the entries by their ids, and by no other index: of
// what many meet, another one would first read all.
func (r *entryReading) windows(ctx context.Context, tx pgx.Tx) error {
	low, high, err := r.before(ctx, tx)
	if err != nil {
		return err
	}
	width, began := int64(firstStep), time.Now()
	for low < high && !r.page.More {
		took := time.Now()
		from := max(low, high-width)
		args := []any{from, high, r.filter.Limit + 1 - len(r.page.Entries)}
		filter := r.filterSQL(&args)
		if err := r.add(ctx, tx, `
SELECT `+entryColumns+` FROM (
    SELECT * FROM (SELECT * FROM herald_queue.river_job WHERE id >= $1 AND id < $2 ORDER BY id DESC OFFSET 0) stretch
    WHERE `+filter+` LIMIT $3
) r`+entryJob+` ORDER BY r.id DESC`, args); err != nil {
			return err
		}
		high = from
		width = nextStep(width, firstStep, time.Since(took))
		if r.page.More {
			return nil
		}
		r.page.Reached = high
		if low < high && r.filter.Patience > 0 && time.Since(began) > r.filter.Patience {
			r.page.More, r.page.Partial = true, true
		}
	}
	return nil
}

// add reads entries into the page. One more than it has room for says that there are
// more.
func (r *entryReading) add(ctx context.Context, tx pgx.Tx, sql string, args []any) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	r.page.Entries, err = pgx.AppendRows(r.page.Entries, rows, func(row pgx.CollectableRow) (queue.Entry, error) { return scanEntry(row) })
	if err != nil {
		return err
	}
	if r.page.More = len(r.page.Entries) > r.filter.Limit; r.page.More {
		r.page.Entries = r.page.Entries[:r.filter.Limit]
	}
	if n := len(r.page.Entries); n > 0 {
		r.page.Reached = r.page.Entries[n-1].ID
	}
	return nil
}

// entryDetails is one entry with its attempts.
const entryDetails = `
SELECT ` + entryColumns + `, coalesce(r.attempted_by, '{}'), coalesce((
    SELECT json_agg(json_build_object('at', e ->> 'at', 'attempt', (e ->> 'attempt')::integer, 'error', left(e ->> 'error', 8000),
        'trace', left(coalesce(e ->> 'trace', ''), 8000)) ORDER BY nr DESC)
    FROM unnest(r.errors[greatest(cardinality(r.errors) - 49, 1):]) WITH ORDINALITY AS failed (e, nr)
), '[]')
FROM herald_queue.river_job r` + entryJob + ` WHERE r.id = $1`

// QueueEntry reads an entry.
func (db *DB) QueueEntry(ctx context.Context, id int64) (queue.EntryDetails, error) {
	var d queue.EntryDetails
	err := db.lookIntoQueue(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, entryDetails, id)
		if err != nil {
			return err
		}
		d, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (d queue.EntryDetails, err error) {
			d.Entry, err = scanEntry(row, &d.Nodes, &d.Errors)
			return d, err
		})
		return notFound(err, queue.ErrNotFound)
	})
	if err != nil {
		return queue.EntryDetails{}, fmt.Errorf("entry %d of the queue: %w", id, err)
	}
	return d, nil
}
