package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
)

// statement is a query's SQL, one for each set of filters, since all plans are
// made before the filters are known. Its first parameters are after which seq it
// reads, up to which, how many events, and out of how many that an index finds.
type statement struct {
	order   string
	once    string   // so that no event is read twice
	span    string   // conditions that nearly all of the span meets
	found   string   // what an index finds
	parts   int      // of how many stretches of an index that is
	where   []string // conditions on an event besides
	args    []any    // from the fifth on
	ofFound int      // how many of them are for what an index finds
}

// unread is the type of a row that is no event: the first one that was not looked at
// any more, when a statement has looked through as many as it may.
const unread event.Type = ""

// values are the statement's arguments.
func (s *statement) values(of span, limit, most int) []any {
	if len(s.where) == 0 {
		most = limit
	} else {
		most++ // the one that is unread
	}
	return append([]any{int64(of.low), int64(of.high), limit, most}, s.args...)
}

// first is how many events are looked through at first: of each stretch as many are
// read, and sorted if there are several.
func (s *statement) first() int { return max(firstStep/max(s.parts, 1), 100) }

// statement chooses the index that is read: a job's, a user's or a topic's events,
// those of a few types, or all.
func (db *DB) statement(ctx context.Context, q event.Query, over span) (statement, error) {
	types, indexed, err := db.indexedTypes(ctx, q)
	if err != nil {
		return statement{}, err
	}
	all := q.User == "" && len(q.Topics) == 0
	switch {
	case q.Job != uuid.Nil:
		return statementOfJob(q), nil
	case all && !indexed:
		return statementOfAll(q), nil
	case all:
		return statementOfTypes(q, types), nil
	case !indexed:
		return statementOfTopics(q), nil
	}
	return db.rarer(ctx, q.Backward, over, statementOfTopics(q), statementOfTypes(q, types))
}

// newStatement returns one that has still to be told what it reads.
func newStatement(q event.Query) statement {
	s := statement{order: "seq", parts: 1}
	if q.Backward {
		s.order = "seq DESC"
	}
	if !q.Since.IsZero() {
		s.span += ` AND recorded_at >= ` + s.arg(q.Since)
	}
	if !q.Until.IsZero() {
		s.span += ` AND recorded_at < ` + s.arg(q.Until)
	}
	return s
}

// statementOfAll reads the log itself.
func statementOfAll(q event.Query) statement {
	s := newStatement(q)
	s.read(`(SELECT ` + eventColumns + ` FROM herald.events WHERE seq > $1 AND seq <= $2` + s.span + s.limit() + `)`)
	s.types(q)
	s.conditions(q)
	return s
}

// statementOfJob reads a job's timeline: its own topic is the first of its events'.
func statementOfJob(q event.Query) statement {
	s := newStatement(q)
	topic, id := s.arg(string(event.JobTopic(q.Job))), s.arg(q.Job)
	s.read(`(SELECT ` + eventColumns + ` FROM herald.events
    WHERE ` + fmt.Sprintf(topicIsFirst, topic) + ` AND job_id = ` + id + `
        AND seq > $1 AND seq <= $2` + s.span + s.limit() + `)`)
	s.concerning(event.UserTopic(q.User))
	s.concerning(q.Topics...)
	s.types(q)
	s.conditions(q)
	return s
}

// statementOfTopics reads each topic's stretches of three indexes, as
// eventListOfTopics does.
func statementOfTopics(q event.Query) statement {
	s := newStatement(q)
	s.once = `DISTINCT ON (seq) `
	of, besides := q.Topics, []event.Topic(nil)
	if q.User != "" {
		of, besides = []event.Topic{event.UserTopic(q.User)}, q.Topics
	}
	s.readEach(texts(of), `(SELECT `+eventColumns+` FROM herald.events
    WHERE `+topicIsFirst+`
        AND seq > $1 AND seq <= $2`+s.span+s.limit()+`)
    UNION ALL
    (SELECT `+eventColumns+` FROM herald.events
    WHERE `+topicIsSecond+`
        AND seq > $1 AND seq <= $2`+s.span+s.limit()+`)
    UNION ALL
    (SELECT other.seq, `+eventColumnsBesides+` FROM herald.event_topics other
    CROSS JOIN LATERAL (
        SELECT `+eventColumnsBesides+` FROM herald.events e WHERE e.seq = other.seq`+s.span+` OFFSET 0
    ) event
    WHERE other.topic = %[1]s AND other.seq > $1 AND other.seq <= $2 ORDER BY other.`+s.order+` LIMIT $4)`)
	s.concerning(besides...)
	s.types(q)
	s.conditions(q)
	return s
}

// statementOfTypes reads each type's stretch of the index. Rows are compared as pairs,
// so that no plan reads on by seq alone, far too long for a type that is rare.
func statementOfTypes(q event.Query, types []string) statement {
	s := newStatement(q)
	s.readEach(types, `(SELECT `+eventColumns+` FROM herald.events
    WHERE (type COLLATE "C", seq) > (%[1]s, $1) AND (type COLLATE "C", seq) <= (%[1]s, $2) AND type <> 'job.progress'
        AND seq > $1 AND seq <= $2`+s.span+`
    ORDER BY type COLLATE "C"`+strings.TrimPrefix(s.order, "seq")+`, `+s.order+` LIMIT $4)`)
	s.concerning(event.UserTopic(q.User))
	s.concerning(q.Topics...)
	s.conditions(q)
	return s
}

func (s *statement) limit() string { return ` ORDER BY ` + s.order + ` LIMIT $4` }

// arg adds a parameter and returns its name.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return "$" + strconv.Itoa(len(s.args)+4)
}

// add adds a condition that no index helps with.
func (s *statement) add(condition string, value any) {
	s.where = append(s.where, fmt.Sprintf(condition, s.arg(value)))
}

// concerning adds that an event concerns any of the topics, of which there may be none.
func (s *statement) concerning(topics ...event.Topic) {
	if len(topics) > 0 && topics[0] != event.UserTopic("") {
		s.add(`topics && %s::text[]`, texts(topics))
	}
}

// types adds the condition on the type.
func (s *statement) types(q event.Query) {
	if len(q.Types) == 0 {
		return
	}
	patterns := make([]string, len(q.Types))
	for i, t := range q.Types {
		patterns[i] = strings.ReplaceAll(t, "_", `\_`) // a type has no other letter that LIKE would take for more
		if prefix, ok := strings.CutSuffix(patterns[i], "*"); ok {
			patterns[i] = prefix + "%"
		}
	}
	s.add(`type LIKE ANY (%s::text[])`, patterns)
}

// conditions adds those that no index ever helps with, what costs little before what
// costs more.
func (s *statement) conditions(q event.Query) {
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
		s.add(`payload -> 'metadata' ->> `+name+` = ANY (%s::text[])
    AND json_typeof(payload -> 'metadata' -> `+name+`) IN ('string', 'number', 'boolean')`, q.Metadata[key])
	}
	if q.Text != "" {
		s.add(`strpos(lower(concat_ws(chr(10), payload ->> 'message', payload ->> 'error')), lower(%s)) > 0`, q.Text)
	}
}

// readEach reads the part for each of the values, which stands where %[1]s does.
// Postgres merges what comes in order of a few parts, and sorts what comes of a list.
func (s *statement) readEach(values []string, part string) {
	const few = 4
	if s.parts = len(values); s.parts > few || s.parts == 0 {
		s.read(`unnest(` + s.arg(values) + `::text[]) AS wanted (value) CROSS JOIN LATERAL (` + fmt.Sprintf(part, "wanted.value") + `)`)
		return
	}
	parts := make([]string, len(values))
	for i, value := range values {
		parts[i] = fmt.Sprintf(part, s.arg(value)+"::text")
	}
	s.read(`(` + strings.Join(parts, "\n    UNION ALL\n    ") + `)`)
}

// read says what the events are read from.
func (s *statement) read(from string) {
	s.found = `SELECT ` + s.once + eventColumns + ` FROM ` + from + ` part ORDER BY ` + s.order
	s.ofFound = len(s.args)
}

// sql is the statement itself. Where there are conditions, it looks at no more events
// than it may, and says by a row of its own where it has stopped: how many have to be
// looked at until enough meet them, nobody knows.
func (s *statement) sql() string {
	if len(s.where) == 0 {
		return s.found + ` LIMIT $3`
	}
	return `
SELECT ` + strings.Replace(eventColumns, "type", "CASE WHEN nth < $4 THEN type ELSE '' END AS type", 1) + `
FROM (
    SELECT ` + eventColumns + `, row_number() OVER (ORDER BY ` + s.order + `) AS nth FROM (` + s.found + ` LIMIT $4) found
) looked
WHERE nth = $4 OR ` + strings.Join(s.where, "\n    AND ") + `
ORDER BY ` + s.order + ` LIMIT $3`
}

// rarer returns the one of two statements whose events are fewer, where the reading
// begins: so many of them, at most, are counted by a look at its index. To read those
// of a type out of all that a topic has could mean to look at all, and the other way
// round.
func (db *DB) rarer(ctx context.Context, backward bool, over span, one, other statement) (statement, error) {
	const looked = 500
	edge := `min(seq) ELSE $1`
	if !backward {
		edge = `max(seq) ELSE $2`
	}
	var reach [2]event.Seq
	err := db.readInOrder(ctx, func(batch *pgx.Batch) {
		for i, s := range []statement{one, other} {
			args := append([]any{int64(over.low), int64(over.high), looked, looked}, s.args[:s.ofFound]...)
			batch.Queue(`SELECT CASE WHEN count(*) = $3::bigint THEN `+edge+`::bigint END FROM (`+s.found+` LIMIT $4) found`, args...).
				QueryRow(func(row pgx.Row) error { return row.Scan(&reach[i]) })
		}
	})
	if err != nil {
		return one, fmt.Errorf("find which events are fewer: %w", err)
	}
	if backward && reach[1] < reach[0] || !backward && reach[1] > reach[0] {
		return other, nil
	}
	return one, nil
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
	if len(q.Types) == 0 || q.Job != uuid.Nil || all.Match(event.JobProgress, nil) {
		return nil, false, nil
	}
	for _, t := range q.Types {
		prefix, open := strings.CutSuffix(t, "*")
		if !open {
			types = append(types, t)
			continue
		}
		end := strings.TrimSuffix(prefix, ".") + "/" // the slash follows the dot
		err := db.readInOrder(ctx, func(batch *pgx.Batch) {
			batch.Queue(typesWithPrefix, prefix, end, mostTypes+1).Query(func(rows pgx.Rows) (err error) {
				types, err = pgx.AppendRows(types, rows, pgx.RowTo[string])
				return err
			})
		})
		if err != nil {
			return nil, false, fmt.Errorf("list types: %w", err)
		}
	}
	slices.Sort(types)
	types = slices.Compact(types)
	return types, len(types) <= mostTypes, nil
}
