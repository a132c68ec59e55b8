-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE herald.absence_state (
    one boolean PRIMARY KEY DEFAULT TRUE
        CONSTRAINT absence_state_is_one_row CHECK (one),
    seq bigint
);
COMMENT ON TABLE herald.absence_state IS
    'The one row says up to which seq it is decided who was absent; NULL: it never was, and what is in the log then is nobody''s '
    'absence. Whoever decides holds its lock, so that one node does at a time.';
INSERT INTO herald.absence_state (seq) VALUES (NULL);

CREATE TABLE herald.absences (
    seq        bigint NOT NULL,
    user_id    text NOT NULL,
    job_id     uuid NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (seq, user_id)
);
COMMENT ON TABLE herald.absences IS
    'A row says that nobody had acknowledged the event in the user''s name in time, so that they are told of it in other ways. '
    'Written once, in the transaction that enqueues the messages; removed when it is old.';

-- AbsenceForget: by age.
CREATE INDEX absences_by_age ON herald.absences (decided_at);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE herald.absences;
DROP TABLE herald.absence_state;
