-- +goose Up
SET LOCAL lock_timeout = '5s';
CREATE SCHEMA herald;
COMMENT ON SCHEMA herald IS 'Herald: jobs, and the log of what happened to them.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP SCHEMA herald;
