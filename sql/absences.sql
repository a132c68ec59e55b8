-- name: AbsenceLock :many
-- Locks the row that says how far it is decided who was absent; none when another node decides.
SELECT seq FROM herald.absence_state FOR UPDATE SKIP LOCKED;

-- name: AbsenceMove :exec
-- Notes how far it is decided.
UPDATE herald.absence_state SET seq = @seq::bigint;

-- name: AbsenceInsert :execrows
-- Enters that a user was absent, once.
INSERT INTO herald.absences (seq, user_id, job_id) VALUES (@seq, @user_id, @job_id) ON CONFLICT DO NOTHING;

-- name: AbsenceEnqueue :exec
-- Enqueues a message. 12 tries take a bit over a day.
INSERT INTO herald_queue.river_job (kind, queue, max_attempts, args) VALUES ('absence', 'errands', 12, @args);

-- name: AbsenceForget :exec
-- Removes some that were entered long ago.
DELETE FROM herald.absences WHERE (seq, user_id) IN (
    SELECT old.seq, old.user_id FROM herald.absences old WHERE old.decided_at < now() - interval '30 days'
    ORDER BY old.decided_at LIMIT 1000);

-- name: AbsenceOver :one
-- Reports whether the user has acknowledged the event, or a later one, on a stream that follows them or the job.
SELECT EXISTS (
    SELECT FROM herald.connections c WHERE c.user_id = @user_id AND c.topics && ARRAY['user:' || @user_id, 'job:' || @job_id::text]
        AND LEAST(c.acked_seq, c.written_seq) >= @seq::bigint)::boolean;
