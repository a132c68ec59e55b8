-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.shares (
    id         uuid PRIMARY KEY,
    job_id     uuid NOT NULL REFERENCES herald.jobs (id) ON DELETE CASCADE,
    hash       bytea NOT NULL
        CONSTRAINT shares_hash_is_sha256 CHECK (octet_length(hash) = 32)
        CONSTRAINT shares_hash_is_one_shares UNIQUE,
    files      boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    opened_at  timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    CONSTRAINT shares_revoking_has_a_name CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

COMMENT ON TABLE herald.shares IS
    'A row is a link that shows one job to whoever has it. Written under the lock of the job''s row, together with the event '
    'that tells of it. A row stays when its link has ended, so that who comes by it is told why; some are removed when the job '
    'is shared anew, and all go with the job.';
COMMENT ON COLUMN herald.shares.hash IS 'SHA-256 of the link''s secret, which is 256 bits of chance.';
COMMENT ON COLUMN herald.shares.files IS 'Whether it shows what the job made, too.';
COMMENT ON COLUMN herald.shares.opened_at IS 'When somebody first came by it; NULL: nobody has.';

-- ShareList, ShareCount; the end of a job.
CREATE INDEX shares_of_job ON herald.shares (job_id, id DESC);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE herald.shares;
