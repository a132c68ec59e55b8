package hub

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics is what a Hub tells of itself.
type Metrics struct {
	open    prometheus.Gauge
	ended   *prometheus.CounterVec
	frames  prometheus.Counter
	writes  prometheus.Counter
	bytes   prometheus.Counter
	blocked prometheus.Counter
}

// NewMetrics returns Metrics that are collected there; nil: nowhere.
func NewMetrics(to prometheus.Registerer) *Metrics {
	with := promauto.With(to)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &Metrics{
		open: with.NewGauge(prometheus.GaugeOpts{Name: "herald_streams_open", Help: "Streams that are open on this node."}),
		ended: with.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_streams_ended_total", Help: "Streams that have ended, by reason.",
		}, []string{"reason"}),
		frames:  counter("herald_stream_frames_total", "Frames written to HTTP/1.1 streams."),
		writes:  counter("herald_stream_writes_total", "Writes that took them: fewer where several waited."),
		bytes:   counter("herald_stream_bytes_total", "Bytes written to HTTP/1.1 streams."),
		blocked: counter("herald_stream_blocked_total", "Times that a client did not take all there was for it."),
	}
}

// counts is what a shard has counted since it last told the metrics, which are
// shared.
type counts struct {
	opened, frames, writes, bytes, blocked int
}

func (n *counts) add(to *Metrics) {
	if *n == (counts{}) {
		return
	}
	to.open.Add(float64(n.opened))
	to.frames.Add(float64(n.frames))
	to.writes.Add(float64(n.writes))
	to.bytes.Add(float64(n.bytes))
	to.blocked.Add(float64(n.blocked))
	*n = counts{}
}

// Reason is a word for why a stream has ended, for metrics and records.
func Reason(why error) string {
	for _, r := range []struct {
		err  error
		word string
	}{
		{ErrGone, "client_gone"},
		{ErrClosed, "client_gone"},
		{ErrSlow, "slow"},
		{ErrWriteTimeout, "write_timeout"},
		{ErrExpired, "expired"},
		{ErrClosing, "closing"},
		{ErrDisconnected, "disconnected"},
	} {
		if errors.Is(why, r.err) {
			return r.word
		}
	}
	return "error"
}
