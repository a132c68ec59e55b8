package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/job"
)

// jobCurve reads the last event of each of as many equal stretches of the log as
// there are to be points, by a look at an index for each: it costs no more for a
// job of a million events than for one of a thousand.
const jobCurve = `
WITH ends AS (
    SELECT (SELECT seq FROM herald.events` + eventOfJob + ` ORDER BY seq LIMIT 1) - 1 AS before,
        (SELECT seq FROM herald.events` + eventOfJob + ` ORDER BY seq DESC LIMIT 1) AS last
)
SELECT found.seq, found.created_at,
    coalesce((found.payload ->> 'attempt')::integer, 0), coalesce((found.payload ->> 'progress')::double precision, 0)
FROM ends CROSS JOIN generate_series(1, $3::bigint) AS part (n)
CROSS JOIN LATERAL (
    SELECT seq, created_at, payload FROM herald.events` + eventOfJob + `
        AND seq > before + (last - before) * (n - 1) / $3 AND seq <= before + (last - before) * n / $3
        AND type IN ('job.started', 'job.progress', 'job.message', 'job.step', 'job.stalled', 'job.resumed', 'job.retrying',
            'job.cancelling', 'job.cancelled', 'job.succeeded', 'job.failed')
    ORDER BY seq DESC LIMIT 1
) found
ORDER BY found.seq`

// Curve reads how far the job was when, from what is kept of its events: at most
// so many points, in order, the last event of its attempts among them.
func (db *DB) Curve(ctx context.Context, id uuid.UUID, points int) ([]job.Point, error) {
	rows, err := db.pool.Query(ctx, jobCurve, string(event.JobTopic(id)), id, points)
	if err != nil {
		return nil, fmt.Errorf("read the curve of job %s: %w", id, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job.Point])
	if err != nil {
		return nil, fmt.Errorf("read the curve of job %s: %w", id, err)
	}
	return list, nil
}
