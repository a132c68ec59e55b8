-- title: Jobs
-- description: Jobs as their workers last reported them, the oldest first.
-- roles: user, support, admin
-- timeout: 6h
-- param: owner owner
-- param: job uuid Only that job.
-- param: user text Only jobs of that user.
-- param: kind text Only jobs of that kind.
-- param: state text[] in=queued,running,retrying,cancelling,succeeded,failed,cancelled Only jobs in one of these states.
-- param: since timestamptz Only jobs made then or later.
-- param: until timestamptz Only jobs made before then.
SELECT j.id, j.kind, j.owner, j.title, j.state, j.stalled, j.attempt, j.max_attempts, j.version, j.progress, j.step, j.processed,
    j.total, j.unit, j.message, j.error, j.worker, j.created_at, j.started_at, j.updated_at, j.finished_at, j.retry_at, j.args, j.result
FROM herald.jobs j
WHERE ($1::text IS NULL OR j.owner = $1)
    AND ($2::uuid IS NULL OR j.id = $2)
    AND ($3::text IS NULL OR j.owner = $3)
    AND ($4::text IS NULL OR j.kind = $4)
    AND ($5::text[] IS NULL OR j.state = ANY ($5))
    AND ($6::timestamptz IS NULL OR j.created_at >= $6)
    AND ($7::timestamptz IS NULL OR j.created_at < $7)
ORDER BY j.id
