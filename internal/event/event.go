// Package event is the vocabulary of the log: what an event is, where it
// stands in the log, and whom it concerns. It does no I/O.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Seq is an event's place in the log: the first is 1, each is the one before
// it plus one, and none is skipped, changed or used twice. Zero is the place
// before the first event.
type Seq int64

// ErrBadCursor is returned for a text that is not a cursor.
var ErrBadCursor = errors.New("a cursor is the seq of the last event seen: digits only")

// ErrTooOld is returned to a reader of the log when events behind its cursor are
// no longer kept.
var ErrTooOld = errors.New("the log no longer has what follows the cursor")

// ErrNotFound is returned for a Seq that the log has not come to.
var ErrNotFound = errors.New("there is no such event")

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

// Type says what happened, such as "job.progress": words of small letters,
// digits, hyphens and underscores, joined by dots, the first of which begins
// with a letter.
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
	JobCallback   Type = "job.callback" // a try to tell a callback address; the job is as it was

	JobArtifactsExpired Type = "job.artifacts_expired" // the files it made are no longer kept

	JobAbsent       Type = "job.absent"        // a try to tell its owner, who was away, how it has ended; the job is as it was
	JobShared       Type = "job.shared"        // there is a link that shows it; the job is as it was, as with the next two
	JobShareOpened  Type = "job.share_opened"  // somebody has come by the link for the first time
	JobShareRevoked Type = "job.share_revoked" // the link shows nothing any more
)

// Conflatable reports whether a newer event of this type makes an older one
// of the same job worthless to a reader that has not received it yet.
func (t Type) Conflatable() bool { return t == JobProgress }

// MaxPayload is the largest payload of one event, in bytes.
const MaxPayload = 64 << 10

const (
	maxType  = 100 // in bytes
	maxActor = 200 // in bytes
)

// What is wrong with an event that the log does not take.
var (
	ErrType    = errors.New("not an event type")
	ErrActor   = errors.New("not an actor")
	ErrPayload = errors.New("payload refused")
)

// typePattern is a Type's syntax; herald.event_check in SQL has the same.
var typePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$`)

// Check says what is wrong with the type, as an ErrType.
func (t Type) Check() error {
	switch {
	case t == "":
		return fmt.Errorf("%w: an event needs a type", ErrType)
	case len(t) > maxType:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrType, len(t), maxType)
	case !typePattern.MatchString(string(t)):
		return fmt.Errorf("%w: %q: want words of a-z, 0-9, - and _, joined by dots, such as order.paid", ErrType, clip(string(t)))
	}
	return nil
}

// AccessRead says that somebody has read what belongs to another.
const AccessRead Type = "access.read"

// Reserved reports whether only Herald itself says such a thing: of jobs, of a
// stream's own life, and of who has read what.
func (t Type) Reserved() bool {
	return slices.ContainsFunc([]string{"job.", "stream.", "access."}, func(own string) bool { return strings.HasPrefix(string(t), own) })
}

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

// Check says what the log would refuse about the event: a malformed type, topic
// or actor, no topic, or a payload that is not JSON or too large.
func (p Pending) Check() error {
	if err := p.Type.Check(); err != nil {
		return err
	}
	if err := checkPlain(p.Actor, maxActor); err != nil {
		return fmt.Errorf("%w: %w", ErrActor, err)
	}
	if err := checkPayload(p.Payload); err != nil {
		return err
	}
	return checkTopics(p.Topics)
}

func checkPayload(payload json.RawMessage) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrPayload, len(payload), MaxPayload)
	}
	if err := CheckJSON(payload); err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return nil
}

func checkTopics(topics []Topic) error {
	switch {
	case len(topics) == 0:
		return fmt.Errorf("%w: an event needs a topic", ErrTopic)
	case len(topics) > MaxTopics:
		return fmt.Errorf("%w: %d topics, at most %d", ErrTopic, len(topics), MaxTopics)
	}
	for _, t := range topics {
		// Readers ask for what ParseTopic returns, so another spelling would reach nobody.
		if parsed, err := ParseTopic(string(t)); err != nil {
			return err
		} else if parsed != t {
			return fmt.Errorf("%w: %q: write %q", ErrTopic, clip(string(t)), parsed)
		}
	}
	return nil
}

// checkPlain says what is wrong with a short text that names somebody or
// something.
func checkPlain(text string, longest int) error {
	switch {
	case len(text) > longest:
		return fmt.Errorf("%d bytes, at most %d", len(text), longest)
	case !utf8.ValidString(text):
		return errors.New("not UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("contains a control character")
	}
	return nil
}

// Event is one entry of the log, and never changes.
type Event struct {
	Pending
	Seq        Seq
	RecordedAt time.Time // when the sequencer gave it its Seq
}
