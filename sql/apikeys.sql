-- name: APIKeyInsert :one
-- Enters a new key.
INSERT INTO herald.api_keys (id, hash, hint, name, user_id, roles, topics, created_by, expires_at)
VALUES (@id, @hash, @hint, @name, @user_id, @roles::text[], @topics::text[], @created_by, @expires_at)
RETURNING created_at;

-- name: APIKeyGetByHash :one
-- Reads a key by its hash, whether it is good or not.
SELECT sqlc.embed(api_key) FROM herald.api_keys api_key WHERE hash = @hash;

-- name: APIKeyList :many
-- Lists keys, newest first.
SELECT sqlc.embed(api_key) FROM herald.api_keys api_key ORDER BY created_at DESC, id DESC;

-- name: APIKeyRevoke :one
-- Revokes a key. Who revoked it first has revoked it.
UPDATE herald.api_keys api_key SET revoked_at = coalesce(revoked_at, now()), revoked_by = coalesce(revoked_by, @actor::text)
WHERE id = @id
RETURNING sqlc.embed(api_key);

-- name: APIKeyListGone :many
-- Lists those of the keys that are revoked, or that there are none of.
SELECT asked.id::uuid FROM unnest(@ids::uuid[]) AS asked (id)
WHERE NOT EXISTS (SELECT FROM herald.api_keys k WHERE k.id = asked.id AND k.revoked_at IS NULL);

-- name: APIKeySetUsed :exec
-- Notes when keys were last used. They are locked in one order on all nodes.
UPDATE herald.api_keys k SET last_used_at = GREATEST(k.last_used_at, now() - used.ago_s * interval '1 second')
FROM (
    SELECT locked.id, u.ago_s FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@ago_s::bigint[]) AS ago_s) u
    JOIN herald.api_keys locked ON locked.id = u.id
    ORDER BY locked.id FOR NO KEY UPDATE OF locked
) used
WHERE k.id = used.id;
