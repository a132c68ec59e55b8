package presence

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is what a node's Tracker tells of itself. It is a
// prometheus.Collector.
type Metrics struct {
	open       prometheus.Gauge
	statements prometheus.Histogram
	failures   prometheus.Counter
	dropped    prometheus.Counter
}

// NewMetrics returns Metrics that nobody collects yet.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &Metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{Name: "herald_connections", Help: "Open streams that this node's tracker knows."}),
		statements: prometheus.NewHistogram(prometheus.HistogramOpts{
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

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.open, m.statements, m.failures, m.dropped}
}

// Describe is prometheus.Collector's.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(to)
	}
}

// Collect is prometheus.Collector's.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(to)
	}
}
