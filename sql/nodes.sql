-- name: NodeStart :exec
-- Enters a node that begins to work jobs; one of the same name before it is thereby over.
INSERT INTO herald.nodes (id) VALUES (@id)
ON CONFLICT (id) DO UPDATE SET started_at = now(), heartbeat_at = now();

-- name: NodeBeat :execrows
-- Says that a node is alive.
UPDATE herald.nodes SET heartbeat_at = now() WHERE id = @id;

-- name: NodeStop :exec
-- Removes a node that has ended, and those that have been silent for a day.
DELETE FROM herald.nodes WHERE id = @id OR heartbeat_at < now() - interval '1 day';
