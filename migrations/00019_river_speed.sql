-- +goose Up
SET LOCAL lock_timeout = '5s';

-- The indexes' conditions are on one column that stays as it is when River begins an attempt, so that this is a HOT update.
ALTER TABLE herald.jobs ADD COLUMN standing smallint NOT NULL GENERATED ALWAYS AS (CASE
    WHEN state IN ('queued', 'retrying') THEN CASE WHEN external THEN 2 ELSE 1 END
    WHEN state IN ('running', 'cancelling') THEN CASE WHEN river_id = 0 OR heartbeat_at IS NOT NULL THEN 3 ELSE 1 END
    WHEN state = 'succeeded' AND river_id = 0 THEN 5
    ELSE 4 END) STORED;
COMMENT ON COLUMN herald.jobs.standing IS
    'What the indexes are about: 1 has not ended; 2 as well, and waits for a worker elsewhere; 3 as well, and is worked by who may fall '
    'silent; 4 has ended; 5 as well, and tells how long such jobs take. A River job whose worker never reports stays at 1.';
DROP INDEX herald.jobs_active_of_owner, herald.jobs_under_way, herald.jobs_claimable, herald.jobs_done_alike;
-- JobListActive: those of an owner that have not ended, however many have.
CREATE INDEX jobs_active_of_owner ON herald.jobs (owner, id DESC) WHERE standing < 4;
-- JobListSilent: what is being worked now.
CREATE INDEX jobs_under_way ON herald.jobs (id) WHERE standing = 3;
-- JobListClaimable, JobNext: what waits for a worker elsewhere, by kind, oldest first.
CREATE INDEX jobs_claimable ON herald.jobs (kind, id) WHERE standing = 2;
-- JobUsual: the last that were done of a kind and likeness.
CREATE INDEX jobs_done_alike ON herald.jobs (kind, likeness, finished_at DESC) WHERE standing = 5;

ALTER TABLE herald.river_missed ADD COLUMN job_id uuid, ADD COLUMN tries integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN herald.river_missed.job_id IS 'Herald''s id of the job.';
COMMENT ON COLUMN herald.river_missed.tries IS 'How often it failed: the log''s leader tries again, ever more rarely.';

-- +goose StatementBegin
-- Herald's id of a River job, as before, without arithmetic on numeric.
CREATE OR REPLACE FUNCTION herald.river_job_id(mark text, river_id bigint, created_at timestamptz) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex((date_part('epoch', created_at) * 1000000)::bigint / 1000), 12, '0') || '7' || mark
        || to_hex(river_id | (-9223372036854775808)))::uuid
$$;

-- When River began an attempt, in microseconds; 0 for never.
CREATE OR REPLACE FUNCTION herald.river_run(attempted_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((date_part('epoch', attempted_at) * 1000000)::bigint, 0)
$$;

-- The id of an event of a River job: how those of the statement begin, and chance that the job's id there makes its own. To ask
-- for chance for each event takes longer than to write it.
CREATE FUNCTION herald.river_event_id(stem text, salt bigint, river_id bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (stem || to_hex((salt # river_id) & 4611686018427387903 | (-9223372036854775808)))::uuid
$$;

-- A time in JSON, where the time zone is UTC.
CREATE FUNCTION herald.river_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT replace(to_json(at)::text, '+00:00', 'Z')
$$;

-- As job_json, of a job that changes now, where the time zone is UTC. The stamp is now in JSON. What most jobs of a River do not
-- have is one piece of text.
CREATE FUNCTION herald.river_json(j herald.jobs, stamp text) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT concat(
        '{"id":"', j.id, '","kind":', herald.json_text(j.kind), ',"owner":', herald.json_text(j.owner), ',"title":', herald.json_text(j.title),
        ',"state":"', j.state, '","attempt":', j.attempt, ',"max_attempts":', j.max_attempts, ',"version":', j.version,
        ',"worker":', herald.json_text(j.worker), ',"args":', j.args, ',"progress":', j.progress, ',"steps":', j.steps,
        CASE WHEN j.step = '' AND j.message = '' AND j.unit = '' AND j.processed IS NULL AND j.total IS NULL AND j.remaining_ms IS NULL
                AND j.details IS NULL AND NOT j.stalled
            THEN ',"step":"","processed":null,"total":null,"unit":"","message":"","remaining_ms":null,"details":null,"stalled":false'
            ELSE concat(',"step":', herald.json_text(j.step), ',"processed":', coalesce(j.processed::text, 'null'),
                ',"total":', coalesce(j.total::text, 'null'), ',"unit":', herald.json_text(j.unit), ',"message":', herald.json_text(j.message),
                ',"remaining_ms":', coalesce(j.remaining_ms::text, 'null'), ',"details":', coalesce(j.details::text, 'null'),
                ',"stalled":', CASE WHEN j.stalled THEN 'true' ELSE 'false' END) END,
        CASE WHEN j.error = '' AND j.retry_at IS NULL AND j.result IS NULL AND j.cancel_asked_at IS NULL AND j.lease_ms IS NULL AND NOT j.external
                AND j.artifacts_expired_at IS NULL AND j.metadata IS NULL
            THEN ',"error":"","retry_at":null,"result":null,"cancel_asked_at":null,"lease_ms":null,"external":false'
            ELSE concat(',"error":', herald.json_text(j.error), ',"retry_at":', coalesce(herald.river_time(j.retry_at), 'null'),
                ',"result":', coalesce(j.result::text, 'null'), ',"cancel_asked_at":', coalesce(herald.river_time(j.cancel_asked_at), 'null'),
                ',"lease_ms":', coalesce(j.lease_ms::text, 'null'), ',"external":', CASE WHEN j.external THEN 'true' ELSE 'false' END,
                ',"artifacts_expired_at":' || herald.river_time(j.artifacts_expired_at), ',"metadata":' || j.metadata::text) END,
        ',"estimate":', CASE WHEN j.state <> 'running' OR j.usual_ms IS NULL AND j.updated_at = j.attempt_started_at THEN 'null'
            ELSE coalesce(herald.job_estimate(j)::text, 'null') END,
        ',"created_at":', herald.river_time(j.created_at),
        ',"started_at":', CASE WHEN j.started_at = now() THEN stamp ELSE coalesce(herald.river_time(j.started_at), 'null') END,
        ',"attempt_started_at":', CASE WHEN j.attempt_started_at = now() THEN stamp ELSE coalesce(herald.river_time(j.attempt_started_at), 'null') END,
        ',"heartbeat_at":', CASE WHEN j.heartbeat_at = now() THEN stamp ELSE coalesce(herald.river_time(j.heartbeat_at), 'null') END,
        ',"updated_at":', stamp, ',"finished_at":', CASE WHEN j.finished_at IS NULL THEN 'null' ELSE stamp END, '}')::json
$$;

-- Writes down that a change of a River job could not be recorded. It must not fail either.
CREATE FUNCTION herald.river_miss(schema text, river_id bigint, job uuid, code text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'herald: a change of job % in %.river_job is not recorded: %', river_id, schema, message;
    INSERT INTO herald.river_missed AS m (schema, river_id, job_id, code, message) VALUES (schema, river_id, job, code, message)
    ON CONFLICT ON CONSTRAINT river_missed_pkey DO UPDATE SET job_id = excluded.job_id, code = excluded.code, message = excluded.message,
        missed_at = now(), tries = m.tries + 1;
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
CREATE OR REPLACE FUNCTION herald.river_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 SET lock_timeout = '1s'
SET timezone = 'UTC' SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    w     herald.rivers;
    one   bigint; -- NULL: all
    actor text := clip(nullif(current_setting('herald.actor', TRUE), ''), 200);
    stamp text := river_time(now());
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
                          created_at, updated_at, river_schema, river_id)
                      SELECT n.job, clip(n.kind, 80), n.whose,
                          coalesce(nullif(clip(n.about ->> 'title', 300), ''),
                              clip(upper(left(n.kind, 1)) || translate(substr(n.kind, 2), '_-', '  '), 300)),
                          'queued', n.left_attempts, 1,
                          CASE WHEN w.keep_args AND jsonb_typeof(n.args) = 'object' AND octet_length(n.args::text) <= 8192
                              THEN n.args::json ELSE '{}' END,
                          CASE WHEN n.about -> 'metadata' IS NOT NULL THEN river_metadata(n.about -> 'metadata') END,
                          CASE WHEN n.about -> 'watchers' IS NULL THEN '{}' ELSE river_watchers(n.about -> 'watchers') END,
                          n.whose, least(n.created_at, now()), now(), w.schema, n.id
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
                      RETURNING x.id, x.owner, x.watchers, x.version, x.river_id, river_json(x, stamp) AS body
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, payload)
                    SELECT river_event_id(stem || '1', salt, m.river_id), 'job.queued',
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        coalesce(actor, m.owner), m.body
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
                            attempt_started_at = CASE WHEN n.running THEN now() END
                        FROM (SELECT river_job_id(w.mark, n.id, n.created_at) AS job, n.state = 'running' AS running,
                                n.attempt, n.max_attempts - n.attempt AS left_attempts, river_run(n.attempted_at) AS run,
                                coalesce(n.attempted_by[cardinality(n.attempted_by)], '') AS worker
                            FROM news n
                            WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                                AND n.state NOT IN ('completed', 'cancelled', 'discarded')
                            OFFSET 0) n
                        WHERE x.id = n.job
                            AND CASE WHEN n.running THEN x.river_run <> n.run ELSE x.state IN ('succeeded', 'failed', 'cancelled') END
                        RETURNING x.id, x.owner, x.watchers, x.version, n.running, x.worker, x.river_id, river_json(x, stamp) AS body
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, payload)
                    SELECT river_event_id(stem || '2', salt, m.river_id), CASE WHEN m.running THEN 'job.started' ELSE 'job.queued' END,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.running THEN m.worker ELSE coalesce(actor, 'river') END, m.body
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
                            finished_at = CASE WHEN n.state IN ('completed', 'cancelled', 'discarded') THEN now() END
                        FROM (SELECT river_job_id(w.mark, n.id, n.created_at) AS job, n.state::text AS state, n.scheduled_at,
                                n.metadata ? 'cancel_attempted_at' AS cancelling, n.metadata -> 'herald:report' AS said,
                                n.max_attempts - n.attempt AS left_attempts, river_error(n.errors, n.attempt) AS error
                            FROM news n
                            WHERE (one IS NULL OR n.id = one) AND n.kind <> ALL (w.skip)
                            OFFSET 0) n
                        WHERE x.id = n.job AND river_turn(x.state, n.state, n.cancelling) IS NOT NULL
                        RETURNING x.id, x.owner, x.watchers, x.version, x.state, x.worker, x.river_id, river_json(x, stamp) AS body,
                            x.heartbeat_at IS NOT DISTINCT FROM now() AS worked -- it ends an attempt: see above
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, payload)
                    SELECT river_event_id(stem || '3', salt, m.river_id), 'job.' || m.state,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.worked AND m.worker <> '' THEN m.worker ELSE coalesce(actor, 'river') END, m.body
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

-- Records that River jobs were removed: one that had not ended is cancelled thereby. Herald's own rows go with them if that is
-- how this River is watched.
CREATE OR REPLACE FUNCTION herald.river_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
                PERFORM river_miss(TG_TABLE_SCHEMA, one, (SELECT river_job_id(w.mark, o.id, o.created_at) FROM olds o WHERE o.id = one),
                    SQLSTATE, SQLERRM);
            END IF;
            PERFORM set_config('lock_timeout', '2ms', TRUE); -- what is locked may be so for all of a thousand rows
        END;
    END LOOP;
    RETURN NULL;
END;
$$;

-- Records what was missed of at most so many jobs, of all Rivers. What fails again is tried again later: after 10 s, then after
-- longer and longer, in the end once an hour. A job that River no longer has, and that had not ended, is cancelled.
CREATE FUNCTION herald.heal_river(most integer, OUT healed bigint, OUT failed text) LANGUAGE plpgsql SET search_path = herald, pg_temp AS $$
DECLARE
    m    river_missed;
    seen boolean;
BEGIN
    healed := 0;
    FOR m IN SELECT x.* FROM river_missed x
        WHERE x.missed_at + least(x.tries::bigint * x.tries * 10, 3600) * interval '1 s' <= now() ORDER BY x.missed_at LIMIT most LOOP
        BEGIN
            -- To touch a row is to have its trigger look at it. River's row is locked before ours, as everywhere, and never waited for.
            EXECUTE format('UPDATE %1$I.river_job r SET kind = r.kind
                WHERE r.id = (SELECT l.id FROM %1$I.river_job l WHERE l.id = $1 FOR UPDATE SKIP LOCKED) RETURNING TRUE', m.schema)
                INTO seen USING m.river_id;
            IF seen IS NULL THEN
                EXECUTE format('SELECT EXISTS (SELECT FROM %I.river_job r WHERE r.id = $1)', m.schema) INTO seen USING m.river_id;
                CONTINUE WHEN seen;
                PERFORM river_abandon(ARRAY[m.job_id], 'river', 'The job was removed from River''s queue.');
            END IF;
            DELETE FROM river_missed x WHERE x.schema = m.schema AND x.river_id = m.river_id AND x.tries = m.tries;
            healed := healed + CASE WHEN FOUND THEN 1 ELSE 0 END;
        EXCEPTION WHEN OTHERS THEN
            failed := format('job %s in %I.river_job: %s', m.river_id, m.schema, SQLERRM);
            UPDATE river_missed x SET missed_at = now(), tries = x.tries + 1 WHERE x.schema = m.schema AND x.river_id = m.river_id;
        END;
    END LOOP;
END;
$$;

DROP FUNCTION herald.river_miss(text, bigint, text, text);
-- +goose StatementEnd

COMMENT ON FUNCTION herald.heal_river IS
    'Records what was missed of River jobs, of at most so many, and returns of how many, and what went wrong last. Called by the log''s '
    'leader again and again; its role needs SELECT and UPDATE on river_job.';

REVOKE ALL ON FUNCTION
    herald.river_event_id, herald.river_time, herald.river_json, herald.river_miss, herald.heal_river
FROM PUBLIC;

-- +goose Down
SET LOCAL lock_timeout = '5s';
-- +goose StatementBegin
DROP FUNCTION herald.heal_river;
CREATE FUNCTION herald.river_miss(schema text, river_id bigint, code text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'herald: a change of job % in %.river_job is not recorded: %', river_id, schema, message;
    INSERT INTO herald.river_missed AS m (schema, river_id, code, message) VALUES (schema, river_id, code, message)
    ON CONFLICT ON CONSTRAINT river_missed_pkey DO UPDATE SET code = excluded.code, message = excluded.message, missed_at = now();
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'herald: nor is it written down: %', SQLERRM;
END;
$$;

CREATE OR REPLACE FUNCTION herald.river_job_id(mark text, river_id bigint, created_at timestamptz) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT concat(lpad(to_hex(floor(extract(epoch FROM created_at) * 1000)::bigint), 12, '0'), '7', mark,
        to_hex(river_id | (-9223372036854775808)))::uuid
$$;

CREATE OR REPLACE FUNCTION herald.river_run(attempted_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((extract(epoch FROM attempted_at) * 1000000)::bigint, 0)
$$;

CREATE OR REPLACE FUNCTION herald.river_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

CREATE OR REPLACE FUNCTION herald.river_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

DROP FUNCTION herald.river_miss(text, bigint, uuid, text, text);
DROP FUNCTION herald.river_event_id, herald.river_time, herald.river_json;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION herald.river_miss FROM PUBLIC;
ALTER TABLE herald.river_missed DROP COLUMN job_id, DROP COLUMN tries;
DROP INDEX herald.jobs_active_of_owner, herald.jobs_under_way, herald.jobs_claimable, herald.jobs_done_alike;
ALTER TABLE herald.jobs DROP COLUMN standing;
CREATE INDEX jobs_active_of_owner ON herald.jobs (owner, id DESC) WHERE state IN ('queued', 'running', 'retrying', 'cancelling');
CREATE INDEX jobs_under_way ON herald.jobs (id) WHERE state IN ('running', 'cancelling');
CREATE INDEX jobs_claimable ON herald.jobs (kind, id) WHERE external AND state IN ('queued', 'retrying');
CREATE INDEX jobs_done_alike ON herald.jobs (kind, likeness, finished_at DESC) WHERE state = 'succeeded' AND river_id = 0;
