-- What sqlc needs to know of River's table. The table itself is River's migration's.
CREATE SCHEMA herald_queue;
CREATE TABLE herald_queue.river_job (
    id           bigint PRIMARY KEY,
    state        text NOT NULL,
    kind         text NOT NULL,
    queue        text NOT NULL,
    attempt      smallint NOT NULL,
    max_attempts smallint NOT NULL,
    created_at   timestamptz NOT NULL,
    scheduled_at timestamptz NOT NULL,
    attempted_at timestamptz,
    attempted_by text[],
    finalized_at timestamptz,
    args         jsonb NOT NULL
);
