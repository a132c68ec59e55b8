-- +goose Up
SET LOCAL lock_timeout = '5s';

ALTER TABLE herald.jobs
    ADD COLUMN lease_ms bigint
        CONSTRAINT jobs_lease_is_a_time CHECK (lease_ms > 0),
    ADD COLUMN next_due_at timestamptz,
    ADD COLUMN cancel_asked_at timestamptz,
    ADD COLUMN attempt_started_at timestamptz,
    ADD COLUMN pace double precision[] NOT NULL DEFAULT '{0,0,0,0}'
        CONSTRAINT jobs_pace_is_two_points CHECK (cardinality(pace) = 4),
    ADD COLUMN likeness text NOT NULL DEFAULT '',
    ADD COLUMN usual_ms double precision[]
        CONSTRAINT jobs_usual_is_three_times CHECK (cardinality(usual_ms) = 3);

UPDATE herald.jobs SET cancel_asked_at = updated_at WHERE state = 'cancelling';
ALTER TABLE herald.jobs ADD CONSTRAINT jobs_cancel_has_a_time CHECK (state <> 'cancelling' OR cancel_asked_at IS NOT NULL);

COMMENT ON COLUMN herald.jobs.lease_ms IS 'How long its worker may be silent before it loses its attempt; NULL: as long as anybody''s.';
COMMENT ON COLUMN herald.jobs.next_due_at IS 'When its worker has promised to speak next; NULL: it has promised nothing.';
COMMENT ON COLUMN herald.jobs.cancel_asked_at IS 'Since when the worker is asked to stop.';
COMMENT ON COLUMN herald.jobs.attempt_started_at IS 'When the last attempt began; started_at is the first one''s.';
COMMENT ON COLUMN herald.jobs.pace IS
    'Two earlier moments of the attempt, the older first: milliseconds since it began, and the progress then. A new one is taken '
    'whenever its time has doubled, so that the older is never long ago nor just now.';
COMMENT ON COLUMN herald.jobs.likeness IS 'Jobs of one kind and likeness are expected to take about as long.';
COMMENT ON COLUMN herald.jobs.usual_ms IS
    'How long such jobs took, as known when the attempt began: milliseconds in which 10, 90 and 95 % of the last were done.';

-- JobListClaimable, JobNext: what waits for a worker elsewhere, by kind, oldest first.
CREATE INDEX jobs_claimable ON herald.jobs (kind, id) WHERE external AND state IN ('queued', 'retrying');
-- JobUsual: the last that were done of a kind and likeness.
CREATE INDEX jobs_done_alike ON herald.jobs (kind, likeness, finished_at DESC) WHERE state = 'succeeded';

-- +goose StatementBegin
DO $$
BEGIN
    ALTER TYPE herald.report_fields ADD ATTRIBUTE next_within_ms bigint;
END;
$$;

-- Milliseconds between two times, to the microsecond, as Go has them.
CREATE FUNCTION herald.elapsed_ms(began timestamptz, at timestamptz) RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT (extract(epoch FROM at - began) * 1000000)::bigint::double precision / 1000
$$;

-- How long the job may still take, as of its last event, and how long such jobs took: job.Job.Estimate in Go, in its order.
CREATE FUNCTION herald.job_estimate(j herald.jobs) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    elapsed double precision := herald.elapsed_ms(j.attempt_started_at, j.updated_at);
    undone  double precision := 1 - j.progress;
    average double precision;
    recent  double precision;
    low     double precision;
    high    double precision;
    weight  double precision := CASE WHEN j.progress >= 0.005 THEN j.progress ELSE 0 END;
BEGIN
    IF j.state <> 'running' OR elapsed IS NULL THEN
        RETURN NULL;
    END IF;
    IF elapsed >= 3000 THEN
        IF weight > 0 THEN
            average := elapsed * undone / j.progress;
            recent := average;
            IF j.progress - j.pace[2] >= 0.001 AND elapsed > j.pace[1] THEN
                recent := (elapsed - j.pace[1]) * undone / (j.progress - j.pace[2]);
            END IF;
            low := least(average, recent);
            high := greatest(average, recent);
        END IF;
        low := least(low, j.remaining_ms); -- which pass over NULL
        high := greatest(high, j.remaining_ms);
        low := low * (0.9 - 0.3 * undone);
        high := high * (1.1 + 0.3 * undone);
        IF elapsed < j.usual_ms[2] THEN
            average := greatest(j.usual_ms[1] - elapsed, 0);
            low := average + (coalesce(low, average) - average) * weight;
            average := j.usual_ms[2] - elapsed;
            high := average + (coalesce(high, average) - average) * weight;
        END IF;
    END IF;
    IF high IS NULL AND j.usual_ms IS NULL THEN
        RETURN NULL;
    ELSIF high > 1e15 THEN
        high := 1e15;
        low := least(low, high);
    END IF;
    RETURN json_build_object('low_ms', floor(low)::bigint, 'high_ms', ceil(high)::bigint,
        'usual_low_ms', floor(j.usual_ms[1])::bigint, 'usual_high_ms', ceil(j.usual_ms[2])::bigint,
        'usual_slow_ms', ceil(j.usual_ms[3])::bigint,
        'percentile', CASE WHEN elapsed > j.usual_ms[3] THEN 95 WHEN elapsed > j.usual_ms[2] THEN 90
            WHEN elapsed > j.usual_ms[1] THEN 10 ELSE 0 END);
END;
$$;

-- The job as the report leaves it, as job.Job.Apply: with a new version, but for a bare heartbeat.
CREATE OR REPLACE FUNCTION herald.job_apply(j herald.jobs, r herald.report_fields) RETURNS herald.jobs LANGUAGE plpgsql AS $$
DECLARE
    elapsed double precision := herald.elapsed_ms(j.attempt_started_at, now());
BEGIN
    IF j.state = 'cancelling' AND r.state = 'retrying' THEN
        PERFORM herald.refuse('ZH003', 'state', 'a cancelling job cannot become retrying', 'Report that it is cancelled.');
    END IF;
    j.heartbeat_at := now();
    j.next_due_at := CASE WHEN r.state IS NULL THEN now() + r.next_within_ms * interval '1 ms' END;
    IF herald.report_is_heartbeat(r) AND NOT j.stalled THEN
        RETURN j;
    END IF;
    j := herald.job_move(j, r);
    j.stalled := FALSE;
    IF elapsed >= 1000 AND elapsed >= 2 * j.pace[3] THEN
        j.pace := ARRAY[j.pace[3], j.pace[4], elapsed, j.progress];
    END IF;
    IF r.state IS NOT NULL THEN
        j := herald.job_end(j, r);
    END IF;
    j.version := j.version + 1;
    j.updated_at := now();
    RETURN j;
END;
$$;

-- The part of a job that progress changes, as job.Moving.
CREATE OR REPLACE FUNCTION herald.job_moving_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT herald.with_metadata(json_build_object(
        'id', j.id, 'version', j.version, 'attempt', j.attempt, 'state', j.state, 'stalled', j.stalled, 'progress', j.progress,
        'step', j.step, 'processed', j.processed, 'total', j.total, 'unit', j.unit, 'message', j.message,
        'remaining_ms', j.remaining_ms, 'details', j.details, 'heartbeat_at', herald.time_text(j.heartbeat_at),
        'updated_at', herald.time_text(j.updated_at), 'estimate', herald.job_estimate(j)), j.metadata)
$$;

-- The whole job, as job.Job.
CREATE OR REPLACE FUNCTION herald.job_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT herald.with_metadata(json_build_object(
        'id', j.id, 'kind', j.kind, 'owner', j.owner, 'title', j.title, 'state', j.state, 'stalled', j.stalled,
        'attempt', j.attempt, 'max_attempts', j.max_attempts, 'version', j.version, 'progress', j.progress, 'step', j.step,
        'steps', j.steps, 'processed', j.processed, 'total', j.total, 'unit', j.unit, 'message', j.message,
        'remaining_ms', j.remaining_ms, 'details', j.details, 'error', j.error, 'retry_at', herald.time_text(j.retry_at),
        'result', j.result, 'args', j.args, 'external', j.external, 'worker', j.worker, 'lease_ms', j.lease_ms,
        'cancel_asked_at', herald.time_text(j.cancel_asked_at), 'estimate', herald.job_estimate(j), 'created_at', herald.time_text(j.created_at),
        'started_at', herald.time_text(j.started_at), 'attempt_started_at', herald.time_text(j.attempt_started_at),
        'heartbeat_at', herald.time_text(j.heartbeat_at),
        'updated_at', herald.time_text(j.updated_at), 'finished_at', herald.time_text(j.finished_at)), j.metadata)
$$;

-- Writes the changed job, then its event, which says the most important thing that is new, and returns the event's id.
CREATE OR REPLACE FUNCTION herald.job_write(was herald.jobs, j herald.jobs) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made  uuid := herald.uuid_v7();
    event text := CASE
        WHEN j.state <> was.state THEN 'job.' || j.state
        WHEN was.stalled THEN 'job.resumed'
        WHEN j.step <> was.step THEN 'job.step'
        WHEN j.message <> was.message THEN 'job.message'
        ELSE 'job.progress' END;
    body  json := CASE WHEN event IN ('job.progress', 'job.message') THEN herald.job_moving_json(j) ELSE herald.job_json(j) END;
BEGIN
    PERFORM herald.check_json('payload', body, 65536);
    UPDATE herald.jobs x SET
        state = j.state, stalled = j.stalled, max_attempts = j.max_attempts, version = j.version, progress = j.progress,
        step = j.step, steps = j.steps, processed = j.processed, total = j.total, unit = j.unit, message = j.message,
        remaining_ms = j.remaining_ms, details = j.details, error = j.error, retry_at = j.retry_at, result = j.result,
        metadata = j.metadata, pace = j.pace, heartbeat_at = j.heartbeat_at, next_due_at = j.next_due_at,
        updated_at = j.updated_at, finished_at = j.finished_at
    WHERE x.id = j.id;
    INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
    VALUES (made, event, ARRAY['job:' || j.id, 'user:' || j.owner] || j.watchers, j.id, j.version, j.worker, body);
    RETURN made;
END;
$$;

-- Records the report on the job, whose row is locked, and returns the answer.
CREATE OR REPLACE FUNCTION herald.job_record(j herald.jobs, r herald.report_fields) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    late  boolean := r.attempt < j.attempt OR j.state NOT IN ('running', 'cancelling');
    next  herald.jobs := j;
    event uuid;
BEGIN
    IF r.attempt > j.attempt THEN
        PERFORM herald.refuse('ZH001', 'attempt', format('attempt: %s has not started; the job is at %s', r.attempt, j.attempt),
            'Pass the number that the worker was given when it started.');
    ELSIF late THEN
        event := herald.job_late(j, r);
    ELSE
        next := herald.job_apply(j, r);
        IF next.version > j.version THEN
            event := herald.job_write(j, next);
        ELSE
            UPDATE herald.jobs x SET heartbeat_at = next.heartbeat_at, next_due_at = next.next_due_at WHERE x.id = j.id;
        END IF;
    END IF;
    RETURN json_build_object('event_id', event, 'job_id', j.id, 'version', next.version, 'attempt', next.attempt,
        'state', next.state, 'late', late);
END;
$$;

-- herald.report gets an argument, so it is another function; who may call it may call it still.
DO $$
BEGIN
    ALTER FUNCTION herald.report RENAME TO report_before;
END;
$$;

CREATE FUNCTION herald.report(
    job uuid, attempt integer, state text DEFAULT NULL, progress double precision DEFAULT NULL, step text DEFAULT NULL,
    step_progress double precision DEFAULT NULL, processed bigint DEFAULT NULL, total bigint DEFAULT NULL, unit text DEFAULT NULL,
    message text DEFAULT NULL, details json DEFAULT NULL, remaining_ms bigint DEFAULT NULL, error text DEFAULT NULL,
    retry_at timestamptz DEFAULT NULL, unblamed boolean DEFAULT FALSE, result json DEFAULT NULL, idempotency_key text DEFAULT NULL,
    metadata json DEFAULT NULL, next_within_ms bigint DEFAULT NULL)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 AS $$
DECLARE
    r herald.report_fields := ROW(attempt, nullif(state, ''), progress, nullif(step, ''), step_progress, processed, total,
        nullif(unit, ''), nullif(message, ''), details, remaining_ms, nullif(error, ''), retry_at, coalesce(unblamed, FALSE), result, metadata, next_within_ms);
    j     herald.jobs;
    print bytea;
    reply json;
BEGIN
    PERFORM herald.report_check(r), herald.check_plain('idempotency_key', idempotency_key, 200);
    IF next_within_ms NOT BETWEEN 1 AND 86400000 THEN
        PERFORM herald.refuse('ZH001', 'next_within_ms', format('next_within_ms: %s is not between 1 ms and 24 h', next_within_ms),
            'Promise a word that you can keep, or none.');
    END IF;
    SELECT x.* INTO j FROM herald.jobs x WHERE x.id = report.job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM herald.refuse('ZH002', 'job', format('there is no job %s', coalesce(report.job::text, 'NULL')),
            'Pass the id that the job was created with; it may have been deleted since.');
    END IF;
    IF idempotency_key IS NULL THEN
        RETURN herald.job_record(j, r);
    END IF;
    -- The row's lock makes the job's reports take turns, so that the key is free until its answer is known.
    print := herald.report_fingerprint(r);
    IF next_within_ms IS NOT NULL THEN
        print := herald.fingerprint(encode(print, 'hex'), next_within_ms::text);
    END IF;
    reply := herald.key_answer('job:' || j.id, idempotency_key, print);
    IF reply IS NULL THEN
        reply := herald.job_record(j, r);
        PERFORM herald.key_take('job:' || j.id, idempotency_key, print, reply);
    END IF;
    RETURN reply;
END;
$$;

REVOKE ALL ON FUNCTION herald.report, herald.elapsed_ms, herald.job_estimate FROM PUBLIC;

DO $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT a.grantee::regrole AS name, a.is_grantable FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.oid = to_regproc('herald.report_before') AND a.privilege_type = 'EXECUTE' AND a.grantee NOT IN (0, p.proowner) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION herald.report TO %s%s', g.name, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    DROP FUNCTION herald.report_before;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION herald.report IS
    'Records what a worker says of its job in the caller''s transaction, as postgres.DB.RecordReportTx does, and holds the '
    'job''s row until that ends; see docs/sql.md. Needs EXECUTE alone.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
-- +goose StatementBegin
-- The job as the report leaves it, as job.Job.Apply: with a new version, but for a bare heartbeat.
CREATE OR REPLACE FUNCTION herald.job_apply(j herald.jobs, r herald.report_fields) RETURNS herald.jobs LANGUAGE plpgsql AS $$
BEGIN
    IF j.state = 'cancelling' AND r.state = 'retrying' THEN
        PERFORM herald.refuse('ZH003', 'state', 'a cancelling job cannot become retrying', 'Report that it is cancelled.');
    END IF;
    j.heartbeat_at := now();
    IF herald.report_is_heartbeat(r) AND NOT j.stalled THEN
        RETURN j;
    END IF;
    j := herald.job_move(j, r);
    j.stalled := FALSE;
    IF r.state IS NOT NULL THEN
        j := herald.job_end(j, r);
    END IF;
    j.version := j.version + 1;
    j.updated_at := now();
    RETURN j;
END;
$$;

-- The part of a job that progress changes, as job.Moving.
CREATE OR REPLACE FUNCTION herald.job_moving_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT herald.with_metadata(json_build_object(
        'id', j.id, 'version', j.version, 'attempt', j.attempt, 'state', j.state, 'stalled', j.stalled, 'progress', j.progress,
        'step', j.step, 'processed', j.processed, 'total', j.total, 'unit', j.unit, 'message', j.message,
        'remaining_ms', j.remaining_ms, 'details', j.details, 'heartbeat_at', herald.time_text(j.heartbeat_at),
        'updated_at', herald.time_text(j.updated_at)), j.metadata)
$$;

-- The whole job, as job.Job.
CREATE OR REPLACE FUNCTION herald.job_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT herald.with_metadata(json_build_object(
        'id', j.id, 'kind', j.kind, 'owner', j.owner, 'title', j.title, 'state', j.state, 'stalled', j.stalled,
        'attempt', j.attempt, 'max_attempts', j.max_attempts, 'version', j.version, 'progress', j.progress, 'step', j.step,
        'steps', j.steps, 'processed', j.processed, 'total', j.total, 'unit', j.unit, 'message', j.message,
        'remaining_ms', j.remaining_ms, 'details', j.details, 'error', j.error, 'retry_at', herald.time_text(j.retry_at),
        'result', j.result, 'args', j.args, 'external', j.external, 'worker', j.worker, 'created_at', herald.time_text(j.created_at),
        'started_at', herald.time_text(j.started_at), 'heartbeat_at', herald.time_text(j.heartbeat_at),
        'updated_at', herald.time_text(j.updated_at), 'finished_at', herald.time_text(j.finished_at)), j.metadata)
$$;

-- Writes the changed job, then its event, which says the most important thing that is new, and returns the event's id.
CREATE OR REPLACE FUNCTION herald.job_write(was herald.jobs, j herald.jobs) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made  uuid := herald.uuid_v7();
    event text := CASE
        WHEN j.state <> was.state THEN 'job.' || j.state
        WHEN was.stalled THEN 'job.resumed'
        WHEN j.step <> was.step THEN 'job.step'
        WHEN j.message <> was.message THEN 'job.message'
        ELSE 'job.progress' END;
    body  json := CASE WHEN event IN ('job.progress', 'job.message') THEN herald.job_moving_json(j) ELSE herald.job_json(j) END;
BEGIN
    PERFORM herald.check_json('payload', body, 65536);
    UPDATE herald.jobs x SET
        state = j.state, stalled = j.stalled, max_attempts = j.max_attempts, version = j.version, progress = j.progress,
        step = j.step, steps = j.steps, processed = j.processed, total = j.total, unit = j.unit, message = j.message,
        remaining_ms = j.remaining_ms, details = j.details, error = j.error, retry_at = j.retry_at, result = j.result,
        metadata = j.metadata, heartbeat_at = j.heartbeat_at, updated_at = j.updated_at, finished_at = j.finished_at
    WHERE x.id = j.id;
    INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
    VALUES (made, event, ARRAY['job:' || j.id, 'user:' || j.owner] || j.watchers, j.id, j.version, j.worker, body);
    RETURN made;
END;
$$;

-- Records the report on the job, whose row is locked, and returns the answer.
CREATE OR REPLACE FUNCTION herald.job_record(j herald.jobs, r herald.report_fields) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    late  boolean := r.attempt < j.attempt OR j.state NOT IN ('running', 'cancelling');
    next  herald.jobs := j;
    event uuid;
BEGIN
    IF r.attempt > j.attempt THEN
        PERFORM herald.refuse('ZH001', 'attempt', format('attempt: %s has not started; the job is at %s', r.attempt, j.attempt),
            'Pass the number that the worker was given when it started.');
    ELSIF late THEN
        event := herald.job_late(j, r);
    ELSE
        next := herald.job_apply(j, r);
        IF next.version > j.version THEN
            event := herald.job_write(j, next);
        ELSE
            UPDATE herald.jobs x SET heartbeat_at = next.heartbeat_at WHERE x.id = j.id;
        END IF;
    END IF;
    RETURN json_build_object('event_id', event, 'job_id', j.id, 'version', next.version, 'attempt', next.attempt,
        'state', next.state, 'late', late);
END;
$$;

ALTER FUNCTION herald.report RENAME TO report_before;

CREATE FUNCTION herald.report(
    job uuid, attempt integer, state text DEFAULT NULL, progress double precision DEFAULT NULL, step text DEFAULT NULL,
    step_progress double precision DEFAULT NULL, processed bigint DEFAULT NULL, total bigint DEFAULT NULL, unit text DEFAULT NULL,
    message text DEFAULT NULL, details json DEFAULT NULL, remaining_ms bigint DEFAULT NULL, error text DEFAULT NULL,
    retry_at timestamptz DEFAULT NULL, unblamed boolean DEFAULT FALSE, result json DEFAULT NULL, idempotency_key text DEFAULT NULL, metadata json DEFAULT NULL)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 AS $$
DECLARE
    r herald.report_fields := ROW(attempt, nullif(state, ''), progress, nullif(step, ''), step_progress, processed, total,
        nullif(unit, ''), nullif(message, ''), details, remaining_ms, nullif(error, ''), retry_at, coalesce(unblamed, FALSE), result, metadata);
    j     herald.jobs;
    print bytea;
    reply json;
BEGIN
    PERFORM herald.report_check(r), herald.check_plain('idempotency_key', idempotency_key, 200);
    SELECT x.* INTO j FROM herald.jobs x WHERE x.id = report.job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM herald.refuse('ZH002', 'job', format('there is no job %s', coalesce(report.job::text, 'NULL')),
            'Pass the id that the job was created with; it may have been deleted since.');
    END IF;
    IF idempotency_key IS NULL THEN
        RETURN herald.job_record(j, r);
    END IF;
    -- The row's lock makes the job's reports take turns, so that the key is free until its answer is known.
    print := herald.report_fingerprint(r);
    reply := herald.key_answer('job:' || j.id, idempotency_key, print);
    IF reply IS NULL THEN
        reply := herald.job_record(j, r);
        PERFORM herald.key_take('job:' || j.id, idempotency_key, print, reply);
    END IF;
    RETURN reply;
END;
$$;

REVOKE ALL ON FUNCTION herald.report FROM PUBLIC;

DO $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT a.grantee::regrole AS name, a.is_grantable FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.oid = to_regproc('herald.report_before') AND a.privilege_type = 'EXECUTE' AND a.grantee NOT IN (0, p.proowner) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION herald.report TO %s%s', g.name, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    DROP FUNCTION herald.report_before;
END;
$$;

DROP FUNCTION herald.job_estimate, herald.elapsed_ms;
ALTER TYPE herald.report_fields DROP ATTRIBUTE next_within_ms;
-- +goose StatementEnd

COMMENT ON FUNCTION herald.report IS
    'Records what a worker says of its job in the caller''s transaction, as postgres.DB.RecordReportTx does, and holds the '
    'job''s row until that ends; see docs/sql.md. Needs EXECUTE alone.';

DROP INDEX herald.jobs_done_alike, herald.jobs_claimable;
ALTER TABLE herald.jobs
    DROP CONSTRAINT jobs_cancel_has_a_time,
    DROP COLUMN lease_ms, DROP COLUMN next_due_at, DROP COLUMN cancel_asked_at, DROP COLUMN attempt_started_at,
    DROP COLUMN pace, DROP COLUMN likeness, DROP COLUMN usual_ms;
