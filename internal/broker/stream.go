package broker

import (
	"context"

	"herald/internal/event"
	"herald/internal/hub"
)

// Stream is what one subscriber gets: first what it has missed, in pages at the
// pace at which it asks for them, then what is new. One goroutine may use it
// at a time.
type Stream struct {
	broker *Broker
	topics []event.Topic
	after  event.Seq         // of the last event returned or passed over, while not live
	page   int               // events that were last asked for
	joined []*hub.Frame      // from memory, to be returned before what live has
	live   *hub.Subscription // nil while the log is replayed
}

// Next waits for events and returns them in the order of Seq: each once, and
// none left out but progress that a newer one has replaced. It returns the
// errors of hub.Subscription.Next, ctx's, or that of the replay:
// event.ErrTooOld when what is missing is no longer kept.
func (s *Stream) Next(ctx context.Context) ([]*hub.Frame, error) {
	for s.live == nil {
		if s.join() {
			break
		}
		frames, err := s.replay(ctx)
		if err != nil || len(frames) > 0 {
			return frames, err
		}
	}
	if len(s.joined) > 0 {
		frames := s.joined
		s.joined = nil
		return frames, nil
	}
	return s.live.Next(ctx)
}

// join makes the stream live if memory has all that is still missing. The
// broker publishes under the same lock, so nothing comes in between.
func (s *Stream) join() bool {
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.after < b.recent.floor() {
		return false
	}
	s.joined = b.recent.after(s.after, s.topics)
	b.config.Metrics.memory.Add(float64(len(s.joined)))
	s.live = b.hub.Subscribe(s.topics, b.recent.head)
	return true
}

// joinAhead makes the stream live from a place to which another node has read
// and this one has not. When this one has by now, the stream joins as any other.
func (s *Stream) joinAhead() {
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.after > b.recent.head {
		s.live = b.hub.Subscribe(s.topics, s.after)
	}
}

// replay reads a page from the log, up to what memory has.
func (s *Stream) replay(ctx context.Context) ([]*hub.Frame, error) {
	b := s.broker
	b.mu.Lock()
	upto := b.recent.floor()
	b.mu.Unlock()
	size := s.nextPage()
	events, err := b.source.EventsOfTopics(ctx, s.topics, s.after, upto, size)
	if err != nil {
		return nil, err
	}
	b.config.Metrics.pages.Inc()
	b.config.Metrics.replay.Add(float64(len(events)))
	frames := make([]*hub.Frame, len(events))
	for i, e := range events {
		if frames[i], err = b.frame(e); err != nil {
			return nil, err
		}
	}
	if len(events) == size {
		s.after = events[len(events)-1].Seq
	} else {
		s.after = upto
	}
	return frames, nil
}

// nextPage is how many events are read next: few at first, so that they come
// soon, and then more each time. Since the log is asked for as many of each
// topic, many topics make small pages.
func (s *Stream) nextPage() int {
	const first, growth = 20, 4
	most := max(2*s.broker.config.Page/max(len(s.topics), 2), 1)
	if s.page = min(s.page*growth, most); s.page == 0 {
		s.page = min(most, max(most/first, 1))
	}
	return s.page
}

// Close ends the stream.
func (s *Stream) Close() {
	if s.live != nil {
		s.live.Close()
	}
}
