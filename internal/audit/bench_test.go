package audit_test

import (
	"testing"

	"herald/internal/audit"
	"herald/internal/eventlog"
)

const benchEvents = 300_000

func BenchmarkVerifyKept(b *testing.B) {
	w := setup(b, 100_000)
	w.grow(b, benchEvents, 5000)
	for b.Loop() {
		if r, err := audit.Verify(b.Context(), w.db, w.archives, nil); err != nil || r.Events != benchEvents {
			b.Fatalf("Verify() = %+v, %v", r, err)
		}
	}
	b.ReportMetric(benchEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkVerifyArchived(b *testing.B) {
	w := setup(b, benchEvents)
	w.grow(b, benchEvents, 5000)
	w.retain(b, eventlog.RetentionConfig{Size: 1, Archive: w.archives})
	for b.Loop() {
		if r, err := audit.Verify(b.Context(), w.db, w.archives, nil); err != nil || r.Archived != benchEvents {
			b.Fatalf("Verify() = %+v, %v", r, err)
		}
	}
	b.ReportMetric(benchEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
