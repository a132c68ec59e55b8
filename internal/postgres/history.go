package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

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
	st, err := db.statement(ctx, q, s)
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
	err := db.readInOrder(ctx, func(batch *pgx.Batch) {
		batch.Queue(logSpan, moment(q.Since), moment(q.Until)).QueryRow(func(row pgx.Row) error {
			return row.Scan(&s.floor, &s.head, &since, &until)
		})
	})
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

// Where no index leads from one event of a query to the next, events are looked
// through in steps, so that each statement is short however they are spread over the
// log: at first a small one, and then as large as is looked through in a moment.
const (
	firstStep = 4000 // events
	mostStep  = 1 << 40
	stepTime  = 100 * time.Millisecond
)

func (r *historyReading) run(ctx context.Context) error {
	r.page = event.Page{Floor: r.span.floor, Head: r.span.head, Reached: r.edge()}
	fewest, began := r.statement.first(), time.Now()
	step := fewest
	for r.span.low < r.span.high && !r.page.More {
		took := time.Now()
		if err := r.step(ctx, step); err != nil {
			return err
		}
		step = nextStep(step, fewest, time.Since(took))
		if r.query.Patience > 0 && time.Since(began) > r.query.Patience && r.span.low < r.span.high && !r.page.More {
			r.page.More, r.page.Partial = true, true
		}
	}
	return nil
}

// nextStep is how large the next step is after one that took so long.
func nextStep[N ~int | ~int64](step, fewest N, took time.Duration) N {
	switch {
	case took < stepTime:
		return min(step*4, mostStep)
	case took > 2*stepTime:
		return max(step/2, fewest)
	}
	return step
}

// edge is up to where the reading has come.
func (r *historyReading) edge() event.Seq {
	if r.query.Backward {
		return r.span.high + 1
	}
	return r.span.low
}

// step reads on in the span, through so many events at most.
func (r *historyReading) step(ctx context.Context, most int) error {
	missing := r.query.Limit - len(r.page.Events)
	args := r.statement.values(r.span, missing+1, most)
	read := r.db.eventsInOrder
	if low := r.span.low; !r.query.Backward && (r.query.After > 0 || low > r.page.Floor) {
		read = func(ctx context.Context, sql string, args ...any) ([]event.Event, error) {
			return r.db.eventsAbove(ctx, low, sql, args...)
		}
	}
	events, err := read(ctx, r.statement.sql(), args...)
	if err != nil {
		return err
	}
	next := r.span
	if next.low, next.high = r.span.high, r.span.high; r.query.Backward {
		next.low, next.high = r.span.low, r.span.low
	}
	if n := len(events); n > 0 && events[n-1].Type == unread {
		next = r.span
		if next.high = events[n-1].Seq; !r.query.Backward {
			next.low, next.high = events[n-1].Seq-1, r.span.high
		}
		events = events[:n-1]
	}
	if r.page.More = len(events) > missing; r.page.More {
		events = events[:missing]
	}
	r.page.Events = append(r.page.Events, events...)
	r.span = next
	if r.page.Reached = r.edge(); r.page.More && len(r.page.Events) > 0 {
		r.page.Reached = r.page.Events[len(r.page.Events)-1].Seq
	}
	return nil
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

// ExplainHistory is how Postgres reads the first step of a query: the plan, as it
// was run.
func (db *DB) ExplainHistory(ctx context.Context, q event.Query) (string, error) {
	return db.explainHistory(ctx, q, "force_generic_plan")
}

// explainHistory has the plan made in the mode: before the values are known, as our own
// connections have it, or with them, as a pooler's may.
func (db *DB) explainHistory(ctx context.Context, q event.Query, mode string) (plan string, err error) {
	s, err := db.span(ctx, q)
	if err != nil {
		return "", err
	}
	st, err := db.statement(ctx, q, s)
	if err != nil {
		return "", err
	}
	args := st.values(s, q.Limit+1, st.first())
	names := make([]string, len(args))
	for i := range args {
		names[i] = "$" + strconv.Itoa(i+1)
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		for _, sql := range []string{
			inOrder, `SET LOCAL plan_cache_mode = ` + mode, `PREPARE herald_explained AS ` + st.sql(),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY ON, BUFFERS) EXECUTE herald_explained (`+
			strings.Join(names, ", ")+`)`, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		plan = strings.Join(lines, "\n")
		_, err = tx.Exec(ctx, `DEALLOCATE herald_explained`)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("explain: %w", err)
	}
	return plan, nil
}
