-- name: OutboxInsert :exec
-- Puts an event into the outbox. The caller holds the lock on the job's row.
INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, created_at, payload)
VALUES (@event_id, @type, @topics, @job_id, @job_version, @actor, @created_at, @payload);
