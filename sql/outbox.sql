-- name: OutboxInsert :exec
-- Puts an event into the outbox. The caller holds the lock on the job's row.
INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, created_at, payload)
VALUES (@event_id, @type, @topics, @job_id, @job_version, @actor, @created_at, @payload);

-- name: OutboxBacklog :one
-- Counts what waits in the outbox, up to a bound, and reads how long its oldest row has.
SELECT (SELECT count(*) FROM (SELECT FROM herald.outbox LIMIT @bound) counted) AS waiting,
    coalesce((SELECT extract(epoch FROM clock_timestamp() - o.created_at) FROM herald.outbox o ORDER BY o.id LIMIT 1), 0)::double precision AS oldest_s;
