-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.outbox (
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id          bigint GENERATED ALWAYS AS IDENTITY,
    event_id    uuid NOT NULL,
    type        text NOT NULL,
    topics      text[] NOT NULL
        CONSTRAINT outbox_event_concerns_somebody CHECK (cardinality(topics) > 0),
    job_id      uuid,
    job_version bigint NOT NULL DEFAULT 0,
    actor       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    payload     json NOT NULL,
    PRIMARY KEY (xid, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000000000);

COMMENT ON TABLE herald.outbox IS
    'A row is a committed event that is not in the log yet. Inserted by every writer in its own transaction, after it has '
    'locked the job''s row, so that within a job the order of id is the order of commits; removed by the sequencer alone.';

CREATE SEQUENCE herald.bell;
COMMENT ON SEQUENCE herald.bell IS
    'Whether the sequencer sleeps: is_called is the flag, set by the sequencer alone. A sequence is read outside MVCC, so '
    'that a writer in any isolation level reads the flag as it stands.';
SELECT setval('herald.bell', 1, TRUE);

-- +goose StatementBegin
CREATE FUNCTION herald.ring() RETURNS trigger LANGUAGE plpgsql SET search_path = herald, pg_temp AS $$
BEGIN
    IF (SELECT is_called FROM herald.bell) THEN
        PERFORM pg_notify('herald_bell', '');
    END IF;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION herald.ring() IS 'Wakes the sequencer when it sleeps; under load, when it does not, costs no NOTIFY.';

CREATE TRIGGER outbox_rings AFTER INSERT ON herald.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION herald.ring();

CREATE TABLE herald.log_state (
    one boolean PRIMARY KEY DEFAULT TRUE
        CONSTRAINT log_state_is_one_row CHECK (one),
    seq bigint NOT NULL
);
COMMENT ON TABLE herald.log_state IS
    'The one row is the head of the log: the last seq given. Written by the leading sequencer under this row''s lock.';
INSERT INTO herald.log_state (seq) VALUES (0);

CREATE TABLE herald.events (
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
COMMENT ON TABLE herald.events IS
    'A row is one entry of the log, and never changes. Appended by the leading sequencer alone; seq has no gaps.';
COMMENT ON COLUMN herald.events.created_at IS 'When its writer''s transaction began.';
COMMENT ON COLUMN herald.events.recorded_at IS 'When the sequencer gave it its seq.';

-- EventListOfJob: a job's timeline.
CREATE INDEX events_of_job ON herald.events (job_id, seq) WHERE job_id IS NOT NULL;

CREATE TABLE herald.event_topics (
    topic text NOT NULL,
    seq   bigint NOT NULL,
    PRIMARY KEY (topic, seq)
);
COMMENT ON TABLE herald.event_topics IS
    'A row says that the event concerns the topic, for replay by topic. Appended with the event.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE herald.event_topics;
DROP TABLE herald.events;
DROP TABLE herald.log_state;
DROP TABLE herald.outbox;
DROP FUNCTION herald.ring();
DROP SEQUENCE herald.bell;
