-- name: ArtifactInsert :execrows
-- Enters an artifact whose bytes are all in the blob store; not an upload that was begun too long ago, by this clock, and
-- after the table's lock is had: see UploadOrphans.
INSERT INTO herald.artifacts (id, job_id, owner, kind, name, content_type, size, sha256, blob_key, details, created_at)
SELECT @id, sqlc.narg(job_id)::uuid, @owner, @kind, @name, @content_type, @size, @sha256, @blob_key, sqlc.narg(details)::json, @created_at
WHERE sqlc.narg(job_id)::uuid IS NOT NULL
    OR @created_at::timestamptz > clock_timestamp() - make_interval(secs => @upload_time_s::double precision);

-- name: ArtifactGet :one
-- Reads an artifact.
SELECT sqlc.embed(artifact) FROM herald.artifacts artifact WHERE id = @id;

-- name: ArtifactListOfJob :many
-- Lists a job's artifacts in the order in which they were made.
SELECT sqlc.embed(artifact) FROM herald.artifacts artifact WHERE job_id = @job_id ORDER BY created_at, id;

-- name: UploadExpire :many
-- Expires uploads that are old enough and that no job uses: one that has not ended, or whose own files are kept. 0 is for
-- ever.
UPDATE herald.artifacts artifact SET expired_at = now()
WHERE artifact.id IN (
    SELECT u.id FROM herald.artifacts u
    WHERE u.job_id IS NULL AND u.expired_at IS NULL AND u.created_at < now() - make_interval(secs => @upload_s::double precision)
        AND NOT EXISTS (
            SELECT FROM herald.jobs j
            WHERE j.args #>> '{source,upload}' = u.id::text AND j.args #>> '{source,upload}' IS NOT NULL AND j.owner = u.owner
                AND (j.finished_at IS NULL OR @result_s::double precision = 0
                    OR j.finished_at >= now() - make_interval(secs => @result_s::double precision)))
    ORDER BY u.created_at
    LIMIT @page_size)
RETURNING sqlc.embed(artifact);

-- name: UploadForget :execrows
-- Forgets uploads that were expired long ago.
DELETE FROM herald.artifacts WHERE id IN (
    SELECT u.id FROM herald.artifacts u
    WHERE u.job_id IS NULL AND u.expired_at IS NOT NULL AND u.expired_at < now() - make_interval(secs => @age_s::double precision)
    LIMIT @page_size);

-- name: ArtifactListDueJobs :many
-- Lists jobs that ended long enough ago and whose files are kept.
SELECT a.job_id::uuid AS job_id FROM herald.artifacts a
JOIN herald.jobs j ON j.id = a.job_id
WHERE a.expired_at IS NULL AND a.created_at < now() - make_interval(secs => @result_s::double precision)
    AND j.finished_at < now() - make_interval(secs => @result_s::double precision)
ORDER BY a.created_at
LIMIT @page_size;

-- name: ArtifactExpireOfJob :many
-- Expires all files that a job made.
UPDATE herald.artifacts artifact SET expired_at = now() WHERE artifact.job_id = @job_id AND artifact.expired_at IS NULL
RETURNING sqlc.embed(artifact);
