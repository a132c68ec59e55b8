package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/absent"
	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

const (
	// absencePage is of how many events it is decided at once.
	absencePage = 200
	// absenceLate is for how long it is made good that nobody decided. What is older
	// than that is no news to anybody.
	absenceLate = 24 * time.Hour
)

// endings are the ends of jobs that come next in the log and are due, and whether
// their owner has acknowledged them: on a stream that follows them or the job, that
// one or a later one. Each type is read by an index of its own, so that neither
// progress nor a long log costs anything.
const endings = `SELECT e.seq, e.id, e.type, e.job_id, e.created_at, e.recorded_at, e.payload, e.payload ->> 'owner' AS owner,
    e.recorded_at <= now() - make_interval(secs => $2 + $3) OR EXISTS (
        SELECT FROM herald.connections c WHERE c.user_id = e.payload ->> 'owner'
            AND c.topics && ARRAY['user:' || (e.payload ->> 'owner'), 'job:' || e.job_id::text]
            AND LEAST(c.acked_seq, c.written_seq) >= e.seq) AS over
FROM unnest(ARRAY['job.succeeded', 'job.failed', 'job.cancelled']) AS ending (type), LATERAL (
    SELECT * FROM herald.events e
    WHERE e.type COLLATE "C" = ending.type AND e.type <> 'job.progress' AND e.seq > $1
        AND e.recorded_at <= now() - make_interval(secs => $2)
    ORDER BY e.seq LIMIT $4) AS e
ORDER BY e.seq LIMIT $4`

// ended is a row of endings.
type ended struct {
	seq       int64
	id        uuid.UUID
	kind      string
	job       uuid.UUID
	createdAt time.Time
	recorded  time.Time
	payload   json.RawMessage
	owner     string
	over      bool // nobody is to be told
}

// Absences decides of the ends of jobs that come next whether their owner was
// absent, and enqueues what they are told, in one transaction, under a lock that one
// node has at a time. Before the first decision, all that is in the log is known.
func (db *DB) Absences(ctx context.Context, r absent.Rule) (told int, more bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		told, more = 0, false
		q := dbsqlc.New(tx)
		locked, err := q.AbsenceLock(ctx)
		if err != nil || len(locked) == 0 { // another node decides
			return err
		}
		if locked[0] == nil {
			bounds, err := q.LogBounds(ctx)
			if err != nil {
				return err
			}
			return q.AbsenceMove(ctx, bounds.Head)
		}
		rows, err := tx.Query(ctx, endings, *locked[0], r.After.Seconds(), absenceLate.Seconds(), absencePage)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e ended, err error) {
			return e, row.Scan(&e.seq, &e.id, &e.kind, &e.job, &e.createdAt, &e.recorded, &e.payload, &e.owner, &e.over)
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			n, err := tellAbsentTx(ctx, q, e, r.Media)
			if err != nil {
				return err
			}
			told += n
		}
		more = len(list) == absencePage
		if err := q.AbsenceForget(ctx); err != nil {
			return err
		}
		return q.AbsenceMove(ctx, list[len(list)-1].seq)
	})
	if err != nil {
		return 0, false, fmt.Errorf("decide who was absent: %w", err)
	}
	return told, more, nil
}

// tellAbsentTx enqueues what the owner of a job is told of its end, once, and
// returns how many messages that are.
func tellAbsentTx(ctx context.Context, q *dbsqlc.Queries, e ended, media []string) (int, error) {
	if e.over || e.owner == "" || e.owner == job.Herald {
		return 0, nil
	}
	entered, err := q.AbsenceInsert(ctx, dbsqlc.AbsenceInsertParams{Seq: e.seq, UserID: e.owner, JobID: e.job})
	if err != nil || entered == 0 {
		return 0, err
	}
	for _, medium := range media {
		args, err := messageOf(e, medium)
		if err != nil {
			return 0, err
		}
		if err := q.AbsenceEnqueue(ctx, args); err != nil {
			return 0, err
		}
	}
	return len(media), nil
}

// messageOf is what the owner is told, as the queue has it.
func messageOf(e ended, medium string) ([]byte, error) {
	var said struct {
		Title string `json:"title"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(e.payload, &said); err != nil {
		return nil, err
	}
	m := absent.Message{
		ID: "msg_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", ""), Medium: medium, User: e.owner, JobID: e.job,
		Seq: event.Seq(e.seq), Told: event.Type(e.kind), Title: said.Title, Error: said.Error, At: e.createdAt.UTC(),
	}
	if medium == job.ByWebhook {
		body, err := json.Marshal(map[string]any{
			"type": "absent", "timestamp": time.Now().UTC(), "data": map[string]any{
				"user": e.owner, "event": map[string]any{"seq": e.seq, "id": e.id, "type": e.kind, "time": e.createdAt.UTC(), "data": e.payload},
			},
		})
		if err != nil {
			return nil, err
		}
		m.Body = string(body)
	}
	return json.Marshal(m)
}

// AbsenceOver reports whether the user has acknowledged the event meanwhile.
func (db *DB) AbsenceOver(ctx context.Context, m absent.Message) (bool, error) {
	over, err := db.queries().AbsenceOver(ctx, dbsqlc.AbsenceOverParams{UserID: m.User, JobID: m.JobID.String(), Seq: int64(m.Seq)})
	if err != nil {
		return false, fmt.Errorf("look whether %s has come back: %w", m.User, err)
	}
	return over, nil
}
