package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// ndjson writes a JSON object a line. Numbers have all digits that Postgres
// gives, times are those of RFC 3339 where they have a place there.
type ndjson struct {
	gatherer
	columns []Column
	keys    [][]byte // `{"a":`, `,"b":`
}

func newNDJSON(out io.Writer, columns []Column) *ndjson {
	n := &ndjson{gatherer: newGatherer(out), columns: columns}
	for i, c := range columns {
		before := byte(',')
		if i == 0 {
			before = '{'
		}
		key := appendString([]byte{before}, []byte(c.Name))
		n.keys = append(n.keys, append(key, ':'))
	}
	return n
}

func (n *ndjson) row(values [][]byte) error {
	for i, v := range values {
		n.buffer = append(n.buffer, n.keys[i]...)
		var err error
		if n.buffer, err = appendJSON(n.buffer, n.columns[i].Kind, v); err != nil {
			return fmt.Errorf("column %s: %w", n.columns[i].Name, err)
		}
	}
	n.buffer = append(n.buffer, '}', '\n')
	return n.passOn()
}

func appendJSON(b []byte, kind Kind, v []byte) ([]byte, error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	switch kind {
	case Bool:
		if string(v) == "t" {
			return append(b, "true"...), nil
		}
		return append(b, "false"...), nil
	case Int32, Int64:
		return append(b, v...), nil
	case Float32, Float64, Numeric:
		if last := v[len(v)-1]; last < '0' || last > '9' { // NaN, Infinity
			return appendString(b, v), nil
		}
		return append(b, v...), nil
	case JSON:
		return appendLine(b, v)
	case Timestamp, LocalTimestamp:
		return appendTime(b, v), nil
	case Text, Date, UUID, Bytes:
	}
	return appendString(b, v), nil
}

// appendLine appends JSON without the line breaks that may stand between its
// tokens.
func appendLine(b, v []byte) ([]byte, error) {
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return append(b, v...), nil
	}
	line := bytes.NewBuffer(b)
	if err := json.Compact(line, v); err != nil {
		return b, fmt.Errorf("%w: %w", ErrValue, err)
	}
	return line.Bytes(), nil
}

// appendTime turns "2026-03-01 12:00:00.5+01" into what RFC 3339 says. What has
// no place there, such as infinity and times before Christ, stays as it is.
func appendTime(b, v []byte) []byte {
	date, clock, ok := bytes.Cut(v, []byte(" "))
	if !ok || bytes.HasSuffix(v, []byte("BC")) {
		return appendString(b, v)
	}
	b = append(b, '"')
	b = append(b, date...)
	b = append(b, 'T')
	b = append(b, clock...)
	if zone := bytes.LastIndexAny(clock, "+-"); zone >= 0 && len(clock)-zone == len("+01") {
		b = append(b, ":00"...)
	}
	return append(b, '"')
}

// appendString appends the text as a JSON string. Bytes that are not UTF-8, which
// JSON has no place for, become U+FFFD.
func appendString(b, v []byte) []byte {
	if !utf8.Valid(v) {
		v = bytes.ToValidUTF8(v, []byte("\uFFFD"))
	}
	b = append(b, '"')
	from := 0
	for i, c := range v {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, v[from:i]...)
		b = appendEscape(b, c)
		from = i + 1
	}
	b = append(b, v[from:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		return fmt.Appendf(b, `\u%04x`, c)
	}
}
