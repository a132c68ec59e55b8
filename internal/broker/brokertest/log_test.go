package brokertest_test

import (
	"errors"
	"testing"

	"herald/internal/broker/brokertest"
	"herald/internal/event"
)

func TestLogKeepsItsNewest(t *testing.T) {
	t.Parallel()
	const keep = 1000
	l := brokertest.Log{Keep: keep}
	for range 5 {
		l.Append(make([]event.Event, keep/2)...)
	}
	floor, head, err := l.Bounds(t.Context())
	if err != nil || head != 5*keep/2 || floor == 0 || head-floor < keep {
		t.Fatalf("Bounds() = %d, %d, %v", floor, head, err)
	}
	if _, err := l.Events(t.Context(), floor-1, 1); !errors.Is(err, event.ErrTooOld) {
		t.Errorf("Events(before the floor) = %v, want ErrTooOld", err)
	}
	events, err := l.Events(t.Context(), floor, keep)
	if err != nil || len(events) != keep || events[0].Seq != floor+1 {
		t.Errorf("Events(floor) = %d events, %v, want %d from %d on", len(events), err, keep, floor+1)
	}
}
