package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/postgres/dbsqlc"
)

// Head reads the Seq of the last event in the log.
func (db *DB) Head(ctx context.Context) (event.Seq, error) {
	_, head, err := db.Bounds(ctx)
	return head, err
}

// Bounds reads between which cursors the log can be read on: floor is the place
// before the oldest event kept, head that of the newest.
func (db *DB) Bounds(ctx context.Context) (floor, head event.Seq, err error) {
	row, err := db.queries().LogBounds(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("read the log's bounds: %w", err)
	}
	return event.Seq(row.Floor), event.Seq(row.Head), nil
}

// Events are read by statements of our own instead of generated ones, since
// reading their rows in binary form takes a seventh of the time (see eventRows).
const (
	// Where a statement is planned with its values, as behind some poolers, Postgres
	// takes a topic to have few events, and would read and sort all that it has. A plan
	// that was made while a partition was empty would read all of it when it no longer is.
	// It holds for the transaction, which a batch is.
	inOrder = `SELECT set_config('enable_bitmapscan', 'off', TRUE), set_config('enable_sort', 'off', TRUE),
    set_config('enable_seqscan', 'off', TRUE)`

	// That an event's first or second topic is the one that stands where %[1]s does, found
	// by its hash. Where there are few topics, Postgres takes each to have many events, and
	// would look for one that has none through the whole log. That the hash is between
	// itself and itself, which is not known to be so when the plan is made, lets it be
	// taken for rare.
	topicIsFirst = `hashtextextended(topics[1], 0) = hashtextextended(%[1]s, 0) AND topics[1] = %[1]s
    AND hashtextextended(topics[1], 0) BETWEEN (SELECT hashtextextended(%[1]s, 0)) AND (SELECT hashtextextended(%[1]s, 0))`
	topicIsSecond = `hashtextextended(topics[2], 0) = hashtextextended(%[1]s, 0) AND topics[2] = %[1]s
    AND hashtextextended(topics[2], 0) BETWEEN (SELECT hashtextextended(%[1]s, 0)) AND (SELECT hashtextextended(%[1]s, 0))`

	eventListAfter = `SELECT ` + eventColumns + ` FROM herald.events WHERE seq > $1 ORDER BY seq LIMIT $2`

	// The events of one topic, which stands where %[1]s does, after $1 and up to $2,
	// $3 at most of each of three indexes, so the cost is that of a page however
	// long the log is. Whole rows are taken: to find them again by seq would take
	// twice as long.
	eventListOfTopic = `
    (SELECT ` + eventColumns + ` FROM herald.events
    WHERE ` + topicIsFirst + ` AND seq > $1 AND seq <= $2
    ORDER BY seq LIMIT $3)
    UNION ALL
    (SELECT ` + eventColumns + ` FROM herald.events
    WHERE ` + topicIsSecond + ` AND seq > $1 AND seq <= $2
    ORDER BY seq LIMIT $3)
    UNION ALL
    (SELECT ` + eventColumns + ` FROM (
        SELECT seq FROM herald.event_topics WHERE topic = %[1]s AND seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3
    ) others JOIN herald.events USING (seq) ORDER BY seq)`

	// A job's own topic, $1, is the first of its events'.
	eventOfJob = ` WHERE hashtextextended(topics[1], 0) = hashtextextended($1, 0) AND topics[1] = $1
    AND hashtextextended(topics[1], 0) BETWEEN (SELECT hashtextextended($1, 0)) AND (SELECT hashtextextended($1, 0))
    AND job_id = $2`

	eventListOfJob = `SELECT ` + eventColumns + ` FROM herald.events` + eventOfJob + ` AND seq > $3 ORDER BY seq LIMIT $4`
)

// Events reads the log after the Seq given, in order. It returns
// event.ErrTooOld when what follows is no longer kept.
func (db *DB) Events(ctx context.Context, after event.Seq, limit int) ([]event.Event, error) {
	events, err := db.events(ctx, eventListAfter, int64(after), limit)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	// Partitions go from the oldest on, so when the next event is there, all are.
	if len(events) == 0 || events[0].Seq != after+1 {
		if err := tooOld(ctx, db.pool, after); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// EventsOfTopics reads what concerns any of the topics, after one Seq and up to
// another, in order, each once. It returns event.ErrTooOld when some of what
// follows is no longer kept.
func (db *DB) EventsOfTopics(
	ctx context.Context, of []event.Topic, after, upto event.Seq, limit int,
) ([]event.Event, error) {
	sql, args := eventListOfTopics(of)
	events, err := db.eventsAbove(ctx, after, sql, append([]any{int64(after), int64(upto), limit}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("replay the log: %w", err)
	}
	return events, nil
}

// eventListOfTopics is a statement that reads what concerns any of the topics,
// each event once, and what it takes for $4 and on. Where the topics are few, it
// has a part for each of them, so that Postgres merges what comes in order; it
// sorts what comes of a list, whole rows, which takes several times as long.
func eventListOfTopics(topics []event.Topic) (sql string, args []any) {
	const few = 4
	from := `unnest($4::text[]) AS wanted (topic) CROSS JOIN LATERAL (` + fmt.Sprintf(eventListOfTopic, "wanted.topic") + `)`
	args = []any{texts(topics)}
	if 0 < len(topics) && len(topics) <= few {
		parts := make([]string, len(topics))
		args = make([]any, len(topics))
		for i, topic := range topics {
			parts[i], args[i] = fmt.Sprintf(eventListOfTopic, fmt.Sprintf("$%d", i+4)), string(topic)
		}
		from = `(` + strings.Join(parts, " UNION ALL ") + `)`
	}
	return `SELECT DISTINCT ON (seq) ` + eventColumns + ` FROM ` + from + ` found ORDER BY seq LIMIT $3`, args
}

// EventsOfJob reads a job's timeline after the Seq given, in order. After 0, it
// is what is kept of it; else it returns event.ErrTooOld when some of what
// follows is no longer kept.
func (db *DB) EventsOfJob(ctx context.Context, id uuid.UUID, after event.Seq, limit int) ([]event.Event, error) {
	args := []any{string(event.JobTopic(id)), id, int64(after), limit}
	var (
		events []event.Event
		err    error
	)
	if after > 0 {
		events, err = db.eventsAbove(ctx, after, eventListOfJob, args...)
	} else {
		events, err = db.events(ctx, eventListOfJob, args...)
	}
	if err != nil {
		return nil, fmt.Errorf("read the timeline of job %s: %w", id, err)
	}
	return events, nil
}

// events reads all events that a statement lists.
func (db *DB) events(ctx context.Context, sql string, args ...any) ([]event.Event, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return readEvents(rows)
}

// eventsAbove is eventsInOrder, and in the same round trip, after the rows, a look at
// the floor: when that has passed the Seq, it returns event.ErrTooOld.
func (db *DB) eventsAbove(ctx context.Context, after event.Seq, sql string, args ...any) ([]event.Event, error) {
	var (
		events []event.Event
		floor  int64
	)
	err := db.readInOrder(ctx, func(batch *pgx.Batch) {
		queueEvents(batch, &events, sql, args)
		batch.Queue(logFloor).QueryRow(func(row pgx.Row) error { return row.Scan(&floor) })
	})
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	return events, above(floor, after)
}

// eventsInOrder is events, read in order.
func (db *DB) eventsInOrder(ctx context.Context, sql string, args ...any) (events []event.Event, err error) {
	err = db.readInOrder(ctx, func(batch *pgx.Batch) { queueEvents(batch, &events, sql, args) })
	return events, err
}

func queueEvents(batch *pgx.Batch, events *[]event.Event, sql string, args []any) {
	batch.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		*events, err = readEvents(rows)
		return err
	})
}

// readInOrder reads in one round trip what is queued, all of it inOrder.
func (db *DB) readInOrder(ctx context.Context, queue func(batch *pgx.Batch)) error {
	var batch pgx.Batch
	batch.Queue(inOrder)
	queue(&batch)
	return db.pool.SendBatch(ctx, &batch).Close()
}

// readEvents reads all rows, and closes them.
func readEvents(rows pgx.Rows) ([]event.Event, error) {
	const few, many = 16, 1000
	defer rows.Close()
	if err := rows.Err(); err != nil {
		return nil, err // of a batch that has failed, there are no columns either
	}
	var events []event.Event
	for each := newEventRows(rows); rows.Next(); {
		e, err := each.event()
		if err != nil {
			return nil, err
		}
		if len(events) == few {
			events = slices.Grow(events, many) // a page is one or two events, or full
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

// Batches reads the audit chain after the Seq given, in order.
func (db *DB) Batches(ctx context.Context, after event.Seq, limit int) ([]chain.Batch, error) {
	rows, err := db.queries().BatchListAfter(ctx, dbsqlc.BatchListAfterParams{After: int64(after), PageSize: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("read the log's batches after %d: %w", after, err)
	}
	batches := make([]chain.Batch, len(rows))
	for i, row := range rows {
		batches[i] = chain.Batch{
			First: event.Seq(row.FirstSeq), Last: event.Seq(row.LastSeq), RecordedAt: row.RecordedAt, Leaves: row.Leaves,
			Digest: chain.Digest(row.Digest),
		}
	}
	return batches, nil
}
