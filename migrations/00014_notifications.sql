-- +goose Up
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- The JSON schema of a notification's payload, as event.NotificationSchemas has it but for what is for people; NULL of
-- any other type.
CREATE FUNCTION herald.notification_schema(of_type text) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE of_type
        WHEN 'notification.account' THEN '{"additionalProperties": false, "required": ["user_id", "action"], "type": "object", "properties": {
            "action": {"enum": ["created", "verified", "updated", "signed_in", "password_changed", "email_changed", "locked", "unlocked", "deleted"], "type": "string"},
            "details": {"type": "object"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "user_id": {"maxLength": 200, "minLength": 1, "type": "string"}}}'::json
        WHEN 'notification.activity' THEN '{"additionalProperties": false, "required": ["user_id", "action"], "type": "object", "properties": {
            "action": {"maxLength": 100, "minLength": 1, "type": "string"},
            "details": {"type": "object"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "object": {"maxLength": 300, "type": "string"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "url": {"maxLength": 2000, "type": "string"},
            "user_id": {"maxLength": 200, "minLength": 1, "type": "string"}}}'::json
        WHEN 'notification.export' THEN '{"additionalProperties": false, "required": ["export_id", "status"], "type": "object", "properties": {
            "bytes": {"format": "int64", "minimum": 0, "type": "integer"},
            "details": {"type": "object"},
            "error": {"maxLength": 3000, "type": "string"},
            "expires_at": {"format": "date-time", "type": "string"},
            "export_id": {"maxLength": 200, "minLength": 1, "type": "string"},
            "format": {"maxLength": 80, "type": "string"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "progress": {"format": "double", "maximum": 1, "minimum": 0, "type": "number"},
            "rows": {"format": "int64", "minimum": 0, "type": "integer"},
            "status": {"enum": ["queued", "processing", "succeeded", "failed", "cancelled"], "type": "string"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "url": {"maxLength": 2000, "type": "string"}}}'::json
        WHEN 'notification.payment' THEN '{"additionalProperties": false, "required": ["payment_id", "status", "amount", "currency"], "type": "object", "properties": {
            "amount": {"pattern": "^-?[0-9]{1,15}(\\.[0-9]{1,6})?$", "type": "string"},
            "currency": {"pattern": "^[A-Z]{3}$", "type": "string"},
            "details": {"type": "object"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "payment_id": {"maxLength": 200, "minLength": 1, "type": "string"},
            "reference": {"maxLength": 200, "type": "string"},
            "status": {"enum": ["pending", "succeeded", "failed", "refunded", "cancelled"], "type": "string"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "url": {"maxLength": 2000, "type": "string"}}}'::json
        WHEN 'notification.post' THEN '{"additionalProperties": false, "required": ["post_id", "action"], "type": "object", "properties": {
            "action": {"enum": ["created", "published", "updated", "deleted", "commented", "liked", "shared"], "type": "string"},
            "author": {"maxLength": 200, "type": "string"},
            "by": {"maxLength": 200, "type": "string"},
            "details": {"type": "object"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "post_id": {"maxLength": 200, "minLength": 1, "type": "string"},
            "title": {"maxLength": 300, "type": "string"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "url": {"maxLength": 2000, "type": "string"}}}'::json
        WHEN 'notification.profile' THEN '{"additionalProperties": false, "required": ["user_id", "action"], "type": "object", "properties": {
            "action": {"enum": ["updated", "avatar_changed", "name_changed", "status_changed", "visibility_changed"], "type": "string"},
            "details": {"type": "object"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "user_id": {"maxLength": 200, "minLength": 1, "type": "string"}}}'::json
        WHEN 'notification.system' THEN '{"additionalProperties": false, "required": ["component", "status"], "type": "object", "properties": {
            "component": {"maxLength": 200, "minLength": 1, "type": "string"},
            "details": {"type": "object"},
            "ends_at": {"format": "date-time", "type": "string"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "severity": {"enum": ["info", "warning", "critical"], "type": "string"},
            "starts_at": {"format": "date-time", "type": "string"},
            "status": {"enum": ["operational", "degraded", "outage", "maintenance"], "type": "string"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "url": {"maxLength": 2000, "type": "string"}}}'::json
        WHEN 'notification.video' THEN '{"additionalProperties": false, "required": ["video_id", "status"], "type": "object", "properties": {
            "details": {"type": "object"},
            "error": {"maxLength": 3000, "type": "string"},
            "message": {"maxLength": 1000, "type": "string"},
            "metadata": {"type": "object"},
            "progress": {"format": "double", "maximum": 1, "minimum": 0, "type": "number"},
            "status": {"enum": ["queued", "processing", "succeeded", "failed", "cancelled"], "type": "string"},
            "step": {"maxLength": 80, "type": "string"},
            "ttl_ms": {"maximum": 31536000000, "minimum": 1, "type": "integer"},
            "url": {"maxLength": 2000, "type": "string"},
            "video_id": {"maxLength": 200, "minLength": 1, "type": "string"}}}'::json
    END;
END;
$$;

-- What is wrong with a member of a notification; NULL, if that is well. As schema.check in Go.
CREATE FUNCTION herald.check_member(rule json, value json) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    kind text := rule ->> 'type';
    said text := value #>> '{}';
BEGIN
    IF kind IN ('integer', 'number') THEN
        IF json_typeof(value) <> 'number' OR said !~ (CASE kind WHEN 'integer' THEN '^-?[0-9]{1,18}$'
            ELSE '^-?[0-9]{1,18}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$' END)
        THEN
            RETURN 'must be a ' || CASE kind WHEN 'integer' THEN 'whole ' ELSE '' END || 'number';
        ELSIF said::double precision < (rule ->> 'minimum')::double precision THEN
            RETURN 'must be at least ' || (rule ->> 'minimum');
        ELSIF said::double precision > (rule ->> 'maximum')::double precision THEN
            RETURN 'must be at most ' || (rule ->> 'maximum');
        END IF;
    ELSIF json_typeof(value) <> kind THEN
        RETURN 'must be of type ' || kind;
    ELSIF kind = 'string' THEN
        IF said NOT IN (SELECT json_array_elements_text(coalesce(rule -> 'enum', json_build_array(said)))) THEN
            RETURN 'must be one of ' || (SELECT string_agg(e, ', ') FROM json_array_elements_text(rule -> 'enum') e);
        ELSIF said !~ (rule ->> 'pattern') THEN
            RETURN 'must match ' || (rule ->> 'pattern');
        ELSIF rule ->> 'format' = 'date-time' AND said !~ ('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])'
            || ':[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')
        THEN
            RETURN 'must be a time, as in RFC 3339';
        ELSIF char_length(said) < (rule ->> 'minLength')::integer THEN
            RETURN format('must have at least %s characters', rule ->> 'minLength');
        ELSIF char_length(said) > (rule ->> 'maxLength')::integer THEN
            RETURN format('must have at most %s characters', rule ->> 'maxLength');
        END IF;
    END IF;
    RETURN NULL;
END;
$$;

-- As checkNotification in Go.
CREATE FUNCTION herald.check_notification(type text, payload json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    schema json := herald.notification_schema(type);
    member record;
    reason text;
BEGIN
    IF schema IS NULL THEN
        RETURN;
    ELSIF json_typeof(payload) <> 'object' THEN
        PERFORM herald.refuse('ZH001', 'payload', format('payload: a %s must be a JSON object', type), 'docs/publishing.md has its members.');
    END IF;
    FOR member IN SELECT m.key, m.value, schema -> 'properties' -> m.key AS rule FROM json_each(payload) m LOOP
        IF member.rule IS NULL THEN
            PERFORM herald.refuse('ZH001', 'payload', format('payload: a %s has no %s', type, quote_literal(left(member.key, 60))),
                'Put what is your own into details.');
        END IF;
        reason := herald.check_member(member.rule, member.value);
        IF reason IS NOT NULL THEN
            PERFORM herald.refuse('ZH001', 'payload', format('payload: a %s''s %s %s', type, member.key, reason),
                'docs/publishing.md has its members.');
        END IF;
    END LOOP;
    SELECT string_agg(r.name, ', ') INTO reason FROM json_array_elements_text(schema -> 'required') r (name)
    WHERE payload -> r.name IS NULL;
    IF reason IS NOT NULL THEN
        PERFORM herald.refuse('ZH001', 'payload', format('payload: a %s needs %s', type, reason), 'docs/publishing.md has its members.');
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION herald.publish(topics text[], type text, payload json, actor text DEFAULT NULL, idempotency_key text DEFAULT NULL)
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
    PERFORM herald.check_notification(type, payload);
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
-- +goose StatementEnd

REVOKE ALL ON FUNCTION herald.notification_schema, herald.check_member, herald.check_notification FROM PUBLIC;

-- +goose Down
SET LOCAL lock_timeout = '5s';
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION herald.publish(topics text[], type text, payload json, actor text DEFAULT NULL, idempotency_key text DEFAULT NULL)
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
-- +goose StatementEnd
DROP FUNCTION herald.check_notification, herald.check_member, herald.notification_schema;
