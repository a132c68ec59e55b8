package export

import "fmt"

// Kind is what a column's values are.
type Kind int

// The kinds of column. The zero Kind is text, and stands for every type that has
// no kind of its own.
const (
	Text Kind = iota
	Bool
	Int32
	Int64
	Float32
	Float64
	Numeric
	Timestamp      // an instant
	LocalTimestamp // a date and a time of day, without a zone
	Date
	UUID
	JSON
	Bytes
)

// Column is a column of an export.
type Column struct {
	Name      string
	Kind      Kind
	Precision int // of a Numeric: how many digits in all; 0: any number
	Scale     int // of a Numeric with a precision: how many of them stand behind the point
}

// CheckColumns returns ErrColumns when there are no columns, or two of a name, or
// one without.
func CheckColumns(columns []Column) error {
	if len(columns) == 0 {
		return fmt.Errorf("%w: there are none", ErrColumns)
	}
	seen := make(map[string]bool, len(columns))
	for i, c := range columns {
		switch {
		case c.Name == "" || c.Name == "?column?":
			return fmt.Errorf("%w: column %d has no name; write AS NAME behind it", ErrColumns, i+1)
		case seen[c.Name]:
			return fmt.Errorf("%w: two are called %q", ErrColumns, c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// plain reports whether the kind's text form needs no quotes in CSV, whatever the
// value.
func (k Kind) plain() bool {
	switch k {
	case Bool, Int32, Int64, Float32, Float64, Numeric, Timestamp, LocalTimestamp, Date, UUID, Bytes:
		return true
	case Text, JSON:
	}
	return false
}
