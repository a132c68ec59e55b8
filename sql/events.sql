-- name: LogBounds :one
-- Reads the last seq that is no longer kept, and the last one given.
SELECT floor, coalesce((SELECT max(last_seq) FROM herald.log_batches), floor)::bigint AS head FROM herald.log_state;

-- name: LogEnd :one
-- Reads the end of the log and of its chain: the last batch, or the last that is no longer kept.
(SELECT last_seq, digest FROM herald.log_batches ORDER BY last_seq DESC LIMIT 1)
UNION ALL
(SELECT last_seq, digest FROM herald.log_partitions WHERE dropped_at IS NOT NULL ORDER BY last_seq DESC LIMIT 1)
ORDER BY last_seq DESC LIMIT 1;
