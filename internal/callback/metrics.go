package callback

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Look counts the callbacks that wait for a try, and those that were given up;
// oldest is how long the oldest of the first has waited.
type Look func(ctx context.Context) (waiting, givenUp int, oldest time.Duration, err error)

// Metrics looks at the queue whenever it is collected, whichever nodes send. It
// is a prometheus.Collector.
type Metrics struct {
	look                     Look
	waiting, givenUp, oldest *prometheus.Desc

	mu   sync.Mutex // guards the fields below
	at   time.Time
	seen [3]float64
	err  error
}

// NewMetrics returns Metrics that look in that way.
func NewMetrics(look Look) *Metrics {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return &Metrics{
		look:    look,
		waiting: desc("herald_callbacks_waiting", "Callbacks that have not got through yet."),
		givenUp: desc("herald_callbacks_given_up", "Callbacks that were given up, of the last days."),
		oldest:  desc("herald_callbacks_oldest_seconds", "Age of the oldest callback that waits."),
	}
}

// Describe is prometheus.Collector's.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.waiting
	to <- m.givenUp
	to <- m.oldest
}

// Collect is prometheus.Collector's. However many ask, it looks once in ten
// seconds at most, and for two seconds at most.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	const fresh, patience = 10 * time.Second, 2 * time.Second
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) >= fresh {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		waiting, givenUp, oldest, err := m.look(ctx)
		m.seen, m.err, m.at = [3]float64{float64(waiting), float64(givenUp), oldest.Seconds()}, err, time.Now()
	}
	for i, desc := range []*prometheus.Desc{m.waiting, m.givenUp, m.oldest} {
		if m.err != nil {
			to <- prometheus.NewInvalidMetric(desc, m.err)
			continue
		}
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, m.seen[i])
	}
}
