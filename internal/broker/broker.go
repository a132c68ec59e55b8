// Package broker follows the log on one node and gives each subscriber the
// events of its topics once, in order, from any Seq on: replay from the log,
// then from memory, then live.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/bus"
	"herald/internal/event"
	"herald/internal/hub"
)

// Log is the log as the broker reads it.
type Log interface {
	// Bounds returns the place before the oldest event kept, and the head.
	Bounds(ctx context.Context) (floor, head event.Seq, err error)
	// Events returns the events after the Seq, in order, or event.ErrTooOld when
	// some of them are no longer kept.
	Events(ctx context.Context, after event.Seq, limit int) ([]event.Event, error)
	// EventsOfTopics returns the events of any of the topics after one Seq and up
	// to another, in order, each once, or event.ErrTooOld when some that may have
	// been among them are no longer kept.
	EventsOfTopics(ctx context.Context, topics []event.Topic, after, upto event.Seq, limit int) ([]event.Event, error)
}

// Config is how a Broker works. The zero Config is fit for use.
type Config struct {
	Memory  int           // bytes of recent events kept for resuming clients, and a quarter more while many resume from before those; default 64 MiB
	Preload int           // events read into memory at start; default 10000
	Page    int           // events read at once for a resuming client, a fifth of those read to follow the log; default 1000
	Readers int           // queries at once for resuming clients; default 4
	Poll    time.Duration // longest time between two looks at the log, should an announcement be lost; default 5 s
	Metrics *Metrics      // default some that nobody collects
}

func (c *Config) setDefaults() {
	if c.Memory <= 0 {
		c.Memory = 64 << 20
	}
	if c.Preload <= 0 {
		c.Preload = 10_000
	}
	if c.Page <= 0 {
		c.Page = 1000
	}
	if c.Readers <= 0 {
		c.Readers = 4
	}
	if c.Poll <= 0 {
		c.Poll = 5 * time.Second
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
}

// Broker follows the log on one node and gives each subscriber the events of
// its topics once, in order, from any Seq on.
type Broker struct {
	source Log
	bus    bus.Bus
	hub    *hub.Hub
	encode func(event.Event) ([]byte, error)
	log    *slog.Logger
	config Config
	pages  *pages

	ready     chan struct{} // closed when the broker has first read to the end of the log
	readyOnce sync.Once

	mu     sync.Mutex // guards the fields below; held while the hub publishes, so that replay and live meet exactly
	recent recent
}

// New returns a Broker that publishes to the hub what encode makes of the log's
// events. It does nothing until Run.
func New(
	source Log, announcements bus.Bus, to *hub.Hub, encode func(event.Event) ([]byte, error), log *slog.Logger, config Config,
) *Broker {
	config.setDefaults()
	b := &Broker{
		source: source, bus: announcements, hub: to, encode: encode, log: log, config: config,
		ready: make(chan struct{}), recent: recent{limit: config.Memory},
	}
	b.recent.reset(0)
	b.pages = newPages(source, b.frame, config)
	return b
}

// Run follows the log until ctx ends. A database that is away is tried again.
func (b *Broker) Run(ctx context.Context) error {
	grown := make(chan struct{}, 1)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return b.bus.Follow(ctx, func(event.Seq) {
			select {
			case grown <- struct{}{}:
			default:
			}
		})
	})
	group.Go(func() error { return b.follow(ctx, grown) })
	return group.Wait()
}

// follow reads on whenever the log has grown.
func (b *Broker) follow(ctx context.Context, grown <-chan struct{}) error {
	const backoff = 200 * time.Millisecond
	started := false
	for ctx.Err() == nil {
		var err error
		if !started {
			err = b.start(ctx)
			started = err == nil
		}
		for more := true; err == nil && more; {
			more, err = b.read(ctx)
		}
		started = started && !errors.Is(err, event.ErrTooOld)
		if err == nil {
			b.readyOnce.Do(func() { close(b.ready) })
		}
		wait, wake := b.config.Poll, grown
		if err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "broker reads the log again", "error", err, "retry_in", backoff)
			wait, wake = backoff, nil
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-time.After(wait):
			b.pages.forget()
		}
	}
	return nil
}

// start begins a little before the head of the log, so that the clients who come
// back after a restart find in memory what they have missed. Where the log's
// floor has passed the broker, the streams there are have missed events: they
// end.
func (b *Broker) start(ctx context.Context) error {
	floor, head, err := b.source.Bounds(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hub.Interrupt(event.ErrTooOld)
	b.recent.reset(max(floor, head-event.Seq(b.config.Preload)))
	return nil
}

// read takes in one page of the log and reports whether there may be more.
func (b *Broker) read(ctx context.Context) (more bool, err error) {
	const pages = 5
	size := pages * b.config.Page
	b.mu.Lock()
	after := b.recent.head()
	b.mu.Unlock()
	events, err := b.source.Events(ctx, after, size)
	if err != nil {
		return false, err
	}
	frames := make([]*hub.Frame, len(events))
	for i, e := range events {
		if want := after + event.Seq(i) + 1; e.Seq != want {
			return false, fmt.Errorf("%w: seq %d where %d belongs", errGap, e.Seq, want)
		}
		if frames[i], err = b.frame(e); err != nil {
			return false, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range frames {
		b.recent.add(f)
	}
	b.hub.Publish(frames)
	b.config.Metrics.head.Set(float64(b.recent.head()))
	return len(events) == size, nil
}

// errGap is what no reader of the log should ever see.
var errGap = errors.New("the log has a gap: run herald verify")

func (b *Broker) frame(e event.Event) (*hub.Frame, error) {
	bytes, err := b.encode(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	return &hub.Frame{
		Seq: e.Seq, Type: e.Type, Topics: e.Topics, JobID: e.JobID, Metadata: event.MetadataOf(e.Payload), Bytes: bytes,
		Expires: e.Expires(),
	}, nil
}

// Head waits until the broker knows the log, and returns the last Seq it has.
func (b *Broker) Head(ctx context.Context) (event.Seq, error) {
	select {
	case <-b.ready:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.recent.head(), nil
}

// ErrCursorAhead is returned for a cursor that the log has not come to yet.
var ErrCursorAhead = errors.New("the cursor is ahead of the log")

// Subscribe begins to read the events of the topics after the Seq. It returns
// event.ErrTooOld or ErrCursorAhead when the log cannot be read on from there.
func (b *Broker) Subscribe(ctx context.Context, want Reading) (*Replay, error) {
	head, err := b.Head(ctx)
	if err != nil {
		return nil, err
	}
	r := &Replay{broker: b, topics: want.Topics, shared: want.Topics, filter: want.Filter, born: head, after: want.After}
	if want.Own != "" {
		r.topics = append(slices.Clone(want.Topics), want.Own)
	}
	if want.After <= head && b.remembers(want.After) {
		return r, nil
	}
	floor, logHead, err := b.source.Bounds(ctx)
	switch {
	case err != nil:
		return nil, err
	case want.After < floor:
		return nil, event.ErrTooOld
	case want.After > max(head, logHead):
		return nil, ErrCursorAhead
	}
	return r, nil
}

// remembers reports whether all that follows the Seq is in memory.
func (b *Broker) remembers(after event.Seq) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return after >= b.recent.floor()
}
