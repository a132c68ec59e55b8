package chain

import (
	"crypto/sha256"
	"fmt"
	"time"

	"herald/internal/event"
)

// Point is a place in the chain: the Seq at which a batch ends, and the digest
// of that batch. The zero Point is before the first batch.
type Point struct {
	Seq    event.Seq
	Digest Digest
}

// Kind says what has happened to a log that is not what was recorded.
type Kind string

// The kinds of fault.
const (
	Altered   Kind = "altered"
	Removed   Kind = "removed"
	Inserted  Kind = "inserted"
	Reordered Kind = "reordered"
	Rewritten Kind = "rewritten" // the log agrees with itself, but not with a checkpoint
)

// FaultError is the first place at which a log is not what was recorded.
type FaultError struct {
	Kind Kind
	Seq  event.Seq
	How  string // how it shows
}

func (f *FaultError) Error() string { return fmt.Sprintf("seq %d was %s: %s", f.Seq, f.Kind, f.How) }

func fault(kind Kind, seq event.Seq, how string) error {
	return &FaultError{Kind: kind, Seq: seq, How: how}
}

// How faults show.
const (
	howAltered    = "the event is not the one whose hash was recorded"
	howRemoved    = "the event is missing"
	howReplaced   = "the event after it stands in its place"
	howInserted   = "the chain does not know this event"
	howReordered  = "its event stands at seq %d"
	howBatch      = "the batch that begins here does not follow from the log before it"
	howTime       = "the time of the batch that begins here is not that of its events"
	howBatchGone  = "the batch that begins here is missing"
	howHead       = "the log's head does not have the digest of the batch that begins here"
	howCut        = "the log ends before this event, which the checkpoint knows"
	howCheckpoint = "the log up to here is not the one that the checkpoint was made of"
)

// Verifier checks a log in order, from a Point on. With the log's own batches,
// each comes before its events (Batch, Event); in an archive, which has no
// leaves, each comes after them (Append, Seal). The first error is the
// verdict; it is a *FaultError. A Verifier holds one batch at a time.
type Verifier struct {
	hasher Hasher
	at     Point     // where the last batch ends
	began  event.Seq // where it begins
	events int64

	expect *Point // what the chain has to come by

	batch   Batch     // whose events are awaited
	next    event.Seq // the event awaited
	suspect *suspect  // the first event of the batch that is not what its leaf says

	leaves   []byte    // of the events appended since the last Seal
	recorded time.Time // the last event's
}

// NewVerifier returns a Verifier for the log after the Point. Where it passes
// the Seq of expect, if there is one, it has to have that digest.
func NewVerifier(from Point, expect *Point) *Verifier {
	return &Verifier{at: from, began: from.Seq, next: from.Seq + 1, batch: Batch{Last: from.Seq}, expect: expect}
}

// At returns how far the chain has been checked.
func (v *Verifier) At() Point { return v.at }

// Events returns how many events have been taken.
func (v *Verifier) Events() int64 { return v.events }

// Batch takes the batch after the last one, whose events are to follow.
func (v *Verifier) Batch(b Batch) error {
	if err := v.finish(); err != nil {
		return err
	}
	if err := v.link(b); err != nil {
		return err
	}
	v.batch, v.next = b, b.First
	return nil
}

// Event takes the next event of the last Batch. What is wrong with it may be
// told only after the batch, when it is known where its neighbours are.
func (v *Verifier) Event(e event.Event) error {
	if e.Seq > v.batch.Last {
		if err := v.finish(); err != nil {
			return err
		}
		return fault(Inserted, e.Seq, howInserted)
	}
	v.events++
	leaf := v.hasher.Leaf(e)
	if v.suspect != nil {
		v.suspect.look(e.Seq, leaf)
		return nil
	}
	switch want := v.next; {
	case e.Seq < want:
		return fault(Inserted, e.Seq, howInserted)
	case e.Seq > want:
		v.suspect = &suspect{seq: want, want: v.batch.Leaf(want), missing: true}
		v.suspect.look(e.Seq, leaf)
	case leaf != v.batch.Leaf(want):
		v.suspect = &suspect{seq: want, want: v.batch.Leaf(want), known: v.batch.has(leaf, want)}
	case want == v.batch.Last && !e.RecordedAt.Equal(v.batch.RecordedAt):
		return fault(Altered, v.batch.First, howTime)
	}
	v.next = e.Seq + 1
	return nil
}

// has reports whether the leaf is that of an event of the batch after the Seq.
func (b Batch) has(leaf Digest, after event.Seq) bool {
	for seq := after + 1; seq <= b.Last; seq++ {
		if b.Leaf(seq) == leaf {
			return true
		}
	}
	return false
}

// finish says what is wrong with the last batch's events, now that all were
// seen.
func (v *Verifier) finish() error {
	switch {
	case v.suspect != nil:
		return v.suspect.verdict()
	case v.next <= v.batch.Last:
		return fault(Removed, v.next, howRemoved)
	default:
		return nil
	}
}

// suspect is the first event of a batch that is not what its leaf says.
type suspect struct {
	seq     event.Seq
	want    Digest
	missing bool      // no event has the Seq
	known   bool      // the event at the Seq is one that belongs behind it
	found   event.Seq // where the event stands that belongs here; 0: nowhere
}

// look compares a later event of the batch.
func (s *suspect) look(seq event.Seq, leaf Digest) {
	if s.found == 0 && leaf == s.want {
		s.found = seq
	}
}

func (s *suspect) verdict() error {
	switch {
	case s.found != 0 && (s.missing || s.known):
		return fault(Reordered, s.seq, fmt.Sprintf(howReordered, s.found))
	case s.found != 0:
		return fault(Inserted, s.seq, howInserted)
	case s.missing:
		return fault(Removed, s.seq, howRemoved)
	case s.known:
		return fault(Removed, s.seq, howReplaced)
	default:
		return fault(Altered, s.seq, howAltered)
	}
}

// link checks that the batch follows from the one before, and moves on to its
// end.
func (v *Verifier) link(b Batch) error {
	first := v.at.Seq + 1
	switch {
	case b.First > first:
		return fault(Removed, first, howBatchGone)
	case b.First < first || b.Last < b.First || len(b.Leaves) != int(b.Last-b.First+1)*sha256.Size ||
		b.Next(v.at.Digest) != b.Digest:
		return fault(Altered, first, howBatch)
	}
	return v.move(first, Point{Seq: b.Last, Digest: b.Digest})
}

// move goes on to the Point, and looks at the one expected on the way.
func (v *Verifier) move(first event.Seq, to Point) error {
	v.began, v.at = first, to
	if e := v.expect; e != nil && (e.Seq == to.Seq && *e != to || e.Seq >= first && e.Seq < to.Seq) {
		return fault(Rewritten, e.Seq, howCheckpoint)
	}
	return nil
}

// Append takes the next event of a batch that Seal will end. It keeps 32 bytes
// of each until then.
func (v *Verifier) Append(e event.Event) error {
	want := v.at.Seq + event.Seq(len(v.leaves)/sha256.Size) + 1
	switch {
	case e.Seq > want:
		return fault(Removed, want, howRemoved)
	case e.Seq < want:
		return fault(Inserted, e.Seq, howInserted)
	}
	leaf := v.hasher.Leaf(e)
	v.leaves = append(v.leaves, leaf[:]...)
	v.recorded = e.RecordedAt
	v.events++
	return nil
}

// Seal takes the batch of the events appended; its leaves are computed from
// them.
func (v *Verifier) Seal(b Batch) error {
	first, last := v.at.Seq+1, v.at.Seq+event.Seq(len(v.leaves)/sha256.Size)
	switch {
	case b.First > first || b.Last < last:
		return fault(Inserted, first, howInserted)
	case b.Last > last:
		return fault(Removed, last+1, howRemoved)
	case !b.RecordedAt.Equal(v.recorded):
		return fault(Altered, first, howTime)
	}
	b.Leaves = v.leaves
	if err := v.link(b); err != nil {
		return err
	}
	v.leaves = v.leaves[:0]
	v.batch, v.next = Batch{Last: b.Last}, b.Last+1
	return nil
}

// Skip passes over a stretch of the log that nobody has any more, to the Point
// at which the chain goes on.
func (v *Verifier) Skip(to Point) error {
	if err := v.finish(); err != nil {
		return err
	}
	if e := v.expect; e != nil && e.Seq > v.at.Seq && e.Seq < to.Seq {
		return fmt.Errorf("the checkpoint of seq %d cannot be checked: seqs %d to %d were dropped without an archive",
			e.Seq, v.at.Seq+1, to.Seq)
	}
	v.batch, v.next = Batch{Last: to.Seq}, to.Seq+1
	return v.move(v.at.Seq+1, to)
}

// End says whether the log ends at its head with the batches taken.
func (v *Verifier) End(head Point) error {
	if err := v.finish(); err != nil {
		return err
	}
	switch {
	case len(v.leaves) > 0:
		return fault(Removed, v.at.Seq+1, howBatchGone)
	case v.at.Seq < head.Seq:
		return fault(Removed, v.at.Seq+1, howBatchGone)
	case v.at.Seq > head.Seq:
		return fault(Inserted, head.Seq+1, howInserted)
	case v.at.Digest != head.Digest:
		return fault(Altered, v.began, howHead)
	case v.expect != nil && v.expect.Seq > head.Seq:
		return fault(Removed, head.Seq+1, howCut)
	default:
		return nil
	}
}
