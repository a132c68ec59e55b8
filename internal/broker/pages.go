package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"herald/internal/event"
	"herald/internal/hub"
)

// pages reads the log for those who resume from before what is in memory. One
// that comes alone is served by its topics. In a crowd, all read the log as it
// is, in stretches that they share, each for its own topics: what the database
// does for thousands is then what it does for one.
type pages struct {
	source Log
	frame  func(event.Event) (*hub.Frame, error)
	config Config
	slots  chan struct{} // holds one for each query under way

	mu     sync.Mutex // guards the fields below
	asking int        // calls of read under way
	shared map[span]*sharedStretch
	oldest []span // of those in shared, the one made first first
	bytes  int    // of those
}

// page is what a subscriber wants next.
type page struct {
	topics      []event.Topic
	after, upto event.Seq
	size        int // events
}

// span is a part of the log: after one place, up to another.
type span struct{ after, upto event.Seq }

// sharedStretch is a part of the log that several may read. Its fields are set
// before done is closed.
type sharedStretch struct {
	done chan struct{}
	*stretch
	err error
}

const (
	// crowd is how many must be asking for the log to be read for all of them.
	crowd = 8
	// farthest is how many stretches before its end of the log one in a crowd may be
	// and still read all that lies in between.
	farthest = 500
	// readTime bounds a query whose answer is for several.
	readTime = 30 * time.Second
)

func newPages(source Log, frame func(event.Event) (*hub.Frame, error), config Config) *pages {
	return &pages{
		source: source, frame: frame, config: config, slots: make(chan struct{}, config.Readers), shared: make(map[span]*sharedStretch),
	}
}

// read returns events of the topics, and up to where it has read.
func (p *pages) read(ctx context.Context, want page) (frames []*hub.Frame, reached event.Seq, err error) {
	p.mu.Lock()
	p.asking++
	together := p.asking >= crowd && (want.upto-want.after)/event.Seq(p.config.Page) <= farthest
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.asking--
		p.mu.Unlock()
	}()
	if together {
		frames, reached, err = p.readShared(ctx, want)
		if !errors.Is(err, event.ErrTooOld) {
			return frames, reached, err
		}
		// The stretch begins before what is wanted: that may still be kept.
	}
	return p.readTopics(ctx, want)
}

// readTopics reads a page of one subscriber's topics.
func (p *pages) readTopics(ctx context.Context, want page) ([]*hub.Frame, event.Seq, error) {
	if err := p.enter(ctx); err != nil {
		return nil, 0, err
	}
	var events []event.Event
	var err error
	if slices.Contains(want.topics, event.WholeLog) {
		events, err = p.source.Events(ctx, want.after, min(want.size, int(want.upto-want.after)))
	} else {
		events, err = p.source.EventsOfTopics(ctx, want.topics, want.after, want.upto, want.size)
	}
	p.leave()
	if err != nil {
		return nil, 0, err
	}
	p.config.Metrics.page("topics", len(events))
	frames := make([]*hub.Frame, len(events))
	for i, e := range events {
		if frames[i], err = p.frame(e); err != nil {
			return nil, 0, err
		}
	}
	if len(events) == want.size {
		return frames, events[len(events)-1].Seq, nil
	}
	return frames, want.upto, nil
}

// enter waits until one more query may be made.
func (p *pages) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pages) leave() { <-p.slots }

// readShared reads the stretch that has what is wanted, or waits for the one who
// does.
func (p *pages) readShared(ctx context.Context, want page) ([]*hub.Frame, event.Seq, error) {
	length := event.Seq(p.config.Page)
	start := want.after / length * length
	at := span{after: start, upto: min(start+length, want.upto)}
	p.mu.Lock()
	s, found := p.shared[at]
	if !found {
		s = &sharedStretch{done: make(chan struct{})}
		p.shared[at] = s
	}
	p.mu.Unlock()
	if !found {
		// It is for the others too: that this one's client goes does not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTime)
		s.stretch, s.err = p.readStretch(ctx, at)
		cancel()
		p.keep(at, s)
		close(s.done)
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	if s.err != nil {
		return nil, 0, s.err
	}
	return s.appendAfter(nil, want.after, want.topics), at.upto, nil
}

// readStretch reads a part of the log.
func (p *pages) readStretch(ctx context.Context, at span) (*stretch, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	events, err := p.source.Events(ctx, at.after, int(at.upto-at.after))
	p.leave()
	if err != nil {
		return nil, err
	}
	p.config.Metrics.page("log", len(events))
	s := newStretch(at.after)
	for _, e := range events {
		if e.Seq != s.last()+1 {
			return nil, fmt.Errorf("%w: seq %d follows %d", errGap, e.Seq, s.last())
		}
		f, err := p.frame(e)
		if err != nil {
			return nil, err
		}
		s.add(f)
	}
	if s.last() != at.upto {
		return nil, fmt.Errorf("%w: it ends with %d, before %d", errGap, s.last(), at.upto)
	}
	return s, nil
}

// keep keeps a stretch that was read for those who come next, and forgets the
// oldest ones when there is too much, and one that could not be read.
func (p *pages) keep(at span, s *sharedStretch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.err != nil {
		delete(p.shared, at)
		return
	}
	p.oldest = append(p.oldest, at)
	p.bytes += s.bytes
	for p.bytes > p.config.Memory/4 && len(p.oldest) > 1 {
		p.bytes -= p.shared[p.oldest[0]].bytes
		delete(p.shared, p.oldest[0])
		p.oldest = slices.Delete(p.oldest, 0, 1)
	}
}

// forget drops what nobody may want any more.
func (p *pages) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asking > 0 {
		return
	}
	for _, at := range p.oldest {
		delete(p.shared, at)
	}
	p.oldest, p.bytes = nil, 0
}
