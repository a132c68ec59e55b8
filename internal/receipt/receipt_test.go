package receipt_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/presence"
	"herald/internal/receipt"
)

// What one stream tells, stage by stage.
func TestExplainOfOneStream(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	later, earlier := at.Add(time.Minute), at.Add(-time.Minute)
	e := receipt.Event{
		Event: event.Event{Pending: event.Pending{Type: event.JobProgress, Topics: []event.Topic{"user:ann", "channel:ops"}}, Seq: 10, RecordedAt: at},
		Newer: 15,
	}
	for name, tt := range map[string]struct {
		stream presence.Connection
		theirs bool
		want   []receipt.Code
		got    bool
	}{
		"pending":      {presence.Connection{Written: 9}, true, []receipt.Code{receipt.CodePending}, false},
		"written":      {presence.Connection{Written: 14, Acked: 9}, true, []receipt.Code{receipt.CodeWritten}, true},
		"acknowledged": {presence.Connection{Written: 14, Acked: 10}, true, []receipt.Code{receipt.CodeAcknowledged}, true},
		"seen":         {presence.Connection{Written: 14, Acked: 10, Seen: 10}, true, []receipt.Code{receipt.CodeSeen}, true},
		"conflated":    {presence.Connection{Written: 15, Acked: 15}, true, []receipt.Code{receipt.CodeConflated}, false},
		"whole":        {presence.Connection{Written: 15, Acked: 15, Whole: true}, true, []receipt.Code{receipt.CodeAcknowledged}, true},
		"missed":       {presence.Connection{Written: 9, ClosedAt: &later, ClosedWhy: presence.Slow}, true, []receipt.Code{receipt.CodeMissed}, false},
		"ended before": {presence.Connection{Written: 9, ClosedAt: &earlier}, true, []receipt.Code{receipt.CodeNoConnection}, false},
		"filtered":     {presence.Connection{Written: 14, Filter: &event.Filter{Types: []string{"job.failed"}}}, true, []receipt.Code{receipt.CodeFiltered}, false},
		"other topics": {presence.Connection{Written: 14, Topics: []event.Topic{"all"}}, true, []receipt.Code{receipt.CodeNotFollowed}, false},
		"a grant":      {presence.Connection{Written: 14, Topics: []event.Topic{"channel:ops"}}, false, []receipt.Code{receipt.CodeNotAddressed, receipt.CodeWritten}, true},
		"no grant":     {presence.Connection{Written: 14, Topics: []event.Topic{"all"}}, false, []receipt.Code{receipt.CodeNotAddressed, receipt.CodeNoGrant, receipt.CodeNotFollowed}, false},
		"afresh":       {presence.Connection{OpenedAt: later, OpenedSeq: 12, OpenedHead: 12, Written: 14}, true, []receipt.Code{receipt.CodeNoConnection, receipt.CodeSnapshot}, false},
	} {
		c := tt.stream
		c.ID, c.User = uuid.New(), "ann"
		if c.Topics == nil {
			c.Topics = []event.Topic{"user:ann"}
		}
		if c.OpenedAt.IsZero() {
			c.OpenedAt = earlier.Add(-time.Minute)
		}
		x := e.Explain(receipt.Who{User: "ann", Theirs: tt.theirs}, []presence.Connection{c})
		if diff := cmp.Diff(tt.want, codes(x)); diff != "" || x.Received != tt.got {
			t.Errorf("%s: received %v, -want +got:\n%s", name, x.Received, diff)
		}
	}
	forgotten := e.Explain(receipt.Who{User: "ann", Theirs: true, Known: later}, nil)
	if diff := cmp.Diff([]receipt.Code{receipt.CodeForgotten}, codes(forgotten)); diff != "" {
		t.Errorf("of long ago: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]receipt.Code{receipt.CodeRetention}, codes(receipt.Retention("ann", errors.New("gone")))); diff != "" {
		t.Errorf("no longer kept: -want +got:\n%s", diff)
	}
}

func codes(x receipt.Explanation) []receipt.Code {
	var list []receipt.Code
	for _, f := range x.Findings {
		list = append(list, f.Code)
	}
	return list
}
