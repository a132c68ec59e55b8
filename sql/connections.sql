-- name: ConnectionAskClose :execrows
-- Asks for the end of a stream. Who asked first has asked.
UPDATE herald.connections SET close_asked_at = now(), close_asked_by = @actor::text
WHERE id = @id AND closed_at IS NULL AND close_asked_at IS NULL;

-- name: ConnectionAskCloseOfUser :execrows
-- Asks for the end of all of a user's streams that were open then, on any node. They are locked in the order in which nodes
-- write them.
UPDATE herald.connections SET close_asked_at = now(), close_asked_by = @actor::text
WHERE id IN (
    SELECT live.id FROM herald.connections live
    WHERE live.user_id = @user_id AND live.closed_at IS NULL AND live.close_asked_at IS NULL AND live.opened_at <= @open_at
    ORDER BY live.id FOR NO KEY UPDATE);

-- name: NodesAllWroteSince :one
-- Says whether every node that is heard of has written its streams down since, and there is one.
SELECT (EXISTS (SELECT FROM herald.nodes w WHERE w.streams_at > @since::timestamptz) AND NOT EXISTS (
    SELECT FROM herald.nodes n
    WHERE n.streams_at > now() - make_interval(secs => @silence_s::double precision) AND n.streams_at <= @since::timestamptz))::boolean AS written;

-- name: TimeNow :one
-- Reads the database's clock.
SELECT now()::timestamptz;

-- name: ConnectionCountByNode :many
-- Counts each node's open streams.
SELECT node, count(*) FROM herald.connections WHERE closed_at IS NULL GROUP BY node ORDER BY node;

-- name: ConnectionCountUsers :one
-- Counts the users that have an open stream.
SELECT count(*) FROM (SELECT DISTINCT user_id FROM herald.connections WHERE closed_at IS NULL) users;

-- name: ConnectionCloseNode :exec
-- Ends all of a node's streams but those.
UPDATE herald.connections c SET closed_at = now(), closed_why = @why::text
WHERE c.node = @node AND c.closed_at IS NULL AND NOT EXISTS (SELECT FROM unnest(@but::uuid[]) AS kept (id) WHERE kept.id = c.id);

-- name: ConnectionCloseLost :execrows
-- Ends streams of nodes that are gone, or have been silent for longer than they may: of those whose session has ended,
-- that is shorter. The nodes are found one after the other, each by one look at an index, since streams are many. A silent
-- node's row is locked, and looked at again then, as the node itself does when it writes: so either it is heard in time, or
-- it learns from its row that its streams were taken for ended.
WITH RECURSIVE holders AS (
    (SELECT c.node FROM herald.connections c WHERE c.closed_at IS NULL ORDER BY c.node LIMIT 1)
    UNION ALL
    SELECT (SELECT c.node FROM herald.connections c WHERE c.closed_at IS NULL AND c.node > h.node ORDER BY c.node LIMIT 1)
    FROM holders h WHERE h.node IS NOT NULL
), silent AS (
    SELECT n.id AS node FROM herald.nodes n
    WHERE n.id IN (SELECT h.node FROM holders h)
        AND NOT coalesce(n.streams_at > now() - make_interval(secs =>
            CASE WHEN n.id = ANY(@ended::text[]) THEN @ended_silence_s::double precision ELSE @silence_s::double precision END), FALSE)
    ORDER BY n.id FOR UPDATE
), told AS (
    UPDATE herald.nodes n SET streams_at = NULL FROM silent WHERE n.id = silent.node
), gone AS (
    SELECT h.node FROM holders h WHERE h.node IS NOT NULL AND NOT EXISTS (SELECT FROM herald.nodes n WHERE n.id = h.node)
), lost AS (
    SELECT c.id FROM (SELECT node FROM silent UNION ALL SELECT node FROM gone) n
    JOIN herald.connections c ON c.node = n.node AND c.closed_at IS NULL
    LIMIT @page_size
)
UPDATE herald.connections c SET closed_at = now(), closed_why = 'node_lost'
FROM lost WHERE c.id = lost.id AND c.closed_at IS NULL;

-- name: ConnectionDeletePast :execrows
-- Removes streams that ended longer ago than given.
DELETE FROM herald.connections WHERE id IN (
    SELECT past.id FROM herald.connections past
    WHERE past.closed_at < now() - make_interval(secs => @age_s::double precision)
    ORDER BY past.closed_at
    LIMIT @page_size);
