-- name: RiverHeal :one
-- Records what was missed of at most so many River jobs, and returns of how many, and what went wrong last.
SELECT h.healed::integer AS healed, coalesce(h.failed, '')::text AS failed FROM herald.heal_river(@most) AS h;
