-- name: IncomingLock :exec
-- Lets nobody else begin an upload of the owner's until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('herald uploads of ' || @owner::text, 0));

-- name: IncomingBegin :execrows
-- Begins an upload, unless its owner has as many under way as one may, or as large ones.
INSERT INTO herald.uploads (id, owner, name, content_type, size, sha256, digest, created_at)
SELECT @id, @owner::text, @name, @content_type, @size::bigint, @sha256, @digest, @created_at
FROM (
    SELECT count(*) AS uploads, COALESCE(sum(u.size), 0) AS bytes FROM herald.uploads u
    WHERE u.owner = @owner::text AND u.finished_at IS NULL
        AND u.created_at > now() - make_interval(secs => @upload_time_s::double precision)) under_way
WHERE under_way.uploads < @most_uploads::bigint
    AND (under_way.uploads = 0 OR under_way.bytes + @size::bigint <= @most_bytes::bigint);

-- name: IncomingGet :one
-- Reads an upload that comes in pieces.
SELECT sqlc.embed(upload) FROM herald.uploads upload WHERE id = @id;

-- name: IncomingListOfOwner :many
-- Lists the uploads of an owner that are under way, the oldest first.
SELECT sqlc.embed(upload) FROM herald.uploads upload
WHERE owner = @owner AND finished_at IS NULL AND created_at > now() - make_interval(secs => @upload_time_s::double precision)
ORDER BY id LIMIT @page_size;

-- name: IncomingClaim :execrows
-- Makes the writer the only one who may append, if it knows how far the upload has come.
UPDATE herald.uploads SET writer = @writer
WHERE id = @id AND received = @start AND finished_at IS NULL;

-- name: IncomingAppend :execrows
-- Notes that a part has come, unless another writer has the upload by now.
UPDATE herald.uploads
SET received = received + @part_size::bigint, parts = parts + 1, digest = @digest,
    finished_at = CASE WHEN received + @part_size::bigint = size THEN now() END
WHERE id = @id AND writer = @writer AND received = @start AND finished_at IS NULL;

-- name: IncomingFinishEmpty :exec
-- Finishes an upload of nothing.
UPDATE herald.uploads SET finished_at = now() WHERE id = @id AND size = 0;

-- name: IncomingPartInsert :exec
-- Enters a part that is in the blob store.
INSERT INTO herald.upload_parts (upload_id, start, size, blob_key) VALUES (@upload_id, @start, @size, @blob_key);

-- name: IncomingPartList :many
-- Lists an upload's parts in their order.
SELECT start, size, blob_key FROM herald.upload_parts WHERE upload_id = @upload_id ORDER BY start;

-- name: IncomingDrop :execrows
-- Forgets an upload that is under way.
DELETE FROM herald.uploads WHERE id = @id AND finished_at IS NULL;

-- name: IncomingForget :execrows
-- Forgets uploads that were not finished in time, and those whose files are no longer kept. What is finished while this
-- looks is looked at again, by the condition outside.
DELETE FROM herald.uploads upload
WHERE upload.id IN (
        SELECT u.id FROM herald.uploads u
        WHERE u.created_at < now() - make_interval(secs => @age_s::double precision)
            AND (u.finished_at IS NULL
                OR NOT EXISTS (SELECT FROM herald.artifacts a WHERE a.id = u.id AND a.expired_at IS NULL))
        LIMIT @page_size)
    AND (upload.finished_at IS NULL
        OR NOT EXISTS (SELECT FROM herald.artifacts a WHERE a.id = upload.id AND a.expired_at IS NULL));
