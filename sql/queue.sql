-- name: QueueListLost :many
-- Lists the queue's entries in the hands of a node that is gone, that has been silent for longer than it may, or that
-- has started anew since. The job is the one that the entry is to run now; none when that has moved on.
SELECT r.id, r.queue, j.id AS job_id FROM herald_queue.river_job r
LEFT JOIN herald.jobs j ON j.queue_id = r.id AND j.queue_id <> 0
WHERE r.state = 'running'
    AND NOT EXISTS (
        SELECT FROM herald.nodes n
        WHERE n.id = r.attempted_by[cardinality(r.attempted_by)]
            AND n.started_at <= r.attempted_at
            AND n.heartbeat_at > now() - make_interval(secs => @silence_s::double precision))
ORDER BY r.id
LIMIT @page_size;

-- name: QueueAbandon :execrows
-- Takes an entry out of the hands of a worker that is gone, so that nobody counts or rescues it again.
UPDATE herald_queue.river_job SET state = 'cancelled', finalized_at = now() WHERE id = @id AND state = 'running';

-- name: QueueReturn :exec
-- Takes an errand out of the hands of a worker that is gone, and puts it back: nobody knows how far it came. That is not
-- held against it.
UPDATE herald_queue.river_job SET state = 'available', scheduled_at = now(), max_attempts = max_attempts + 1
WHERE id = @id AND state = 'running';

-- name: QueueCountCallbacks :one
-- Counts the callbacks that have not got through, up to a bound, and says how long the oldest of those that wait has
-- done so.
SELECT count(*) FILTER (WHERE c.waits) AS waiting, count(*) FILTER (WHERE NOT c.waits) AS given_up,
    coalesce(extract(epoch FROM now() - min(c.created_at) FILTER (WHERE c.waits)), 0)::double precision AS oldest_s
FROM (
    SELECT r.created_at, r.state NOT IN ('discarded', 'cancelled') AS waits FROM herald_queue.river_job r
    WHERE r.kind = 'callback' AND r.state IN ('available', 'retryable', 'running', 'scheduled', 'discarded', 'cancelled')
    LIMIT @most) AS c;

-- name: ActorSet :exec
-- Says who causes what River's triggers record in this transaction.
SELECT set_config('herald.actor', @actor::text, TRUE);
