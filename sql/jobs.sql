-- name: JobInsert :exec
-- Inserts a job as Create made it.
INSERT INTO herald.jobs (id, kind, owner, title, state, max_attempts, version, steps, args, metadata, external, watchers, queue_id,
    created_by, callback_url, created_at, updated_at)
VALUES (@id, @kind, @owner, @title, @state, @max_attempts, @version, @steps, @args, @metadata, @external, @watchers, @queue_id,
    @created_by, @callback_url, @created_at, @updated_at);

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
    updated_at = @updated_at, finished_at = @finished_at, artifacts_expired_at = @artifacts_expired_at
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
ORDER BY id DESC
LIMIT @page_size;

-- name: JobListActive :many
-- Lists the jobs that have not ended of those owners and with those ids, newest first.
SELECT sqlc.embed(job) FROM herald.jobs job
WHERE (owner = ANY(@owners::text[]) OR id = ANY(@ids::uuid[]))
    AND state IN ('queued', 'running', 'retrying', 'cancelling')
ORDER BY id DESC
LIMIT @page_size;

-- name: JobListSilent :many
-- Lists the jobs whose workers have said nothing for longer than they may.
SELECT id FROM herald.jobs
WHERE state IN ('running', 'cancelling') AND NOT stalled
    AND heartbeat_at < now() - make_interval(secs => @silence_s::double precision)
ORDER BY id
LIMIT @page_size;
