package eventlog

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics is what a node's Sequencer tells of itself.
type Metrics struct {
	head      prometheus.Gauge
	leads     prometheus.Gauge
	terms     prometheus.Counter
	rings     prometheus.Counter
	batchSize prometheus.Histogram
	batchTime prometheus.Histogram
	vacuums   prometheus.Histogram
}

// NewMetrics returns Metrics that are collected there; nil: nowhere.
func NewMetrics(to prometheus.Registerer) *Metrics {
	with := promauto.With(to)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return with.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 14)
	return &Metrics{
		head:      gauge("herald_sequencer_head", "Last seq that this node's sequencer gave."),
		leads:     gauge("herald_sequencer_leads", "1 while this node's sequencer leads."),
		terms:     counter("herald_sequencer_terms_total", "Times that this node's sequencer began to lead."),
		rings:     counter("herald_sequencer_rings_total", "Times that a writer rang the bell of this node's sleeping sequencer."),
		batchSize: histogram("herald_sequencer_batch_events", "Events appended by one batch.", prometheus.ExponentialBuckets(1, 4, 8)),
		batchTime: histogram("herald_sequencer_batch_seconds", "Time of one batch, its commit included.", seconds),
		vacuums:   histogram("herald_outbox_vacuum_seconds", "Time of one vacuum of the outbox.", seconds),
	}
}

// Backlog is what waits in the outbox.
type Backlog struct {
	Rows   int           // counted up to a bound, so that to look is cheap
	Oldest time.Duration // age of the oldest row; 0 when there is none
}

// BacklogMetrics looks at the outbox whenever it is collected: it tells the
// truth also when no sequencer lives. It is a prometheus.Collector.
type BacklogMetrics struct {
	look         func(context.Context) (Backlog, error)
	rows, oldest *prometheus.Desc

	mu   sync.Mutex // guards the fields below
	at   time.Time
	seen Backlog
	err  error
}

// NewBacklogMetrics returns BacklogMetrics that look in that way.
func NewBacklogMetrics(look func(context.Context) (Backlog, error)) *BacklogMetrics {
	return &BacklogMetrics{
		look:   look,
		rows:   prometheus.NewDesc("herald_outbox_rows", "Committed events that are not in the log yet.", nil, nil),
		oldest: prometheus.NewDesc("herald_outbox_oldest_seconds", "Age of the oldest of them.", nil, nil),
	}
}

// Describe is prometheus.Collector's.
func (b *BacklogMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- b.rows
	to <- b.oldest
}

// Collect is prometheus.Collector's. However many ask, it looks once a second at
// most, and for two seconds at most.
func (b *BacklogMetrics) Collect(to chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.at) >= time.Second {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		b.seen, b.err = b.look(ctx)
		b.at = time.Now()
	}
	if b.err != nil {
		to <- prometheus.NewInvalidMetric(b.rows, b.err)
		return
	}
	to <- prometheus.MustNewConstMetric(b.rows, prometheus.GaugeValue, float64(b.seen.Rows))
	to <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, b.seen.Oldest.Seconds())
}
