-- name: ShareInsert :one
-- Enters a new share, good for so many seconds.
INSERT INTO herald.shares (id, job_id, hash, files, created_by, expires_at)
VALUES (@id, @job_id, @hash, @files, @created_by, now() + make_interval(secs => @life_s::double precision))
RETURNING created_at, expires_at;

-- name: ShareForget :exec
-- Removes those of a job's ended shares beyond the newest so many.
DELETE FROM herald.shares WHERE id IN (
    SELECT s.id FROM herald.shares s WHERE s.job_id = @job_id AND (s.revoked_at IS NOT NULL OR s.expires_at <= now())
    ORDER BY s.id DESC OFFSET @kept::integer);

-- name: ShareCount :one
-- Counts a job's shares that are good.
SELECT count(*) FROM herald.shares WHERE job_id = @job_id AND revoked_at IS NULL AND expires_at > now();

-- name: ShareGet :one
-- Reads a share.
SELECT sqlc.embed(share) FROM herald.shares share WHERE id = @id;

-- name: ShareGetByHash :one
-- Reads a share by its hash, whether it is good or not.
SELECT sqlc.embed(share) FROM herald.shares share WHERE hash = @hash;

-- name: ShareList :many
-- Lists a job's shares, newest first.
SELECT sqlc.embed(share) FROM herald.shares share WHERE job_id = @job_id ORDER BY id DESC;

-- name: ShareOpen :one
-- Notes that somebody has come by a share, if nobody has before.
UPDATE herald.shares share SET opened_at = now() WHERE id = @id AND opened_at IS NULL
RETURNING sqlc.embed(share);

-- name: ShareRevoke :one
-- Revokes a share, unless it is revoked already.
UPDATE herald.shares share SET revoked_at = now(), revoked_by = @actor::text
WHERE id = @id AND job_id = @job_id AND revoked_at IS NULL
RETURNING sqlc.embed(share);

-- name: ShareListGone :many
-- Lists those of the shares that are revoked, or that there are none of.
SELECT asked.id::uuid FROM unnest(@ids::uuid[]) AS asked (id)
WHERE NOT EXISTS (SELECT FROM herald.shares s WHERE s.id = asked.id AND s.revoked_at IS NULL);
