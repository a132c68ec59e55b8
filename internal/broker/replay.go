package broker

import (
	"context"
	"slices"

	"herald/internal/event"
	"herald/internal/hub"
)

// Reading is what a subscriber wants to read.
type Reading struct {
	Topics []event.Topic
	Own    event.Topic   // the subscriber's own topic, on which nothing can be before it subscribed; may be empty
	Filter *event.Filter // nil lets everything pass
	After  event.Seq     // the last event it has seen
}

// Replay is what a subscriber has missed, in pages, at the pace at which it asks
// for them. One goroutine may use it at a time, and nothing need be closed.
type Replay struct {
	broker *Broker
	topics []event.Topic // with the subscriber's own
	shared []event.Topic // without it
	filter *event.Filter
	born   event.Seq // the node's head at the beginning
	after  event.Seq // of the last event returned or passed over
	page   int       // events that were last asked for
}

// Head is the log's head when the replay began, as far as the node knew.
func (r *Replay) Head() event.Seq { return r.born }

// joinFrames is how few events may be missing for a subscriber to join what is
// live: they go into its queue.
const joinFrames = 256

// Join makes the subscriber a live one if what it still misses is little, and in
// memory: attach is to hand it the missing frames, and all that come after the
// Seq. The broker publishes under the same lock, so nothing comes in between;
// attach must not wait for anybody. Where Join reports false, Next has more.
func (r *Replay) Join(attach func(missing []*hub.Frame, after event.Seq)) bool {
	b := r.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	head := b.recent.head()
	switch {
	case r.after > head: // another node has read further, and this one will come to it
		attach(nil, r.after)
		return true
	case r.after < b.recent.floor():
		return false
	}
	missing, upto := b.recent.after(r.after, r.topics, joinFrames)
	if upto < head || len(missing) > joinFrames {
		return false
	}
	b.config.Metrics.memory.Add(float64(len(missing)))
	attach(r.pass(missing), head)
	return true
}

// Next returns the next page of what is missing, in the order of Seq: it may be
// empty. The error is event.ErrTooOld when what is missing is no longer kept.
func (r *Replay) Next(ctx context.Context) ([]*hub.Frame, error) {
	if frames, ok := r.remember(); ok {
		return r.pass(frames), nil
	}
	frames, err := r.read(ctx)
	return r.pass(frames), err
}

// pass lets through what the subscriber's filter does, unless it has expired.
func (r *Replay) pass(frames []*hub.Frame) []*hub.Frame {
	return slices.DeleteFunc(frames, func(f *hub.Frame) bool { return !r.filter.Match(f.Type, f.Metadata) || f.Expired() })
}

// remember returns a page from memory, if memory goes back so far.
func (r *Replay) remember() ([]*hub.Frame, bool) {
	b := r.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.after < b.recent.floor() {
		return nil, false
	}
	frames, upto := b.recent.after(r.after, r.topics, joinFrames)
	b.config.Metrics.memory.Add(float64(len(frames)))
	r.after = max(r.after, upto)
	return frames, true
}

// read reads a page from the log, up to what memory has.
func (r *Replay) read(ctx context.Context) ([]*hub.Frame, error) {
	b := r.broker
	b.mu.Lock()
	upto := b.recent.floor()
	b.mu.Unlock()
	topics := r.shared
	if upto > r.born {
		topics = r.topics
	}
	frames, reached, err := b.pages.read(ctx, page{topics: topics, after: r.after, upto: upto, size: r.nextPage()})
	if err != nil {
		return nil, err
	}
	r.after = reached
	return frames, nil
}

// nextPage is how many events are read next: few at first, so that they come
// soon, and then more each time. Since the log is asked for as many of each
// topic, many topics make small pages.
func (r *Replay) nextPage() int {
	const first, growth = 20, 4
	most := max(2*r.broker.config.Page/max(len(r.shared), 2), 1)
	if r.page = min(r.page*growth, most); r.page == 0 {
		r.page = min(most, max(most/first, 1))
	}
	return r.page
}
