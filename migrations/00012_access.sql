-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.api_keys (
    id           uuid PRIMARY KEY,
    hash         bytea NOT NULL
        CONSTRAINT api_keys_hash_is_sha256 CHECK (octet_length(hash) = 32)
        CONSTRAINT api_keys_hash_is_one_keys UNIQUE,
    hint         text NOT NULL,
    name         text NOT NULL,
    user_id      text NOT NULL
        CONSTRAINT api_keys_act_as_somebody CHECK (user_id <> ''),
    roles        text[] NOT NULL,
    topics       text[] NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    revoked_by   text,
    CONSTRAINT api_keys_revoking_has_a_name CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

COMMENT ON TABLE herald.api_keys IS
    'A row is a key of a worker or a back end. Written by operators, but for last_used_at, which each node writes in batches. '
    'A row stays when its key is revoked, so that what it did can still be told from its name.';
COMMENT ON COLUMN herald.api_keys.hash IS
    'SHA-256 of the key as it is sent. A key is 256 bits of chance, so that there is nothing to guess, and no salt is needed.';
COMMENT ON COLUMN herald.api_keys.hint IS 'The first letters of the key, for people to know it by.';
COMMENT ON COLUMN herald.api_keys.user_id IS 'In whose name the key acts; several keys may share it, as while one takes the place of another.';
COMMENT ON COLUMN herald.api_keys.topics IS 'Patterns of topics that it may follow besides what its roles may.';
COMMENT ON COLUMN herald.api_keys.expires_at IS 'NULL: never.';
COMMENT ON COLUMN herald.api_keys.last_used_at IS 'To about a minute.';

-- APIKeyList: newest first.
CREATE INDEX api_keys_by_age ON herald.api_keys (created_at DESC, id DESC);

CREATE TABLE herald.tickets (
    hash       bytea PRIMARY KEY
        CONSTRAINT tickets_hash_is_sha256 CHECK (octet_length(hash) = 32),
    principal  json NOT NULL,
    expires_at timestamptz NOT NULL
);

COMMENT ON TABLE herald.tickets IS
    'A row is a ticket that opens one stream, and is removed by that: of several who come with it, one gets the row. What has '
    'expired is removed as new ones are made.';
COMMENT ON COLUMN herald.tickets.hash IS 'SHA-256 of the ticket as it is sent.';
COMMENT ON COLUMN herald.tickets.principal IS 'Who asked for it, as auth.Principal.';

-- TicketInsert: what has expired.
CREATE INDEX tickets_by_expiry ON herald.tickets (expires_at);

-- The types that only Herald says have one more beginning.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION herald.check_type(type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF type IS NULL OR octet_length(type) > 100 OR type !~ '^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$' THEN
        PERFORM herald.refuse('ZH001', 'type', format('type: not an event type: %s', coalesce(quote_literal(left(type, 60)), 'NULL')),
            'Take words of a-z, 0-9, - and _, joined by dots, of at most 100 bytes, such as order.paid.');
    ELSIF starts_with(type, 'job.') OR starts_with(type, 'stream.') OR starts_with(type, 'access.') THEN
        PERFORM herald.refuse('ZH001', 'type', format('type: %L is Herald''s own word', type),
            'Report on jobs with herald.report; begin your own types with another word.');
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose Down
SET LOCAL lock_timeout = '5s';
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION herald.check_type(type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF type IS NULL OR octet_length(type) > 100 OR type !~ '^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$' THEN
        PERFORM herald.refuse('ZH001', 'type', format('type: not an event type: %s', coalesce(quote_literal(left(type, 60)), 'NULL')),
            'Take words of a-z, 0-9, - and _, joined by dots, of at most 100 bytes, such as order.paid.');
    ELSIF starts_with(type, 'job.') OR starts_with(type, 'stream.') THEN
        PERFORM herald.refuse('ZH001', 'type', format('type: %L is Herald''s own word', type),
            'Report on jobs with herald.report; begin your own types with another word.');
    END IF;
END;
$$;
-- +goose StatementEnd
DROP TABLE herald.tickets;
DROP TABLE herald.api_keys;
