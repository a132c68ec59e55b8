package presence

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"herald/internal/event"
)

// Counter counts streams on all nodes: the database.
type Counter interface {
	// CountAddressed counts for each set of topics the streams that follow any of
	// them.
	CountAddressed(ctx context.Context, sets [][]event.Topic) ([]int, error)
}

// Audience says how many streams topics address. What it has counted it believes
// for as long as nodes take to write down a stream, so that what is published
// often to the same costs one count a second.
type Audience struct {
	counter Counter

	mu      sync.Mutex // guards the fields below
	began   time.Time  // of what is believed
	counted map[string]int
}

const (
	// belief is how long a count is believed.
	belief = time.Second
	// mostCounted is how many sets of topics are remembered.
	mostCounted = 10_000
)

// NewAudience returns an Audience of the streams that counter counts.
func NewAudience(counter Counter) *Audience {
	return &Audience{counter: counter, counted: map[string]int{}}
}

// Addressed counts for each set of topics the streams that follow any of them,
// whatever they filter by. A stream that began or ended less than two seconds
// ago may be missed, or counted still.
func (a *Audience) Addressed(ctx context.Context, sets [][]event.Topic) ([]int, error) {
	counts := make([]int, len(sets))
	names := make([]string, len(sets))
	unknown := a.recall(sets, names, counts)
	if len(unknown) == 0 {
		return counts, nil
	}
	asked := make([][]event.Topic, 0, len(unknown))
	order := make([]string, 0, len(unknown))
	for name, i := range unknown {
		asked, order = append(asked, sets[i]), append(order, name)
	}
	found, err := a.counter.CountAddressed(ctx, asked)
	if err != nil {
		return nil, err
	}
	fresh := make(map[string]int, len(order))
	for i, name := range order {
		fresh[name] = found[i]
	}
	for i, name := range names {
		if n, ok := fresh[name]; ok {
			counts[i] = n
		}
	}
	a.keep(fresh)
	return counts, nil
}

// recall fills in the sets' names and the counts that are believed, and returns
// one place of each set whose count is not.
func (a *Audience) recall(sets [][]event.Topic, names []string, counts []int) (unknown map[string]int) {
	unknown = map[string]int{}
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.began) > belief || len(a.counted) > mostCounted {
		clear(a.counted)
		a.began = time.Now()
	}
	for i, set := range sets {
		names[i] = nameOf(set)
		n, ok := a.counted[names[i]]
		if !ok {
			unknown[names[i]] = i
		}
		counts[i] = n
	}
	return unknown
}

func (a *Audience) keep(fresh map[string]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.counted, fresh)
}

// nameOf is the same for sets with the same topics in the same order. No topic
// has a comma.
func nameOf(set []event.Topic) string {
	if len(set) == 1 {
		return string(set[0])
	}
	var name strings.Builder
	for _, t := range set {
		name.WriteString(string(t))
		name.WriteByte(',')
	}
	return name.String()
}
