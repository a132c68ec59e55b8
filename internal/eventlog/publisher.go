package eventlog

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"herald/internal/event"
)

var (
	// ErrBusy is returned for what there is no room for, or no time.
	ErrBusy = errors.New("too much is being published at the moment: try again soon, under the same key")
	// ErrApart is a store's word for a group of which nothing was written because of
	// one publication in it.
	ErrApart = errors.New("each is to be published by itself")
	// ErrLocked is a store's word for a publication whose key a transaction has
	// taken that has not ended.
	ErrLocked = errors.New("the key is in use by a transaction that has not ended")
)

// Result is what became of one publication of a group.
type Result struct {
	Published event.Published
	Err       error
}

// PublishStore is where a Publisher publishes.
type PublishStore interface {
	// PublishGroup publishes all in one transaction, without waiting for anybody's.
	// The error is ErrApart, or ErrLocked for a group of one, or of the group as a
	// whole; then nothing was written, unless the connection was lost.
	PublishGroup(ctx context.Context, group []event.Submission) ([]Result, error)
	// PublishOne publishes one in a transaction of its own, and waits for its key.
	PublishOne(ctx context.Context, s event.Submission) (event.Published, error)
}

// Audience counts streams.
type Audience interface {
	// Addressed counts for each event's topics the streams that follow any of them.
	Addressed(ctx context.Context, topics [][]event.Topic) ([]int, error)
}

// PublisherConfig says how much a Publisher takes on.
type PublisherConfig struct {
	Queue       int           // publications that may wait; default 1024
	QueueBytes  int64         // of their payloads; default 64 MiB
	Writers     int           // transactions at once, so that one is put together while another commits; default 2
	Group       int           // events after which a group takes no further publication; default 1000
	Time        time.Duration // for a transaction; default 10 s
	CountTime   time.Duration // for counting streams, after which their number is not known; default 250 ms
	LockedAside int           // publications that wait for their keys beside the others; default 4
}

func (c *PublisherConfig) setDefaults() {
	const queue, queueBytes, writers, group, locked = 1024, 64 << 20, 2, 1000, 4
	c.Writers = orDefault(c.Writers, writers)
	c.Queue, c.Group, c.LockedAside = orDefault(c.Queue, queue), orDefault(c.Group, group), orDefault(c.LockedAside, locked)
	c.QueueBytes = orDefault(c.QueueBytes, queueBytes)
	c.Time, c.CountTime = orDefault(c.Time, 10*time.Second), orDefault(c.CountTime, 250*time.Millisecond)
}

// Publisher puts an application's own events into the outbox. Publications that
// come while transactions commit go together into the next, each with an answer
// of its own; the first of a quiet time goes at once.
type Publisher struct {
	store    PublishStore
	audience Audience
	config   PublisherConfig
	queue    chan *waiting
	bytes    atomic.Int64  // of what waits
	ended    chan struct{} // closed when Run has returned

	// owned by Run
	held    []*waiting // behind one with the same key
	writers chan struct{}
	locked  chan struct{}
	writing sync.WaitGroup // with what waits for its key
}

// waiting is a publication whose caller waits for the answer.
type waiting struct {
	event.Submission
	size   int64
	gone   atomic.Bool // nobody waits any more
	answer chan Result // takes one without blocking
}

// NewPublisher returns a Publisher. It publishes nothing until Run.
func NewPublisher(store PublishStore, audience Audience, config PublisherConfig) *Publisher {
	config.setDefaults()
	return &Publisher{
		store: store, audience: audience, config: config, queue: make(chan *waiting, config.Queue), ended: make(chan struct{}),
		writers: make(chan struct{}, config.Writers), locked: make(chan struct{}, config.LockedAside),
	}
}

// Publish publishes all of the publication's events or none, and returns when
// they are committed. The error is one of event.Publication.Events,
// event.ErrKeyReused or ErrBusy, and nothing was written then; when ctx ends, it
// is not known whether anything was.
func (p *Publisher) Publish(ctx context.Context, publication event.Publication) (event.Published, error) {
	s, err := publication.Submission()
	if err != nil {
		return event.Published{}, err
	}
	w := &waiting{Submission: s, answer: make(chan Result, 1)}
	for _, e := range s.Events {
		w.size += int64(len(e.Payload))
	}
	if p.bytes.Add(w.size) > p.config.QueueBytes {
		p.bytes.Add(-w.size)
		return event.Published{}, ErrBusy
	}
	select {
	case p.queue <- w:
	default:
		p.bytes.Add(-w.size)
		return event.Published{}, ErrBusy
	}
	select {
	case r := <-w.answer:
		return r.Published, r.Err
	case <-ctx.Done():
		w.gone.Store(true)
		return event.Published{}, ctx.Err()
	case <-p.ended:
	}
	select {
	case r := <-w.answer:
		return r.Published, r.Err
	default:
		return event.Published{}, ErrBusy
	}
}

// Run publishes until ctx ends, and then what still waits.
func (p *Publisher) Run(ctx context.Context) error {
	defer close(p.ended)
	defer p.writing.Wait()
	for {
		p.writers <- struct{}{} // before it is put together, so that what comes until then is in it
		group := p.gather(ctx)
		if len(group) == 0 {
			return nil
		}
		p.writing.Go(func() {
			defer func() { <-p.writers }()
			p.publish(context.WithoutCancel(ctx), group)
		})
	}
}

// gather waits for a publication, and returns it with those that wait behind it.
// None is left when ctx has ended.
func (p *Publisher) gather(ctx context.Context) []*waiting {
	var g gathering
	held := p.held
	p.held = nil
	for _, w := range held {
		p.enter(&g, w)
	}
	for len(g.group) == 0 {
		select {
		case w := <-p.queue:
			p.enter(&g, w)
		case <-ctx.Done():
			select {
			case w := <-p.queue:
				p.enter(&g, w)
			default:
				return nil
			}
		}
	}
	for g.events < p.config.Group {
		select {
		case w := <-p.queue:
			p.enter(&g, w)
		default:
			return g.group
		}
	}
	return g.group
}

// gathering is a group that is being put together.
type gathering struct {
	group  []*waiting
	events int
	keys   map[[2]string]bool // actors and keys
}

// enter adds a publication, or holds it back for the next group when this one has
// its key already.
func (p *Publisher) enter(g *gathering, w *waiting) {
	if w.gone.Load() {
		p.bytes.Add(-w.size)
		return
	}
	if key := [2]string{w.Actor, w.Key}; w.Key != "" {
		if g.keys[key] {
			p.held = append(p.held, w)
			return
		}
		if g.keys == nil {
			g.keys = map[[2]string]bool{}
		}
		g.keys[key] = true
	}
	p.bytes.Add(-w.size)
	g.group = append(g.group, w)
	g.events += len(w.Events)
}

// publish publishes a group while the streams that it addresses are counted.
func (p *Publisher) publish(ctx context.Context, group []*waiting) {
	var counts [][]int
	var counting sync.WaitGroup
	counting.Go(func() { counts = p.count(ctx, group) })
	results := p.commit(ctx, group)
	counting.Wait()
	for i, r := range results {
		if counts != nil {
			r.Published.Addressed = counts[i]
		}
		if errors.Is(r.Err, ErrLocked) {
			p.awaitKey(ctx, group[i], r.Published.Addressed)
			continue
		}
		group[i].answer <- r
	}
}

// commit publishes a group in one transaction. When something is wrong with one
// of them, the others do not suffer: each gets a transaction of its own.
func (p *Publisher) commit(ctx context.Context, group []*waiting) []Result {
	ctx, cancel := context.WithTimeout(ctx, p.config.Time)
	defer cancel()
	all := make([]event.Submission, len(group))
	for i, w := range group {
		all[i] = w.Submission
	}
	results, err := p.store.PublishGroup(ctx, all)
	switch {
	case err == nil:
		return results
	case errors.Is(err, ErrApart):
		results = nil
		for _, w := range group {
			results = append(results, p.commit(ctx, []*waiting{w})...)
		}
		return results
	}
	results = make([]Result, len(group))
	for i := range results {
		results[i].Err = err
	}
	return results
}

// awaitKey publishes beside the others what has to wait for its key, unless too
// many do.
func (p *Publisher) awaitKey(ctx context.Context, w *waiting, addressed []int) {
	select {
	case p.locked <- struct{}{}:
	default:
		w.answer <- Result{Err: ErrBusy}
		return
	}
	p.writing.Go(func() {
		defer func() { <-p.locked }()
		ctx, cancel := context.WithTimeout(ctx, p.config.Time)
		defer cancel()
		published, err := p.store.PublishOne(ctx, w.Submission)
		if errors.Is(err, context.DeadlineExceeded) {
			err = ErrBusy
		}
		published.Addressed = addressed
		w.answer <- Result{Published: published, Err: err}
	})
}

// count counts the streams that each event of each publication addresses; nil
// when that takes too long.
func (p *Publisher) count(ctx context.Context, group []*waiting) [][]int {
	ctx, cancel := context.WithTimeout(ctx, p.config.CountTime)
	defer cancel()
	var topics [][]event.Topic
	for _, w := range group {
		for _, e := range w.Events {
			topics = append(topics, e.Topics)
		}
	}
	flat, err := p.audience.Addressed(ctx, topics)
	if err != nil {
		return nil
	}
	counts := make([][]int, len(group))
	for i, w := range group {
		counts[i], flat = flat[:len(w.Events):len(w.Events)], flat[len(w.Events):]
	}
	return counts
}
