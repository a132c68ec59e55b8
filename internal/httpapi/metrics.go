package httpapi

import "github.com/prometheus/client_golang/prometheus"

// StreamMetrics is what a node tells of the limits on its streams. It is a
// prometheus.Collector.
type StreamMetrics struct {
	limit   prometheus.Gauge
	refused *prometheus.CounterVec // by which limit

	connections prometheus.Counter // refused
}

// NewStreamMetrics returns StreamMetrics that nobody collects yet.
func NewStreamMetrics() *StreamMetrics {
	m := &StreamMetrics{
		limit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "herald_streams_limit", Help: "Streams that this node may have open at once.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_streams_refused_total", Help: "Streams refused, by the limit that they were beyond.",
		}, []string{"limit"}),
		connections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "herald_http_connections_refused_total", Help: "Connections reset because they came too fast from one address.",
		}),
	}
	for _, limit := range []string{"node", "user", "address", "topics", "rate"} { // so that they are there before the first
		m.refused.WithLabelValues(limit)
	}
	return m
}

func (m *StreamMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.limit, m.refused, m.connections}
}

// Describe is prometheus.Collector's.
func (m *StreamMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(to)
	}
}

// Collect is prometheus.Collector's.
func (m *StreamMetrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(to)
	}
}

// RequestMetrics is what a node tells of the requests that it has refused because
// there were too many. It is a prometheus.Collector.
type RequestMetrics struct{ refused *prometheus.CounterVec }

// NewRequestMetrics returns RequestMetrics that nobody collects yet.
func NewRequestMetrics() *RequestMetrics {
	m := &RequestMetrics{refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "herald_requests_refused_total", Help: "Requests refused, by the limit that they were beyond.",
	}, []string{"limit"})}
	for _, limit := range []string{"address", "user", "program", "publish", "upload"} {
		m.refused.WithLabelValues(limit)
	}
	return m
}

// Describe is prometheus.Collector's.
func (m *RequestMetrics) Describe(to chan<- *prometheus.Desc) { m.refused.Describe(to) }

// Collect is prometheus.Collector's.
func (m *RequestMetrics) Collect(to chan<- prometheus.Metric) { m.refused.Collect(to) }
