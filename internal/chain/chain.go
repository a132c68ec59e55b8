// Package chain is the audit chain of the log: what is hashed of an event, and
// how the digest of each batch depends on all batches before it. Postgres
// computes the same in the transaction that appends (herald.event_leaf and
// herald.batch_digest), so what is computed here checks it independently. It
// does no I/O.
package chain

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// Batch is what one transaction of the sequencer appended: the events from
// First to Last, a leaf for each, and a digest that is chained to the batch
// before. The zero Digest is before the first batch.
type Batch struct {
	First, Last event.Seq
	RecordedAt  time.Time
	Leaves      []byte // sha256.Size bytes for each event, in order
	Digest      Digest
}

// Sink takes a log in order: each batch, and then its events.
type Sink interface {
	Batch(b Batch) error
	Event(e event.Event) error
}

// Leaf returns the leaf of the event with the Seq, which lies in the batch.
func (b Batch) Leaf(seq event.Seq) Digest {
	return Digest(b.Leaves[int(seq-b.First)*sha256.Size:][:sha256.Size])
}

// Next returns the digest of the batch after the one with the digest before.
func (b Batch) Next(before Digest) Digest {
	h := sha256.New()
	h.Write([]byte("herald batch 1"))
	h.Write(before[:])
	for _, n := range []int64{int64(b.First), int64(b.Last), microseconds(b.RecordedAt)} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	h.Write(b.Leaves)
	return Digest(h.Sum(nil))
}

// The object ids of Postgres' types, which never change.
const (
	oidInt8        = 20
	oidText        = 25
	oidJSON        = 114
	oidTextArray   = 1009
	oidTimestamptz = 1184
	oidUUID        = 2950
)

// microseconds is a time as Postgres sends it: counted from the year 2000.
func microseconds(t time.Time) int64 {
	const epoch = 946_684_800 // 2000-01-01T00:00:00Z, in seconds of Unix time
	return t.UnixMicro() - epoch*1_000_000
}

// Hasher computes leaves. The zero Hasher is fit for use; it is not safe for
// concurrent use.
type Hasher struct{ buffer []byte }

// Leaf returns the hash of all that an event consists of but its Seq, which is
// its place among the leaves. The form is that of a record in Postgres' binary
// protocol: how many columns, and for each its type, its length and its bytes.
func (h *Hasher) Leaf(e event.Event) Digest {
	h.buffer = append(h.buffer[:0], 0, 0, 0, 9)
	h.column(oidUUID, e.ID[:])
	h.text(string(e.Type))
	h.topics(e.Topics)
	if e.JobID == uuid.Nil {
		h.null(oidUUID)
	} else {
		h.column(oidUUID, e.JobID[:])
	}
	h.int8(oidInt8, e.JobVersion)
	h.text(e.Actor)
	h.int8(oidTimestamptz, microseconds(e.CreatedAt))
	h.int8(oidTimestamptz, microseconds(e.RecordedAt))
	h.column(oidJSON, e.Payload)
	return sha256.Sum256(h.buffer)
}

func (h *Hasher) uint32(n uint32) { h.buffer = binary.BigEndian.AppendUint32(h.buffer, n) }

func (h *Hasher) null(oid uint32) {
	h.uint32(oid)
	h.uint32(1<<32 - 1) // a length of -1
}

func (h *Hasher) column(oid uint32, value []byte) {
	h.uint32(oid)
	h.uint32(uint32(len(value)))
	h.buffer = append(h.buffer, value...)
}

func (h *Hasher) text(value string) {
	h.uint32(oidText)
	h.uint32(uint32(len(value)))
	h.buffer = append(h.buffer, value...)
}

func (h *Hasher) int8(oid uint32, value int64) {
	h.uint32(oid)
	h.uint32(8)
	h.buffer = binary.BigEndian.AppendUint64(h.buffer, uint64(value))
}

// topics appends a text[]: its dimensions, flags, element type, size and lower
// bound, and then the elements.
func (h *Hasher) topics(topics []event.Topic) {
	h.uint32(oidTextArray)
	size := 20
	for _, t := range topics {
		size += 4 + len(t)
	}
	h.uint32(uint32(size))
	for _, n := range [...]uint32{1, 0, oidText, uint32(len(topics)), 1} {
		h.uint32(n)
	}
	for _, t := range topics {
		h.uint32(uint32(len(t)))
		h.buffer = append(h.buffer, t...)
	}
}
