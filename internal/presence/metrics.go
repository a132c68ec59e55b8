package presence

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics is what a node's Tracker tells of itself.
type Metrics struct {
	open       prometheus.Gauge
	statements prometheus.Histogram
	failures   prometheus.Counter
	dropped    prometheus.Counter
}

// NewMetrics returns Metrics that are collected there; nil: nowhere.
func NewMetrics(to prometheus.Registerer) *Metrics {
	with := promauto.With(to)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &Metrics{
		open: with.NewGauge(prometheus.GaugeOpts{Name: "herald_connections", Help: "Open streams that this node's tracker knows."}),
		statements: with.NewHistogram(prometheus.HistogramOpts{
			Name: "herald_connections_statement_seconds", Help: "Time of a statement about streams, failed ones too.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		failures: counter("herald_connections_failures_total", "Statements about streams that failed."),
		dropped:  counter("herald_connections_dropped_total", "Streams that began and ended while the database was away, and were never written."),
	}
}

func (m *Metrics) statement(took time.Duration, err error) {
	m.statements.Observe(took.Seconds())
	if err != nil {
		m.failures.Inc()
	}
}
