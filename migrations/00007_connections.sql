-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.connections (
    id             uuid PRIMARY KEY,
    node           text NOT NULL,
    user_id        text NOT NULL,
    session        text NOT NULL DEFAULT '',
    user_agent     text NOT NULL DEFAULT '',
    address        inet,
    topics         text[] NOT NULL,
    metadata       json NOT NULL DEFAULT '{}',
    opened_at      timestamptz NOT NULL,
    opened_seq     bigint NOT NULL,
    written_seq    bigint NOT NULL,
    written_at     timestamptz,
    acked_seq      bigint NOT NULL DEFAULT 0,
    acked_at       timestamptz,
    seen_seq       bigint NOT NULL DEFAULT 0,
    seen_at        timestamptz,
    visible        boolean NOT NULL DEFAULT FALSE,
    closed_at      timestamptz,
    closed_why     text
        CONSTRAINT connections_reason_is_known CHECK (closed_why IN
            ('client_gone', 'slow', 'write_timeout', 'expired', 'closing', 'disconnected', 'node_lost', 'error')),
    close_asked_at timestamptz,
    close_asked_by text,
    CONSTRAINT connections_end_has_a_reason CHECK ((closed_at IS NULL) = (closed_why IS NULL)),
    CONSTRAINT connections_asking_has_a_name CHECK ((close_asked_at IS NULL) = (close_asked_by IS NULL))
) WITH (fillfactor = 70);

COMMENT ON TABLE herald.connections IS
    'A row is one stream, live or past. Written in batches by the node that holds it, about a second after what happened; '
    'acks that come by another node, and the wish to end it, are written by that node. A part of each page stays free and '
    'no index covers what a stream''s life changes, so that all but its beginning and its end are HOT updates.';
COMMENT ON COLUMN herald.connections.id IS 'The client id, a UUIDv7.';
COMMENT ON COLUMN herald.connections.session IS 'What the client calls its session; empty when it does not.';
COMMENT ON COLUMN herald.connections.metadata IS 'An object of the client''s own, and small.';
COMMENT ON COLUMN herald.connections.opened_seq IS 'From where the stream was to read on.';
COMMENT ON COLUMN herald.connections.written_seq IS 'The last seq handed to the network for the client.';
COMMENT ON COLUMN herald.connections.acked_seq IS
    'The last seq that the client says it has handled. After an ack by another node it may be ahead of written_seq for a '
    'moment; so what counts as received, or as seen, is never more than was written: LEAST(acked_seq, written_seq).';
COMMENT ON COLUMN herald.connections.acked_at IS 'When an ack last came, to ten seconds.';
COMMENT ON COLUMN herald.connections.seen_seq IS 'The last seq acknowledged on a visible page.';
COMMENT ON COLUMN herald.connections.seen_at IS 'When an ack last came from a visible page: when the user was last active.';
COMMENT ON COLUMN herald.connections.visible IS 'Whether the page was visible at the last ack; FALSE when there was none.';
COMMENT ON COLUMN herald.connections.closed_at IS 'NULL while the stream is open.';
COMMENT ON COLUMN herald.connections.close_asked_by IS 'Who wants the stream to end; its node looks for that every second.';

-- connections: one user's streams, newest first; userPresence: when they were last there.
CREATE INDEX connections_of_user ON herald.connections (user_id, id DESC);
-- userPresence, ConnectionAskCloseOfUser: a user's live streams, however many are past.
CREATE INDEX connections_live_of_user ON herald.connections (user_id, id DESC) WHERE closed_at IS NULL;
-- connections: live ones, newest first.
CREATE INDEX connections_live ON herald.connections (id DESC) WHERE closed_at IS NULL;
-- connections: a node's; ConnectionCloseLost, ConnectionCloseNode.
CREATE INDEX connections_live_of_node ON herald.connections (node, id DESC) WHERE closed_at IS NULL;
-- connectionWrite: which of a node's streams somebody wants to end.
CREATE INDEX connections_to_close ON herald.connections (node) WHERE closed_at IS NULL AND close_asked_at IS NOT NULL;
-- ConnectionCountAddressed. No list of pending entries, which every count would have to read.
CREATE INDEX connections_live_by_topic ON herald.connections USING gin (topics) WITH (fastupdate = off) WHERE closed_at IS NULL;
-- ConnectionDeletePast.
CREATE INDEX connections_past ON herald.connections (closed_at) WHERE closed_at IS NOT NULL;

ALTER TABLE herald.nodes ADD COLUMN streams_at timestamptz;
COMMENT ON TABLE herald.nodes IS
    'A row is a running process, and when it last said so. Written by each for itself; a silent one loses its jobs, and its '
    'streams count as ended.';
COMMENT ON COLUMN herald.nodes.streams_at IS 'When the node last wrote how its streams are; NULL when it holds none.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
ALTER TABLE herald.nodes DROP COLUMN streams_at;
COMMENT ON TABLE herald.nodes IS
    'A row is a process that works jobs, and when it last said so. Written by each for itself; a silent one loses its jobs.';
DROP TABLE herald.connections;
