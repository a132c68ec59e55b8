package chain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"herald/internal/chain"
	"herald/internal/event"
)

// record is a log as a Verifier is fed it.
type record struct {
	batches []chain.Batch
	events  []event.Event
	head    chain.Point
}

// newRecord makes a log with batches of these sizes.
func newRecord(sizes ...int) *record {
	var (
		r      = &record{}
		hasher chain.Hasher
	)
	for n, size := range sizes {
		b := chain.Batch{First: r.head.Seq + 1, Last: r.head.Seq + event.Seq(size), RecordedAt: time.Unix(int64(n), 0).UTC()}
		for seq := b.First; seq <= b.Last; seq++ {
			e := event.Event{Seq: seq, RecordedAt: b.RecordedAt, Pending: event.Pending{
				ID: uuid.NewSHA1(uuid.Nil, []byte(seq.String())), Type: "test", Topics: []event.Topic{"all"},
				Payload: json.RawMessage(`{}`),
			}}
			leaf := hasher.Leaf(e)
			b.Leaves = append(b.Leaves, leaf[:]...)
			r.events = append(r.events, e)
		}
		b.Digest = b.Next(r.head.Digest)
		r.batches = append(r.batches, b)
		r.head = chain.Point{Seq: b.Last, Digest: b.Digest}
	}
	return r
}

// verify feeds the record to a Verifier, as a reader of the tables does: each
// batch, then the events up to its end.
func (r *record) verify(expect *chain.Point) error {
	v := chain.NewVerifier(chain.Point{}, expect)
	rest := r.events
	for _, b := range r.batches {
		if err := v.Batch(b); err != nil {
			return err
		}
		for len(rest) > 0 && rest[0].Seq <= b.Last {
			if err := v.Event(rest[0]); err != nil {
				return err
			}
			rest = rest[1:]
		}
	}
	for _, e := range rest {
		if err := v.Event(e); err != nil {
			return err
		}
	}
	return v.End(r.head)
}

// verifySealed feeds the record as an archive is read: without leaves, and each
// batch after its events.
func (r *record) verifySealed() error {
	v := chain.NewVerifier(chain.Point{}, nil)
	rest := r.events
	for _, b := range r.batches {
		for len(rest) > 0 && rest[0].Seq <= b.Last {
			if err := v.Append(rest[0]); err != nil {
				return err
			}
			rest = rest[1:]
		}
		b.Leaves = nil
		if err := v.Seal(b); err != nil {
			return err
		}
	}
	for _, e := range rest {
		if err := v.Append(e); err != nil {
			return err
		}
	}
	return v.End(r.head)
}

func TestAnUntouchedLogVerifies(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][]int{{}, {1}, {3, 1, 5}} {
		r := newRecord(sizes...)
		if err := errors.Join(r.verify(&r.head), r.verifySealed()); err != nil {
			t.Errorf("verify(%v) = %v", sizes, err)
		}
	}
}

// tampers is what is done to a log of batches 1-3, 4-8, 9-10, and what is found.
func tampers() []tamper {
	return []tamper{
		{"an event altered", func(r *record) { r.events[4].Actor = "eve" }, chain.Altered, 5},
		{"an event removed", func(r *record) { r.remove(5) }, chain.Removed, 5},
		{"the last event of a batch removed", func(r *record) { r.remove(8) }, chain.Removed, 8},
		{"the last event removed", func(r *record) { r.remove(10) }, chain.Removed, 10},
		{"an event removed, and the others moved up", func(r *record) { r.remove(5); r.renumber() }, chain.Removed, 5},
		{"two swapped", func(r *record) { r.swap(5, 7) }, chain.Reordered, 5},
		{"one moved back", func(r *record) { r.events = append(r.events[:4], r.events[5], r.events[6], r.events[4]); r.renumber() }, chain.Reordered, 5},
		{"one inserted, and the others moved down", func(r *record) { r.insert(5); r.renumber() }, chain.Inserted, 5},
		{"one inserted at the place of another", func(r *record) { r.insert(5) }, chain.Inserted, 5},
		{"one inserted behind the one whose place it has", func(r *record) { r.insert(5); r.events[4], r.events[5] = r.events[5], r.events[4] }, chain.Inserted, 5},
		{"one inserted behind the end", func(r *record) { r.insert(11) }, chain.Inserted, 11},
		{"a leaf altered", func(r *record) { r.batch(1).Leaves[40] ^= 1 }, chain.Altered, 4},
		{"a leaf too many", func(r *record) { r.batch(1).Leaves = append(r.batch(1).Leaves, make([]byte, 32)...) }, chain.Altered, 4},
		{"a digest altered", func(r *record) { r.batch(1).Digest[0] ^= 1 }, chain.Altered, 4},
		{"a batch's time altered", func(r *record) { b := r.batch(1); b.RecordedAt = b.RecordedAt.Add(1000) }, chain.Altered, 4},
		{"a batch's beginning altered", func(r *record) { r.batch(1).First-- }, chain.Altered, 4},
		{"a batch's end altered", func(r *record) { r.batch(1).Last++ }, chain.Altered, 4},
		{"a batch removed", func(r *record) { r.batches = slices.Delete(r.batches, 1, 2) }, chain.Removed, 4},
		{"the last batch removed", func(r *record) { r.batches = r.batches[:2]; r.events = r.events[:8] }, chain.Removed, 9},
		{"a batch twice", func(r *record) { r.batches = slices.Insert(r.batches, 2, r.batches[1]) }, chain.Altered, 9},
		{"the head's digest altered", func(r *record) { r.head.Digest[0] ^= 1 }, chain.Altered, 9},
		{"the head moved on", func(r *record) { r.head.Seq++ }, chain.Removed, 11},
		{"the head moved back", func(r *record) { r.head.Seq = 8 }, chain.Inserted, 9},
	}
}

type tamper struct {
	name string
	harm func(*record)
	kind chain.Kind
	seq  event.Seq
}

// batch is the batch to be changed, with leaves of its own.
func (r *record) batch(i int) *chain.Batch {
	r.batches[i].Leaves = slices.Clone(r.batches[i].Leaves)
	return &r.batches[i]
}

func (r *record) remove(seq event.Seq) { r.events = slices.Delete(r.events, int(seq-1), int(seq)) }

func (r *record) insert(seq event.Seq) {
	e := r.events[0]
	e.ID, e.Seq = uuid.Max, seq
	r.events = slices.Insert(r.events, int(seq-1), e)
}

func (r *record) swap(a, b int) {
	r.events[a-1], r.events[b-1] = r.events[b-1], r.events[a-1]
	r.renumber()
}

func (r *record) renumber() {
	for i := range r.events {
		r.events[i].Seq = event.Seq(i + 1)
	}
}

func TestVerifierNamesTheFirstFault(t *testing.T) {
	t.Parallel()
	for _, tt := range tampers() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRecord(3, 5, 2)
			tt.harm(r)
			err := r.verify(nil)
			var f *chain.FaultError
			if !errors.As(err, &f) || f.Kind != tt.kind || f.Seq != tt.seq {
				t.Errorf("verify() = %v, want seq %d %s", err, tt.seq, tt.kind)
			}
		})
	}
}

func TestASealedLogShowsEveryChange(t *testing.T) {
	t.Parallel()
	for _, tt := range tampers() {
		r := newRecord(3, 5, 2)
		tt.harm(r)
		var f *chain.FaultError
		if err := r.verifySealed(); !errors.As(err, &f) && tt.name != "a leaf altered" && tt.name != "a leaf too many" {
			t.Errorf("%s: verifySealed() = %v, want a fault", tt.name, err)
		}
	}
}

// Whatever one event is changed, removed or doubled, the fault is found, and not
// behind it.
func TestAnyHarmIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := newRecord(rapid.SliceOfN(rapid.IntRange(1, 6), 1, 6).Draw(t, "sizes")...)
		at := rapid.IntRange(0, len(r.events)-1).Draw(t, "at")
		switch rapid.IntRange(0, 4).Draw(t, "harm") {
		case 0:
			r.events[at].JobVersion++
		case 1:
			r.remove(event.Seq(at + 1))
		case 2:
			r.insert(event.Seq(at + 1))
			r.renumber()
		case 3:
			r.insert(event.Seq(at + 1))
		case 4:
			r.batch(rapid.IntRange(0, len(r.batches)-1).Draw(t, "batch")).Digest[3] ^= 4
			at = len(r.events)
		}
		var f *chain.FaultError
		if err := r.verify(nil); !errors.As(err, &f) || int(f.Seq) > at+1 {
			t.Errorf("verify() = %v, want a fault at %d or before", err, at+1)
		}
	})
}

func TestOnlyACheckpointShowsAnotherHistory(t *testing.T) {
	t.Parallel()
	recorded := newRecord(3, 5, 2)
	for _, tt := range []struct {
		name  string
		other *record
		kind  chain.Kind
		seq   event.Seq
	}{
		{"cut", newRecord(3, 5), chain.Removed, 9},
		{"other batches", newRecord(3, 4, 3), chain.Rewritten, 10},
		{"no batch ends there", newRecord(3, 5, 3), chain.Rewritten, 10},
	} {
		if err := tt.other.verify(nil); err != nil {
			t.Errorf("%s: verify() = %v, want it to agree with itself", tt.name, err)
		}
		var f *chain.FaultError
		if err := tt.other.verify(&recorded.head); !errors.As(err, &f) || f.Kind != tt.kind || f.Seq != tt.seq {
			t.Errorf("%s: verify(against the checkpoint) = %v, want seq %d %s", tt.name, err, tt.seq, tt.kind)
		}
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	r := newRecord(3, 5, 2)
	end := chain.Point{Seq: r.batches[1].Last, Digest: r.batches[1].Digest}
	lost := chain.Point{Seq: r.batches[0].Last, Digest: r.batches[0].Digest}
	other := chain.Point{Seq: end.Seq}
	for _, tt := range []struct {
		expect *chain.Point
		fails  bool
	}{{nil, false}, {&end, false}, {&lost, true}, {&other, true}} {
		v := chain.NewVerifier(chain.Point{}, tt.expect)
		if err := v.Skip(end); (err != nil) != tt.fails {
			t.Errorf("Skip() = %v with %v expected", err, tt.expect)
		}
		if tt.fails {
			continue
		}
		if err := v.Batch(r.batches[2]); err != nil {
			t.Errorf("Batch() after Skip() = %v", err)
		}
	}
}

func Example() {
	r := newRecord(2, 2)
	r.events[2].Payload = json.RawMessage(`{"paid":true}`)
	fmt.Println(r.verify(nil))
	// Output: seq 3 was altered: the event is not the one whose hash was recorded
}
