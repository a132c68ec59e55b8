-- +goose Up
SET LOCAL lock_timeout = '5s';

ALTER TABLE herald.events RENAME TO events_before;
ALTER TABLE herald.events_before RENAME CONSTRAINT events_pkey TO events_before_pkey;
DROP INDEX herald.events_of_job;
DROP TABLE herald.event_topics;

CREATE TABLE herald.events (
    seq         bigint PRIMARY KEY
        CONSTRAINT events_seq_is_from_one CHECK (seq >= 1),
    id          uuid NOT NULL,
    type        text NOT NULL,
    topics      text[] NOT NULL,
    job_id      uuid,
    job_version bigint NOT NULL,
    actor       text NOT NULL,
    created_at  timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    payload     json NOT NULL
) PARTITION BY RANGE (seq);
COMMENT ON TABLE herald.events IS
    'A row is one entry of the log, and never changes. Appended by the leading sequencer alone; seq has no gaps. Old rows go '
    'a whole partition at a time.';
COMMENT ON COLUMN herald.events.created_at IS 'When its writer''s transaction began.';
COMMENT ON COLUMN herald.events.recorded_at IS 'When the sequencer gave it its seq.';

-- EventListOfTopics, EventListOfJob: what concerns a topic, in order. Nearly all events have two topics or one, a job and
-- its owner, so these are indexed where they stand; a hash is less than half as large as the text, and queries compare the
-- text as well.
CREATE INDEX events_of_first_topic ON herald.events (hashtextextended(topics[1], 0), seq) WITH (deduplicate_items = off);
CREATE INDEX events_of_second_topic ON herald.events (hashtextextended(topics[2], 0), seq) WITH (deduplicate_items = off)
    WHERE topics[2] IS NOT NULL;

CREATE TABLE herald.event_topics (
    topic text COLLATE "C" NOT NULL,
    seq   bigint NOT NULL,
    PRIMARY KEY (topic, seq)
) PARTITION BY RANGE (seq);
COMMENT ON TABLE herald.event_topics IS
    'A row is a topic of an event from its third on, for replay by topic: the first two are indexed in events itself. '
    'Appended with the event.';

CREATE TABLE herald.log_batches (
    last_seq    bigint PRIMARY KEY,
    first_seq   bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    leaves      bytea NOT NULL -- one too few, and two sequencers were at the same rows
        CONSTRAINT log_batches_has_a_leaf_for_each_event CHECK (octet_length(leaves) = 32 * (last_seq - first_seq + 1)),
    digest      bytea NOT NULL
        CONSTRAINT log_batches_digest_is_sha256 CHECK (octet_length(digest) = 32)
) PARTITION BY RANGE (last_seq);
COMMENT ON TABLE herald.log_batches IS
    'A row is what one transaction of the sequencer appended, within one partition: which seqs, when, a SHA-256 of each event, '
    'and a digest over these that is chained to the batch before. internal/chain says what is hashed.';
COMMENT ON COLUMN herald.log_batches.recorded_at IS 'That of its last event.';
ALTER TABLE herald.log_batches ALTER leaves SET STORAGE EXTERNAL; -- hashes do not compress

CREATE TABLE herald.log_partitions (
    first_seq   bigint PRIMARY KEY,
    last_seq    bigint NOT NULL
        CONSTRAINT log_partitions_is_a_range CHECK (last_seq >= first_seq),
    digest      bytea,
    archive     json,
    dropped_at  timestamptz
);
COMMENT ON TABLE herald.log_partitions IS
    'A row is a stretch of the log that is kept, archived and dropped as one: a partition of events, event_topics and '
    'log_batches. Made ahead by the leading sequencer.';
COMMENT ON COLUMN herald.log_partitions.digest IS 'That of its last batch, once it was dropped: the chain goes on from there.';
COMMENT ON COLUMN herald.log_partitions.archive IS 'The manifest of its archive, once there is one.';

ALTER TABLE herald.log_state ADD COLUMN floor bigint NOT NULL DEFAULT 0;
COMMENT ON TABLE herald.log_state IS
    'The one row is where the log begins: the floor is the last seq that is no longer kept, written by retention. Where it ends '
    'says the last row of log_batches, which nothing rewrites: a row that each batch updates would leave a version a batch '
    'behind for as long as any transaction is open.';

-- +goose StatementBegin
CREATE FUNCTION herald.extend_log(size bigint) RETURNS bigint LANGUAGE plpgsql SET search_path = herald, pg_temp AS $$
DECLARE
    first  bigint := coalesce((SELECT max(p.last_seq) FROM log_partitions p), 0) + 1;
    parent text;
    part   text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['events', 'event_topics', 'log_batches'] LOOP
        part := parent || '_' || first;
        -- Attached and not created in place, which would lock the whole log against readers.
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, part, first, first + size);
    END LOOP;
    INSERT INTO log_partitions (first_seq, last_seq) VALUES (first, first + size - 1);
    RETURN first + size - 1;
END;
$$;

CREATE FUNCTION herald.event_leaf(
    id uuid, type text, topics text[], job_id uuid, job_version bigint, actor text, created_at timestamptz,
    recorded_at timestamptz, payload json
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(record_send(ROW(id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)))
$$;
COMMENT ON FUNCTION herald.event_leaf IS
    'The SHA-256 of all columns of an event but its seq, in the binary form that Postgres sends them in: for each its type, '
    'its length and its bytes. The seq is the leaf''s place in log_batches.leaves.';

CREATE FUNCTION herald.batch_digest(
    before bytea, first_seq bigint, last_seq bigint, recorded_at timestamptz, leaves bytea
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256('herald batch 1'::bytea || before || int8send(first_seq) || int8send(last_seq) || timestamptz_send(recorded_at)
        || leaves)
$$;
COMMENT ON FUNCTION herald.batch_digest IS 'What a batch adds to the chain, after the digest of the batch before.';

-- What the log holds already becomes batches of 5000.
DO $$
DECLARE
    head   bigint := (SELECT seq FROM herald.log_state);
    low    bigint := 1;
    chain  bytea := decode(repeat('00', 32), 'hex');
    hashes bytea;
    latest timestamptz;
BEGIN
    WHILE head > coalesce((SELECT max(last_seq) FROM herald.log_partitions), 0) LOOP
        PERFORM herald.extend_log(1000000);
    END LOOP;
    INSERT INTO herald.events (seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)
        SELECT seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload FROM herald.events_before;
    INSERT INTO herald.event_topics (topic, seq)
        SELECT DISTINCT t.topic, e.seq FROM herald.events_before e, unnest(e.topics[3:]) AS t (topic);
    WHILE low <= head LOOP
        SELECT string_agg(herald.event_leaf(id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload), ''
                ORDER BY seq), (array_agg(recorded_at ORDER BY seq DESC))[1]
            INTO hashes, latest FROM herald.events WHERE seq BETWEEN low AND low + 4999;
        chain := herald.batch_digest(chain, low, least(low + 4999, head), latest, hashes);
        INSERT INTO herald.log_batches (first_seq, last_seq, recorded_at, leaves, digest)
            VALUES (low, least(low + 4999, head), latest, hashes, chain);
        low := low + 5000;
    END LOOP;
END;
$$;
-- +goose StatementEnd
DROP TABLE herald.events_before;
ALTER TABLE herald.log_state DROP COLUMN seq;

-- A whole backlog is drained in the order of id; what has appeared since a scan is found by its xid.
ALTER TABLE herald.outbox DROP CONSTRAINT outbox_pkey, ADD PRIMARY KEY (id);
CREATE INDEX outbox_of_xid ON herald.outbox (xid);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP INDEX herald.outbox_of_xid;
ALTER TABLE herald.outbox DROP CONSTRAINT outbox_pkey, ADD PRIMARY KEY (xid, id);
CREATE TABLE herald.events_before (
    seq         bigint PRIMARY KEY
        CONSTRAINT events_seq_counts_from_one CHECK (seq >= 1),
    id          uuid NOT NULL,
    type        text NOT NULL,
    topics      text[] NOT NULL,
    job_id      uuid,
    job_version bigint NOT NULL,
    actor       text NOT NULL,
    created_at  timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    payload     json NOT NULL
);
INSERT INTO herald.events_before (seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)
    SELECT seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload FROM herald.events;
ALTER TABLE herald.log_state ADD COLUMN seq bigint;
UPDATE herald.log_state SET seq = coalesce((SELECT max(last_seq) FROM herald.log_batches), floor);
ALTER TABLE herald.log_state ALTER seq SET NOT NULL, DROP COLUMN floor;
DROP TABLE herald.event_topics, herald.events, herald.log_batches, herald.log_partitions;
DROP FUNCTION herald.extend_log, herald.event_leaf, herald.batch_digest;
ALTER TABLE herald.events_before RENAME TO events;
ALTER TABLE herald.events RENAME CONSTRAINT events_before_pkey TO events_pkey;
CREATE INDEX events_of_job ON herald.events (job_id, seq) WHERE job_id IS NOT NULL;
CREATE TABLE herald.event_topics (
    topic text NOT NULL,
    seq   bigint NOT NULL,
    PRIMARY KEY (topic, seq)
);
INSERT INTO herald.event_topics (topic, seq) SELECT DISTINCT t.topic, e.seq FROM herald.events e, unnest(e.topics) AS t (topic);
