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

// Mark says where in the outbox rows may still appear after a scan that left
// nothing visible behind: under transaction ids from Next on, and under those
// in Open. The zero Mark says: anywhere.
type Mark struct {
	Next XID
	Open []XID
}

// mark is the Mark that follows a drained scan with this snapshot.
func (s Snapshot) mark() Mark { return Mark{Next: s.Xmax, Open: s.Open} }
