package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
)

// History reads a page of the log. After a cursor that the log no longer has, it
// returns event.ErrTooOld. Pages stay right while the log grows, since what is in
// it never changes.
func (db *DB) History(ctx context.Context, q event.Query) (event.Page, error) {
	if err := q.Check(); err != nil {
		return event.Page{}, err
	}
	s, err := db.span(ctx, q)
	if err != nil {
		return event.Page{}, err
	}
	st, err := db.statement(ctx, q)
	if err != nil {
		return event.Page{}, err
	}
	r := historyReading{db: db, query: q, span: s, statement: st}
	if err := r.run(ctx); err != nil {
		return event.Page{}, fmt.Errorf("read the log's history: %w", err)
	}
	return r.page, nil
}

// span is the stretch of the log that a query covers: what is after low, up to
// high.
type span struct{ floor, head, low, high event.Seq }

// logSpan reads the log's bounds, and where it was at two moments.
const logSpan = `
SELECT s.floor, coalesce((SELECT max(last_seq) FROM herald.log_batches), s.floor),
    CASE WHEN $1::timestamptz IS NOT NULL THEN (SELECT a.before FROM herald.log_at($1) a) ELSE 0 END,
    CASE WHEN $2::timestamptz IS NOT NULL THEN (SELECT a.upto FROM herald.log_at($2) a) END
FROM herald.log_state s`

func (db *DB) span(ctx context.Context, q event.Query) (span, error) {
	var (
		s     span
		since event.Seq
		until *event.Seq
	)
	err := db.pool.QueryRow(ctx, logSpan, moment(q.Since), moment(q.Until)).Scan(&s.floor, &s.head, &since, &until)
	if err != nil {
		return s, fmt.Errorf("find a stretch of the log: %w", err)
	}
	if q.After > 0 && q.After < s.floor {
		return s, above(int64(s.floor), q.After)
	}
	s.low, s.high = max(s.floor, q.After, since), s.head
	if until != nil {
		s.high = min(s.high, *until)
	}
	if q.Before > 0 {
		s.high = min(s.high, q.Before-1)
	}
	return s, nil
}

// moment is a time for a statement; nil when there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// historyReading is a page being read.
type historyReading struct {
	db        *DB
	query     event.Query
	span      span
	statement statement
	page      event.Page
}

// Where no index leads from one event of a query to the next, the log is read in
// windows, so that each statement is short: first a small one, and then as large as can be
// read in a moment.
const (
	firstWindow = 4000
	mostWindow  = 1 << 40
	windowTime  = 100 * time.Millisecond
)

func (r *historyReading) run(ctx context.Context) error {
	r.page = event.Page{Floor: r.span.floor, Head: r.span.head, Reached: r.edge()}
	width, began := event.Seq(mostWindow), time.Now()
	if r.statement.sparse {
		width = firstWindow
	}
	for r.span.low < r.span.high && !r.page.More {
		took := time.Now()
		if err := r.window(ctx, width); err != nil {
			return err
		}
		width = nextWidth(width, time.Since(took))
		if r.query.Patience > 0 && time.Since(began) > r.query.Patience && r.span.low < r.span.high && !r.page.More {
			r.page.More, r.page.Partial = true, true
		}
	}
	return nil
}

// nextWidth is how wide the next window is after one that took so long.
func nextWidth[N ~int64](width N, took time.Duration) N {
	switch {
	case took < windowTime:
		return min(width*4, mostWindow)
	case took > 2*windowTime:
		return max(width/2, firstWindow)
	}
	return width
}

// edge is up to where the reading has come.
func (r *historyReading) edge() event.Seq {
	if r.query.Backward {
		return r.span.high + 1
	}
	return r.span.low
}

// window reads the next stretch of the span.
func (r *historyReading) window(ctx context.Context, width event.Seq) error {
	low, high := r.span.low, min(r.span.high, r.span.low+width)
	if r.query.Backward {
		low, high = max(r.span.low, r.span.high-width), r.span.high
	}
	missing := r.query.Limit - len(r.page.Events)
	args := append([]any{int64(low), int64(high), missing + 1}, r.statement.args...)
	var (
		events []event.Event
		err    error
	)
	if !r.query.Backward && (r.query.After > 0 || low > r.page.Floor) {
		events, err = r.db.eventsAbove(ctx, low, r.statement.sql, args...)
	} else {
		events, err = r.db.events(ctx, r.statement.sql, args...)
	}
	if err != nil {
		return err
	}
	if r.page.More = len(events) > missing; r.page.More {
		events = events[:missing]
	}
	r.page.Events = append(r.page.Events, events...)
	if r.query.Backward {
		r.span.high = low
	} else {
		r.span.low = high
	}
	if r.page.Reached = r.edge(); r.page.More && len(r.page.Events) > 0 {
		r.page.Reached = r.page.Events[len(r.page.Events)-1].Seq
	}
	return nil
}

// statement is a query's SQL, one for each set of filters, since all plans are
// made before the filters are known. Its first parameters are after which seq it
// reads, up to which, and how many events.
type statement struct {
	sql    string
	args   []any  // from the fourth on
	where  string // conditions on an event, beyond those that an index finds
	order  string
	sparse bool // an index does not find all that is asked for, and it may have to read far
}

// statement chooses the index that is read: a job's, a user's or a topic's events,
// else those of a few types, else all.
func (db *DB) statement(ctx context.Context, q event.Query) (statement, error) {
	st := statement{order: "seq"}
	if q.Backward {
		st.order = "seq DESC"
	}
	types, indexed, err := db.indexedTypes(ctx, q)
	if err != nil {
		return st, err
	}
	user := []event.Topic{event.UserTopic(q.User)}
	switch {
	case q.Job != uuid.Nil:
		st.concerning(q, q.User != "", len(q.Topics) > 0)
		st.types(q)
		st.ofJob(q.Job)
	case q.User != "":
		st.concerning(q, false, len(q.Topics) > 0)
		st.types(q)
		st.ofTopics(user)
	case len(q.Topics) > 0:
		st.types(q)
		st.ofTopics(q.Topics)
	case indexed:
		st.conditions(q)
		st.ofTypes(types)
	default:
		st.types(q)
		st.sql = `SELECT ` + eventColumns + ` FROM herald.events WHERE seq > $1 AND seq <= $2` + st.where + st.limit()
	}
	return st, nil
}

func (s *statement) limit() string { return ` ORDER BY ` + s.order + ` LIMIT $3` }

// arg adds a parameter and returns its name.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return "$" + strconv.Itoa(len(s.args)+3)
}

// add adds a condition that no index helps with.
func (s *statement) add(condition string, value any) {
	s.where += ` AND ` + fmt.Sprintf(condition, s.arg(value))
	s.sparse = true
}

// concerning adds what an index for something else does not find.
func (s *statement) concerning(q event.Query, user, topics bool) {
	if user {
		s.add(`topics && %s::text[]`, []string{string(event.UserTopic(q.User))})
	}
	if topics {
		s.add(`topics && %s::text[]`, texts(q.Topics))
	}
}

// types adds the condition on the type, and all others.
func (s *statement) types(q event.Query) {
	if len(q.Types) > 0 {
		patterns := make([]string, len(q.Types))
		for i, t := range q.Types {
			patterns[i] = strings.ReplaceAll(t, "_", `\_`) // a type has no other letter that LIKE would take for more
			if prefix, ok := strings.CutSuffix(patterns[i], "*"); ok {
				patterns[i] = prefix + "%"
			}
		}
		s.add(`type LIKE ANY (%s::text[])`, patterns)
	}
	s.conditions(q)
}

// conditions adds those that no index ever helps with.
func (s *statement) conditions(q event.Query) {
	sparse := s.sparse
	if !q.Since.IsZero() {
		s.add(`recorded_at >= %s`, q.Since)
	}
	if !q.Until.IsZero() {
		s.add(`recorded_at < %s`, q.Until)
	}
	s.sparse = sparse // nearly all of the span is between the two
	if q.Actor != "" {
		s.add(`actor = %s`, q.Actor)
	}
	if len(q.States) > 0 {
		s.add(`job_id IS NOT NULL AND payload ->> 'state' = ANY (%s::text[])`, q.States)
	}
	if q.Kind != "" { // what moves does not say its job's
		s.add(`job_id IS NOT NULL AND coalesce((SELECT j.kind FROM herald.jobs j WHERE j.id = job_id), payload ->> 'kind') = %s`, q.Kind)
	}
	for _, key := range slices.Sorted(maps.Keys(q.Metadata)) { // as event.MetadataOf reads it
		name := s.arg(key) + `::text`
		s.add(`json_typeof(payload -> 'metadata' -> `+name+`) IN ('string', 'number', 'boolean')
    AND payload -> 'metadata' ->> `+name+` = ANY (%s::text[])`, q.Metadata[key])
	}
	if q.Text != "" {
		s.add(`strpos(lower(concat_ws(chr(10), payload ->> 'message', payload ->> 'error')), lower(%s)) > 0`, q.Text)
	}
}

// ofJob reads a job's timeline: its own topic is the first of its events'.
func (s *statement) ofJob(id uuid.UUID) {
	topic, job := s.arg(string(event.JobTopic(id))), s.arg(id)
	s.sql = `SELECT ` + eventColumns + ` FROM herald.events
WHERE hashtextextended(topics[1], 0) = hashtextextended(` + topic + `, 0) AND topics[1] = ` + topic + ` AND job_id = ` + job + `
    AND seq > $1 AND seq <= $2` + s.where + s.limit()
}

// ofTopics reads each topic's stretches of the indexes, as eventListOfTopics does.
func (s *statement) ofTopics(of []event.Topic) {
	limit := s.limit()
	others := limit
	if s.where != "" {
		others = ` ORDER BY ` + s.order // how many of them meet the conditions is not known yet
	}
	wanted := s.arg(texts(of))
	s.sql = `
SELECT ` + eventColumns + ` FROM (
    SELECT DISTINCT ON (found.seq) found.*
    FROM unnest(` + wanted + `::text[]) AS wanted (topic)
    CROSS JOIN LATERAL (
        (SELECT ` + eventColumns + ` FROM herald.events
        WHERE hashtextextended(topics[1], 0) = hashtextextended(wanted.topic, 0) AND topics[1] = wanted.topic
            AND seq > $1 AND seq <= $2` + s.where + limit + `)
        UNION ALL
        (SELECT ` + eventColumns + ` FROM herald.events
        WHERE hashtextextended(topics[2], 0) = hashtextextended(wanted.topic, 0) AND topics[2] = wanted.topic
            AND seq > $1 AND seq <= $2` + s.where + limit + `)
        UNION ALL
        (SELECT event.* FROM (
            SELECT seq AS at FROM herald.event_topics WHERE topic = wanted.topic AND seq > $1 AND seq <= $2` + others + `
        ) others CROSS JOIN LATERAL (
            SELECT ` + eventColumns + ` FROM herald.events WHERE seq = others.at` + s.where + ` OFFSET 0
        ) event ORDER BY ` + strings.Replace(s.order, "seq", "others.at", 1) + ` LIMIT $3)
    ) found
    ORDER BY found.` + s.order + `
) events` + limit
}

// ofTypes reads each type's stretch of the index. Rows are compared as pairs, so that
// no plan reads on by seq alone, far too long for a type that is rare.
func (s *statement) ofTypes(types []string) {
	s.sql = `
SELECT found.* FROM unnest(` + s.arg(types) + `::text[]) AS wanted (type)
CROSS JOIN LATERAL (
    SELECT ` + eventColumns + ` FROM herald.events
    WHERE (type COLLATE "C", seq) > (wanted.type, $1) AND (type COLLATE "C", seq) <= (wanted.type, $2)
        AND type <> 'job.progress' AND seq > $1 AND seq <= $2` + s.where + `
    ORDER BY type COLLATE "C"` + strings.TrimPrefix(s.order, "seq") + `, ` + s.order + ` LIMIT $3
) found ORDER BY found.` + s.order + ` LIMIT $3`
}

// typesWithPrefix finds the types in the log that begin so, each by one look at an
// index.
const typesWithPrefix = `
WITH RECURSIVE found AS (
    (SELECT type FROM herald.events WHERE type <> 'job.progress' AND type COLLATE "C" >= $1 AND type COLLATE "C" < $2
    ORDER BY type COLLATE "C" LIMIT 1)
    UNION ALL
    SELECT (SELECT e.type FROM herald.events e
        WHERE e.type <> 'job.progress' AND e.type COLLATE "C" > found.type AND e.type COLLATE "C" < $2
        ORDER BY e.type COLLATE "C" LIMIT 1)
    FROM found WHERE found.type IS NOT NULL
)
SELECT type FROM found WHERE type IS NOT NULL LIMIT $3`

// mostTypes bounds from how many stretches of an index a page is merged.
const mostTypes = 60

// indexedTypes returns the types that a query means, if an index has them all and
// there are not too many.
func (db *DB) indexedTypes(ctx context.Context, q event.Query) (types []string, indexed bool, err error) {
	all := event.Filter{Types: q.Types}
	if len(q.Types) == 0 || q.Job != uuid.Nil || q.User != "" || len(q.Topics) > 0 || all.Match(event.JobProgress, nil) {
		return nil, false, nil
	}
	for _, t := range q.Types {
		prefix, open := strings.CutSuffix(t, "*")
		if !open {
			types = append(types, t)
			continue
		}
		rows, err := db.pool.Query(ctx, typesWithPrefix, prefix, strings.TrimSuffix(prefix, ".")+"/", mostTypes+1) // the slash follows the dot
		if err != nil {
			return nil, false, fmt.Errorf("list types: %w", err)
		}
		if types, err = pgx.AppendRows(types, rows, pgx.RowTo[string]); err != nil {
			return nil, false, fmt.Errorf("list types: %w", err)
		}
	}
	slices.Sort(types)
	types = slices.Compact(types)
	return types, len(types) <= mostTypes, nil
}

// Event reads one event. The error is event.ErrNotFound, or event.ErrTooOld when
// it is no longer kept.
func (db *DB) Event(ctx context.Context, seq event.Seq) (event.Event, error) {
	events, err := db.events(ctx, `SELECT `+eventColumns+` FROM herald.events WHERE seq = $1`, int64(seq))
	if err == nil && len(events) == 0 {
		if err = tooOld(ctx, db.pool, seq-1); err == nil {
			err = event.ErrNotFound
		}
	}
	if err != nil {
		return event.Event{}, fmt.Errorf("event %d: %w", seq, err)
	}
	return events[0], nil
}

// ExplainHistory is how Postgres reads the first window of a query: the plan, as it
// was run.
func (db *DB) ExplainHistory(ctx context.Context, q event.Query) (string, error) {
	s, err := db.span(ctx, q)
	if err != nil {
		return "", err
	}
	st, err := db.statement(ctx, q)
	if err != nil {
		return "", err
	}
	if st.sparse {
		s.low = max(s.low, s.high-firstWindow)
	}
	args := append([]any{int64(s.low), int64(s.high), q.Limit + 1}, st.args...)
	rows, err := db.pool.Query(ctx, `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY ON, BUFFERS) `+st.sql, args...)
	if err != nil {
		return "", fmt.Errorf("explain: %w", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}
