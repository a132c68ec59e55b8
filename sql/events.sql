-- name: LogHead :one
-- Reads the last seq given.
SELECT seq FROM herald.log_state;

-- name: LogBounds :one
-- Reads the last seq given and the seq before the oldest that is still in the log.
SELECT s.seq AS head, coalesce((SELECT min(e.seq) - 1 FROM herald.events e), s.seq)::bigint AS floor FROM herald.log_state s;

-- name: EventListAfter :many
-- Reads the log in order.
SELECT sqlc.embed(event) FROM herald.events event WHERE seq > @after ORDER BY seq LIMIT @page_size;

-- name: EventListOfTopics :many
-- Reads what concerns any of the topics, in order, once each. Each topic's rows come from its own stretch of the
-- index, so the cost is that of a page however long the log is.
SELECT sqlc.embed(event) FROM herald.events event
WHERE seq IN (
    SELECT DISTINCT t.seq
    FROM unnest(@topics::text[]) AS wanted (topic)
    CROSS JOIN LATERAL (
        SELECT et.seq FROM herald.event_topics et
        WHERE et.topic = wanted.topic AND et.seq > @after AND et.seq <= @upto
        ORDER BY et.seq
        LIMIT @page_size
    ) t
    ORDER BY t.seq
    LIMIT @page_size
)
ORDER BY seq;

-- name: EventListOfJob :many
-- Reads a job's timeline in order.
SELECT sqlc.embed(event) FROM herald.events event WHERE job_id = @job_id AND seq > @after ORDER BY seq LIMIT @page_size;
