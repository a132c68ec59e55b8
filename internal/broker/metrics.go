package broker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics is what a node's Broker tells of itself.
type Metrics struct {
	head   prometheus.Gauge
	pages  *prometheus.CounterVec
	replay prometheus.Counter
	memory prometheus.Counter
}

// NewMetrics returns Metrics that are collected there; nil: nowhere.
func NewMetrics(to prometheus.Registerer) *Metrics {
	with := promauto.With(to)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &Metrics{
		head: with.NewGauge(prometheus.GaugeOpts{Name: "herald_log_head", Help: "Last seq of the log that this node has read."}),
		pages: with.NewCounterVec(prometheus.CounterOpts{
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
