-- title: Events
-- description: The log: what happened to jobs and what was sent, one event a row, in its order.
-- roles: user, support, admin
-- timeout: 6h
-- param: owner owner
-- param: job uuid Only events of that job.
-- param: user text Only events that concern that user.
-- param: topic text Only events of that topic, such as channel:news.
-- param: kind text Only events of jobs of that kind that are still there.
-- param: type text[] Only events of these types; job.* means all that begin so.
-- param: state text[] in=queued,running,retrying,cancelling,succeeded,failed,cancelled Only events that tell of a job in one of these states.
-- param: since timestamptz Only events recorded then or later.
-- param: until timestamptz Only events recorded before then.
-- param: actor text Only events that this user, worker or program caused.
-- param: text text Only events with this in their message or error, in small letters or large.
--
-- A condition on a parameter that is not given is gone before the query is planned. Those on topics are written so that the
-- indexes of the first two are used; the few events that have more are looked up.
SELECT e.seq, e.type, e.job_id, e.job_version, e.actor, e.created_at, e.recorded_at, e.id, to_json(e.topics) AS topics, e.payload
FROM herald.events e
WHERE ($1::text IS NULL
        OR hashtextextended(e.topics[1], 0) = hashtextextended('user:' || $1, 0) AND e.topics[1] = 'user:' || $1
        OR hashtextextended(e.topics[2], 0) = hashtextextended('user:' || $1, 0) AND e.topics[2] = 'user:' || $1
        OR e.seq = ANY (ARRAY(SELECT t.seq FROM herald.event_topics t WHERE t.topic = 'user:' || $1)))
    AND ($2::uuid IS NULL
        OR hashtextextended(e.topics[1], 0) = hashtextextended('job:' || $2::text, 0) AND e.topics[1] = 'job:' || $2::text
            AND e.job_id = $2)
    AND ($3::text IS NULL
        OR hashtextextended(e.topics[1], 0) = hashtextextended('user:' || $3, 0) AND e.topics[1] = 'user:' || $3
        OR hashtextextended(e.topics[2], 0) = hashtextextended('user:' || $3, 0) AND e.topics[2] = 'user:' || $3
        OR e.seq = ANY (ARRAY(SELECT t.seq FROM herald.event_topics t WHERE t.topic = 'user:' || $3)))
    AND ($4::text IS NULL
        OR hashtextextended(e.topics[1], 0) = hashtextextended($4, 0) AND e.topics[1] = $4
        OR hashtextextended(e.topics[2], 0) = hashtextextended($4, 0) AND e.topics[2] = $4
        OR e.seq = ANY (ARRAY(SELECT t.seq FROM herald.event_topics t WHERE t.topic = $4)))
    AND ($5::text IS NULL OR EXISTS (SELECT FROM herald.jobs j WHERE j.id = e.job_id AND j.kind = $5))
    AND ($6::text[] IS NULL
        OR e.type = ANY ($6)
        OR EXISTS (SELECT FROM unnest($6) AS wanted (t) WHERE t LIKE '%.*' AND starts_with(e.type, left(t, -1))))
    AND ($7::text[] IS NULL OR e.payload ->> 'state' = ANY ($7))
    AND ($8::timestamptz IS NULL OR e.recorded_at >= $8)
    AND ($9::timestamptz IS NULL OR e.recorded_at < $9)
    AND ($10::text IS NULL OR e.actor = $10)
    AND ($11::text IS NULL
        OR strpos(lower(concat_ws(chr(10), e.payload ->> 'message', e.payload ->> 'error')), lower($11)) > 0)
ORDER BY e.seq
