package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// Event is one event as a client gets it.
type Event struct {
	ID   string // the last id seen on the stream, which need not be this event's own
	Name string // "message" when the stream names none
	Data string
}

// ErrTooLong is returned for an event that is longer than the reader's limit.
var ErrTooLong = errors.New("the event is longer than the reader's limit")

// Reader reads events from a stream, as the WHATWG's section 9.2.6 says.
type Reader struct {
	in    *bufio.Reader
	limit int

	started bool
	afterCR bool
	lastID  string
	retry   time.Duration
}

// NewReader returns a Reader that refuses events of more than limit bytes.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{in: bufio.NewReader(r), limit: limit}
}

// Retry is the last reconnection time that the stream has set, or zero.
func (r *Reader) Retry() time.Duration { return r.retry }

// Next returns the next event. Comments, and events without data, are passed
// over. At the end of the stream it returns io.EOF, and an event that was not
// finished by an empty line is dropped.
func (r *Reader) Next() (Event, error) {
	var name string
	var data []byte
	hasData, size := false, 0
	for {
		line, err := r.line()
		if err != nil {
			return Event{}, err
		}
		if size += len(line); size > r.limit {
			return Event{}, ErrTooLong
		}
		if len(line) == 0 {
			if hasData {
				return Event{ID: r.lastID, Name: orMessage(name), Data: string(data)}, nil
			}
			name, size = "", 0
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			if hasData {
				data = append(data, '\n')
			}
			data, hasData = append(data, value...), true
		case "id":
			if !strings.Contains(value, "\x00") {
				r.lastID = value
			}
		case "retry":
			r.setRetry(value)
		}
	}
}

func orMessage(name string) string {
	if name == "" {
		return "message"
	}
	return name
}

func (r *Reader) setRetry(digits string) {
	if strings.Trim(digits, "0123456789") != "" {
		return
	}
	if ms, err := strconv.ParseInt(digits, 10, 32); err == nil {
		r.retry = time.Duration(ms) * time.Millisecond
	}
}

// line returns the next line without its end: LF, CR, or CR and LF. A line that
// the stream's end cuts off is no line.
func (r *Reader) line() (string, error) {
	var line []byte
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			return "", err
		}
		if r.afterCR {
			r.afterCR = false
			if b == '\n' {
				continue
			}
		}
		switch b {
		case '\r':
			r.afterCR = true
			return r.text(line), nil
		case '\n':
			return r.text(line), nil
		}
		if len(line) > r.limit {
			return "", ErrTooLong
		}
		line = append(line, b)
	}
}

// text decodes a line; the stream's first may begin with a byte order mark.
func (r *Reader) text(line []byte) string {
	if !r.started {
		r.started = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	return strings.ToValidUTF8(string(line), "\uFFFD")
}
