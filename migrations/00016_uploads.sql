-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.uploads (
    id           uuid PRIMARY KEY,
    owner        text NOT NULL,
    name         text NOT NULL,
    content_type text NOT NULL,
    size         bigint NOT NULL
        CONSTRAINT uploads_size_is_not_negative CHECK (size >= 0),
    sha256       text NOT NULL DEFAULT '',
    received     bigint NOT NULL DEFAULT 0
        CONSTRAINT uploads_receive_no_more_than_was_promised CHECK (received BETWEEN 0 AND size),
    parts        integer NOT NULL DEFAULT 0,
    digest       bytea NOT NULL,
    writer       uuid,
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz
        CONSTRAINT uploads_finish_when_all_is_there CHECK (finished_at IS NULL OR received = size)
);

COMMENT ON TABLE herald.uploads IS
    'A row is an upload that comes in pieces. It is written by the node that takes a piece, and kept as long as its file is.';
COMMENT ON COLUMN herald.uploads.id IS 'A UUIDv7, which tells when it began; the artifact that it becomes has the same.';
COMMENT ON COLUMN herald.uploads.sha256 IS 'What the client says that the whole file has; empty when it does not say.';
COMMENT ON COLUMN herald.uploads.digest IS 'How far the SHA-256 of what is received has come.';
COMMENT ON COLUMN herald.uploads.writer IS 'Who alone may append: the request that was the last to ask.';

-- IncomingBegin, IncomingListOfOwner.
CREATE INDEX uploads_unfinished ON herald.uploads (owner) WHERE finished_at IS NULL;
-- IncomingForget.
CREATE INDEX uploads_by_age ON herald.uploads (created_at);

CREATE TABLE herald.upload_parts (
    upload_id uuid NOT NULL REFERENCES herald.uploads (id) ON DELETE CASCADE,
    start     bigint NOT NULL,
    size      bigint NOT NULL
        CONSTRAINT upload_parts_have_something CHECK (size > 0),
    blob_key  text NOT NULL,
    PRIMARY KEY (upload_id, start)
);

COMMENT ON TABLE herald.upload_parts IS
    'A row is a part of an upload that is whole in the blob store. The file is its parts, one behind the other.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE herald.upload_parts;
DROP TABLE herald.uploads;
