package broker

import (
	"slices"

	"herald/internal/event"
	"herald/internal/hub"
)

// recent is the newest stretch of the log, without a gap, in memory. What it
// costs is bounded by limit, in bytes.
type recent struct {
	limit  int
	head   event.Seq // of the newest event
	frames []*hub.Frame
	bytes  int
}

// overhead is what a frame costs beside its bytes, about.
const overhead = 200

func (r *recent) reset(head event.Seq) {
	r.head, r.frames, r.bytes = head, nil, 0
}

// add takes in the event after the head.
func (r *recent) add(f *hub.Frame) {
	r.frames = append(r.frames, f)
	r.head = f.Seq
	r.bytes += len(f.Bytes) + overhead
	drop := 0
	for r.bytes > r.limit && drop < len(r.frames) {
		r.bytes -= len(r.frames[drop].Bytes) + overhead
		r.frames[drop] = nil
		drop++
	}
	r.frames = r.frames[drop:]
}

// floor is the place before the oldest event in memory.
func (r *recent) floor() event.Seq { return r.head - event.Seq(len(r.frames)) }

// after returns the events of the topics after the Seq, which must not be
// before the floor nor after the head.
func (r *recent) after(seq event.Seq, topics []event.Topic) []*hub.Frame {
	var found []*hub.Frame
	for _, f := range r.frames[seq-r.floor():] {
		if slices.ContainsFunc(f.Topics, func(t event.Topic) bool { return slices.Contains(topics, t) }) {
			found = append(found, f)
		}
	}
	return found
}
