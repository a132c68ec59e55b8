package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// StreamMetrics is what a node tells of the limits on its streams.
type StreamMetrics struct {
	limit   prometheus.Gauge
	refused *prometheus.CounterVec // by which limit

	connections prometheus.Counter // refused
}

// NewStreamMetrics returns StreamMetrics that are collected there; nil: nowhere.
func NewStreamMetrics(to prometheus.Registerer) *StreamMetrics {
	with := promauto.With(to)
	m := &StreamMetrics{
		limit: with.NewGauge(prometheus.GaugeOpts{
			Name: "herald_streams_limit", Help: "Streams that this node may have open at once.",
		}),
		refused: with.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_streams_refused_total", Help: "Streams refused, by the limit that they were beyond.",
		}, []string{"limit"}),
		connections: with.NewCounter(prometheus.CounterOpts{
			Name: "herald_http_connections_refused_total", Help: "Connections reset because they came too fast from one address.",
		}),
	}
	for _, limit := range []string{"node", "user", "address", "topics", "rate"} { // so that they are there before the first
		m.refused.WithLabelValues(limit)
	}
	return m
}

// RequestMetrics is what a node tells of the requests that it has refused because
// there were too many.
type RequestMetrics struct{ refused *prometheus.CounterVec }

// NewRequestMetrics returns RequestMetrics that are collected there; nil: nowhere.
func NewRequestMetrics(to prometheus.Registerer) *RequestMetrics {
	m := &RequestMetrics{refused: promauto.With(to).NewCounterVec(prometheus.CounterOpts{
		Name: "herald_requests_refused_total", Help: "Requests refused, by the limit that they were beyond.",
	}, []string{"limit"})}
	for _, limit := range []string{"address", "user", "program", "publish", "upload"} {
		m.refused.WithLabelValues(limit)
	}
	return m
}
