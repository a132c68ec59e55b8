package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"herald/internal/chain"
	"herald/internal/event"
)

const (
	// maxLine bounds a line, in bytes: 64 KiB of payload, escaped, and the rest.
	maxLine = 4 << 20
	// maxNesting bounds what is written as JSON and not as text, since readers
	// of JSON bound it too.
	maxNesting = 1000
)

// line is an event, or the batch that the events before it were appended in.
type line struct {
	Seq         event.Seq       `json:"seq"`
	ID          uuid.UUID       `json:"id"`
	Type        event.Type      `json:"type"`
	Topics      []event.Topic   `json:"topics"`
	JobID       *uuid.UUID      `json:"job_id"`
	JobVersion  int64           `json:"job_version"`
	Actor       string          `json:"actor"`
	CreatedAt   Time            `json:"created_at"`
	RecordedAt  Time            `json:"recorded_at"`
	Payload     json.RawMessage `json:"payload,omitempty"`
	PayloadText *string         `json:"payload_text,omitempty"` // where a line cannot hold the payload as it is
	Batch       *batch          `json:"batch,omitempty"`
}

type batch struct {
	First      event.Seq `json:"first"`
	Last       event.Seq `json:"last"`
	RecordedAt Time      `json:"recorded_at"`
	Digest     Digest    `json:"digest"`
}

// AppendEvent appends the event as a line of an archive. The payload stands in
// it byte for byte: the chain hashes its text.
func AppendEvent(to []byte, e event.Event) ([]byte, error) {
	l := line{
		Seq: e.Seq, ID: e.ID, Type: e.Type, Topics: e.Topics, JobVersion: e.JobVersion, Actor: e.Actor,
		CreatedAt: Time{e.CreatedAt}, RecordedAt: Time{e.RecordedAt},
	}
	if e.JobID != uuid.Nil {
		l.JobID = &e.JobID
	}
	whole := fitsLine(e.Payload)
	if !whole {
		text := string(e.Payload)
		l.PayloadText = &text
	}
	head, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("write event %d: %w", e.Seq, err)
	}
	to = append(to, head...)
	if whole { // json.Marshal would compact and escape it
		to = append(to[:len(to)-1], `,"payload":`...)
		to = append(append(to, e.Payload...), '}')
	}
	return append(to, '\n'), nil
}

// fitsLine reports whether readers of a line get the payload as it is.
func fitsLine(payload []byte) bool {
	return len(payload) == len(bytes.Trim(payload, " \t\r\n")) && !bytes.ContainsAny(payload, "\r\n") &&
		bytes.Count(payload, []byte("{"))+bytes.Count(payload, []byte("[")) <= maxNesting && json.Valid(payload)
}

func appendBatch(to []byte, b chain.Batch) ([]byte, error) {
	text, err := json.Marshal(struct {
		Batch batch `json:"batch"`
	}{batch{First: b.First, Last: b.Last, RecordedAt: Time{b.RecordedAt}, Digest: Digest(b.Digest)}})
	if err != nil {
		return nil, fmt.Errorf("write batch %d to %d: %w", b.First, b.Last, err)
	}
	return append(append(to, text...), '\n'), nil
}

// errLine is returned for a line that is neither an event nor a batch.
var errLine = errors.New("neither an event nor a batch")

// parseLine reads a line: an event, or a batch without leaves.
func parseLine(text []byte) (event.Event, *chain.Batch, error) {
	if e, ok := scanEvent(text); ok {
		return e, nil, nil
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return event.Event{}, nil, fmt.Errorf("%w: %w", errLine, err)
	}
	if b := l.Batch; b != nil {
		if l.Seq != 0 {
			return event.Event{}, nil, errLine
		}
		return event.Event{}, &chain.Batch{
			First: b.First, Last: b.Last, RecordedAt: b.RecordedAt.Time, Digest: chain.Digest(b.Digest),
		}, nil
	}
	if l.Seq < 1 || (l.Payload == nil) == (l.PayloadText == nil) {
		return event.Event{}, nil, errLine
	}
	e := event.Event{
		Seq: l.Seq, RecordedAt: l.RecordedAt.Time,
		Pending: event.Pending{
			ID: l.ID, Type: l.Type, Topics: l.Topics, JobVersion: l.JobVersion, Actor: l.Actor,
			CreatedAt: l.CreatedAt.Time, Payload: l.Payload,
		},
	}
	if l.JobID != nil {
		e.JobID = *l.JobID
	}
	if l.PayloadText != nil {
		e.Payload = json.RawMessage(*l.PayloadText)
	}
	return e, nil, nil
}
