package broker

import "github.com/prometheus/client_golang/prometheus"

// Metrics is what a node's Broker tells of itself. It is a
// prometheus.Collector.
type Metrics struct {
	head   prometheus.Gauge
	pages  *prometheus.CounterVec
	replay prometheus.Counter
	memory prometheus.Counter
}

// NewMetrics returns Metrics that nobody collects yet.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &Metrics{
		head: prometheus.NewGauge(prometheus.GaugeOpts{Name: "herald_log_head", Help: "Last seq of the log that this node has read."}),
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_replay_pages_total", Help: "Pages read for streams that resumed: of their topics, or of the log for several of them.",
		}, []string{"of"}),
		replay: counter("herald_replay_events_total", "Events read from the log for streams that resumed."),
		memory: counter("herald_replay_memory_events_total", "Events given from memory to streams that resumed."),
	}
}

// page counts a page that was read.
func (m *Metrics) page(of string, events int) {
	m.pages.WithLabelValues(of).Inc()
	m.replay.Add(float64(events))
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.head, m.pages, m.replay, m.memory}
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
