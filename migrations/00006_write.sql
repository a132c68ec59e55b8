-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.idempotency_keys (
    scope       text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL
        CONSTRAINT idempotency_keys_fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32),
    answer      json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    CONSTRAINT idempotency_keys_are_seen_once PRIMARY KEY (scope, key)
);

COMMENT ON TABLE herald.idempotency_keys IS
    'A row is a key that was seen, and the answer that its request got. Written with what the request wrote, in one '
    'transaction, by herald.report, herald.publish and postgres.DB; removed by the leader some time after it has expired.';
COMMENT ON COLUMN herald.idempotency_keys.scope IS 'Whose key it is: job:UUID of a report, publish:ACTOR of a publication, create:ACTOR of a new job.';
COMMENT ON COLUMN herald.idempotency_keys.fingerprint IS 'herald.fingerprint of the request, which a repeat must have too.';
COMMENT ON COLUMN herald.idempotency_keys.expires_at IS 'The key counts as unseen from then on. Go writes a time of its own.';

-- KeyDeleteExpired.
CREATE INDEX idempotency_keys_by_expiry ON herald.idempotency_keys (expires_at);

CREATE TYPE herald.report_fields AS (
    attempt integer, state text, progress double precision, step text, step_progress double precision, processed bigint,
    total bigint, unit text, message text, details json, remaining_ms bigint, error text, retry_at timestamptz,
    unblamed boolean, result json, metadata json
);
COMMENT ON TYPE herald.report_fields IS 'What a worker says of its job, as job.Report in Go; NULL says nothing.';

-- +goose StatementBegin
CREATE FUNCTION herald.refuse(code text, field text, message text, hint text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = refuse.code, COLUMN = refuse.field, MESSAGE = refuse.message, HINT = refuse.hint;
END;
$$;

-- A time as Go writes it into JSON.
CREATE FUNCTION herald.time_text(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT rtrim(rtrim(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z'
$$;

-- A UUIDv7: the time in milliseconds, then chance. A UUIDv4 has the variant right, and its version only wants two more bits.
CREATE FUNCTION herald.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1), 52, 1), 53, 1), 'hex')::uuid
$$;

-- Tells a request from others under the same key, as event.Fingerprint does: each part as its length, a colon and itself,
-- NULL as a hyphen. JSON counts as the text that was sent.
CREATE FUNCTION herald.fingerprint(VARIADIC parts text[]) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to(string_agg(coalesce(octet_length(p.part) || ':' || p.part, '-'), '' ORDER BY p.at), 'UTF8'))
    FROM unnest(parts) WITH ORDINALITY AS p (part, at)
$$;

CREATE FUNCTION herald.check_text(field text, value text, longest integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF octet_length(value) > longest THEN
        PERFORM herald.refuse('ZH001', field, format('%s: %s bytes, at most %s', field, octet_length(value), longest), 'Shorten it.');
    END IF;
END;
$$;

-- Of a name or a key: NULL is none, and then a control character, as unicode.IsControl knows it, is a mistake, as is nothing.
CREATE FUNCTION herald.check_plain(field text, value text, longest integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM herald.check_text(field, value, longest);
    IF value = '' OR value ~ '[\u0001-\u001f\u007f-\u009f]' THEN
        PERFORM herald.refuse('ZH001', field, field || ': empty, or contains a control character', 'Pass NULL, or leave it out, for none.');
    END IF;
END;
$$;

-- As event.CheckJSON: json takes an escaped NUL and half of a surrogate pair, and then fails whoever reads the value.
CREATE FUNCTION herald.check_json(field text, value json, longest integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF octet_length(value::text) > longest THEN
        PERFORM herald.refuse('ZH001', field, format('%s: %s bytes, at most %s', field, octet_length(value::text), longest),
            'Keep what is large elsewhere, and send where it is.');
    ELSIF strpos(value::text, '\u') > 0 THEN
        BEGIN -- a subtransaction, whose price only such a text pays
            PERFORM value #>> '{}';
        EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN
            PERFORM herald.refuse('ZH001', field, field || ': contains \u0000 or half of a surrogate pair', 'Remove it from the text.');
        END;
    END IF;
END;
$$;

-- The answer that the key's first request got, NULL when there was none. Another request under the key is refused.
CREATE FUNCTION herald.key_answer(of_scope text, of_key text, print bytea) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    seen herald.idempotency_keys;
BEGIN
    SELECT k.* INTO seen FROM herald.idempotency_keys k WHERE k.scope = of_scope AND k.key = of_key AND k.expires_at > now();
    IF seen.fingerprint <> print THEN
        PERFORM herald.refuse('ZH004', 'idempotency_key', 'the idempotency key was used for another request',
            'Take a new key for each request; repeat a request with exactly the arguments that it had.');
    END IF;
    RETURN seen.answer;
END;
$$;

-- Keeps the answer under the key and returns NULL, or returns what another transaction has kept there. One that is about
-- to is waited for. A REPEATABLE READ caller that cannot see it gets 40001 instead, and tries its transaction again.
CREATE FUNCTION herald.key_take(of_scope text, of_key text, print bytea, reply json) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO herald.idempotency_keys AS seen (scope, key, fingerprint, answer)
    VALUES (of_scope, of_key, print, reply)
    ON CONFLICT ON CONSTRAINT idempotency_keys_are_seen_once DO UPDATE SET
        fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at,
        expires_at = excluded.expires_at
    WHERE seen.expires_at <= now();
    RETURN CASE WHEN NOT FOUND THEN herald.key_answer(of_scope, of_key, print) END;
END;
$$;

-- The topic as event.ParseTopic returns it. The names may not hold what unicode.IsSpace and unicode.IsControl know, or a comma.
CREATE FUNCTION herald.topic(spelled text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF spelled = 'all' THEN
        RETURN spelled;
    ELSIF spelled ~ '^job:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN
        RETURN lower(spelled);
    ELSIF spelled ~ '^(user|channel|client):[^,\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$'
        AND octet_length(spelled) - strpos(spelled, ':') <= 200 THEN
        RETURN spelled;
    END IF;
    PERFORM herald.refuse('ZH001', 'topics', format('topics: not a topic: %s', coalesce(quote_literal(left(spelled, 60)), 'NULL')),
        'A topic is user:ID, job:UUID, channel:NAME, client:ID or all; a name has 1 to 200 bytes and no space, comma or control character.');
END;
$$;

CREATE FUNCTION herald.check_type(type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF type IS NULL OR octet_length(type) > 100 OR type !~ '^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$' THEN
        PERFORM herald.refuse('ZH001', 'type', format('type: not an event type: %s', coalesce(quote_literal(left(type, 60)), 'NULL')),
            'Take words of a-z, 0-9, - and _, joined by dots, of at most 100 bytes, such as order.paid.');
    ELSIF starts_with(type, 'job.') OR starts_with(type, 'stream.') THEN
        PERFORM herald.refuse('ZH001', 'type', format('type: %L is Herald''s own word', type),
            'Report on jobs with herald.report; begin your own types with another word.');
    END IF;
END;
$$;

CREATE FUNCTION herald.publish(topics text[], type text, payload json, actor text DEFAULT NULL, idempotency_key text DEFAULT NULL)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER
SET search_path = herald, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    made  uuid := herald.uuid_v7();
    whom  text[];
    topic text;
    first json;
BEGIN
    actor := coalesce(actor, session_user);
    PERFORM herald.check_plain('idempotency_key', idempotency_key, 200), herald.check_type(type),
        herald.check_plain('actor', actor, 200), herald.check_json('payload', payload, 65536);
    IF payload IS NULL THEN
        PERFORM herald.refuse('ZH001', 'payload', 'payload: NULL is not JSON', 'Pass JSON; it may be {} or null.');
    ELSIF coalesce(cardinality(topics), 0) NOT BETWEEN 1 AND 64 THEN
        PERFORM herald.refuse('ZH001', 'topics', format('topics: %s of them, want 1 to 64', coalesce(cardinality(topics), 0)),
            'What concerns many is one event to a channel that they follow.');
    END IF;
    FOREACH topic IN ARRAY topics LOOP
        whom := whom || herald.topic(topic);
    END LOOP;
    IF idempotency_key IS NOT NULL THEN
        first := herald.key_take('publish:' || actor, idempotency_key,
            herald.fingerprint(VARIADIC ARRAY['publish', type, cardinality(whom)::text] || whom || payload::text),
            json_build_object('event_ids', json_build_array(made)));
        IF first IS NOT NULL THEN
            RETURN json_build_object('event_id', first #> '{event_ids,0}');
        END IF;
    END IF;
    INSERT INTO herald.outbox (event_id, type, topics, actor, payload)
    VALUES (made, publish.type, whom, publish.actor, publish.payload);
    RETURN json_build_object('event_id', made);
END;
$$;

COMMENT ON FUNCTION herald.publish IS
    'Publishes an event in the caller''s transaction, as postgres.DB.PublishTx does; see docs/sql.md. Needs EXECUTE alone.';

CREATE FUNCTION herald.check_number(field text, value double precision, most double precision, rule text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF value NOT BETWEEN 0 AND most THEN -- so is NaN, which Postgres sorts last
        PERFORM herald.refuse('ZH001', field, format('%s: %s %s', field, value, rule), 'Compute it anew.');
    END IF;
END;
$$;

CREATE FUNCTION herald.check_object(field text, value json, longest integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM herald.check_json(field, value, longest);
    IF json_typeof(value) <> 'object' THEN
        PERFORM herald.refuse('ZH001', field, field || ': must be a JSON object', 'Put it into an object, or pass NULL for nothing.');
    END IF;
END;
$$;

-- As checkMetadata in Go.
CREATE FUNCTION herald.check_metadata(metadata json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM herald.check_object('metadata', metadata, 2048);
    IF (SELECT count(DISTINCT m.key) > 16 FROM json_each(metadata) m) THEN
        PERFORM herald.refuse('ZH001', 'metadata', 'metadata: more than 16 members', 'Keep there what streams are filtered by.');
    ELSIF EXISTS (SELECT FROM json_each(metadata) m WHERE json_typeof(m.value) IN ('object', 'array', 'null')) THEN
        PERFORM herald.refuse('ZH001', 'metadata', 'metadata: its values are strings, numbers and booleans', 'Keep other values in details.');
    END IF;
END;
$$;

-- What is wrong with a report by itself: the rules and the limits of job.Report.Check, in its order.
CREATE FUNCTION herald.report_check(r herald.report_fields) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM herald.check_text('step', r.step, 80), herald.check_text('unit', r.unit, 80),
        herald.check_text('message', r.message, 1000), herald.check_text('error', r.error, 3000),
        herald.check_number('progress', r.progress, 1, 'is not a share between 0 and 1'),
        herald.check_number('step_progress', r.step_progress, 1, 'is not a share between 0 and 1'),
        herald.check_number('processed', r.processed, 'Infinity', 'is negative'),
        herald.check_number('total', r.total, 'Infinity', 'is negative'),
        herald.check_object('details', r.details, 4096), herald.check_object('result', r.result, 16384),
        herald.check_metadata(r.metadata);
    IF coalesce(r.attempt, 0) < 1 THEN
        PERFORM herald.refuse('ZH001', 'attempt', 'attempt: a report names the attempt it belongs to, 1 or more',
            'Pass the number that the worker was given when it started.');
    END IF;
    PERFORM herald.check_number('remaining_ms', r.remaining_ms, 'Infinity', 'is negative');
    IF r.state IN ('retrying', 'failed') AND r.error IS NULL THEN
        PERFORM herald.refuse('ZH001', 'error', 'error: a failure says what went wrong', 'Pass error as well.');
    ELSIF r.result IS NOT NULL AND r.state IS DISTINCT FROM 'succeeded' THEN
        PERFORM herald.refuse('ZH001', 'result', 'result: only a report of success has a result', 'Pass it with state => ''succeeded''.');
    ELSIF r.state NOT IN ('retrying', 'succeeded', 'failed', 'cancelled') THEN
        PERFORM herald.refuse('ZH001', 'state', format('state: %L', left(r.state, 60)),
            'A report may say retrying, succeeded, failed or cancelled.');
    ELSIF NOT isfinite(r.retry_at) OR extract(year FROM r.retry_at AT TIME ZONE 'UTC') NOT BETWEEN 1 AND 9999 THEN
        PERFORM herald.refuse('ZH001', 'retry_at', 'retry_at: the year is not one of 1 to 9999', 'Pass NULL for no time.');
    END IF;
END;
$$;

-- Whether it says nothing but that the worker is alive, as job.Report.Heartbeat.
CREATE FUNCTION herald.report_is_heartbeat(r herald.report_fields) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT num_nonnulls(r.state, r.progress, r.step, r.step_progress, r.processed, r.total, r.unit, r.message, r.details,
        r.remaining_ms, r.metadata) = 0
$$;

CREATE FUNCTION herald.report_fingerprint(r herald.report_fields) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT herald.fingerprint('report', r.attempt::text, r.state, encode(float8send(r.progress), 'hex'), r.step,
        encode(float8send(r.step_progress), 'hex'), r.processed::text, r.total::text, r.unit, r.message, r.details::text,
        r.remaining_ms::text, r.error, trunc(extract(epoch FROM r.retry_at) * 1000000)::bigint::text, r.unblamed::text, r.result::text, r.metadata::text)
$$;

-- Where the step stands in the plan, from 0 on; NULL when it does not.
CREATE FUNCTION herald.plan_index(steps json, name text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT min(s.at)::integer - 1 FROM json_array_elements(steps) WITH ORDINALITY AS s (step, at) WHERE s.step ->> 'name' = name
$$;

-- The share of the whole that lies before the step; NULL when the plan has no weights. Summed up in Go's order, to Go's bits.
CREATE FUNCTION herald.plan_share(steps json, index integer) RETURNS double precision LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    weight double precision;
    before double precision := 0;
    whole  double precision := 0;
BEGIN
    FOR i IN 0 .. json_array_length(steps) - 1 LOOP
        weight := (steps -> i ->> 'weight')::double precision;
        before := before + CASE WHEN i < index THEN weight ELSE 0 END;
        whole := whole + weight;
    END LOOP;
    RETURN before / nullif(whole, 0);
END;
$$;

-- The plan with every step before the index finished, if it was begun, and the step at the index begun.
CREATE FUNCTION herald.plan_advance(steps json, index integer) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT coalesce(json_agg(CASE
        WHEN s.at - 1 < index AND s.step ? 'started_at' AND NOT s.step ? 'finished_at'
            THEN s.step || jsonb_build_object('finished_at', herald.time_text(now()))
        WHEN s.at - 1 = index THEN s.step || jsonb_build_object('started_at', herald.time_text(now()))
        ELSE s.step END ORDER BY s.at), '[]')
    FROM jsonb_array_elements(steps::jsonb) WITH ORDINALITY AS s (step, at)
$$;

-- Ends the step under way and begins another one. Counts belong to a step, so they start afresh.
CREATE FUNCTION herald.job_enter(j herald.jobs, name text) RETURNS herald.jobs LANGUAGE plpgsql AS $$
DECLARE
    index integer := herald.plan_index(j.steps, name);
BEGIN
    IF index IS NULL AND json_array_length(j.steps) > 0 THEN
        PERFORM herald.refuse('ZH001', 'step', format('step: %L is not in the job''s plan', name), 'Name a step of the plan.');
    ELSIF index IS NOT NULL THEN
        j.steps := herald.plan_advance(j.steps, index);
        j.progress := greatest(j.progress, herald.plan_share(j.steps, index));
    END IF;
    j.step := name; j.processed := NULL; j.total := NULL; j.unit := ''; j.remaining_ms := NULL; j.details := NULL;
    RETURN j;
END;
$$;

-- Takes over what the report says of the work itself. Progress never goes back; greatest passes over NULL.
CREATE FUNCTION herald.job_move(j herald.jobs, r herald.report_fields) RETURNS herald.jobs LANGUAGE plpgsql AS $$
DECLARE
    index integer;
    share double precision;
BEGIN
    IF r.step <> j.step THEN
        j := herald.job_enter(j, r.step);
    END IF;
    IF r.step_progress IS NOT NULL THEN
        index := herald.plan_index(j.steps, j.step);
        share := herald.plan_share(j.steps, index);
        BEGIN
            share := share + (herald.plan_share(j.steps, index + 1) - share) * r.step_progress;
        EXCEPTION WHEN numeric_value_out_of_range THEN
            NULL; -- the product is smaller than any number: to Go, that is 0
        END;
        j.progress := greatest(j.progress, CASE WHEN index IS NOT NULL THEN share END);
    END IF;
    j.progress := greatest(j.progress, r.progress);
    j.processed := coalesce(r.processed, j.processed); j.total := coalesce(r.total, j.total); j.unit := coalesce(r.unit, j.unit);
    j.message := coalesce(r.message, j.message);
    j.remaining_ms := coalesce(r.remaining_ms, j.remaining_ms);
    j.details := coalesce(r.details, j.details);
    j.metadata := coalesce(r.metadata, j.metadata);
    RETURN j;
END;
$$;

-- Takes over the change of state that the report tells of.
CREATE FUNCTION herald.job_end(j herald.jobs, r herald.report_fields) RETURNS herald.jobs LANGUAGE plpgsql AS $$
BEGIN
    j.state := r.state; j.error := coalesce(r.error, ''); j.retry_at := r.retry_at; j.remaining_ms := NULL;
    IF r.state = 'succeeded' THEN
        j.progress := 1;
        j.result := r.result;
        j.steps := herald.plan_advance(j.steps, json_array_length(j.steps));
    ELSIF r.state = 'retrying' AND r.unblamed THEN
        j.max_attempts := j.max_attempts + 1;
    END IF;
    j.finished_at := CASE WHEN r.state <> 'retrying' THEN now() END;
    RETURN j;
END;
$$;

-- The job as the report leaves it, as job.Job.Apply: with a new version, but for a bare heartbeat.
CREATE FUNCTION herald.job_apply(j herald.jobs, r herald.report_fields) RETURNS herald.jobs LANGUAGE plpgsql AS $$
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

-- The object with the job's metadata, which only an event of a job that has some carries: most streams look no further.
CREATE FUNCTION herald.with_metadata(body json, metadata json) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN metadata IS NULL THEN body ELSE (left(body::text, -1) || ', "metadata" : ' || metadata::text || '}')::json END
$$;

-- The part of a job that progress changes, as job.Moving.
CREATE FUNCTION herald.job_moving_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT herald.with_metadata(json_build_object(
        'id', j.id, 'version', j.version, 'attempt', j.attempt, 'state', j.state, 'stalled', j.stalled, 'progress', j.progress,
        'step', j.step, 'processed', j.processed, 'total', j.total, 'unit', j.unit, 'message', j.message,
        'remaining_ms', j.remaining_ms, 'details', j.details, 'heartbeat_at', herald.time_text(j.heartbeat_at),
        'updated_at', herald.time_text(j.updated_at)), j.metadata)
$$;

-- The whole job, as job.Job.
CREATE FUNCTION herald.job_json(j herald.jobs) RETURNS json LANGUAGE sql STABLE AS $$
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
CREATE FUNCTION herald.job_write(was herald.jobs, j herald.jobs) RETURNS uuid LANGUAGE plpgsql AS $$
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

-- Keeps a report that came too late, for those who follow the job itself; a late heartbeat is not worth an entry.
CREATE FUNCTION herald.job_late(j herald.jobs, r herald.report_fields) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made uuid := herald.uuid_v7();
BEGIN
    IF herald.report_is_heartbeat(r) THEN
        RETURN NULL;
    END IF;
    INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
    VALUES (made, 'job.late_report', ARRAY['job:' || j.id], j.id, j.version, 'herald', herald.with_metadata(json_strip_nulls(
        json_build_object('id', j.id, 'attempt', r.attempt, 'state', j.state, 'reported', r.state, 'progress', r.progress,
        'step', r.step, 'message', r.message, 'error', r.error)), j.metadata));
    RETURN made;
END;
$$;

-- Records the report on the job, whose row is locked, and returns the answer.
CREATE FUNCTION herald.job_record(j herald.jobs, r herald.report_fields) RETURNS json LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

COMMENT ON FUNCTION herald.report IS
    'Records what a worker says of its job in the caller''s transaction, as postgres.DB.RecordReportTx does, and holds the '
    'job''s row until that ends; see docs/sql.md. Needs EXECUTE alone.';

-- Functions are everybody's at first. herald.report and herald.publish are granted to those who may write; nobody needs the rest.
REVOKE ALL ON FUNCTION
    herald.report, herald.publish, herald.refuse, herald.time_text, herald.uuid_v7, herald.fingerprint, herald.check_text,
    herald.check_plain, herald.check_json, herald.check_number, herald.check_object, herald.check_metadata, herald.check_type, herald.topic,
    herald.key_answer, herald.key_take, herald.report_check, herald.report_is_heartbeat, herald.report_fingerprint,
    herald.plan_index, herald.plan_share, herald.plan_advance, herald.job_enter, herald.job_move, herald.job_end,
    herald.job_apply, herald.with_metadata, herald.job_moving_json, herald.job_json, herald.job_write, herald.job_late, herald.job_record
FROM PUBLIC;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP FUNCTION
    herald.report, herald.publish, herald.refuse, herald.time_text, herald.uuid_v7, herald.fingerprint, herald.check_text,
    herald.check_plain, herald.check_json, herald.check_number, herald.check_object, herald.check_metadata, herald.check_type, herald.topic,
    herald.key_answer, herald.key_take, herald.report_check, herald.report_is_heartbeat, herald.report_fingerprint,
    herald.plan_index, herald.plan_share, herald.plan_advance, herald.job_enter, herald.job_move, herald.job_end,
    herald.job_apply, herald.with_metadata, herald.job_moving_json, herald.job_json, herald.job_write, herald.job_late, herald.job_record;
DROP TYPE herald.report_fields;
DROP TABLE herald.idempotency_keys;
