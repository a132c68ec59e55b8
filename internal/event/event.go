// Package event is the vocabulary of the log: what an event is, where it
// stands in the log, and whom it concerns. It does no I/O.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Seq is an event's place in the log: the first is 1, each is the one before
// it plus one, and none is skipped, changed or used twice. Zero is the place
// before the first event.
type Seq int64

// ErrBadCursor is returned for a text that is not a cursor.
var ErrBadCursor = errors.New("a cursor is the seq of the last event seen: digits only")

// ParseCursor reads a cursor, the Seq of the last event that a reader has
// seen, as it stands in an SSE id field. The empty text is no cursor and an
// error.
func ParseCursor(text string) (Seq, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, ErrBadCursor
	}
	return Seq(n), nil
}

// String is the decimal form, which ParseCursor reads back.
func (s Seq) String() string { return strconv.FormatInt(int64(s), 10) }

// Type says what happened, such as "job.progress".
type Type string

// The events of a job's life. JobProgress and JobMessage carry the job's moving
// part (job.Moving), the others the whole job.
const (
	JobQueued     Type = "job.queued"
	JobStarted    Type = "job.started"
	JobProgress   Type = "job.progress"
	JobStep       Type = "job.step"
	JobMessage    Type = "job.message"
	JobRetrying   Type = "job.retrying"
	JobStalled    Type = "job.stalled"
	JobResumed    Type = "job.resumed"
	JobCancelling Type = "job.cancelling"
	JobCancelled  Type = "job.cancelled"
	JobSucceeded  Type = "job.succeeded"
	JobFailed     Type = "job.failed"
	JobLateReport Type = "job.late_report"
	JobDeleted    Type = "job.deleted"
)

// Conflatable reports whether a newer event of this type makes an older one
// of the same job worthless to a reader that has not received it yet.
func (t Type) Conflatable() bool { return t == JobProgress }

// MaxPayload is the largest payload of one event, in bytes.
const MaxPayload = 64 << 10

// ErrPayload is returned for a payload that the log does not take.
var ErrPayload = errors.New("payload refused")

// Pending is an event that is not in the log yet, so it has no Seq.
type Pending struct {
	ID         uuid.UUID // a UUIDv7, the writer's
	Type       Type
	Topics     []Topic // whom it concerns; at least one
	JobID      uuid.UUID
	JobVersion int64  // the job's version that this event tells of; zero when JobID is
	Actor      string // who caused it: a user, a worker, or "herald"
	CreatedAt  time.Time
	Payload    json.RawMessage
}

// Check says what the log would refuse about the event: no type, no topic, a
// malformed topic, or a payload that is not JSON or too large.
func (p Pending) Check() error {
	switch {
	case p.Type == "":
		return fmt.Errorf("%w: an event needs a type", ErrPayload)
	case len(p.Topics) == 0:
		return fmt.Errorf("%w: an event needs a topic", ErrTopic)
	case len(p.Topics) > MaxTopics:
		return fmt.Errorf("%w: %d topics, at most %d", ErrTopic, len(p.Topics), MaxTopics)
	case len(p.Payload) > MaxPayload:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrPayload, len(p.Payload), MaxPayload)
	case !json.Valid(p.Payload):
		return fmt.Errorf("%w: not JSON", ErrPayload)
	}
	for _, t := range p.Topics {
		if _, err := ParseTopic(string(t)); err != nil {
			return err
		}
	}
	return nil
}

// Event is one entry of the log, and never changes.
type Event struct {
	Pending
	Seq        Seq
	RecordedAt time.Time // when the sequencer gave it its Seq
}
