-- +goose Up
SET LOCAL lock_timeout = '5s';

-- History: the events of a type. Progress is most of the log, and is not worth an entry each: it is found by reading on.
CREATE INDEX events_of_type ON herald.events (type COLLATE "C", seq) WITH (deduplicate_items = off) WHERE type <> 'job.progress';

-- +goose StatementBegin
CREATE FUNCTION herald.log_at(moment timestamptz, OUT before bigint, OUT upto bigint) LANGUAGE plpgsql STABLE
SET search_path = herald, pg_temp AS $$
DECLARE
    low    bigint; -- what ends there or earlier was recorded before the moment
    high   bigint;
    middle bigint;
    batch  record;
BEGIN
    SELECT s.floor, coalesce((SELECT max(b.last_seq) FROM log_batches b), s.floor) INTO low, high FROM log_state s;
    before := high;
    upto := high;
    WHILE low < high LOOP
        middle := low + (high - low) / 2 + 1;
        SELECT b.first_seq, b.last_seq, b.recorded_at INTO batch FROM log_batches b
        WHERE b.last_seq >= middle ORDER BY b.last_seq LIMIT 1;
        IF batch.recorded_at < moment THEN
            low := batch.last_seq;
        ELSE
            before := batch.first_seq - 1;
            upto := batch.last_seq;
            high := least(before, middle - 1);
        END IF;
    END LOOP;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION herald.log_at IS
    'Where the log was at a moment: all events up to "before" were recorded earlier, and none after "upto". Batches are in the '
    'order of time, so it looks at some twenty of them, and needs no index by time.';

ALTER TABLE herald.connections ADD COLUMN filter json, ADD COLUMN whole boolean NOT NULL DEFAULT FALSE,
    ADD COLUMN opened_head bigint NOT NULL DEFAULT 0;
UPDATE herald.connections SET opened_head = opened_seq;
COMMENT ON COLUMN herald.connections.opened_head IS
    'The log''s head then, as far as its node knew: what has a higher seq came while the stream was open. Times of opening are later
    than the truth by what it took to write them.';
COMMENT ON COLUMN herald.connections.filter IS 'What the stream lets through, as event.Filter; NULL is everything.';
COMMENT ON COLUMN herald.connections.whole IS 'Newer progress of a job does not replace what waits to be written.';
COMMENT ON COLUMN herald.connections.topics IS 'What it follows: all that was asked for, each of which its user might follow then.';

-- Deliveries: past streams that followed a topic. With a list of pending entries, so that an end stays cheap.
CREATE INDEX connections_past_by_topic ON herald.connections USING gin (topics) WHERE closed_at IS NOT NULL;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP INDEX herald.connections_past_by_topic;
ALTER TABLE herald.connections DROP COLUMN filter, DROP COLUMN whole, DROP COLUMN opened_head;
COMMENT ON COLUMN herald.connections.topics IS NULL;
DROP FUNCTION herald.log_at;
DROP INDEX herald.events_of_type;
