package archive

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/google/uuid"

	"herald/internal/event"
)

// scanEvent reads an event's line in the very form that AppendEvent writes, at
// a third of what encoding/json takes. Whatever else the line is, it is not ok,
// and for parseLine.
func scanEvent(text []byte) (e event.Event, ok bool) {
	if !utf8.Valid(text) {
		return e, false
	}
	s := &lineScanner{rest: text, ok: true}
	s.word(`{"seq":`)
	e.Seq = event.Seq(s.number())
	s.word(`,"id":`)
	e.ID = s.id()
	s.word(`,"type":`)
	e.Type = event.Type(s.text())
	s.word(`,"topics":[`)
	for more := true; more && s.ok; more = s.is(`,`) {
		e.Topics = append(e.Topics, event.Topic(s.text()))
	}
	s.word(`],"job_id":`)
	if !s.is(`null`) {
		e.JobID = s.id()
	}
	s.word(`,"job_version":`)
	e.JobVersion = s.number()
	s.word(`,"actor":`)
	e.Actor = string(s.text())
	s.word(`,"created_at":`)
	e.CreatedAt = s.time().Time
	s.word(`,"recorded_at":`)
	e.RecordedAt = s.time().Time
	s.word(`,"payload":`)
	if !s.ok || e.Seq < 1 || !bytes.HasSuffix(s.rest, []byte(`}`)) {
		return event.Event{}, false
	}
	payload := s.rest[:len(s.rest)-1]
	if !fitsLine(payload) {
		return event.Event{}, false
	}
	e.Payload = append(json.RawMessage{}, payload...)
	return e, true
}

// lineScanner takes one part after the other off a line, until one is not as it
// should be.
type lineScanner struct {
	rest []byte
	ok   bool
}

// is takes the word, if it comes next.
func (s *lineScanner) is(word string) bool {
	if !s.ok || len(s.rest) < len(word) || string(s.rest[:len(word)]) != word {
		return false
	}
	s.rest = s.rest[len(word):]
	return true
}

func (s *lineScanner) word(word string) { s.ok = s.is(word) }

// number takes an integer, written the one way there is.
func (s *lineScanner) number() int64 {
	end := bytes.IndexByte(s.rest, ',')
	if !s.ok || end < 0 || end > len("-9223372036854775808") {
		s.ok = false
		return 0
	}
	n, err := strconv.ParseInt(string(s.rest[:end]), 10, 64)
	s.ok = err == nil && strconv.FormatInt(n, 10) == string(s.rest[:end])
	s.rest = s.rest[end:]
	return n
}

// text takes a string that has no escapes.
func (s *lineScanner) text() []byte {
	if !s.is(`"`) {
		s.ok = false
		return nil
	}
	for i, b := range s.rest {
		switch {
		case b == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text
		case b == '\\' || b < ' ':
			s.ok = false
			return nil
		}
	}
	s.ok = false
	return nil
}

func (s *lineScanner) id() uuid.UUID {
	const length = 36
	text := s.text()
	id, err := uuid.ParseBytes(text)
	s.ok = s.ok && err == nil && len(text) == length
	return id
}

func (s *lineScanner) time() (t Time) {
	text := s.text()
	s.ok = s.ok && t.UnmarshalText(text) == nil
	return t
}
