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
