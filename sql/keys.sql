-- name: KeyGet :one
-- Reads the answer that was given under the key, unless it has expired.
SELECT fingerprint, answer FROM herald.idempotency_keys
WHERE scope = @scope AND key = @key AND expires_at > now();

-- name: KeyGetTaken :one
-- Reads the answer that was given under a key that could not be taken a moment ago.
SELECT fingerprint, answer FROM herald.idempotency_keys WHERE scope = @scope AND key = @key;

-- name: KeyInsert :execrows
-- Keeps the answer under the key, unless there is one that has not expired. A transaction that is about to keep one is
-- waited for.
INSERT INTO herald.idempotency_keys AS seen (scope, key, fingerprint, answer, expires_at)
VALUES (@scope, @key, @fingerprint, @answer, now() + make_interval(secs => @lifetime_s::double precision))
ON CONFLICT (scope, key) DO UPDATE SET
    fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at, expires_at = excluded.expires_at
WHERE seen.expires_at <= now();

-- name: KeyDeleteExpired :execrows
-- Removes keys that have expired. One that is being taken anew is left to that.
DELETE FROM herald.idempotency_keys WHERE (scope, key) IN (
    SELECT k.scope, k.key FROM herald.idempotency_keys k
    WHERE k.expires_at <= now()
    ORDER BY k.expires_at
    LIMIT @page_size
    FOR UPDATE SKIP LOCKED);
