// Package hub hands each event to the subscriptions that follow its topics, and
// never waits for one of them.
package hub

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Why a subscription ends.
var (
	// ErrSlow ends a subscription whose queue is full: its reader is too slow
	// for what it follows. It may resume from the last Seq it has.
	ErrSlow = errors.New("the reader is too slow")
	// ErrClosing ends every subscription of a hub that is being closed.
	ErrClosing = errors.New("the hub is closing")
	// ErrClosed is returned by a subscription that its reader has closed.
	ErrClosed = errors.New("the subscription is closed")
)

// Frame is an event as it goes out, encoded once for all who get it. It is
// never changed after it was made.
type Frame struct {
	Seq    event.Seq
	Type   event.Type
	Topics []event.Topic
	JobID  uuid.UUID
	Bytes  []byte
}

// Config bounds what waits for one subscription. The zero Config is fit for use.
type Config struct {
	QueueFrames int // default 1024
	QueueBytes  int // default 1 MiB
}

// Hub hands each event to the subscriptions that follow its topic, and never
// waits for one.
type Hub struct {
	config Config

	mu      sync.RWMutex // guards the fields below
	byTopic map[event.Topic]map[*Subscription]struct{}
	closed  bool
}

// New returns a Hub without subscriptions.
func New(config Config) *Hub {
	if config.QueueFrames <= 0 {
		config.QueueFrames = 1024
	}
	if config.QueueBytes <= 0 {
		config.QueueBytes = 1 << 20
	}
	return &Hub{config: config, byTopic: make(map[event.Topic]map[*Subscription]struct{})}
}

// Subscribe follows the topics from now on. Frames up to and including after
// are not handed to it. The caller closes the subscription.
func (h *Hub) Subscribe(topics []event.Topic, after event.Seq) *Subscription {
	s := &Subscription{hub: h, topics: topics, last: after, wake: make(chan struct{}, 1), jobs: make(map[uuid.UUID]int)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		s.end(ErrClosing)
		return s
	}
	for _, t := range topics {
		if h.byTopic[t] == nil {
			h.byTopic[t] = make(map[*Subscription]struct{})
		}
		h.byTopic[t][s] = struct{}{}
	}
	return s
}

// Publish queues the frames, which are in the order of Seq, for all who follow
// one of their topics. Calls must not overlap.
func (h *Hub) Publish(frames []*Frame) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, f := range frames {
		for _, t := range f.Topics {
			for s := range h.byTopic[t] {
				s.push(f, h.config)
			}
		}
	}
}

// Close ends every subscription, and those that come later, with ErrClosing.
// What is queued can still be taken.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, subs := range h.byTopic {
		for s := range subs {
			s.end(ErrClosing)
		}
	}
}

// Interrupt ends every subscription there is with the error; there may be new
// ones. What is queued can still be taken.
func (h *Hub) Interrupt(err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, subs := range h.byTopic {
		for s := range subs {
			s.end(err)
		}
	}
}

func (h *Hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range s.topics {
		delete(h.byTopic[t], s)
		if len(h.byTopic[t]) == 0 {
			delete(h.byTopic, t)
		}
	}
}

// Subscription is one connection's bounded queue; when it is full the hub ends
// it, and the client resumes from the last Seq it saw.
type Subscription struct {
	hub    *Hub
	topics []event.Topic
	wake   chan struct{} // holds one when there is something to take

	mu    sync.Mutex // guards the fields below
	last  event.Seq  // of the last frame queued
	queue []*Frame   // nil where a newer progress has replaced an older one
	jobs  map[uuid.UUID]int
	live  int // frames in queue that are not nil
	bytes int
	err   error // why it has ended
}

// push queues a frame. A newer progress of a job takes the place of an older
// one that still waits: the old is removed and the new goes to the end, so that
// the order of Seq holds.
func (s *Subscription) push(f *Frame, config Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || f.Seq <= s.last {
		return
	}
	s.last = f.Seq
	if f.Type.Conflatable() {
		if at, ok := s.jobs[f.JobID]; ok {
			s.bytes -= len(s.queue[at].Bytes)
			s.queue[at] = nil
			s.live--
		}
		s.jobs[f.JobID] = len(s.queue)
	}
	if s.live >= config.QueueFrames || s.bytes+len(f.Bytes) > config.QueueBytes && s.live > 0 {
		s.drop(ErrSlow)
		return
	}
	s.queue = append(s.queue, f)
	s.live++
	s.bytes += len(f.Bytes)
	if len(s.queue) >= 2*config.QueueFrames {
		s.compact()
	}
	s.signal()
}

// compact removes the places of frames that were replaced.
func (s *Subscription) compact() {
	kept := s.queue[:0]
	clear(s.jobs)
	for _, f := range s.queue {
		if f == nil {
			continue
		}
		if f.Type.Conflatable() {
			s.jobs[f.JobID] = len(kept)
		}
		kept = append(kept, f)
	}
	clear(s.queue[len(kept):])
	s.queue = kept
}

// drop ends the subscription and forgets what it held.
func (s *Subscription) drop(err error) {
	s.queue, s.live, s.bytes, s.err = nil, 0, 0, err
	clear(s.jobs)
	s.signal()
}

func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for frames and returns all that are queued, in the order of Seq.
// It returns ctx's error when ctx ends first, and why the subscription has
// ended when it has, after what was queued before. One goroutine may call it
// at a time.
func (s *Subscription) Next(ctx context.Context) ([]*Frame, error) {
	for {
		if frames, err := s.take(); len(frames) > 0 || err != nil {
			return frames, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.wake:
		}
	}
}

func (s *Subscription) take() ([]*Frame, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == 0 {
		return nil, s.err
	}
	s.compact()
	frames := s.queue
	s.queue, s.live, s.bytes = nil, 0, 0
	clear(s.jobs)
	return frames, nil
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.hub.remove(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = ErrClosed
	}
}
