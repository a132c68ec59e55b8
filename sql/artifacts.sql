-- name: ArtifactInsert :exec
-- Enters an artifact whose bytes are all in the blob store.
INSERT INTO herald.artifacts (id, job_id, owner, kind, name, content_type, size, sha256, blob_key, details, created_at)
VALUES (@id, @job_id, @owner, @kind, @name, @content_type, @size, @sha256, @blob_key, @details, @created_at);

-- name: ArtifactGet :one
-- Reads an artifact.
SELECT sqlc.embed(artifact) FROM herald.artifacts artifact WHERE id = @id;

-- name: ArtifactListOfJob :many
-- Lists a job's artifacts in the order in which they were made.
SELECT sqlc.embed(artifact) FROM herald.artifacts artifact WHERE job_id = @job_id ORDER BY created_at, id;
