package eventlog_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/eventlog"
)

func TestParseSnapshot(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]eventlog.Snapshot{
		"10:10:":                    {Xmin: 10, Xmax: 10},
		"10:20:10,14,15":            {Xmin: 10, Xmax: 20, Open: []eventlog.XID{10, 14, 15}},
		"1:18446744073709551615:17": {Xmin: 1, Xmax: 1<<64 - 1, Open: []eventlog.XID{17}},
	} {
		got, err := eventlog.ParseSnapshot(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("ParseSnapshot(%q): %v, -want +got:\n%s", text, err, diff)
		}
	}
}

func TestParseSnapshotRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "1", "1:2", "1:2:3:4", "a:2:", "1:b:", "1:2:x", "1:2:3,", "-1:2:"} {
		if got, err := eventlog.ParseSnapshot(text); err == nil {
			t.Errorf("ParseSnapshot(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParseSnapshot(f *testing.F) {
	f.Add("10:20:10,14,15")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := eventlog.ParseSnapshot(text)
		if err == nil && len(s.Open) > len(text) {
			t.Errorf("ParseSnapshot(%q) = %+v", text, s)
		}
	})
}
