package export

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// CSVOptions say how CSV is written. The zero CSVOptions have no header, commas,
// and no protection against formulas.
type CSVOptions struct {
	Header    bool
	Delimiter byte // ',', ';', '|' or a tab; default ','
	// Safe keeps a spreadsheet from taking a text for a formula: one that begins
	// like one gets an apostrophe before it. What is written is then no longer
	// what stands in the database.
	Safe bool
}

// csv writes what COPY writes: NULL is nothing, the empty text is a pair of
// quotes, lines end with a newline.
type csv struct {
	gatherer
	columns   []Column
	delimiter byte
	safe      bool
	special   [256]bool // what makes a value need quotes
}

func newCSV(out io.Writer, columns []Column, o CSVOptions) *csv {
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	c := &csv{gatherer: newGatherer(out), columns: columns, delimiter: o.Delimiter, safe: o.Safe}
	for _, b := range []byte{o.Delimiter, '"', '\n', '\r'} {
		c.special[b] = true
	}
	if o.Header {
		for i, column := range columns {
			c.separate(i)
			c.text([]byte(column.Name))
		}
		c.buffer = append(c.buffer, '\n')
	}
	return c
}

func (c *csv) separate(i int) {
	if i > 0 {
		c.buffer = append(c.buffer, c.delimiter)
	}
}

func (c *csv) row(values [][]byte) error {
	for i, v := range values {
		c.separate(i)
		switch kind := c.columns[i].Kind; {
		case v == nil:
		case kind.plain():
			c.buffer = append(c.buffer, v...)
		case kind == JSON:
			c.quotedIfNeeded(v) // no formula begins as JSON does
		default:
			c.text(v)
		}
	}
	c.buffer = append(c.buffer, '\n')
	return c.passOn()
}

// text writes a value that may be anything.
func (c *csv) text(v []byte) {
	if c.safe && likeFormula(v) {
		v = append([]byte{'\''}, v...)
	}
	c.quotedIfNeeded(v)
}

func (c *csv) quotedIfNeeded(v []byte) {
	if !c.needsQuotes(v) {
		c.buffer = append(c.buffer, v...)
		return
	}
	c.buffer = append(c.buffer, '"')
	for {
		at := bytes.IndexByte(v, '"')
		if at < 0 {
			break
		}
		c.buffer = append(c.buffer, v[:at+1]...)
		c.buffer = append(c.buffer, '"')
		v = v[at+1:]
	}
	c.buffer = append(c.buffer, v...)
	c.buffer = append(c.buffer, '"')
}

func (c *csv) needsQuotes(v []byte) bool {
	if len(v) == 0 || len(c.columns) == 1 && string(v) == `\.` { // which COPY FROM takes for the end
		return true
	}
	for _, b := range v {
		if c.special[b] {
			return true
		}
	}
	return false
}

// likeFormula reports whether a spreadsheet might take the text for more than a
// text: by its first character behind any spaces, also in its wide form.
func likeFormula(v []byte) bool {
	first, _ := utf8.DecodeRune(bytes.TrimLeft(v, " "))
	switch first {
	case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
		return true
	}
	return false
}
