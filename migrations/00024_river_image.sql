-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What a trigger of River's has to say of a job is the job's row as it is then. Its JSON, of which to make and to write it would be
-- a third of what River waits for, is made when the sequencer moves the event to the log.
ALTER TABLE herald.outbox ALTER COLUMN payload DROP NOT NULL, ADD COLUMN job herald.jobs,
    ADD CONSTRAINT outbox_event_says_something CHECK (num_nonnulls(payload, job) = 1);
COMMENT ON COLUMN herald.outbox.job IS
    'In place of a payload: the job whose JSON it is to be, as river_json makes it. While there is this column, Postgres refuses to rewrite '
    'herald.jobs: a migration that has to, makes the payloads and this column anew, as the Down of 00024 does.';

DROP FUNCTION herald.river_json;
-- +goose StatementBegin
-- A time in JSON, however the session writes times.
CREATE OR REPLACE FUNCTION herald.river_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT left(to_json(at AT TIME ZONE 'UTC')::text, -1) || 'Z"'
$$;

-- As job_json, of a row that a trigger of River's left. Such a row is never one of a running job later than when its attempt began,
-- so there is no estimate. It must not fail, or the log would stand still. What most jobs of a River do not have is one piece of text.
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
                      RETURNING x.id, x.owner, x.watchers, x.version, x.river_id, x AS image
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, job)
                    SELECT river_event_id(stem || '1', salt, m.river_id), 'job.queued',
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        coalesce(actor, m.owner), m.image
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
                        RETURNING x.id, x.owner, x.watchers, x.version, n.running, x.worker, x.river_id, x AS image
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, job)
                    SELECT river_event_id(stem || '2', salt, m.river_id), CASE WHEN m.running THEN 'job.started' ELSE 'job.queued' END,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.running THEN m.worker ELSE coalesce(actor, 'river') END, m.image
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
                        RETURNING x.id, x.owner, x.watchers, x.version, x.state, x.worker, x.river_id, x AS image,
                            x.heartbeat_at IS NOT DISTINCT FROM now() AS worked -- it ends an attempt: see above
                    )
                    INSERT INTO outbox (event_id, type, topics, job_id, job_version, actor, job)
                    SELECT river_event_id(stem || '3', salt, m.river_id), 'job.' || m.state,
                        ARRAY['job:' || m.id, 'user:' || m.owner] || m.watchers, m.id, m.version,
                        CASE WHEN m.worked AND m.worker <> '' THEN m.worker ELSE coalesce(actor, 'river') END, m.image
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

-- +goose Down
SET LOCAL lock_timeout = '5s';
LOCK TABLE herald.outbox IN ACCESS EXCLUSIVE MODE; -- so that no trigger is under way
UPDATE herald.outbox SET payload = herald.river_json(job), job = NULL WHERE payload IS NULL;
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace(replace(pg_get_functiondef('herald.river_changed()'::regprocedure),
        ' x AS image', ' river_json(x) AS image'), 'actor, job)', 'actor, payload)');
END;
$$;
-- +goose StatementEnd
ALTER TABLE herald.outbox DROP CONSTRAINT outbox_event_says_something, DROP COLUMN job, ALTER COLUMN payload SET NOT NULL;
