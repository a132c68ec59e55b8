-- name: JobInsert :exec
-- Inserts a job as Create made it.
INSERT INTO herald.jobs (id, kind, owner, title, state, max_attempts, version, steps, args, metadata, external, watchers, queue_id,
    created_by, callback_url, created_at, updated_at, lease_ms, likeness, standing)
VALUES (@id, @kind, @owner, @title, @state, @max_attempts, @version, @steps, @args, @metadata, @external, @watchers, @queue_id,
    @created_by, @callback_url, @created_at, @updated_at, @lease_ms, @likeness,
    herald.job_standing(@state, @external, 0, NULL));

-- name: JobGet :one
-- Reads a job.
SELECT sqlc.embed(job) FROM herald.jobs job WHERE id = @id;

-- name: JobGetForUpdate :one
-- Locks and reads a job. Its events are ordered by this lock, so it comes before the outbox in every transaction.
SELECT sqlc.embed(job), now()::timestamptz AS now FROM herald.jobs job WHERE id = @id FOR NO KEY UPDATE;

-- name: JobUpdate :exec
-- Writes all that may change of a job.
UPDATE herald.jobs SET
    state = @state, stalled = @stalled, attempt = @attempt, max_attempts = @max_attempts, version = @version,
    progress = @progress, step = @step, steps = @steps, processed = @processed, total = @total, unit = @unit,
    message = @message, remaining_ms = @remaining_ms, details = @details, error = @error, retry_at = @retry_at,
    result = @result, metadata = @metadata, queue_id = @queue_id, worker = @worker, claimed_by = @claimed_by, started_at = @started_at, heartbeat_at = @heartbeat_at,
    updated_at = @updated_at, finished_at = @finished_at, artifacts_expired_at = @artifacts_expired_at,
    next_due_at = @next_due_at, cancel_asked_at = @cancel_asked_at, attempt_started_at = @attempt_started_at, pace = @pace,
    usual_ms = @usual_ms, standing = herald.job_standing(@state, external, river_id, @heartbeat_at)
WHERE id = @id;

-- name: JobDelete :exec
-- Removes a job and, with it, the rows of its artifacts.
DELETE FROM herald.jobs WHERE id = @id;

-- name: JobList :many
-- Lists an owner's jobs, newest first, from before the given id on. An empty filter matches all.
SELECT sqlc.embed(job) FROM herald.jobs job
WHERE owner = @owner
    AND id < @before
    AND (cardinality(@states::text[]) = 0 OR state = ANY(@states::text[]))
    AND (@kind::text = '' OR kind = @kind::text)
    AND (@title_like::text = '' OR title ILIKE @title_like::text)
ORDER BY id DESC
LIMIT @page_size;

-- name: JobListActive :many
-- Lists the jobs that have not ended of those owners and with those ids, newest first.
SELECT sqlc.embed(job) FROM herald.jobs job
WHERE (owner = ANY(@owners::text[]) OR id = ANY(@ids::uuid[]))
    AND standing < 4
ORDER BY id DESC
LIMIT @page_size;

-- name: JobListClaimable :many
-- Lists the jobs that wait for a worker elsewhere and may begin now, oldest first of each kind, from after the given id on.
SELECT sqlc.embed(job) FROM herald.jobs job
WHERE standing = 2 AND kind = ANY(@kinds::text[])
    AND (retry_at IS NULL OR retry_at <= now())
    AND id > @after
ORDER BY id
LIMIT @page_size;

-- name: JobCountClaimable :many
-- Counts, up to a bound, the jobs of each kind that wait for a worker elsewhere and may begin now.
SELECT k.kind::text AS kind, (SELECT count(*) FROM (
    SELECT FROM herald.jobs j
    WHERE j.standing = 2 AND j.kind = k.kind AND (j.retry_at IS NULL OR j.retry_at <= now())
    LIMIT @bound) waiting)::integer AS jobs
FROM unnest(@kinds::text[]) AS k (kind);

-- name: JobNext :one
-- Locks the oldest job of the kinds that waits for a worker elsewhere, past those that others are about to take. One of
-- each kind is locked to find it.
SELECT oldest.id FROM unnest(@kinds::text[]) AS k (kind), LATERAL (
    SELECT j.id FROM herald.jobs j
    WHERE j.standing = 2 AND j.kind = k.kind AND (j.retry_at IS NULL OR j.retry_at <= now())
    ORDER BY j.id
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED) oldest
ORDER BY oldest.id
LIMIT 1;

-- name: JobUsual :one
-- Reads how long the last jobs of a kind and likeness took, in milliseconds: those in which 10, 90 and 95 % were done.
SELECT count(*)::integer AS jobs,
    coalesce(percentile_disc(ARRAY[0.1, 0.9, 0.95]) WITHIN GROUP (ORDER BY took.ms), '{0,0,0}')::double precision[] AS usual_ms
FROM (
    SELECT herald.elapsed_ms(j.attempt_started_at, j.finished_at) AS ms FROM herald.jobs j
    WHERE j.kind = @kind AND j.likeness = @likeness AND j.standing = 5 AND j.attempt_started_at IS NOT NULL
    ORDER BY j.finished_at DESC
    LIMIT @last) took;

-- name: JobListSilent :many
-- Lists the jobs whose workers have been silent for longer than they may, from after the given id on: job.Job.Silent says
-- what comes of it.
SELECT id FROM herald.jobs
WHERE standing = 3 AND id > @after
    AND (NOT stalled AND coalesce(next_due_at, heartbeat_at + make_interval(secs => @silence_s::double precision)) <= now()
        OR NOT @spare::boolean AND river_id = 0
            AND greatest(heartbeat_at, next_due_at) + coalesce(lease_ms, @lease_ms::bigint) * interval '1 ms' <= now()
        OR state = 'cancelling' AND river_id = 0 AND cancel_asked_at + make_interval(secs => @cancel_s::double precision) <= now())
ORDER BY id
LIMIT @page_size;
