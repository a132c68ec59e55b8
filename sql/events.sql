-- name: LogBounds :one
-- Reads the last seq that is no longer kept, and the last one given.
SELECT floor, coalesce((SELECT max(last_seq) FROM herald.log_batches), floor)::bigint AS head FROM herald.log_state;

-- name: LogEnd :one
-- Reads the end of the log and of its chain: the last batch, or the last that is no longer kept.
(SELECT last_seq, digest FROM herald.log_batches ORDER BY last_seq DESC LIMIT 1)
UNION ALL
(SELECT last_seq, digest FROM herald.log_partitions WHERE dropped_at IS NOT NULL ORDER BY last_seq DESC LIMIT 1)
ORDER BY last_seq DESC LIMIT 1;

-- name: EventListAfter :many
-- Reads the log in order.
SELECT seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload FROM herald.events WHERE seq > @after ORDER BY seq LIMIT @page_size;

-- name: EventListOfTopics :many
-- Reads what concerns any of the topics, in order, once each. Each topic's rows come from stretches of three indexes, so
-- the cost is that of a page for each topic however long the log is. Whole rows are sorted: to find them again by seq would
-- take twice as long.
SELECT seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload FROM (
    SELECT DISTINCT ON (found.seq) found.seq, found.id, found.type, found.topics, found.job_id, found.job_version, found.actor, found.created_at,
        found.recorded_at, found.payload
    FROM unnest(@topics::text[]) AS wanted (topic)
    CROSS JOIN LATERAL (
        (SELECT e.seq, e.id, e.type, e.topics, e.job_id, e.job_version, e.actor, e.created_at, e.recorded_at, e.payload
        FROM herald.events e
        WHERE hashtextextended(e.topics[1], 0) = hashtextextended(wanted.topic, 0) AND e.topics[1] = wanted.topic
            AND e.seq > @after::bigint AND e.seq <= @upto::bigint
        ORDER BY e.seq LIMIT @page_size)
        UNION ALL
        (SELECT e.seq, e.id, e.type, e.topics, e.job_id, e.job_version, e.actor, e.created_at, e.recorded_at, e.payload
        FROM herald.events e
        WHERE hashtextextended(e.topics[2], 0) = hashtextextended(wanted.topic, 0) AND e.topics[2] = wanted.topic
            AND e.seq > @after::bigint AND e.seq <= @upto::bigint
        ORDER BY e.seq LIMIT @page_size)
        UNION ALL
        (SELECT e.seq, e.id, e.type, e.topics, e.job_id, e.job_version, e.actor, e.created_at, e.recorded_at, e.payload
        FROM (
            SELECT t.seq FROM herald.event_topics t
            WHERE t.topic = wanted.topic AND t.seq > @after::bigint AND t.seq <= @upto::bigint
            ORDER BY t.seq LIMIT @page_size
        ) t JOIN herald.events e USING (seq))
    ) found
    ORDER BY found.seq
) events
LIMIT @page_size;

-- name: EventListOfJob :many
-- Reads a job's timeline in order. A job's own topic is the first of its events'.
SELECT seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload FROM herald.events
WHERE hashtextextended(topics[1], 0) = hashtextextended(@topic::text, 0) AND topics[1] = @topic::text AND job_id = @job_id
    AND seq > @after
ORDER BY seq LIMIT @page_size;
