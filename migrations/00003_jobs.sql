-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.jobs (
    id           uuid PRIMARY KEY,
    kind         text NOT NULL,
    owner        text NOT NULL,
    title        text NOT NULL,
    state        text NOT NULL
        CONSTRAINT jobs_state_is_known CHECK (state IN
            ('queued', 'running', 'retrying', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    stalled      boolean NOT NULL DEFAULT FALSE,
    attempt      integer NOT NULL DEFAULT 0
        CONSTRAINT jobs_attempt_counts_up CHECK (attempt >= 0),
    max_attempts integer NOT NULL,
    version      bigint NOT NULL
        CONSTRAINT jobs_version_counts_from_one CHECK (version >= 1),
    progress     double precision NOT NULL DEFAULT 0
        CONSTRAINT jobs_progress_is_a_share CHECK (progress BETWEEN 0 AND 1),
    step         text NOT NULL DEFAULT '',
    steps        json NOT NULL DEFAULT '[]',
    processed    bigint,
    total        bigint,
    unit         text NOT NULL DEFAULT '',
    message      text NOT NULL DEFAULT '',
    remaining_ms bigint,
    details      json,
    error        text NOT NULL DEFAULT '',
    retry_at     timestamptz,
    result       json,
    args         json NOT NULL DEFAULT '{}',
    metadata     json,
    external     boolean NOT NULL DEFAULT FALSE,
    watchers     text[] NOT NULL DEFAULT '{}',
    queue_id     bigint NOT NULL DEFAULT 0,
    worker       text NOT NULL DEFAULT '',
    created_by   text NOT NULL DEFAULT '',
    claimed_by   text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    heartbeat_at timestamptz,
    updated_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    CONSTRAINT jobs_end_has_a_time CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled')))
) WITH (fillfactor = 50);

COMMENT ON TABLE herald.jobs IS
    'A row is a job as its worker last reported it. Written by postgres.DB, in the transaction that also tells of it in '
    'the outbox. Half of each page stays free and no index covers what progress changes, so that progress is a HOT update.';
COMMENT ON COLUMN herald.jobs.attempt IS 'The attempt under way or last ended; a report from an earlier one changes nothing.';
COMMENT ON COLUMN herald.jobs.metadata IS 'What streams are filtered by; each event of the job carries it.';
COMMENT ON COLUMN herald.jobs.external IS 'Its worker is no part of Herald: it claims attempts, and reports on them.';
COMMENT ON COLUMN herald.jobs.created_by IS 'Who asked for the job; of an external one, who may report on it.';
COMMENT ON COLUMN herald.jobs.claimed_by IS 'Who began the last attempt of an external job, and so may report on it.';
COMMENT ON COLUMN herald.jobs.queue_id IS 'The River job that runs this job now or next; 0 when it runs elsewhere.';

-- JobList: a user's jobs, newest first.
CREATE INDEX jobs_of_owner ON herald.jobs (owner, id DESC);
-- JobListActive: those among them that have not ended, however many have.
CREATE INDEX jobs_active_of_owner ON herald.jobs (owner, id DESC) WHERE state IN ('queued', 'running', 'retrying', 'cancelling');
-- JobListSilent: what is being worked now.
CREATE INDEX jobs_under_way ON herald.jobs (id) WHERE state IN ('running', 'cancelling');
-- QueueListLost: which job an entry of the queue is to run.
CREATE INDEX jobs_of_queue ON herald.jobs (queue_id) WHERE queue_id <> 0;

CREATE TABLE herald.nodes (
    id           text PRIMARY KEY,
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE herald.nodes IS
    'A row is a process that works jobs, and when it last said so. Written by each for itself; a silent one loses its jobs.';

CREATE TABLE herald.artifacts (
    id           uuid PRIMARY KEY,
    job_id       uuid REFERENCES herald.jobs (id) ON DELETE CASCADE,
    owner        text NOT NULL,
    kind         text NOT NULL,
    name         text NOT NULL,
    content_type text NOT NULL,
    size         bigint NOT NULL
        CONSTRAINT artifacts_size_is_not_negative CHECK (size >= 0),
    sha256       text NOT NULL DEFAULT '',
    blob_key     text NOT NULL,
    details      json,
    created_at   timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE herald.artifacts IS
    'A row is a whole upload or a whole output of a job in the blob store: written after the last of its bytes.';
COMMENT ON COLUMN herald.artifacts.blob_key IS 'The blob''s key; for one of several files, a prefix that ends in a slash.';

-- ArtifactListOfJob.
CREATE INDEX artifacts_of_job ON herald.artifacts (job_id);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE herald.artifacts;
DROP TABLE herald.nodes;
DROP TABLE herald.jobs;
