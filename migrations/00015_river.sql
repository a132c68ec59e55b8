-- +goose Up
SET LOCAL lock_timeout = '5s';

ALTER TABLE herald.jobs ADD COLUMN river_schema text NOT NULL DEFAULT '', ADD COLUMN river_id bigint NOT NULL DEFAULT 0,
    ADD COLUMN river_run bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN herald.jobs.river_schema IS
    'The schema of the River that runs the job, which is not Herald''s own; empty when none does. Its triggers write the row.';
COMMENT ON COLUMN herald.jobs.river_id IS 'The job''s id in that River.';
COMMENT ON COLUMN herald.jobs.river_run IS
    'When River began the attempt, in microseconds: no two attempts of a job share it, while River counts one that was snoozed '
    'or interrupted twice.';

-- JobUsual: not of River's jobs, of which nothing is asked that would be worth an entry each.
DROP INDEX herald.jobs_done_alike;
CREATE INDEX jobs_done_alike ON herald.jobs (kind, likeness, finished_at DESC) WHERE state = 'succeeded' AND river_id = 0;

CREATE TABLE herald.rivers (
    schema     text PRIMARY KEY,
    mark       text NOT NULL
        CONSTRAINT rivers_ids_differ UNIQUE,
    owner      text NOT NULL,
    owner_key  text,
    owner_tag  text,
    skip       text[] NOT NULL,
    keep_args  boolean NOT NULL,
    forget     boolean NOT NULL,
    watched_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE herald.rivers IS
    'A row is a River whose jobs are recorded, and how. Written by herald.watch_river and herald.unwatch_river, read by the '
    'triggers on its river_job.';

CREATE TABLE herald.river_missed (
    schema    text NOT NULL,
    river_id  bigint NOT NULL,
    code      text NOT NULL,
    message   text NOT NULL,
    missed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, river_id)
);
COMMENT ON COLUMN herald.rivers.mark IS 'herald.river_mark of the schema, a part of its jobs'' ids.';
COMMENT ON TABLE herald.river_missed IS
    'A row is a River job of which a change could not be recorded, and why. River goes on all the same: the job''s next change '
    'brings its row up to date, and so does herald.catch_up_river, which removes the row here.';

-- +goose StatementBegin
-- Which River a job is of, as three hexadecimal digits of its id.
CREATE FUNCTION herald.river_mark(schema text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(encode(sha256(convert_to(schema, 'UTF8')), 'hex'), 3)
$$;

-- Herald's id of a River job: a UUIDv7 with the time at which River made it, and in place of chance which River that is and the
-- id there, so that a row is found by its primary key alone. heraldriver.JobID computes the same.
CREATE FUNCTION herald.river_job_id(mark text, river_id bigint, created_at timestamptz) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT concat(lpad(to_hex(floor(extract(epoch FROM created_at) * 1000)::bigint), 12, '0'), '7', mark,
        to_hex(river_id | (-9223372036854775808)))::uuid
$$;

-- A text in JSON.
CREATE FUNCTION herald.json_text(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN value = '' THEN '""' ELSE to_json(value)::text END
$$;

-- The whole job, as job.Job. It is put together as text, which takes a third of the time that json_build_object does.
CREATE OR REPLACE FUNCTION herald.job_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT concat(
        '{"id":"', j.id, '","kind":', herald.json_text(j.kind), ',"owner":', herald.json_text(j.owner), ',"title":', herald.json_text(j.title),
        ',"state":"', j.state, '","stalled":', CASE WHEN j.stalled THEN 'true' ELSE 'false' END, ',"attempt":', j.attempt,
        ',"max_attempts":', j.max_attempts, ',"version":', j.version, ',"progress":', j.progress, ',"step":', herald.json_text(j.step),
        ',"steps":', j.steps, ',"processed":', coalesce(j.processed::text, 'null'), ',"total":', coalesce(j.total::text, 'null'),
        ',"unit":', herald.json_text(j.unit), ',"message":', herald.json_text(j.message),
        ',"remaining_ms":', coalesce(j.remaining_ms::text, 'null'), ',"details":', coalesce(j.details::text, 'null'),
        ',"error":', herald.json_text(j.error), ',"retry_at":', coalesce('"' || herald.time_text(j.retry_at) || '"', 'null'),
        ',"result":', coalesce(j.result::text, 'null'), ',"args":', j.args, ',"external":', CASE WHEN j.external THEN 'true' ELSE 'false' END,
        ',"worker":', herald.json_text(j.worker), ',"lease_ms":', coalesce(j.lease_ms::text, 'null'),
        ',"cancel_asked_at":', coalesce('"' || herald.time_text(j.cancel_asked_at) || '"', 'null'),
        ',"estimate":', coalesce(CASE WHEN j.state = 'running' AND (j.usual_ms IS NOT NULL OR j.updated_at > j.attempt_started_at) THEN herald.job_estimate(j)::text END, 'null'),
        ',"created_at":"', herald.time_text(j.created_at),
        '","started_at":', coalesce('"' || herald.time_text(j.started_at) || '"', 'null'),
        ',"attempt_started_at":', coalesce('"' || herald.time_text(j.attempt_started_at) || '"', 'null'),
        ',"heartbeat_at":', coalesce('"' || herald.time_text(j.heartbeat_at) || '"', 'null'),
        ',"updated_at":"', herald.time_text(j.updated_at),
        '","finished_at":', coalesce('"' || herald.time_text(j.finished_at) || '"', 'null'),
        ',"artifacts_expired_at":"' || herald.time_text(j.artifacts_expired_at) || '"', ',"metadata":' || j.metadata::text, '}')::json
$$;

-- The text, or as much of it as surely fits into so many bytes.
CREATE FUNCTION herald.clip(value text, longest integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN octet_length(value) <= longest THEN value ELSE left(value, longest / 4) END
$$;

-- The name if it can be a user's, as event.ParseTopic wants it; else NULL.
CREATE FUNCTION herald.river_owner(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN octet_length(name) <= 200
        AND name ~ '^[^,\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$' THEN name END
$$;

-- What a job's metadata say of its watchers and of its metadata in Herald. What would be refused is left out: it must not
-- keep a job from being inserted.
CREATE FUNCTION herald.river_watchers(list jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(herald.topic(t.topic) ORDER BY t.at), '{}')
        FROM jsonb_array_elements_text(list) WITH ORDINALITY AS t (topic, at) WHERE t.at <= 62);
EXCEPTION WHEN OTHERS THEN
    RETURN '{}';
END;
$$;

CREATE FUNCTION herald.river_metadata(object jsonb) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    PERFORM herald.check_metadata(object::json);
    RETURN object::json;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END;
$$;

-- The state that a job goes to when its River job stands so, other than to begin; NULL when it stays.
CREATE FUNCTION herald.river_turn(was text, state text, cancelling boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT nullif(CASE state
        WHEN 'completed' THEN 'succeeded' WHEN 'discarded' THEN 'failed' WHEN 'cancelled' THEN 'cancelled'
        WHEN 'running' THEN CASE WHEN cancelling AND was = 'running' THEN 'cancelling' ELSE was END
        ELSE CASE WHEN was IN ('running', 'cancelling') THEN 'retrying' ELSE was END END, was)
$$;

-- What went wrong in the attempt that a River job's last error tells of, for people; NULL when that is another attempt.
CREATE FUNCTION herald.river_error(errors jsonb[], attempt integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN errors[cardinality(errors)] ->> 'attempt' = attempt::text
        THEN coalesce(nullif(herald.clip(errors[cardinality(errors)] ->> 'error', 3000), ''), 'The job failed and gave no reason.') END
$$;

-- When River began an attempt, in microseconds; 0 for never.
CREATE FUNCTION herald.river_run(attempted_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((extract(epoch FROM attempted_at) * 1000000)::bigint, 0)
$$;

-- Records what a worker says in the run, which is late unless that is the attempt under way.
CREATE FUNCTION herald.river_report(job uuid, run bigint, said jsonb) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 AS $$
DECLARE
    r herald.report_fields;
    j herald.jobs;
BEGIN
    r := jsonb_populate_record(NULL::herald.report_fields, said - '{state,error,retry_at,unblamed,result}'::text[]);
    r.attempt := 1;
    PERFORM herald.report_check(r);
    SELECT x.* INTO j FROM herald.jobs x WHERE x.id = river_report.job AND x.river_id <> 0 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM herald.refuse('ZH002', 'job', format('there is no job %s of a River', coalesce(river_report.job::text, 'NULL')),
            'Is its River watched, and its kind not left out? See docs/river.md.');
    END IF;
    r.attempt := CASE WHEN j.river_run = run THEN j.attempt ELSE greatest(j.attempt - 1, 0) END;
    RETURN herald.job_record(j, r);
END;
$$;

-- Records what the worker of an attempt that ends had not said yet. A run that is over has had its chance.
CREATE FUNCTION herald.river_last_word(job uuid, said jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF said - '{run,result}'::text[] <> '{}' AND EXISTS (SELECT FROM herald.jobs x
        WHERE x.id = job AND x.river_run::text = said ->> 'run' AND x.state IN ('running', 'cancelling')) THEN
        PERFORM herald.river_report(job, (said ->> 'run')::bigint, said);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'herald: what job % said last is not recorded: %', job, SQLERRM;
END;
$$;

-- Writes down that a change of a River job could not be recorded. It must not fail either.
CREATE FUNCTION herald.river_miss(schema text, river_id bigint, code text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'herald: a change of job % in %.river_job is not recorded: %', river_id, schema, message;
    INSERT INTO herald.river_missed AS m (schema, river_id, code, message) VALUES (schema, river_id, code, message)
    ON CONFLICT ON CONSTRAINT river_missed_pkey DO UPDATE SET code = excluded.code, message = excluded.message, missed_at = now();
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'herald: nor is it written down: %', SQLERRM;
END;
$$;

-- Records what a statement has changed in river_job, all of its rows at once, in its transaction. A job's row here says where it
-- stood, so whatever was missed before is made good. If anything fails, each row is tried by itself, and one that fails
-- again is missed: River's own statement never fails for it.
--
-- The rows of River's statement are locked, so no two triggers are at the same job, and nobody else locks more than one of
-- herald.jobs: the order does not matter. The planner sees the transition table as it is at first; later ones may be a
-- thousand times as long, so that the way by the primary key is the only one that stays right.
CREATE FUNCTION herald.river_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 SET lock_timeout = '1s'
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    w     herald.rivers;
    one   bigint; -- NULL: all
    actor text := clip(nullif(current_setting('herald.actor', TRUE), ''), 200);
    stem  text := left(uuid_v7()::text, 15); -- of the events' ids: now, as a UUIDv7 begins
    fresh boolean := TG_OP = 'INSERT'; -- there may be jobs that are not known yet
    hits  bigint;
    told  bigint;
BEGIN
    FOR one IN SELECT NULL::bigint UNION ALL (SELECT n.id FROM news n) LOOP
        BEGIN
            SELECT r.* INTO w FROM rivers r WHERE r.schema = TG_TABLE_SCHEMA;
            EXIT WHEN NOT FOUND;
            LOOP
                -- Those that are not known yet.
                IF fresh THEN
                    WITH made AS (
                      INSERT INTO jobs AS x (id, kind, owner, title, state, max_attempts, version, args, metadata, watchers, created_by,
                          created_at, updated_at, river_schema, river_id)
                      SELECT n.job, clip(n.kind, 80), n.whose,
                          coalesce(nullif(clip(n.metadata #>> '{herald,title}', 300), ''),
                              clip(upper(left(n.kind, 1)) || translate(substr(n.kind, 2), '_-', '  '), 300)),
                          'queued', n.left_attempts, 1,
                          CASE WHEN w.keep_args AND jsonb_typeof(n.args) = 'object' AND octet_length(n.args::text) <= 8192
                              THEN n.args::json ELSE '{}' END,
                          CASE WHEN n.metadata #> '{herald,metadata}' IS NOT NULL THEN river_metadata(n.metadata #> '{herald,metadata}') END,
                          CASE WHEN n.metadata #> '{herald,watchers}' IS NULL THEN '{}' ELSE river_watchers(n.metadata #> '{herald,watchers}') END,
                          n.whose, least(n.created_at, now()), now(), w.schema, n.id
                      FROM (SELECT n.id, n.kind, n.args, n.metadata, greatest(n.max_attempts - n.attempt, 1) AS left_attempts, n.created_at,
                              river_job_id(w.mark, n.id, n.created_at) AS job,
                              coalesce(river_owner(n.metadata #>> '{herald,owner}'), river_owner(n.metadata ->> w.owner_key),
                                  CASE WHEN w.owner_tag IS NOT NULL THEN (SELECT river_owner(substr(t.tag, length(w.owner_tag) + 1))
                                      FROM unnest(n.tags) t (tag) WHERE starts_with(t.tag, w.owner_tag) LIMIT 1) END,
                                  w.owner) AS whose
                          FROM news n
                          WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                              AND (TG_OP = 'INSERT' OR NOT EXISTS (SELECT FROM jobs x WHERE x.id = river_job_id(w.mark, n.id, n.created_at)))
                          OFFSET 0) n
                      ON CONFLICT (id) DO NOTHING
                      RETURNING x.id, x.owner, x.watchers, x.version, job_json(x) AS body
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, payload)
                    SELECT (stem || substr(gen_random_uuid()::text, 16))::uuid, 'job.queued',
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        coalesce(actor, m.owner), m.body
                    FROM made m;
                END IF;
                told := 0;

                -- Those that begin: an attempt, or another life.
                IF EXISTS (SELECT FROM news n WHERE n.state::text NOT IN ('completed', 'cancelled', 'discarded')
                    AND (TG_OP = 'UPDATE' OR n.state::text = 'running')) THEN
                    WITH next AS (
                        UPDATE jobs x SET
                            state = CASE WHEN n.running THEN 'running' ELSE 'queued' END, version = x.version + 1, updated_at = now(),
                            attempt = CASE WHEN n.running THEN greatest(x.attempt + 1, n.attempt) ELSE x.attempt END,
                            max_attempts = CASE WHEN n.running THEN greatest(x.attempt + 1, n.attempt) ELSE x.attempt END + n.left_attempts,
                            river_run = n.run, worker = CASE WHEN n.running THEN n.worker ELSE '' END,
                            started_at = CASE WHEN n.running THEN coalesce(x.started_at, now()) END,
                            heartbeat_at = NULL, finished_at = NULL, progress = 0, step = '', steps = '[]', processed = NULL, total = NULL,
                            unit = '', message = '', remaining_ms = NULL, details = NULL, error = '', retry_at = NULL, result = NULL,
                            stalled = FALSE, cancel_asked_at = NULL, next_due_at = NULL, pace = '{0,0,0,0}', usual_ms = NULL,
                            attempt_started_at = CASE WHEN n.running THEN now() END
                        FROM (SELECT river_job_id(w.mark, n.id, n.created_at) AS job, n.state::text = 'running' AS running,
                                n.attempt, n.max_attempts - n.attempt AS left_attempts, river_run(n.attempted_at) AS run,
                                coalesce(n.attempted_by[cardinality(n.attempted_by)], '') AS worker
                            FROM news n
                            WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                                AND n.state::text NOT IN ('completed', 'cancelled', 'discarded')
                            OFFSET 0) n
                        WHERE x.id = n.job
                            AND CASE WHEN n.running THEN x.river_run <> n.run ELSE x.state IN ('succeeded', 'failed', 'cancelled') END
                        RETURNING x.id, x.owner, x.watchers, x.version, n.running, x.worker, job_json(x) AS body
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, payload)
                    SELECT (stem || substr(gen_random_uuid()::text, 16))::uuid, CASE WHEN m.running THEN 'job.started' ELSE 'job.queued' END,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.running THEN m.worker ELSE coalesce(actor, 'river') END, m.body
                    FROM next m;
                    GET DIAGNOSTICS hits = ROW_COUNT;
                    told := told + hits;
                END IF;

                -- What the workers of those that end had not said yet.
                PERFORM river_last_word(river_job_id(w.mark, n.id, n.created_at), n.metadata -> 'herald:report')
                FROM news n
                WHERE (one IS NULL OR n.id = one) AND n.state::text <> 'running' AND n.metadata ? 'herald:report';

                -- Those that end an attempt, or are to.
                IF EXISTS (SELECT FROM news n WHERE TG_OP = 'UPDATE' AND (n.state::text <> 'running' OR n.metadata ? 'cancel_attempted_at')
                    OR n.state::text IN ('completed', 'cancelled', 'discarded')) THEN
                    WITH next AS (
                        UPDATE jobs x SET
                            state = river_turn(x.state, n.state, n.cancelling), version = x.version + 1, updated_at = now(),
                            max_attempts = x.attempt + n.left_attempts,
                            stalled = CASE WHEN n.state = 'running' THEN x.stalled ELSE FALSE END,
                            cancel_asked_at = CASE WHEN n.state = 'running' THEN now() ELSE x.cancel_asked_at END,
                            next_due_at = CASE WHEN n.state = 'running' THEN x.next_due_at END,
                            heartbeat_at = CASE WHEN n.state <> 'running' AND x.state IN ('running', 'cancelling') THEN now() ELSE x.heartbeat_at END,
                            progress = CASE n.state WHEN 'completed' THEN 1 ELSE x.progress END,
                            remaining_ms = CASE n.state WHEN 'running' THEN x.remaining_ms END,
                            error = CASE
                                WHEN n.state = 'running' OR n.state = 'cancelled' AND x.state IN ('queued', 'retrying') THEN x.error
                                WHEN n.state = 'completed' THEN ''
                                WHEN n.state = 'cancelled' THEN coalesce(nullif(n.error, 'JobCancelError: job cancelled remotely'), '')
                                WHEN n.state = 'discarded' THEN coalesce(n.error, 'River discarded the job.')
                                WHEN x.attempt + n.left_attempts <= x.max_attempts THEN coalesce(n.error, 'The job goes back to the queue.')
                                WHEN n.scheduled_at > now() THEN 'The worker snoozed the job.'
                                ELSE 'The worker handed the job back to the queue.' END,
                            retry_at = CASE WHEN n.state NOT IN ('running', 'completed', 'cancelled', 'discarded') THEN n.scheduled_at END,
                            result = CASE WHEN n.state = 'completed' AND n.said ->> 'run' = x.river_run::text
                                AND jsonb_typeof(n.said -> 'result') = 'object' AND octet_length((n.said -> 'result')::text) <= 16384
                                THEN (n.said -> 'result')::json END,
                            finished_at = CASE WHEN n.state IN ('completed', 'cancelled', 'discarded') THEN now() END
                        FROM (SELECT river_job_id(w.mark, n.id, n.created_at) AS job, n.state::text AS state, n.scheduled_at,
                                n.metadata ? 'cancel_attempted_at' AS cancelling, n.metadata -> 'herald:report' AS said,
                                n.max_attempts - n.attempt AS left_attempts, river_error(n.errors, n.attempt) AS error
                            FROM news n
                            WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                            OFFSET 0) n
                        WHERE x.id = n.job AND river_turn(x.state, n.state, n.cancelling) IS NOT NULL
                        RETURNING x.id, x.owner, x.watchers, x.version, x.state, x.worker, job_json(x) AS body,
                            x.heartbeat_at IS NOT DISTINCT FROM now() AS worked -- it ends an attempt: see above
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, payload)
                    SELECT (stem || substr(gen_random_uuid()::text, 16))::uuid, 'job.' || m.state,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.worked AND m.worker <> '' THEN m.worker ELSE coalesce(actor, 'river') END, m.body
                    FROM next m;
                    GET DIAGNOSTICS hits = ROW_COUNT;
                    told := told + hits;
                END IF;

                -- Those that did not change may be unknown.
                EXIT WHEN fresh OR told >= (SELECT count(*) FROM news n WHERE one IS NULL OR n.id = one)
                    OR NOT EXISTS (SELECT FROM news n WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                        AND NOT EXISTS (SELECT FROM jobs x WHERE x.id = river_job_id(w.mark, n.id, n.created_at)));
                fresh := TRUE;
            END LOOP;
            EXIT WHEN one IS NULL;
        EXCEPTION WHEN OTHERS THEN
            IF one IS NOT NULL THEN
                PERFORM river_miss(TG_TABLE_SCHEMA, one, SQLSTATE, SQLERRM);
            END IF;
            PERFORM set_config('lock_timeout', '2ms', TRUE); -- what is locked may be so for all of a thousand rows
        END;
    END LOOP;
    RETURN NULL;
END;
$$;

-- Records that River jobs were removed: one that had not ended is cancelled thereby. Herald's own rows go with them if that is
-- how this River is watched.
CREATE FUNCTION herald.river_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 SET lock_timeout = '1s'
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    w     herald.rivers;
    one   bigint; -- NULL: all
    actor text := coalesce(clip(nullif(current_setting('herald.actor', TRUE), ''), 200), 'river');
BEGIN
    FOR one IN SELECT NULL::bigint UNION ALL (SELECT o.id FROM olds o) LOOP
        BEGIN
            SELECT r.* INTO w FROM rivers r WHERE r.schema = TG_TABLE_SCHEMA;
            EXIT WHEN NOT FOUND OR NOT w.forget AND NOT EXISTS (SELECT FROM olds o WHERE o.finalized_at IS NULL);
            PERFORM river_abandon(array_agg(river_job_id(w.mark, o.id, o.created_at)), actor, 'The job was removed from River''s queue.')
            FROM olds o WHERE (one IS NULL OR o.id = one) AND o.finalized_at IS NULL;
            IF w.forget THEN
                WITH gone AS (
                    DELETE FROM jobs x USING (SELECT river_job_id(w.mark, o.id, o.created_at) AS job FROM olds o
                        WHERE one IS NULL OR o.id = one OFFSET 0) o
                    WHERE x.id = o.job RETURNING x.id, x.owner, x.watchers, x.version + 1 AS version, x.metadata
                )
                INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, payload)
                SELECT uuid_v7(), 'job.deleted', ARRAY['job:' || g.id, 'user:' || g.owner] || g.watchers, g.id, g.version, actor,
                    with_metadata(json_build_object('id', g.id, 'version', g.version), g.metadata)
                FROM gone g;
            END IF;
            EXIT WHEN one IS NULL;
        EXCEPTION WHEN OTHERS THEN
            IF one IS NOT NULL THEN
                PERFORM river_miss(TG_TABLE_SCHEMA, one, SQLSTATE, SQLERRM);
            END IF;
            PERFORM set_config('lock_timeout', '2ms', TRUE); -- what is locked may be so for all of a thousand rows
        END;
    END LOOP;
    RETURN NULL;
END;
$$;

-- Cancels those of the jobs that have not ended, and returns how many there were.
CREATE FUNCTION herald.river_abandon(ids uuid[], actor text, why text) RETURNS bigint LANGUAGE sql AS $$
    WITH next AS (
        UPDATE herald.jobs x SET state = 'cancelled', error = why, retry_at = NULL, remaining_ms = NULL, stalled = FALSE,
            finished_at = now(), updated_at = now(), version = x.version + 1
        WHERE x.id = ANY (ids) AND x.state IN ('queued', 'running', 'retrying', 'cancelling')
        RETURNING x.id, x.owner, x.watchers, x.version, herald.job_json(x) AS body
    ), told AS (
        INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
        SELECT herald.uuid_v7(), 'job.cancelled', ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version, actor, m.body
        FROM next m
        RETURNING 1
    )
    SELECT count(*) FROM told
$$;

CREATE FUNCTION herald.watch_river(
    schema text DEFAULT 'public', owner text DEFAULT 'river', owner_key text DEFAULT NULL, owner_tag text DEFAULT NULL,
    skip text[] DEFAULT '{}', keep_args boolean DEFAULT FALSE, forget boolean DEFAULT FALSE)
RETURNS void LANGUAGE plpgsql SET lock_timeout = '5s' SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    jobs regclass := to_regclass(format('%I.river_job', schema));
BEGIN
    IF schema = 'herald_queue' THEN
        PERFORM herald.refuse('ZH001', 'schema', 'schema: herald_queue is Herald''s own queue, whose jobs have rows already',
            'Give your jobs a River in a schema of their own.');
    ELSIF jobs IS NULL THEN
        PERFORM herald.refuse('ZH002', 'schema', format('schema: there is no %I.river_job', schema),
            'Run River''s migrations first, or name the schema that they were run in.');
    ELSIF herald.river_owner(owner) IS NULL THEN
        PERFORM herald.refuse('ZH001', 'owner', 'owner: not a user''s name',
            'Pass 1 to 200 bytes without a space, comma or control character.');
    ELSIF skip IS NULL OR keep_args IS NULL OR forget IS NULL THEN
        PERFORM herald.refuse('ZH001', 'skip', 'skip, keep_args and forget cannot be NULL', 'Leave out what you do not set.');
    END IF;
    INSERT INTO herald.rivers AS r (schema, mark, owner, owner_key, owner_tag, skip, keep_args, forget)
    VALUES (schema, herald.river_mark(schema), owner, nullif(owner_key, ''), nullif(owner_tag, ''), skip, keep_args, forget)
    ON CONFLICT ON CONSTRAINT rivers_pkey DO UPDATE SET owner = excluded.owner, owner_key = excluded.owner_key,
        owner_tag = excluded.owner_tag, skip = excluded.skip, keep_args = excluded.keep_args, forget = excluded.forget;
    IF (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = jobs AND t.tgname IN ('herald_insert', 'herald_update', 'herald_delete')) < 3 THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER herald_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS news
            FOR EACH STATEMENT EXECUTE FUNCTION herald.river_changed()', jobs);
        EXECUTE format('CREATE OR REPLACE TRIGGER herald_update AFTER UPDATE ON %s REFERENCING NEW TABLE AS news
            FOR EACH STATEMENT EXECUTE FUNCTION herald.river_changed()', jobs);
        EXECUTE format('CREATE OR REPLACE TRIGGER herald_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS olds
            FOR EACH STATEMENT EXECUTE FUNCTION herald.river_deleted()', jobs);
    END IF;
END;
$$;

CREATE FUNCTION herald.catch_up_river(schema text DEFAULT 'public', after bigint DEFAULT 0, most integer DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last bigint;
BEGIN
    -- To touch a row is to have its trigger look at it.
    EXECUTE format($q$
        WITH behind AS MATERIALIZED (
            SELECT r.id FROM %1$I.river_job r
            WHERE r.id > $2 AND r.kind <> ALL (SELECT unnest(w.skip) FROM herald.rivers w WHERE w.schema = $1) AND (
                EXISTS (SELECT FROM herald.river_missed m WHERE m.schema = $1 AND m.river_id = r.id)
                OR r.finalized_at IS NULL
                    AND NOT EXISTS (SELECT FROM herald.jobs x WHERE x.id = herald.river_job_id(herald.river_mark($1), r.id, r.created_at)))
            ORDER BY r.id LIMIT $3 FOR UPDATE OF r
        ), made_good AS (
            DELETE FROM herald.river_missed m USING behind b WHERE m.schema = $1 AND m.river_id = b.id
        ), touched AS (
            UPDATE %1$I.river_job r SET kind = r.kind FROM behind b WHERE r.id = b.id RETURNING r.id
        )
        SELECT max(t.id) FROM touched t$q$, schema) INTO last USING schema, after, most;
    RETURN last;
END;
$$;

CREATE FUNCTION herald.unwatch_river(schema text DEFAULT 'public') RETURNS bigint LANGUAGE plpgsql
SET lock_timeout = '5s' SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    jobs regclass := to_regclass(format('%I.river_job', schema));
    name text;
BEGIN
    FOREACH name IN ARRAY CASE WHEN jobs IS NULL THEN '{}' ELSE ARRAY['herald_insert', 'herald_update', 'herald_delete'] END LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', name, jobs);
    END LOOP;
    DELETE FROM herald.rivers w WHERE w.schema = unwatch_river.schema;
    DELETE FROM herald.river_missed m WHERE m.schema = unwatch_river.schema;
    RETURN (SELECT herald.river_abandon(array_agg(x.id), 'herald', 'Herald no longer watches the queue that runs the job.')
        FROM herald.jobs x
        WHERE x.river_schema = unwatch_river.schema AND x.state IN ('queued', 'running', 'retrying', 'cancelling'));
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION herald.river_report IS
    'Records what the worker of a River job says, for package heraldriver. Needs EXECUTE alone.';
COMMENT ON FUNCTION herald.watch_river IS
    'Has every change of a River''s jobs recorded from now on, or changes how; see docs/river.md. The caller owns river_job.';
COMMENT ON FUNCTION herald.catch_up_river IS
    'Records the jobs of a watched River that were there before, and what was missed, of at most so many jobs after the id, and '
    'returns the last one''s id; NULL when there is nothing left.';
COMMENT ON FUNCTION herald.unwatch_river IS
    'Takes the triggers away again, ends the jobs that are left here as cancelled, and returns how many those were.';

REVOKE ALL ON FUNCTION
    herald.river_mark, herald.river_job_id, herald.json_text, herald.clip, herald.river_owner, herald.river_watchers,
    herald.river_metadata, herald.river_turn, herald.river_error, herald.river_run, herald.river_report, herald.river_last_word,
    herald.river_miss, herald.river_changed, herald.river_deleted, herald.river_abandon,
    herald.watch_river, herald.catch_up_river, herald.unwatch_river
FROM PUBLIC;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP FUNCTION herald.river_changed, herald.river_deleted CASCADE; -- and the triggers
DROP FUNCTION
    herald.river_mark, herald.river_job_id, herald.json_text, herald.clip, herald.river_owner, herald.river_watchers,
    herald.river_metadata, herald.river_turn, herald.river_error, herald.river_run, herald.river_report, herald.river_last_word,
    herald.river_miss, herald.river_abandon, herald.watch_river,
    herald.catch_up_river, herald.unwatch_river;
-- +goose StatementBegin
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
-- +goose StatementEnd
DROP TABLE herald.rivers;
DROP TABLE herald.river_missed;
DROP INDEX herald.jobs_done_alike;
CREATE INDEX jobs_done_alike ON herald.jobs (kind, likeness, finished_at DESC) WHERE state = 'succeeded';
ALTER TABLE herald.jobs DROP COLUMN river_schema, DROP COLUMN river_id, DROP COLUMN river_run;
