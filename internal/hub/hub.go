// Package hub hands each event to the streams that follow its topics, and never
// waits for one of them.
package hub

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Why a stream ends.
var (
	// ErrGone ends a stream whose client has closed the connection, or lost it.
	ErrGone = errors.New("the client is gone")
	// ErrSlow ends a stream whose queue is full: its client is too slow for what
	// it follows. It may resume from the last Seq it has.
	ErrSlow = errors.New("the client is too slow")
	// ErrWriteTimeout ends a stream whose client has taken nothing for long.
	ErrWriteTimeout = errors.New("the client takes nothing")
	// ErrExpired ends a stream with the token that it was opened with.
	ErrExpired = errors.New("the client's token has expired")
	// ErrClosing ends every stream of a hub that stops.
	ErrClosing = errors.New("the node is stopping")
	// ErrDisconnected ends a stream that somebody has asked to end.
	ErrDisconnected = errors.New("disconnected")
	// ErrClosed is returned by a subscription that its reader has closed.
	ErrClosed = errors.New("the subscription is closed")
)

// Words are what the hub itself says on a stream, as bytes of the wire.
type Words struct {
	Heartbeat []byte                         // a sign of life
	Expiring  func(expires time.Time) []byte // the token ends soon
	Expired   func() []byte                  // the token has ended, and the stream with it
	Closing   func() []byte                  // the node stops, and when to come back
}

// Config bounds what waits for one stream and says what is told to it when. A
// zero field has its default; without Words, nothing is said.
type Config struct {
	Shards       int           // goroutines that share the streams; default GOMAXPROCS
	QueueFrames  int           // default 1024
	QueueBytes   int           // default 1 MiB
	Heartbeat    time.Duration // a stream that is silent for so long gets a sign of life, up to a fifth earlier; default 15 s
	WriteTimeout time.Duration // how long a client may take nothing; default 30 s
	Notice       time.Duration // how long before its token's end a stream is told; default 1 min
	Drain        time.Duration // how long a hub that stops waits for slow clients; default 5 s
	Words        Words
	Metrics      *Metrics // default some that nobody collects
}

func (c *Config) setDefaults() {
	defaultTo(&c.Shards, runtime.GOMAXPROCS(0))
	defaultTo(&c.QueueFrames, 1024)
	defaultTo(&c.QueueBytes, 1<<20)
	defaultTo(&c.Heartbeat, 15*time.Second)
	defaultTo(&c.WriteTimeout, 30*time.Second)
	defaultTo(&c.Notice, time.Minute)
	defaultTo(&c.Drain, 5*time.Second)
	silent := func() []byte { return nil }
	if c.Words.Expiring == nil {
		c.Words.Expiring = func(time.Time) []byte { return nil }
	}
	if c.Words.Expired == nil {
		c.Words.Expired = silent
	}
	if c.Words.Closing == nil {
		c.Words.Closing = silent
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
}

func defaultTo[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Frame is an event as it goes out, encoded once for all who get it. It is
// never changed after it was made.
type Frame struct {
	Seq      event.Seq // zero for what the stream itself says
	Type     event.Type
	Topics   []event.Topic
	JobID    uuid.UUID
	Metadata event.Metadata
	Bytes    []byte
	Expires  time.Time // streams do not get it after that; zero for never
}

// Expired reports whether it is too late to send the frame.
func (f *Frame) Expired() bool { return !f.Expires.IsZero() && time.Now().After(f.Expires) }

// Stream is what the hub knows of one client's stream.
type Stream struct {
	ID      uuid.UUID     // the client's; no two streams share it
	Topics  []event.Topic // each once; the client's own topic is understood
	Filter  *event.Filter // nil lets everything pass
	Whole   bool          // every progress counts: a newer one does not replace an older one that waits
	Expires time.Time     // of the client's token; zero for never

	// Ended is called once when the hub has let go of the stream, with the reason
	// and the last Seq that was written. It must not block. It may be nil.
	Ended func(why error, written event.Seq)
}

// Hub hands each event to the streams that follow its topics, and never waits
// for one. The streams are spread over shards: goroutines that share nothing, so
// that there are no locks on an event's way.
type Hub struct {
	config  Config
	shards  []*shard
	done    chan struct{} // closed when the shards have ended
	sending sync.RWMutex  // read-locked while something is sent to a shard

	mu      sync.Mutex    // guards the fields below
	opening int           // streams that are being opened
	closing chan struct{} // closed when Run begins to end
	idle    chan struct{} // closed after that, when no stream is being opened
}

// New returns a Hub without streams. It does nothing until Run.
func New(config Config) *Hub {
	config.setDefaults()
	h := &Hub{config: config, done: make(chan struct{}), closing: make(chan struct{}), idle: make(chan struct{})}
	for range config.Shards {
		h.shards = append(h.shards, newShard(h))
	}
	return h
}

// Run serves the streams until ctx ends. Then it tells each that the node stops
// and ends it, after what waits for it if the client takes that in time. It may
// be called once.
func (h *Hub) Run(ctx context.Context) error {
	var shards sync.WaitGroup
	for _, s := range h.shards {
		shards.Go(func() { s.run(ctx) })
	}
	<-ctx.Done()
	h.mu.Lock()
	close(h.closing)
	h.checkIdle()
	h.mu.Unlock()
	shards.Wait()
	close(h.done)
	h.sending.Lock() // nobody sends any more
	defer h.sending.Unlock()
	for _, s := range h.shards {
		s.doWaiting()
		s.cut()
	}
	return nil
}

// Heartbeat is the longest time that a stream is silent.
func (h *Hub) Heartbeat() time.Duration { return h.config.Heartbeat }

// Open says that a stream is about to be opened. A hub that stops waits for it
// until opened is called, for as long as it waits for slow clients, or refuses
// it with ErrClosing.
func (h *Hub) Open() (opened func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.closing:
		return nil, ErrClosing
	default:
		h.opening++
		return h.opened, nil
	}
}

func (h *Hub) opened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opening--
	h.checkIdle()
}

// checkIdle notes that there will be no more streams. It is called with mu held.
func (h *Hub) checkIdle() {
	select {
	case <-h.closing:
		if h.opening == 0 {
			close(h.idle)
		}
	default:
	}
}

func (h *Hub) isIdle() bool {
	select {
	case <-h.idle:
		return true
	default:
		return false
	}
}

// Closing is closed when the hub stops: a stream that is still being opened is
// to end too.
func (h *Hub) Closing() <-chan struct{} { return h.closing }

// Publish hands the frames, which are in the order of Seq, to all who follow one
// of their topics. Calls must not overlap. It waits while the shards are busy
// with frames from before, never for a client.
func (h *Hub) Publish(frames []*Frame) {
	for _, s := range h.shards {
		s.send(func() { s.publish(frames) })
	}
}

// Subscribe adds a stream whose frames the caller takes and writes: first those
// that are missing, then those published after the Seq. The caller closes the
// subscription.
func (h *Hub) Subscribe(stream Stream, missing []*Frame, after event.Seq) *Subscription {
	c := newConn(stream, after)
	sub := &Subscription{hub: h, conn: c, wake: make(chan struct{}, 1)}
	sub.queue.preload(missing)
	sub.signal()
	c.sub = sub
	s := h.shardOf(stream.ID)
	if !s.send(func() { s.add(c) }) {
		sub.end(ErrClosing)
		c.ended(ErrClosing)
	}
	return sub
}

// Attach adds a stream that the hub writes to the connection, which is its own
// from now on: first the missing frames, then those published after the Seq. It
// is for connections that the hub Takes. A failure ends the stream.
func (h *Hub) Attach(stream Stream, to net.Conn, missing []*Frame, after event.Seq) {
	c := newConn(stream, after)
	c.queue.preload(missing)
	s := h.shardOf(stream.ID)
	if !s.send(func() { s.addSocket(c, to) }) {
		_ = to.Close()
		c.ended(ErrClosing)
	}
}

// Interrupt ends every stream there is with the error; there may be new ones.
func (h *Hub) Interrupt(why error) {
	for _, s := range h.shards {
		s.send(func() { s.each(func(c *conn) { s.finish(c, why) }) })
	}
}

// Disconnect ends a stream with the reason, if it is this hub's. Of ErrExpired the
// client is told.
func (h *Hub) Disconnect(id uuid.UUID, why error) {
	s := h.shardOf(id)
	s.send(func() { s.disconnect(id, why) })
}

// Position is how far a stream has been written.
type Position struct {
	ID      uuid.UUID
	Written event.Seq
}

// Written returns the streams that have been written to since the last call. It
// returns ctx's error when that ends first, and nothing when the hub has ended.
func (h *Hub) Written(ctx context.Context) ([]Position, error) {
	parts := make(chan []Position, len(h.shards))
	var all []Position
	for _, s := range h.shards {
		if !s.send(func() { parts <- s.positions() }) {
			return nil, nil
		}
	}
	for range h.shards {
		select {
		case part := <-parts:
			all = append(all, part...)
		case <-h.done:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}

func (h *Hub) shardOf(id uuid.UUID) *shard {
	return h.shards[int(id[len(id)-1])%len(h.shards)]
}
