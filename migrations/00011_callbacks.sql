-- +goose Up
SET LOCAL lock_timeout = '5s';

ALTER TABLE herald.jobs
    ADD COLUMN callback_url text NOT NULL DEFAULT '',
    ADD COLUMN artifacts_expired_at timestamptz;
ALTER TABLE herald.artifacts ADD COLUMN expired_at timestamptz;

COMMENT ON COLUMN herald.jobs.callback_url IS 'Who is told of the job''s end; empty: nobody. A part of it may be secret.';
COMMENT ON COLUMN herald.jobs.artifacts_expired_at IS 'Since when the files that the job made are no longer kept.';
COMMENT ON COLUMN herald.artifacts.expired_at IS
    'Since when the file is no longer kept. Its blob goes after that; the row stays, so that who asks for it learns why.';

-- UploadExpire: which jobs use an upload.
CREATE INDEX jobs_of_upload ON herald.jobs ((args #>> '{source,upload}')) WHERE args #>> '{source,upload}' IS NOT NULL;
-- UploadExpire, ArtifactListDueJobs: what is kept, by age.
CREATE INDEX artifacts_by_age ON herald.artifacts (created_at) WHERE expired_at IS NULL;
-- UploadForget: uploads that are not kept.
CREATE INDEX artifacts_expired_uploads ON herald.artifacts (expired_at) WHERE expired_at IS NOT NULL AND job_id IS NULL;

-- +goose StatementBegin
-- Whoever ends a job, in Go or in SQL: its callback is enqueued in the same transaction. 12 tries take a bit over a day.
CREATE FUNCTION herald.job_call_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO herald_queue.river_job (kind, queue, max_attempts, args)
    VALUES ('callback', 'errands', 12, jsonb_build_object(
        'id', 'msg_' || replace(herald.uuid_v7()::text, '-', ''), 'job_id', NEW.id, 'url', NEW.callback_url, 'told', 'job.' || NEW.state,
        'body', json_build_object('type', 'job.' || NEW.state, 'timestamp', herald.time_text(NEW.finished_at), 'data', herald.job_json(NEW))::text));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION herald.job_call_back FROM PUBLIC;

CREATE TRIGGER jobs_call_back AFTER UPDATE ON herald.jobs FOR EACH ROW
    WHEN (NEW.callback_url <> '' AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION herald.job_call_back();

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TRIGGER jobs_call_back ON herald.jobs;
DROP FUNCTION herald.job_call_back;
DROP INDEX herald.artifacts_expired_uploads;
DROP INDEX herald.artifacts_by_age;
DROP INDEX herald.jobs_of_upload;
ALTER TABLE herald.artifacts DROP COLUMN expired_at;
ALTER TABLE herald.jobs DROP COLUMN artifacts_expired_at, DROP COLUMN callback_url;
