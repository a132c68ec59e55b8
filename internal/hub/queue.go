package hub

import (
	"github.com/google/uuid"

	"herald/internal/event"
)

// queue is what waits for one stream, and the rules for it: bounded in frames
// and bytes; a newer progress of a job takes the place of an older one that
// still waits; nothing else is ever left out. The zero queue is empty.
type queue struct {
	frames []*Frame          // from head on; nil where a newer progress has replaced an older one
	head   int               // place of the first frame that is not wholly written
	sent   int               // bytes of that frame that are written
	live   int               // frames that are not nil
	bytes  int               // of those frames
	jobs   map[uuid.UUID]int // place of each job's progress; nil while there are few frames
}

const (
	// fewFrames are searched faster than an index of them is kept.
	fewFrames = 16
	// keepFrames is for how many frames an empty queue keeps its memory.
	keepFrames = 16
)

// push queues a frame and reports whether it had room. A frame that replaces
// another goes to the end, so that the order of Seq holds.
func (q *queue) push(f *Frame, conflate bool, maxFrames, maxBytes int) bool {
	conflate = conflate && f.Type.Conflatable()
	if conflate {
		q.replace(f.JobID)
	}
	if q.live >= maxFrames || q.live > 0 && q.bytes+len(f.Bytes) > maxBytes {
		return false
	}
	if len(q.frames)/2 >= maxFrames {
		q.compact()
	}
	if q.jobs != nil && conflate {
		q.jobs[f.JobID] = len(q.frames)
	}
	q.frames = append(q.frames, f)
	q.live++
	q.bytes += len(f.Bytes)
	return true
}

// preload fills an empty queue with frames, whatever its bounds.
func (q *queue) preload(frames []*Frame) {
	q.frames, q.live = frames, len(frames)
	for _, f := range frames {
		q.bytes += len(f.Bytes)
	}
}

// replace takes out the job's progress, unless a part of it is written.
func (q *queue) replace(job uuid.UUID) {
	at, ok := q.find(job)
	if !ok || at == q.head && q.sent > 0 {
		return
	}
	q.live--
	q.bytes -= len(q.frames[at].Bytes)
	q.frames[at] = nil
	if q.live == 0 {
		q.reset()
	}
}

// find returns the place of the job's progress.
func (q *queue) find(job uuid.UUID) (int, bool) {
	if q.jobs == nil && len(q.frames)-q.head > fewFrames {
		q.index()
	}
	if q.jobs != nil {
		at, ok := q.jobs[job]
		return at, ok && at >= q.head && q.frames[at] != nil
	}
	for at := len(q.frames) - 1; at >= q.head; at-- {
		if f := q.frames[at]; f != nil && f.Type.Conflatable() && f.JobID == job {
			return at, true
		}
	}
	return 0, false
}

func (q *queue) index() {
	q.jobs = make(map[uuid.UUID]int, len(q.frames)-q.head)
	for at := q.head; at < len(q.frames); at++ {
		if f := q.frames[at]; f != nil && f.Type.Conflatable() {
			q.jobs[f.JobID] = at
		}
	}
}

// compact removes the places that are empty.
func (q *queue) compact() {
	kept := q.frames[:0]
	for _, f := range q.frames[q.head:] {
		if f != nil {
			kept = append(kept, f)
		}
	}
	clear(q.frames[len(kept):])
	q.frames, q.head = kept, 0
	if q.jobs != nil {
		q.index()
	}
}

// reset empties the queue, and keeps no more memory than a quiet stream needs.
func (q *queue) reset() {
	frames := q.frames[:0]
	if cap(frames) > keepFrames {
		frames = nil
	}
	clear(q.frames)
	*q = queue{frames: frames}
}

// next returns what is to be written next: the rest of the first frame, or as
// many frames as fit into the buffer, joined in it.
func (q *queue) next(buffer []byte) []byte {
	q.skip()
	first := q.frames[q.head].Bytes[q.sent:]
	if q.live == 1 || len(first) >= cap(buffer) {
		return first
	}
	buffer = append(buffer[:0], first...)
	for _, f := range q.frames[q.head+1:] {
		if f == nil {
			continue
		}
		if len(buffer)+len(f.Bytes) > cap(buffer) {
			break
		}
		buffer = append(buffer, f.Bytes...)
	}
	return buffer
}

// skip moves the head past empty places. There must be a frame.
func (q *queue) skip() {
	for q.frames[q.head] == nil {
		q.head++
	}
}

// wrote takes n bytes off the front. It returns how many frames are wholly
// written by that, and the Seq of the last of them that has one.
func (q *queue) wrote(n int) (frames int, last event.Seq) {
	for n > 0 {
		q.skip()
		f := q.frames[q.head]
		rest := len(f.Bytes) - q.sent
		if n < rest {
			q.sent += n
			return frames, last
		}
		n -= rest
		q.frames[q.head] = nil
		q.head, q.sent = q.head+1, 0
		q.live--
		q.bytes -= len(f.Bytes)
		frames, last = frames+1, max(last, f.Seq)
	}
	if q.live == 0 {
		q.reset()
	}
	return frames, last
}

// take removes all frames and returns them.
func (q *queue) take() []*Frame {
	q.compact()
	frames := q.frames
	*q = queue{}
	return frames
}
