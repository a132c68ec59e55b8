// Package sse writes and reads text/event-stream, the format of server-sent
// events (WHATWG HTML, section 9.2).
package sse

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// AppendEvent appends one event to dst and returns the longer slice. An empty id
// or name is left out. Line ends in the data start a new data line; id and name
// end at their first CR, LF or NUL, so that nothing can be smuggled into the
// stream through them.
func AppendEvent(dst []byte, id, name string, data []byte) []byte {
	dst = appendField(dst, "id: ", id)
	dst = appendField(dst, "event: ", name)
	for {
		end := lineEnd(data)
		dst = append(dst, "data: "...)
		if end < 0 {
			dst = append(dst, data...)
			return append(dst, "\n\n"...)
		}
		dst = append(append(dst, data[:end]...), '\n')
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
}

// lineEnd returns where the first line of data ends, or -1. It looks twice, each
// time many bytes at once, where bytes.IndexAny looks at each byte.
func lineEnd(data []byte) int {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		return bytes.IndexByte(data, '\r')
	}
	if before := bytes.IndexByte(data[:end], '\r'); before >= 0 {
		return before
	}
	return end
}

// AppendRetry appends the time after which a client that has lost its
// connection is to come back. It is rounded down to milliseconds.
func AppendRetry(dst []byte, after time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, max(after, 0).Milliseconds(), 10)
	return append(dst, '\n', '\n')
}

// AppendHeartbeat appends a comment, which clients pass over, but which tells
// them and every proxy in between that the connection is alive.
func AppendHeartbeat(dst []byte) []byte { return append(dst, ":\n\n"...) }

func appendField(dst []byte, field, value string) []byte {
	if end := strings.IndexAny(value, "\r\n\x00"); end >= 0 {
		value = value[:end]
	}
	if value == "" {
		return dst
	}
	return append(append(append(dst, field...), value...), '\n')
}
