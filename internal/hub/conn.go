package hub

import (
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// conn is a stream in its shard, which alone touches it. Exactly one of socket
// and sub says how it is written. There are many: it is kept small.
type conn struct {
	id      uuid.UUID
	topics  []place
	filter  *event.Filter
	hook    func(why error, written event.Seq)
	expires int64  // of its token, in Unix nanoseconds; zero for never
	slot    uint32 // its place among the shard's conns
	whole   bool
	warned  bool // the client knows that its token is about to end
	dirty   bool // it is in the shard's list of those to be written

	last     event.Seq     // of the last frame queued or passed over
	reported event.Seq     // what positions last told
	touched  time.Duration // when something was last queued

	sub *Subscription // nil for a socket
	socket
}

// place is where a conn stands among a topic's followers.
type place struct {
	topic *topic
	at    int
}

// topic is those who follow one topic in a shard.
type topic struct {
	name  event.Topic
	conns []follower
}

// follower is a conn, and which of its topics this is.
type follower struct {
	conn  *conn
	place int
}

// socket is a connection that the shard writes itself.
type socket struct {
	fd         int32
	generation uint32 // tells it from those that had its slot before
	queue      queue
	written    event.Seq     // of the last frame wholly written
	blocked    time.Duration // since when the client takes nothing; zero while it does
	ending     error         // why it ends when all is written; nil while it lives
}

func newConn(s Stream, after event.Seq) *conn {
	c := &conn{id: s.ID, filter: s.Filter, whole: s.Whole, hook: s.Ended, last: after}
	if !s.Expires.IsZero() {
		c.expires = s.Expires.UnixNano()
	}
	c.topics = make([]place, len(s.Topics))
	for i, name := range s.Topics {
		c.topics[i].topic = &topic{name: name} // the shard's own takes its place
	}
	c.fd = -1
	return c
}

// position is the last Seq that was written.
func (c *conn) position() event.Seq {
	if c.sub != nil {
		return c.sub.position()
	}
	return c.written
}

func (c *conn) ended(why error) {
	if c.hook != nil {
		c.hook(why, c.position())
		c.hook = nil
	}
}
