-- name: QueueListLost :many
-- Lists the queue's entries in the hands of a node that is gone, that has been silent for longer than it may, or that
-- has started anew since. The job is the one that the entry is to run now; none when that has moved on.
SELECT r.id, j.id AS job_id FROM herald_queue.river_job r
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
