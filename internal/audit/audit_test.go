package audit_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"herald/internal/audit"
	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/eventlog"
)

// events is how many there are in the log that is tampered with. Its partitions
// have ten, its batches end at 4, 8, 10, 14, 18, 20, 24 and 25.
const events = 25

func newWorld(t *testing.T) *world {
	t.Helper()
	w := setup(t, 10)
	w.grow(t, events, 4)
	return w
}

// checkpoint is the end of the log as it is now.
func (w *world) checkpoint(t *testing.T) *chain.Point {
	t.Helper()
	_, head, _, err := w.db.Ends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &head
}

func (w *world) verify(t *testing.T, checkpoint *chain.Point) (audit.Result, error) {
	t.Helper()
	return audit.Verify(t.Context(), w.db, w.archives, checkpoint)
}

// want checks what Verify finds. The empty kind is nothing.
func (w *world) want(t *testing.T, checkpoint *chain.Point, kind chain.Kind, seq event.Seq) {
	t.Helper()
	r, err := w.verify(t, checkpoint)
	var f *chain.FaultError
	errors.As(err, &f)
	switch {
	case kind == "" && (err != nil || r.Events != events):
		t.Errorf("Verify() = %d events, %v, want all %d", r.Events, err, events)
	case kind != "" && (f == nil || f.Kind != kind || f.Seq != seq):
		t.Errorf("Verify() = %v, want seq %d %s", err, seq, kind)
	}
}

// rechain makes a log that agrees with itself out of whatever the events are now.
const rechain = `DO $$
DECLARE b herald.log_batches; l bytea; d bytea := decode(repeat('00', 32), 'hex');
BEGIN
	FOR b IN SELECT * FROM herald.log_batches ORDER BY last_seq LOOP
		l := (SELECT string_agg(herald.event_leaf(id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload),
			'' ORDER BY seq) FROM herald.events WHERE seq BETWEEN b.first_seq AND b.last_seq);
		d := herald.batch_digest(d, b.first_seq, b.last_seq, b.recorded_at, l);
		UPDATE herald.log_batches SET leaves = l, digest = d WHERE last_seq = b.last_seq;
	END LOOP;
END $$`

// rebatch makes the batch to seq 14 agree with its events and the batch before.
const rebatch = `UPDATE herald.log_batches b
SET leaves = now.leaves, digest = herald.batch_digest(before.digest, b.first_seq, b.last_seq, b.recorded_at, now.leaves)
FROM herald.log_batches before, (
	SELECT string_agg(herald.event_leaf(id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload), '' ORDER BY seq) AS leaves
	FROM herald.events WHERE seq BETWEEN 11 AND 14
) now WHERE b.last_seq = 14 AND before.last_seq = 10`

// swap gives two events each other's place.
const swap = `UPDATE herald.events e SET id = o.id, type = o.type, topics = o.topics, job_id = o.job_id, job_version = o.job_version,
	actor = o.actor, created_at = o.created_at, recorded_at = o.recorded_at, payload = o.payload
FROM herald.events o WHERE (e.seq, o.seq) IN ((12, 14), (14, 12))`

// shift moves events 12 to 14 down by one, over what was at 14.
const shift = `UPDATE herald.events e SET id = o.id, type = o.type, topics = o.topics, job_id = o.job_id, job_version = o.job_version,
	actor = o.actor, created_at = o.created_at, recorded_at = o.recorded_at, payload = o.payload
FROM herald.events o WHERE e.seq IN (13, 14) AND o.seq = e.seq - 1`

// insert adds an event at a seq.
const insert = `INSERT INTO herald.events (seq, id, type, topics, job_version, actor, created_at, recorded_at, payload)
	VALUES ($1, gen_random_uuid(), 'test', '{all}', 0, '', now(), now(), '{}')`

func TestTamperingWithTheLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		sql  []string
		kind chain.Kind
		seq  event.Seq
	}{
		{"nothing", nil, "", 0},
		{"id", []string{`UPDATE herald.events SET id = gen_random_uuid() WHERE seq = 12`}, chain.Altered, 12},
		{"type", []string{`UPDATE herald.events SET type = 'job.failed' WHERE seq = 12`}, chain.Altered, 12},
		{"topics", []string{`UPDATE herald.events SET topics = topics[:2] WHERE seq = 12`}, chain.Altered, 12},
		{"topics in another order", []string{`UPDATE herald.events SET topics = ARRAY[topics[2], topics[1], topics[3]] WHERE seq = 12`}, chain.Altered, 12},
		{"job_id", []string{`UPDATE herald.events SET job_id = NULL WHERE seq = 12`}, chain.Altered, 12},
		{"job_version", []string{`UPDATE herald.events SET job_version = job_version + 1 WHERE seq = 12`}, chain.Altered, 12},
		{"actor", []string{`UPDATE herald.events SET actor = '' WHERE seq = 12`}, chain.Altered, 12},
		{"created_at", []string{`UPDATE herald.events SET created_at = created_at + interval '1 microsecond' WHERE seq = 12`}, chain.Altered, 12},
		{"recorded_at", []string{`UPDATE herald.events SET recorded_at = recorded_at - interval '1 microsecond' WHERE seq = 12`}, chain.Altered, 12},
		{"payload", []string{`UPDATE herald.events SET payload = payload::jsonb::json WHERE seq = 12`}, chain.Altered, 12},
		{"deleted", []string{`DELETE FROM herald.events WHERE seq = 12`}, chain.Removed, 12},
		{"the first deleted", []string{`DELETE FROM herald.events WHERE seq = 1`}, chain.Removed, 1},
		{"the last deleted", []string{`DELETE FROM herald.events WHERE seq = 25`}, chain.Removed, 25},
		{"swapped", []string{swap}, chain.Reordered, 12},
		{"inserted within", []string{shift, `DELETE FROM herald.events WHERE seq = 12`, strings.Replace(insert, "$1", "12", 1)}, chain.Inserted, 12},
		{"inserted behind", []string{strings.Replace(insert, "$1", "26", 1)}, chain.Inserted, 26},
		{"a leaf", []string{`UPDATE herald.log_batches SET leaves = set_byte(leaves, 40, get_byte(leaves, 40) # 1) WHERE last_seq = 14`}, chain.Altered, 11},
		{"a digest", []string{`UPDATE herald.log_batches SET digest = set_byte(digest, 0, get_byte(digest, 0) # 1) WHERE last_seq = 14`}, chain.Altered, 11},
		{"an event, its leaf and its batch's digest", []string{`UPDATE herald.events SET actor = 'eve' WHERE seq = 11`, rebatch}, chain.Altered, 15},
		{"a batch's time", []string{`UPDATE herald.log_batches SET recorded_at = recorded_at + interval '1 second' WHERE last_seq = 14`}, chain.Altered, 11},
		{"a batch deleted", []string{`DELETE FROM herald.log_batches WHERE last_seq = 14`}, chain.Removed, 11},
		{"the last batch deleted", []string{`DELETE FROM herald.log_batches WHERE last_seq = 25`}, chain.Inserted, 25},
		{"a batch and its events deleted", []string{`DELETE FROM herald.log_batches WHERE last_seq = 14`, `DELETE FROM herald.events WHERE seq BETWEEN 11 AND 14`}, chain.Removed, 11},
		{"the floor moved on", []string{`UPDATE herald.log_state SET floor = 10`}, chain.Removed, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, sql := range tt.sql {
				w.exec(t, sql)
			}
			w.want(t, nil, tt.kind, tt.seq)
		})
	}
}

// What agrees with itself can only be told from what was by a checkpoint.
func TestOnlyACheckpointShows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		sql  []string
		kind chain.Kind
		seq  event.Seq
	}{
		{"nothing", nil, "", 0},
		{"a tail that was cut off", []string{
			`DELETE FROM herald.events WHERE seq = 25`, `DELETE FROM herald.log_batches WHERE last_seq = 25`,
		}, chain.Removed, 25},
		{"a history that was rewritten", []string{`UPDATE herald.events SET actor = 'eve' WHERE seq = 3`, rechain}, chain.Rewritten, 25},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			checkpoint := w.checkpoint(t)
			for _, sql := range tt.sql {
				w.exec(t, sql)
			}
			if _, err := w.verify(t, nil); err != nil {
				t.Errorf("Verify() = %v, want it to agree with itself", err)
			}
			w.want(t, checkpoint, tt.kind, tt.seq)
		})
	}
}

// A checkpoint holds while the log grows, and when what it is of is archived.
func TestACheckpointOutlivesItsPartition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		grown   int // when the checkpoint is made
		archive bool
		says    string // what cannot be checked
	}{
		{"within an archive", 14, true, ""},
		{"at the end of an archive", 20, true, ""},
		{"behind the archives", 24, true, ""},
		{"before the log", 0, true, ""},
		{"within what nobody has", 14, false, "11 to 20 were dropped without an archive"},
		{"where what nobody has ends", 20, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, 10)
			w.grow(t, tt.grown, 4)
			checkpoint := w.checkpoint(t)
			w.grow(t, events-tt.grown, 4)
			config := eventlog.RetentionConfig{Age: -1, Size: 1}
			if tt.archive {
				config.Archive = w.archives
			}
			w.retain(t, config)
			_, err := w.verify(t, checkpoint)
			if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Verify() = %v, want %q", err, tt.says)
			}
			other := *checkpoint
			other.Digest[0] ^= 1
			if _, err := w.verify(t, &other); err == nil {
				t.Error("Verify() against another history = nil")
			}
		})
	}
}

func TestTamperingWithArchives(t *testing.T) {
	t.Parallel()
	const first, second = "log/0000000000000000001-0000000000000000010", "log/0000000000000000011-0000000000000000020"
	replace := func(key string, change func([]byte) []byte) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			text, err := w.blobs.ReadAll(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.blobs.WriteAll(t.Context(), key, change(text), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(key string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			if err := w.blobs.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	sql := func(text string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { t.Helper(); w.exec(t, text) }
	}
	for _, tt := range []struct {
		name string
		harm func(*testing.T, *world)
		kind chain.Kind
		seq  event.Seq
	}{
		{"nothing", func(*testing.T, *world) {}, "", 0},
		{"a flipped byte", replace(second+".ndjson.zst", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), chain.Altered, 11},
		{"a missing object", remove(second + ".ndjson.zst"), chain.Removed, 11},
		{"a missing manifest", remove(first + ".json"), chain.Removed, 1},
		{"a manifest changed in the store", replace(second+".json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"batches":3`), []byte(`"batches":4`), 1)
		}), chain.Altered, 11},
		{"a manifest changed in the database", sql(`UPDATE herald.log_partitions
			SET archive = replace(archive::text, '"batches":3', '"batches":4')::json WHERE first_seq = 11`), chain.Altered, 11},
		{"a missing partition", sql(`DELETE FROM herald.log_partitions WHERE first_seq = 1`), chain.Removed, 1},
		{"the last partition missing", sql(`DELETE FROM herald.log_partitions WHERE first_seq = 11`), chain.Removed, 11},
		{"a partition's digest", sql(`UPDATE herald.log_partitions SET digest = sha256(digest) WHERE first_seq = 1`), chain.Altered, 1},
		{"the last partition's digest", sql(`UPDATE herald.log_partitions SET digest = sha256(digest) WHERE first_seq = 11`), chain.Altered, 11},
		{"an event of what is kept", sql(`UPDATE herald.events SET actor = 'eve' WHERE seq = 21`), chain.Altered, 21},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.retain(t, eventlog.RetentionConfig{Age: -1, Size: 1, Archive: w.archives})
			tt.harm(t, w)
			w.want(t, nil, tt.kind, tt.seq)
		})
	}
}

func TestVerifyWithoutArchives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.retain(t, eventlog.RetentionConfig{Age: -1, Size: 1, Archive: w.archives})
	if r, err := audit.Verify(t.Context(), w.db, nil, nil); err != nil || r.Events != 5 || r.From.Seq != 20 || r.Archived != 0 {
		t.Errorf("Verify() = %+v, %v, want the 5 events that are kept", r, err)
	}
	if _, err := audit.Verify(t.Context(), w.db, nil, &chain.Point{Seq: 14}); err == nil {
		t.Error("Verify() against a checkpoint of what was archived = nil")
	}
	if _, err := audit.Verify(t.Context(), w.db, nil, &chain.Point{Seq: 20}); err == nil {
		t.Error("Verify() against another history at the floor = nil")
	}
}

func TestVerifyTellsWhatNobodyHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.retain(t, eventlog.RetentionConfig{Age: -1, Size: 1})
	r, err := w.verify(t, nil)
	if err != nil || len(r.Holes) != 2 || r.Holes[1] != (audit.Hole{First: 11, Last: 20}) || r.Events != 5 {
		t.Errorf("Verify() = %+v, %v, want two holes and 5 events", r, err)
	}
}

// goingLog is a log whose oldest partitions go while it is read.
type goingLog struct {
	audit.Log
	before func()
	times  *int
}

func (g goingLog) Dropped(ctx context.Context) ([]eventlog.Partition, error) {
	list, err := g.Log.Dropped(ctx)
	if *g.times++; *g.times == 1 {
		g.before()
	}
	return list, err
}

// A partition that goes while the log is checked is no fault: the check begins
// anew, and reads its archive.
func TestVerifyWhilePartitionsGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	times := 0
	log := goingLog{w.db, func() { w.retain(t, eventlog.RetentionConfig{Age: -1, Size: 1, Archive: w.archives}) }, &times}
	r, err := audit.Verify(t.Context(), log, w.archives, w.checkpoint(t))
	if err != nil || r.Events != events || r.Archived != 20 || times != 2 {
		t.Errorf("Verify() = %+v, %v at try %d, want 25 events, 20 of them archived, at the second", r, err, times)
	}
}
