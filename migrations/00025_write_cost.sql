-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Postgres reads the text of each CHECK and of each generated column anew for every statement: of the 36 us that it took to write a
-- report into its job's row, these were 27. So standing is a column that all who write state or heartbeat_at write too; and what
-- remains of the checks is what somebody outside could have a hand in. Numbers that only Herald counts, and arrays that only it
-- makes, are looked at after each test, as is standing.
ALTER TABLE herald.jobs
    ALTER COLUMN standing DROP EXPRESSION,
    DROP CONSTRAINT jobs_state_is_known, DROP CONSTRAINT jobs_attempt_counts_up, DROP CONSTRAINT jobs_version_counts_from_one,
    DROP CONSTRAINT jobs_lease_is_a_time, DROP CONSTRAINT jobs_pace_is_two_points, DROP CONSTRAINT jobs_usual_is_three_times,
    DROP CONSTRAINT jobs_end_has_a_time, ADD CONSTRAINT jobs_end_has_a_time CHECK ((finished_at IS NULL) = (standing < 4));
COMMENT ON COLUMN herald.jobs.standing IS
    'What the indexes are about, as job_standing has it: 1 has not ended; 2 as well, and waits for a worker elsewhere; 3 as well, and is '
    'worked by who may fall silent; 4 has ended; 5 as well, and tells how long such jobs take. A River job whose worker never reports '
    'stays at 1 until it ends, so that the start of an attempt touches no index.';

-- +goose StatementBegin
-- NULL for a state that there is not, which the column refuses. Of a River job that only its triggers write, those know the answer
-- by what they do, and do not ask for each row.
CREATE FUNCTION herald.job_standing(state text, external boolean, river_id bigint, heartbeat_at timestamptz) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE
        WHEN state IN ('running', 'cancelling') THEN CASE WHEN river_id = 0 OR heartbeat_at IS NOT NULL THEN 3 ELSE 1 END
        WHEN state IN ('queued', 'retrying') THEN CASE WHEN external THEN 2 ELSE 1 END
        WHEN state = 'succeeded' AND river_id = 0 THEN 5
        WHEN state IN ('succeeded', 'failed', 'cancelled') THEN 4 END)::smallint
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
        updated_at = j.updated_at, finished_at = j.finished_at,
        standing = herald.job_standing(j.state, x.external, x.river_id, j.heartbeat_at)
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
            UPDATE herald.jobs x SET heartbeat_at = next.heartbeat_at, next_due_at = next.next_due_at,
                standing = herald.job_standing(x.state, x.external, x.river_id, next.heartbeat_at)
            WHERE x.id = j.id;
        END IF;
    END IF;
    RETURN json_build_object('event_id', event, 'job_id', j.id, 'version', next.version, 'attempt', next.attempt,
        'state', next.state, 'late', late);
END;
$$;

-- Cancels those of the jobs that have not ended, and returns how many there were.
CREATE OR REPLACE FUNCTION herald.river_abandon(ids uuid[], actor text, why text) RETURNS bigint LANGUAGE sql AS $$
    WITH next AS (
        UPDATE herald.jobs x SET state = 'cancelled', error = why, retry_at = NULL, remaining_ms = NULL, stalled = FALSE,
            finished_at = now(), updated_at = now(), version = x.version + 1, standing = 4
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
-- +goose StatementEnd

-- Nor does a trigger of River's leave a job's whole row in the outbox any more: what it has to say fits into a few columns, of a
-- type of their own, so that herald.jobs is free to change.
LOCK TABLE herald.outbox IN ACCESS EXCLUSIVE MODE; -- so that no trigger is under way
UPDATE herald.outbox SET payload = herald.river_json(job), job = NULL WHERE payload IS NULL;
DROP FUNCTION herald.river_json;
CREATE TYPE herald.river_brief AS (
    kind text, owner text, title text, state text, attempt integer, max_attempts integer, worker text, args json, progress double precision,
    steps json, created_at timestamptz, started_at timestamptz, attempt_started_at timestamptz, heartbeat_at timestamptz,
    finished_at timestamptz, more text);
ALTER TABLE herald.outbox DROP COLUMN job, ADD COLUMN brief herald.river_brief, -- and its constraint
    ADD CONSTRAINT outbox_event_says_something CHECK (num_nonnulls(payload, brief) = 1);
COMMENT ON COLUMN herald.outbox.brief IS
    'In place of a payload: what there is to say of a River job, of which river_json makes one.';

-- +goose StatementBegin
-- Of a job's JSON, what most jobs of a River have nothing of: NULL for those.
CREATE FUNCTION herald.river_more(j herald.jobs) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN j.step <> '' OR j.message <> '' OR j.unit <> '' OR j.processed IS NOT NULL OR j.total IS NOT NULL
        OR j.remaining_ms IS NOT NULL OR j.details IS NOT NULL OR j.stalled OR j.error <> '' OR j.retry_at IS NOT NULL OR j.result IS NOT NULL
        OR j.cancel_asked_at IS NOT NULL OR j.lease_ms IS NOT NULL OR j.external OR j.artifacts_expired_at IS NOT NULL OR j.metadata IS NOT NULL
    THEN concat(',"step":', herald.json_text(j.step), ',"processed":', coalesce(j.processed::text, 'null'),
        ',"total":', coalesce(j.total::text, 'null'), ',"unit":', herald.json_text(j.unit), ',"message":', herald.json_text(j.message),
        ',"remaining_ms":', coalesce(j.remaining_ms::text, 'null'), ',"details":', coalesce(j.details::text, 'null'),
        ',"stalled":', CASE WHEN j.stalled THEN 'true' ELSE 'false' END,
        ',"error":', herald.json_text(j.error), ',"retry_at":', coalesce(herald.river_time(j.retry_at), 'null'),
        ',"result":', coalesce(j.result::text, 'null'), ',"cancel_asked_at":', coalesce(herald.river_time(j.cancel_asked_at), 'null'),
        ',"lease_ms":', coalesce(j.lease_ms::text, 'null'), ',"external":', CASE WHEN j.external THEN 'true' ELSE 'false' END,
        ',"artifacts_expired_at":' || herald.river_time(j.artifacts_expired_at), ',"metadata":' || j.metadata::text) END
$$;

CREATE FUNCTION herald.river_brief(j herald.jobs) RETURNS herald.river_brief LANGUAGE sql STABLE AS $$
    SELECT ROW(j.kind, j.owner, j.title, j.state, j.attempt, j.max_attempts, j.worker, j.args, j.progress, j.steps,
        j.created_at, j.started_at, j.attempt_started_at, j.heartbeat_at, j.finished_at, herald.river_more(j))::herald.river_brief
$$;

-- As job_json, of what a trigger of River's left. Such a job is never one that runs later than when its attempt began, so there is
-- no estimate. It must not fail, or the log would stand still. It is no part of the sequencer's statement, which then takes
-- 2 us to begin and not 20, mostly for events of other jobs.
CREATE FUNCTION herald.river_json(id uuid, version bigint, updated_at timestamptz, b herald.river_brief) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ('{"id":"' || id || '","kind":' || herald.json_text(b.kind) || ',"owner":' || herald.json_text(b.owner)
        || ',"title":' || herald.json_text(b.title) || ',"state":"' || b.state || '","attempt":' || b.attempt
        || ',"max_attempts":' || b.max_attempts || ',"version":' || version || ',"worker":' || herald.json_text(b.worker)
        || ',"args":' || b.args::text || ',"progress":' || CASE b.progress WHEN 0 THEN '0' WHEN 1 THEN '1' ELSE b.progress::text END
        || ',"steps":' || b.steps::text
        || coalesce(b.more, ',"step":"","processed":null,"total":null,"unit":"","message":"","remaining_ms":null,"details":null,'
            '"stalled":false,"error":"","retry_at":null,"result":null,"cancel_asked_at":null,"lease_ms":null,"external":false')
        || ',"estimate":null,"created_at":' || herald.river_time(b.created_at)
        || coalesce(',"started_at":' || herald.river_time(b.started_at), ',"started_at":null')
        || coalesce(',"attempt_started_at":' || herald.river_time(b.attempt_started_at), ',"attempt_started_at":null')
        || coalesce(',"heartbeat_at":' || herald.river_time(b.heartbeat_at), ',"heartbeat_at":null')
        || ',"updated_at":' || herald.river_time(updated_at)
        || coalesce(',"finished_at":' || herald.river_time(b.finished_at), ',"finished_at":null') || '}')::json;
END;
$$;

-- Records what a statement has changed in river_job, all of its rows at once, in its transaction. A job's row here says where it
-- stood, so whatever was missed before is made good. If anything fails, each row is tried by itself, and one that fails
-- again is missed: River's own statement never fails for it.
--
-- The rows of River's statement are locked, so no two triggers are at the same job, and nobody else locks more than one of
-- herald.jobs: the order does not matter. The planner sees the transition table as it is at first; later ones may be a
-- thousand times as long, so that the way by the primary key is the only one that stays right.
CREATE OR REPLACE FUNCTION herald.river_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 SET lock_timeout = '1s'
SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    w     herald.rivers;
    one   bigint; -- NULL: all
    actor text := clip(nullif(current_setting('herald.actor', TRUE), ''), 200);
    stem  text;   -- how the ids of these events begin: now, as a UUIDv7 does, and some chance
    salt  bigint; -- chance, from which the job's id in River makes the rest
    fresh boolean := TG_OP = 'INSERT'; -- there may be jobs that are not known yet
    many  bigint;
    some_begin boolean;
    some_end   boolean;
    some_said  boolean;
    hits  bigint;
    told  bigint;
BEGIN
    FOR one IN SELECT NULL::bigint UNION ALL (SELECT n.id FROM news n) LOOP
        BEGIN
            SELECT r.* INTO w FROM rivers r WHERE r.schema = TG_TABLE_SCHEMA;
            EXIT WHEN NOT FOUND;
            LOOP
                SELECT left(u.id, 15), ('x' || right(u.id, 16))::bit(64)::bigint INTO stem, salt
                FROM (SELECT translate(uuid_v7()::text, '-', '') AS id) u;
                SELECT count(*),
                    coalesce(bool_or((TG_OP = 'UPDATE' OR n.state = 'running') AND n.state NOT IN ('completed', 'cancelled', 'discarded')), FALSE),
                    coalesce(bool_or(TG_OP = 'UPDATE' AND (n.state <> 'running' OR n.metadata ? 'cancel_attempted_at')
                        OR n.state IN ('completed', 'cancelled', 'discarded')), FALSE),
                    coalesce(bool_or(n.state <> 'running' AND n.metadata ? 'herald:report'), FALSE)
                INTO many, some_begin, some_end, some_said
                FROM news n WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip);

                -- Those that are not known yet.
                IF fresh THEN
                    WITH made AS (
                      INSERT INTO jobs AS x (id, kind, owner, title, state, max_attempts, version, args, metadata, watchers, created_by,
                          created_at, updated_at, river_schema, river_id, standing)
                      SELECT n.job, clip(n.kind, 80), n.whose,
                          coalesce(nullif(clip(n.about ->> 'title', 300), ''),
                              clip(upper(left(n.kind, 1)) || translate(substr(n.kind, 2), '_-', '  '), 300)),
                          'queued', n.left_attempts, 1,
                          CASE WHEN w.keep_args AND jsonb_typeof(n.args) = 'object' AND octet_length(n.args::text) <= 8192
                              THEN n.args::json ELSE '{}' END,
                          CASE WHEN n.about -> 'metadata' IS NOT NULL THEN river_metadata(n.about -> 'metadata') END,
                          CASE WHEN n.about -> 'watchers' IS NULL THEN '{}' ELSE river_watchers(n.about -> 'watchers') END,
                          n.whose, least(n.created_at, now()), now(), w.schema, n.id, 1
                      FROM (SELECT n.id, n.kind, n.args, n.metadata -> 'herald' AS about, greatest(n.max_attempts - n.attempt, 1) AS left_attempts, n.created_at,
                              river_job_id(w.mark, n.id, n.created_at) AS job,
                              coalesce(river_owner(n.metadata -> 'herald' ->> 'owner'), river_owner(n.metadata ->> w.owner_key),
                                  CASE WHEN w.owner_tag IS NOT NULL THEN (SELECT river_owner(substr(t.tag, length(w.owner_tag) + 1))
                                      FROM unnest(n.tags) t (tag) WHERE starts_with(t.tag, w.owner_tag) LIMIT 1) END,
                                  w.owner) AS whose
                          FROM news n
                          WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                              AND (TG_OP = 'INSERT' OR NOT EXISTS (SELECT FROM jobs x WHERE x.id = river_job_id(w.mark, n.id, n.created_at)))
                          OFFSET 0) n
                      ON CONFLICT (id) DO NOTHING
                      RETURNING x.id, x.owner, x.watchers, x.version, x.river_id, river_brief(x) AS brief
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, brief)
                    SELECT river_event_id(stem || '1', salt, m.river_id), 'job.queued',
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        coalesce(actor, m.owner), m.brief
                    FROM made m;
                END IF;
                told := 0;

                -- Those that begin: an attempt, or another life.
                IF some_begin THEN
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
                            attempt_started_at = CASE WHEN n.running THEN now() END, standing = 1
                        FROM (SELECT river_job_id(w.mark, n.id, n.created_at) AS job, n.state = 'running' AS running,
                                n.attempt, n.max_attempts - n.attempt AS left_attempts, river_run(n.attempted_at) AS run,
                                coalesce(n.attempted_by[cardinality(n.attempted_by)], '') AS worker
                            FROM news n
                            WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                                AND n.state NOT IN ('completed', 'cancelled', 'discarded')
                            OFFSET 0) n
                        WHERE x.id = n.job
                            AND CASE WHEN n.running THEN x.river_run <> n.run ELSE x.state IN ('succeeded', 'failed', 'cancelled') END
                        RETURNING x.id, x.owner, x.watchers, x.version, n.running, x.worker, x.river_id,
                            river_brief(x) AS brief
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, brief)
                    SELECT river_event_id(stem || '2', salt, m.river_id), CASE WHEN m.running THEN 'job.started' ELSE 'job.queued' END,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.running THEN m.worker ELSE coalesce(actor, 'river') END, m.brief
                    FROM next m;
                    GET DIAGNOSTICS hits = ROW_COUNT;
                    told := told + hits;
                END IF;

                -- What the workers of those that end had not said yet.
                IF some_said THEN
                    PERFORM river_last_word(river_job_id(w.mark, n.id, n.created_at), n.metadata -> 'herald:report')
                    FROM news n
                    WHERE (one IS NULL OR n.id = one) AND n.state <> 'running' AND n.metadata ? 'herald:report';
                END IF;

                -- Those that end an attempt, or are to.
                IF some_end THEN
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
                            finished_at = CASE WHEN n.state IN ('completed', 'cancelled', 'discarded') THEN now() END,
                            standing = CASE WHEN n.state = 'running' THEN x.standing WHEN n.state IN ('completed', 'cancelled', 'discarded') THEN 4 ELSE 1 END
                        FROM (SELECT river_job_id(w.mark, n.id, n.created_at) AS job, n.state::text AS state, n.scheduled_at,
                                n.metadata ? 'cancel_attempted_at' AS cancelling, n.metadata -> 'herald:report' AS said,
                                n.max_attempts - n.attempt AS left_attempts, river_error(n.errors, n.attempt) AS error
                            FROM news n
                            WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                            OFFSET 0) n
                        WHERE x.id = n.job AND river_turn(x.state, n.state, n.cancelling) IS NOT NULL
                        RETURNING x.id, x.owner, x.watchers, x.version, x.state, x.worker, x.river_id,
                            river_brief(x) AS brief,
                            x.heartbeat_at IS NOT DISTINCT FROM now() AS worked -- it ends an attempt: see above
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, brief)
                    SELECT river_event_id(stem || '3', salt, m.river_id), 'job.' || m.state,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.worked AND m.worker <> '' THEN m.worker ELSE coalesce(actor, 'river') END, m.brief
                    FROM next m;
                    GET DIAGNOSTICS hits = ROW_COUNT;
                    told := told + hits;
                END IF;

                -- Those that did not change may be unknown.
                EXIT WHEN fresh OR told >= many OR NOT EXISTS (SELECT FROM news n WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                        AND NOT EXISTS (SELECT FROM jobs x WHERE x.id = river_job_id(w.mark, n.id, n.created_at)));
                fresh := TRUE;
            END LOOP;
            EXIT WHEN one IS NULL;
        EXCEPTION WHEN OTHERS THEN
            IF one IS NOT NULL THEN
                PERFORM river_miss(TG_TABLE_SCHEMA, one, (SELECT river_job_id(w.mark, n.id, n.created_at) FROM news n WHERE n.id = one),
                    SQLSTATE, SQLERRM);
            END IF;
            PERFORM set_config('lock_timeout', '2ms', TRUE); -- what is locked may be so for all of a thousand rows
        END;
    END LOOP;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION herald.job_standing FROM PUBLIC;

-- +goose Down
SET LOCAL lock_timeout = '5s';
LOCK TABLE herald.outbox IN ACCESS EXCLUSIVE MODE; -- so that no trigger is under way
UPDATE herald.outbox SET payload = herald.river_json(job_id, job_version, created_at, brief), brief = NULL WHERE payload IS NULL;
ALTER TABLE herald.outbox DROP COLUMN brief; -- and its constraint
DROP FUNCTION herald.river_json, herald.river_brief, herald.river_more;
DROP TYPE herald.river_brief;
-- +goose StatementBegin
DO $$
DECLARE
    name text;
    body text;
BEGIN
    FOREACH name IN ARRAY '{job_write,job_record,river_abandon,river_changed}'::text[] LOOP
        SELECT pg_get_functiondef(p.oid) INTO body FROM pg_proc p WHERE p.proname = name AND p.pronamespace = 'herald'::regnamespace;
        body := regexp_replace(body, ',\s+standing = (herald\.job_standing\([^)]*\)|CASE[^\n]*END|\d)', '', 'g');
        body := replace(replace(body, 'river_id, standing)', 'river_id)'), 'w.schema, n.id, 1', 'w.schema, n.id');
        EXECUTE replace(replace(replace(body, 'river_brief(x) AS brief', 'x AS image'), 'actor, brief)', 'actor, job)'), 'm.brief', 'm.image');
    END LOOP;
END;
$$;
-- +goose StatementEnd
ALTER TABLE herald.jobs
    DROP COLUMN standing, -- and its indexes
    DROP CONSTRAINT IF EXISTS jobs_end_has_a_time,
    ADD CONSTRAINT jobs_end_has_a_time CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
    ADD CONSTRAINT jobs_state_is_known CHECK (state IN ('queued', 'running', 'retrying', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    ADD CONSTRAINT jobs_attempt_counts_up CHECK (attempt >= 0),
    ADD CONSTRAINT jobs_version_counts_from_one CHECK (version >= 1),
    ADD CONSTRAINT jobs_lease_is_a_time CHECK (lease_ms > 0),
    ADD CONSTRAINT jobs_pace_is_two_points CHECK (cardinality(pace) = 4),
    ADD CONSTRAINT jobs_usual_is_three_times CHECK (cardinality(usual_ms) = 3),
    ADD COLUMN standing smallint NOT NULL GENERATED ALWAYS AS (CASE
        WHEN state IN ('queued', 'retrying') THEN CASE WHEN external THEN 2 ELSE 1 END
        WHEN state IN ('running', 'cancelling') THEN CASE WHEN river_id = 0 OR heartbeat_at IS NOT NULL THEN 3 ELSE 1 END
        WHEN state = 'succeeded' AND river_id = 0 THEN 5
        ELSE 4 END) STORED;
DROP FUNCTION herald.job_standing;
CREATE INDEX jobs_active_of_owner ON herald.jobs (owner, id DESC) WHERE standing < 4;
CREATE INDEX jobs_under_way ON herald.jobs (id) WHERE standing = 3;
CREATE INDEX jobs_claimable ON herald.jobs (kind, id) WHERE standing = 2;
CREATE INDEX jobs_done_alike ON herald.jobs (kind, likeness, finished_at DESC) WHERE standing = 5;
ALTER TABLE herald.outbox ADD COLUMN job herald.jobs,
    ADD CONSTRAINT outbox_event_says_something CHECK (num_nonnulls(payload, job) = 1);
-- +goose StatementBegin
CREATE FUNCTION herald.river_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT ('{"id":"' || j.id || '","kind":' || herald.json_text(j.kind) || ',"owner":' || herald.json_text(j.owner)
        || ',"title":' || herald.json_text(j.title) || ',"state":"' || j.state || '","attempt":' || j.attempt
        || ',"max_attempts":' || j.max_attempts || ',"version":' || j.version || ',"worker":' || herald.json_text(j.worker)
        || ',"args":' || j.args::text || ',"progress":' || CASE j.progress WHEN 0 THEN '0' WHEN 1 THEN '1' ELSE j.progress::text END
        || ',"steps":' || j.steps::text
        || CASE WHEN j.step = '' AND j.message = '' AND j.unit = '' AND j.processed IS NULL AND j.total IS NULL AND j.remaining_ms IS NULL
                AND j.details IS NULL AND NOT j.stalled
            THEN ',"step":"","processed":null,"total":null,"unit":"","message":"","remaining_ms":null,"details":null,"stalled":false'
            ELSE concat(',"step":', herald.json_text(j.step), ',"processed":', coalesce(j.processed::text, 'null'),
                ',"total":', coalesce(j.total::text, 'null'), ',"unit":', herald.json_text(j.unit), ',"message":', herald.json_text(j.message),
                ',"remaining_ms":', coalesce(j.remaining_ms::text, 'null'), ',"details":', coalesce(j.details::text, 'null'),
                ',"stalled":', CASE WHEN j.stalled THEN 'true' ELSE 'false' END) END
        || CASE WHEN j.error = '' AND j.retry_at IS NULL AND j.result IS NULL AND j.cancel_asked_at IS NULL AND j.lease_ms IS NULL AND NOT j.external
                AND j.artifacts_expired_at IS NULL AND j.metadata IS NULL
            THEN ',"error":"","retry_at":null,"result":null,"cancel_asked_at":null,"lease_ms":null,"external":false'
            ELSE concat(',"error":', herald.json_text(j.error), ',"retry_at":', coalesce(herald.river_time(j.retry_at), 'null'),
                ',"result":', coalesce(j.result::text, 'null'), ',"cancel_asked_at":', coalesce(herald.river_time(j.cancel_asked_at), 'null'),
                ',"lease_ms":', coalesce(j.lease_ms::text, 'null'), ',"external":', CASE WHEN j.external THEN 'true' ELSE 'false' END,
                ',"artifacts_expired_at":' || herald.river_time(j.artifacts_expired_at), ',"metadata":' || j.metadata::text) END
        || ',"estimate":null,"created_at":' || herald.river_time(j.created_at)
        || coalesce(',"started_at":' || herald.river_time(j.started_at), ',"started_at":null')
        || coalesce(',"attempt_started_at":' || herald.river_time(j.attempt_started_at), ',"attempt_started_at":null')
        || coalesce(',"heartbeat_at":' || herald.river_time(j.heartbeat_at), ',"heartbeat_at":null')
        || ',"updated_at":' || herald.river_time(j.updated_at)
        || coalesce(',"finished_at":' || herald.river_time(j.finished_at), ',"finished_at":null') || '}')::json
$$;
-- +goose StatementEnd
