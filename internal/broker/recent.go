package broker

import (
	"slices"

	"herald/internal/event"
	"herald/internal/hub"
)

// stretch is consecutive events of the log in memory, with an index by topic.
type stretch struct {
	before  event.Seq // the place before the first
	frames  []*hub.Frame
	byTopic map[event.Topic][]int32 // places in frames
	bytes   int
}

const (
	// frameCost and topicCost are what a frame costs in memory beside its bytes, and
	// each of its topics, about.
	frameCost = 200
	topicCost = 80
)

func newStretch(before event.Seq) *stretch {
	return &stretch{before: before, byTopic: make(map[event.Topic][]int32)}
}

// add takes in the event after the last.
func (s *stretch) add(f *hub.Frame) {
	for _, t := range f.Topics {
		s.byTopic[t] = append(s.byTopic[t], int32(len(s.frames)))
	}
	s.frames = append(s.frames, f)
	s.bytes += len(f.Bytes) + frameCost + topicCost*len(f.Topics)
}

// last is the Seq of the last event.
func (s *stretch) last() event.Seq { return s.before + event.Seq(len(s.frames)) }

// appendAfter appends the events of the topics after the Seq, in order.
func (s *stretch) appendAfter(to []*hub.Frame, after event.Seq, topics []event.Topic) []*hub.Frame {
	first := int32(max(after-s.before, 0))
	if slices.Contains(topics, event.WholeLog) {
		return append(to, s.frames[min(int(first), len(s.frames)):]...)
	}
	var some [16]int32
	places, lists := some[:0], 0
	for _, t := range topics {
		list := s.byTopic[t]
		from, _ := slices.BinarySearch(list, first)
		if from < len(list) {
			places = append(places, list[from:]...)
			lists++
		}
	}
	if lists > 1 {
		slices.Sort(places)
		places = slices.Compact(places)
	}
	for _, at := range places {
		to = append(to, s.frames[at])
	}
	return to
}

// recent is the newest part of the log, without a gap, in memory. What it costs
// is bounded by limit, in bytes.
type recent struct {
	limit     int
	stretches []*stretch // at least one
	bytes     int
}

// reset forgets everything: the next event is the one after the Seq.
func (r *recent) reset(head event.Seq) {
	r.stretches, r.bytes = []*stretch{newStretch(head)}, 0
}

// add takes in the event after the head. It forgets the oldest stretch, whole,
// when there is too much.
func (r *recent) add(f *hub.Frame) {
	const (
		longest = 256 // events of a stretch
		parts   = 16  // of what may be kept, at most, that a stretch is
	)
	s := r.stretches[len(r.stretches)-1]
	if len(s.frames) >= longest || s.bytes > r.limit/parts {
		s = newStretch(s.last())
		r.stretches = append(r.stretches, s)
	}
	r.bytes -= s.bytes
	s.add(f)
	r.bytes += s.bytes
	for r.bytes > r.limit && len(r.stretches) > 1 {
		r.bytes -= r.stretches[0].bytes
		r.stretches = slices.Delete(r.stretches, 0, 1)
	}
}

// head is the Seq of the newest event.
func (r *recent) head() event.Seq { return r.stretches[len(r.stretches)-1].last() }

// floor is the place before the oldest event.
func (r *recent) floor() event.Seq { return r.stretches[0].before }

// after returns the events of the topics after the Seq, which must not be before
// the floor, and up to which place it has looked: the head, unless it found more
// than enough.
func (r *recent) after(seq event.Seq, topics []event.Topic, enough int) (found []*hub.Frame, upto event.Seq) {
	at, _ := slices.BinarySearchFunc(r.stretches, seq, func(s *stretch, seq event.Seq) int {
		return int(s.last() - seq)
	})
	for _, s := range r.stretches[min(at, len(r.stretches)-1):] {
		found, upto = s.appendAfter(found, seq, topics), s.last()
		if len(found) > enough {
			break
		}
	}
	return found, upto
}
