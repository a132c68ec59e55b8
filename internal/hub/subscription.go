package hub

import (
	"context"
	"sync"

	"herald/internal/event"
)

// Subscription is a stream's bounded queue from which its reader takes; when it
// is full the hub ends it, and the client resumes from the last Seq it saw.
type Subscription struct {
	hub  *Hub
	conn *conn
	wake chan struct{} // holds one when there is something to take

	mu      sync.Mutex // guards the fields below
	queue   queue
	taken   event.Seq // of the last frame taken
	written event.Seq // of the last frame of those that the reader is done with
	err     error     // why it has ended
}

// push queues a frame and reports whether it had room.
func (s *Subscription) push(f *Frame, conflate bool, maxFrames, maxBytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return true // nobody waits for it
	}
	if !s.queue.push(f, conflate, maxFrames, maxBytes) {
		return false
	}
	s.signal()
	return true
}

// drop ends the subscription and forgets what it held.
func (s *Subscription) drop(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = queue{}
	s.err = why
	s.signal()
}

// end ends the subscription after what it holds.
func (s *Subscription) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = why
	}
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Subscription) position() event.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// Next waits for frames and returns all that are queued, in the order of Seq;
// those that it returned before count as written. It returns ctx's error when
// ctx ends first, and why the subscription has ended when it has, after what was
// queued before. One goroutine may call it at a time.
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
	s.written = s.taken
	if s.queue.live == 0 {
		return nil, s.err
	}
	frames := s.queue.take()
	for _, f := range frames {
		s.taken = max(s.taken, f.Seq)
	}
	return frames, nil
}

// Close ends the subscription, for the reason given, or ErrClosed.
func (s *Subscription) Close(why error) {
	if why == nil {
		why = ErrClosed
	}
	s.end(why)
	shard := s.hub.shardOf(s.conn.id)
	shard.send(func() { shard.remove(s.conn, why) })
}
