-- name: PartitionAdd :one
-- Makes a partition of so many events behind the last one, and returns its last seq.
SELECT herald.extend_log(@size)::bigint AS last_seq;

-- name: PartitionListEnds :many
-- Lists the last seqs of the partitions that events after the head fall into.
SELECT last_seq FROM herald.log_partitions WHERE last_seq > @head ORDER BY last_seq;

-- name: BatchListAfter :many
-- Reads what the sequencer's transactions appended, in order.
SELECT first_seq, last_seq, recorded_at, leaves, digest FROM herald.log_batches WHERE last_seq > @after ORDER BY last_seq
LIMIT @page_size;

-- name: BatchListWithin :many
-- Reads the batches that end after one seq and up to another, in order; the first one even when it ends later.
SELECT b.first_seq, b.last_seq, b.recorded_at, b.leaves, b.digest FROM herald.log_batches b
WHERE b.last_seq > @after AND b.last_seq <= @upto
    OR b.last_seq = (SELECT min(later.last_seq) FROM herald.log_batches later WHERE later.last_seq > @after)
ORDER BY b.last_seq;

-- name: LogEnds :one
-- Reads both ends of the log as of one moment, and the first seq of an event behind the last batch.
SELECT s.floor, coalesce(p.digest, decode(repeat('00', 32), 'hex'))::bytea AS floor_digest,
    coalesce(b.last_seq, s.floor)::bigint AS head, coalesce(b.digest, p.digest, decode(repeat('00', 32), 'hex'))::bytea AS digest,
    coalesce((SELECT min(e.seq) FROM herald.events e WHERE e.seq > coalesce(b.last_seq, s.floor)), 0)::bigint AS beyond
FROM herald.log_state s
LEFT JOIN herald.log_partitions p ON p.last_seq = s.floor AND s.floor > 0
LEFT JOIN LATERAL (SELECT last_seq, digest FROM herald.log_batches ORDER BY last_seq DESC LIMIT 1) b ON TRUE;

-- name: PartitionList :many
-- Lists all partitions there have been, in order.
SELECT first_seq, last_seq, digest, archive, dropped_at FROM herald.log_partitions ORDER BY first_seq;

-- name: PartitionDue :one
-- Finds the oldest partition if it is to go: full, and its last event older than the age (below zero: none is), or all
-- partitions larger together than the size (0: no bound).
SELECT p.first_seq, p.last_seq, p.archive, b.digest,
    coalesce(before.digest, decode(repeat('00', 32), 'hex'))::bytea AS digest_before
FROM herald.log_state s
JOIN herald.log_partitions p ON p.first_seq = s.floor + 1 AND p.dropped_at IS NULL
    AND p.last_seq <= (SELECT max(last_seq) FROM herald.log_batches)
LEFT JOIN herald.log_partitions before ON before.last_seq = s.floor
LEFT JOIN herald.log_batches b ON b.last_seq = p.last_seq
LEFT JOIN herald.events e ON e.seq = p.last_seq
WHERE @age_seconds::float8 >= 0
        AND coalesce(e.recorded_at, b.recorded_at, '-infinity') < now() - make_interval(secs => @age_seconds::float8)
    OR @size::bigint > 0 AND @size::bigint < (
        SELECT sum(pg_total_relation_size(c.oid))
        FROM herald.log_partitions kept
        CROSS JOIN unnest(ARRAY['events', 'event_topics', 'log_batches']) AS parent (name)
        JOIN pg_catalog.pg_class c ON c.relname = parent.name || '_' || kept.first_seq
            AND c.relnamespace = 'herald'::regnamespace
        WHERE kept.dropped_at IS NULL
    );

-- name: PartitionSetArchive :execrows
-- Keeps the manifest of a partition's archive.
UPDATE herald.log_partitions SET archive = @archive WHERE first_seq = @first_seq AND dropped_at IS NULL;

-- name: PartitionSetDropped :execrows
-- Says that a partition is no longer kept, and where the chain goes on.
UPDATE herald.log_partitions SET digest = @digest, dropped_at = now() WHERE first_seq = @first_seq AND dropped_at IS NULL;

-- name: LogRaiseFloor :execrows
-- Moves the floor from one seq up to another that has been given.
UPDATE herald.log_state SET floor = @upto WHERE floor = @from_seq
    AND @upto <= (SELECT max(last_seq) FROM herald.log_batches);
