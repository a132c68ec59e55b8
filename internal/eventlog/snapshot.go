package eventlog

import (
	"fmt"
	"strconv"
	"strings"
)

// XID is a Postgres transaction id that does not wrap round (xid8).
type XID uint64

// Snapshot says which transactions a statement saw as ended: all below Xmin,
// none from Xmax on, and in between all but those in Open.
type Snapshot struct {
	Xmin, Xmax XID
	Open       []XID
}

// ParseSnapshot reads the text form of a pg_snapshot, "xmin:xmax:open,open".
func ParseSnapshot(text string) (Snapshot, error) {
	var s Snapshot
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("read snapshot %q: want three parts", text)
	}
	var err error
	if s.Xmin, err = parseXID(parts[0]); err != nil {
		return s, fmt.Errorf("read snapshot %q: %w", text, err)
	}
	if s.Xmax, err = parseXID(parts[1]); err != nil {
		return s, fmt.Errorf("read snapshot %q: %w", text, err)
	}
	if parts[2] == "" {
		return s, nil
	}
	for open := range strings.SplitSeq(parts[2], ",") {
		x, err := parseXID(open)
		if err != nil {
			return s, fmt.Errorf("read snapshot %q: %w", text, err)
		}
		s.Open = append(s.Open, x)
	}
	return s, nil
}

func parseXID(text string) (XID, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	return XID(n), err
}

// String is the text form, which ParseSnapshot reads back.
func (s Snapshot) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d:%d:", s.Xmin, s.Xmax)
	for i, x := range s.Open {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.FormatUint(uint64(x), 10))
	}
	return text.String()
}

// Mark says where in the outbox a batch is to be looked for. The zero Mark
// says: anywhere.
type Mark struct {
	// After a scan that left nothing visible behind, rows may appear under
	// transaction ids from Next on, and under those in Open.
	Next XID
	Open []XID

	// While a scan is cut into batches, it goes on with what its snapshot shows
	// after an id, whatever has been committed since.
	Within *Snapshot
	After  int64
}

// mark is the Mark that follows a drained scan with this snapshot.
func (s Snapshot) mark() Mark { return Mark{Next: s.Xmax, Open: s.Open} }

// Following is the Mark that follows m when a scan there gave the batch.
func (m Mark) Following(b Batch) Mark {
	seen := b.Snapshot
	if m.Within != nil {
		seen = *m.Within
	}
	if b.More {
		return Mark{Within: &seen, After: b.Last}
	}
	return seen.mark()
}
