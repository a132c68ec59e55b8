package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"herald/internal/event"
)

// scanner finds the events in what one connection receives. It looks at no more
// than their ids, so that the client costs little beside what it measures.
type scanner struct {
	last    event.Seq // of the last event; the next has a greater one
	got     int       // events since the expectation began
	began   bool      // the answer's head has been read, and it is a stream
	open    bool      // a first frame has come
	partial []byte    // the beginning of what has not come whole

	retry   time.Duration // when to come back, if the last frame said so; otherwise zero
	closing time.Duration // the same, if the last frames said that too, and that the node stops
}

// feed takes what was received and calls each with the events in it. Events that
// come twice or out of order are an error, and so is an answer that is no stream.
func (s *scanner) feed(data []byte, each func(event.Seq)) error {
	if len(s.partial) > 0 {
		data = append(s.partial, data...)
	}
	if !s.began {
		head, rest, whole := bytes.Cut(data, []byte("\r\n\r\n"))
		if !whole {
			s.partial = append(s.partial[:0], data...)
			return nil
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("the server answered %q", data)
		}
		s.began, data = true, rest
	}
	for {
		frame, rest, whole := bytes.Cut(data, []byte("\n\n"))
		if !whole {
			s.partial = append(s.partial[:0], data...)
			return nil
		}
		s.open, data = true, rest
		if err := s.frame(frame, each); err != nil {
			return err
		}
	}
}

// frame looks at one frame, before which the line of a chunk's size may stand.
func (s *scanner) frame(frame []byte, each func(event.Seq)) error {
	retry := s.retry
	s.retry, s.closing = 0, 0
	rest, found := bytes.CutPrefix(frame, []byte("id: "))
	if !found {
		if _, rest, found = bytes.Cut(frame, []byte("\nid: ")); !found {
			return s.words(frame, retry)
		}
	}
	id, rest, _ := bytes.Cut(rest, []byte("\n"))
	if bytes.HasPrefix(rest, []byte("event: stream.")) {
		return nil // it is not in the log
	}
	n, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil {
		return fmt.Errorf("an event has the id %q", id)
	}
	if seq := event.Seq(n); seq <= s.last {
		return fmt.Errorf("event %d came after event %d: repeated or out of order", seq, s.last)
	}
	s.last = event.Seq(n)
	s.got++
	each(s.last)
	return nil
}

// words looks at what the stream says of itself, after a frame that said when to
// come back, or zero.
func (s *scanner) words(frame []byte, retry time.Duration) error {
	if bytes.HasPrefix(frame, []byte("event: stream.closing\n")) {
		s.closing = retry
		return nil
	}
	text, found := bytes.CutPrefix(frame, []byte("retry: "))
	if !found {
		return nil
	}
	after, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil {
		return fmt.Errorf("the time to come back is %q", text)
	}
	s.retry = time.Duration(after) * time.Millisecond
	return nil
}

// end reports what is wrong with how the connection ended.
func (s *scanner) end() error {
	switch {
	case len(s.partial) > 0:
		return fmt.Errorf("the connection ended within a frame, after %q", s.partial)
	case s.closing == 0:
		return errors.New("the connection ended without stream.closing and a time to come back as its last words")
	default:
		return nil
	}
}
