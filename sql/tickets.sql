-- name: TicketInsert :exec
-- Keeps a ticket, and removes some that have expired, more than one, so that they become fewer.
WITH past AS (
    DELETE FROM herald.tickets WHERE hash IN (
        SELECT t.hash FROM herald.tickets t WHERE t.expires_at <= now() ORDER BY t.expires_at LIMIT 10 FOR UPDATE SKIP LOCKED)
)
INSERT INTO herald.tickets (hash, principal, expires_at)
VALUES (@hash, @principal, now() + make_interval(secs => @life_s::double precision));

-- name: TicketTake :one
-- Uses a ticket up.
DELETE FROM herald.tickets WHERE hash = @hash RETURNING principal, (expires_at > now())::boolean AS good;
