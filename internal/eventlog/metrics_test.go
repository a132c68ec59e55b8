package eventlog_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"herald/internal/eventlog"
)

func TestMetricsTellWhatTheSequencerDid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newPG()
		registry := prometheus.NewRegistry()
		sequence(t, db, eventlog.Config{Metrics: eventlog.NewMetrics(registry)}, func() {
			time.Sleep(time.Minute)
			w := db.begin()
			w.insert(1)
			w.insert(2)
			w.commit()
			synctest.Wait()
			if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP herald_sequencer_head Last seq that this node's sequencer gave.
# TYPE herald_sequencer_head gauge
herald_sequencer_head 2
# HELP herald_sequencer_leads 1 while this node's sequencer leads.
# TYPE herald_sequencer_leads gauge
herald_sequencer_leads 1
# HELP herald_sequencer_terms_total Times that this node's sequencer began to lead.
# TYPE herald_sequencer_terms_total counter
herald_sequencer_terms_total 1
# HELP herald_sequencer_rings_total Times that a writer rang the bell of this node's sleeping sequencer.
# TYPE herald_sequencer_rings_total counter
herald_sequencer_rings_total 1
`), "herald_sequencer_head", "herald_sequencer_leads", "herald_sequencer_terms_total", "herald_sequencer_rings_total"); err != nil {
				t.Error(err)
			}
		})
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP herald_sequencer_leads 1 while this node's sequencer leads.
# TYPE herald_sequencer_leads gauge
herald_sequencer_leads 0
`), "herald_sequencer_leads"); err != nil {
			t.Error(err)
		}
	})
}

func TestBacklogIsLookedAtOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		metrics := eventlog.NewBacklogMetrics(func(context.Context) (eventlog.Backlog, error) {
			if looks++; looks == 3 {
				return eventlog.Backlog{}, errors.New("away")
			}
			return eventlog.Backlog{Rows: 7, Oldest: 1500 * time.Millisecond}, nil
		})
		check := func() error {
			return testutil.CollectAndCompare(metrics, strings.NewReader(`
# HELP herald_outbox_oldest_seconds Age of the oldest of them.
# TYPE herald_outbox_oldest_seconds gauge
herald_outbox_oldest_seconds 1.5
# HELP herald_outbox_rows Committed events that are not in the log yet.
# TYPE herald_outbox_rows gauge
herald_outbox_rows 7
`))
		}
		for range 4 {
			if err := check(); err != nil {
				t.Error(err)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if looks != 2 {
			t.Errorf("%d looks in two seconds, want 2", looks)
		}
		if err := check(); err == nil {
			t.Error("a backlog that cannot be looked at is told of, want an error")
		}
	})
}

// The outbox is vacuumed while events come, and not while none do; a vacuum
// that takes long is done less often.
func TestOutboxIsVacuumedAsEventsCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newPG()
		db.vacuum = func() { time.Sleep(time.Second) }
		sequence(t, db, eventlog.Config{Vacuum: 2 * time.Second}, func() {
			time.Sleep(time.Minute)
			if n := db.vacuums.Load(); n != 0 {
				t.Errorf("%d vacuums of an outbox that was never used, want none", n)
			}
			for range 90 {
				w := db.begin()
				for id := range 2000 {
					w.insert(id)
				}
				w.commit()
				time.Sleep(time.Second)
			}
			if n := db.vacuums.Load(); n != 5 {
				t.Errorf("%d vacuums of one second in 90 s, want 5: one in 20 s", n)
			}
		})
	})
}
