package hub

import (
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

const (
	// mailboxSize is how many messages may wait for a shard before the sender does.
	mailboxSize = 64
	// joinWrite is how much is written at once where much waits, in bytes.
	joinWrite = 64 << 10
)

// shard is one goroutine that alone owns some of the streams and the index of
// their topics. The others send it what to do.
type shard struct {
	hub     *Hub
	config  *Config
	mailbox chan func()
	began   time.Time

	// Owned by run.
	now      time.Duration // since began; read once for each message
	conns    []*conn       // by slot; nil where a slot is free
	free     []uint32
	byID     map[uuid.UUID]*conn
	topics   map[event.Topic]*topic
	dirty    []*conn // those with something new to be written
	buffer   []byte  // frames are joined here
	beat     *Frame
	open     int
	draining bool
	over     bool
	sockets  sockets
	counts   counts
}

func newShard(h *Hub) *shard {
	return &shard{
		hub: h, config: &h.config, mailbox: make(chan func(), mailboxSize), began: time.Now(),
		byID: make(map[uuid.UUID]*conn), topics: make(map[event.Topic]*topic), buffer: make([]byte, 0, joinWrite),
		beat: &Frame{Bytes: h.config.Words.Heartbeat},
	}
}

// send has the shard do something. It reports false when the hub has ended.
func (s *shard) send(do func()) bool {
	s.hub.sending.RLock()
	defer s.hub.sending.RUnlock()
	select {
	case <-s.hub.done:
		return false
	default:
	}
	select {
	case s.mailbox <- do:
		return true
	case <-s.hub.done:
		return false
	}
}

// run does what the shard is sent until ctx ends, and then ends its streams.
func (s *shard) run(ctx context.Context) {
	defer s.sockets.close()
	ticker := time.NewTicker(s.tickTime())
	defer ticker.Stop()
	for ctx.Err() == nil {
		s.step(ctx.Done(), nil, ticker.C)
	}
	s.drain(ctx, ticker.C)
}

// tickTime is how often the shard looks at the clock.
func (s *shard) tickTime() time.Duration {
	const parts = 8
	least := min(s.config.Heartbeat, s.config.WriteTimeout, s.config.Notice)
	return max(min(least/parts, time.Second), time.Millisecond)
}

// step waits for one thing to do and does it, and whatever else is there by now,
// then writes: so what comes together goes out together.
func (s *shard) step(stop, idle <-chan struct{}, tick <-chan time.Time) {
	select {
	case <-stop:
		return
	case <-idle:
		return
	case do := <-s.mailbox:
		s.look()
		do()
		s.doWaiting()
	case events := <-s.sockets.ready:
		s.look()
		s.handle(events)
	case <-tick:
		s.look()
		s.tick()
	}
	s.flush()
	s.counts.add(s.config.Metrics)
}

// doWaiting does what else is in the mailbox, but not for ever.
func (s *shard) doWaiting() {
	for range mailboxSize {
		select {
		case do := <-s.mailbox:
			do()
		default:
			return
		}
	}
}

func (s *shard) look() { s.now = max(time.Since(s.began), 1) }

// add takes in a stream.
func (s *shard) add(c *conn) {
	c.touched = s.now
	if n := len(s.free); n > 0 {
		c.slot, s.free = s.free[n-1], s.free[:n-1]
	} else {
		c.slot = uint32(len(s.conns))
		s.conns = append(s.conns, nil)
	}
	s.conns[c.slot] = c
	s.byID[c.id] = c
	s.open++
	for i := range c.topics {
		s.follow(c, i)
	}
	s.counts.opened++
	if s.draining {
		s.sayClosing(c)
	}
}

// addSocket takes in a stream with its connection.
func (s *shard) addSocket(c *conn, to net.Conn) {
	if s.over {
		_ = to.Close()
		c.ended(ErrClosing)
		return
	}
	fd, err := detach(to, s.config.WriteTimeout)
	if err != nil {
		c.ended(err)
		return
	}
	c.fd = int32(fd)
	s.add(c)
	if err := s.watch(c); err != nil {
		s.remove(c, err)
		return
	}
	s.touch(c)
}

// follow enters the conn among its i-th topic's followers.
func (s *shard) follow(c *conn, i int) {
	t := s.topics[c.topics[i].topic.name]
	if t == nil {
		t = c.topics[i].topic
		s.topics[t.name] = t
	}
	c.topics[i] = place{topic: t, at: len(t.conns)}
	t.conns = append(t.conns, follower{conn: c, place: i})
}

// unfollow takes the conn out of its i-th topic's followers: the last one takes
// its place.
func (s *shard) unfollow(c *conn, i int) {
	p := c.topics[i]
	last := len(p.topic.conns) - 1
	moved := p.topic.conns[last]
	p.topic.conns[p.at] = moved
	moved.conn.topics[moved.place].at = p.at
	p.topic.conns[last] = follower{}
	p.topic.conns = p.topic.conns[:last]
	if last == 0 {
		delete(s.topics, p.topic.name)
	}
}

// remove lets go of a stream, if that has not been done.
func (s *shard) remove(c *conn, why error) {
	if s.byID[c.id] != c {
		return
	}
	for i := range c.topics {
		s.unfollow(c, i)
	}
	delete(s.byID, c.id)
	s.conns[c.slot] = nil
	s.free = append(s.free, c.slot)
	s.open--
	s.counts.opened--
	s.config.Metrics.ended.WithLabelValues(Reason(why)).Inc()
	c.ended(why) // before the client can know, so that it finds its place free when it comes back
	if c.sub == nil {
		s.closeSocket(c)
	}
}

// drop ends a stream at once, whatever still waits for it.
func (s *shard) drop(c *conn, why error) {
	if c.sub != nil {
		c.sub.drop(why)
	}
	s.remove(c, why)
}

// finish ends a stream after what waits for it.
func (s *shard) finish(c *conn, why error) {
	switch {
	case c.sub != nil:
		c.sub.end(why)
		s.remove(c, why)
	case c.ending == nil:
		c.ending = why
		s.touch(c)
	}
}

// publish queues the frames for those who follow them.
func (s *shard) publish(frames []*Frame) {
	for _, f := range frames {
		s.deliverTo(s.topics[event.WholeLog], f)
		for _, name := range f.Topics {
			if t := s.topics[name]; t != nil {
				s.deliverTo(t, f)
			} else if id, ok := name.Client(); ok && s.byID[id] != nil {
				s.deliver(s.byID[id], f)
			}
		}
	}
}

// deliverTo queues a frame for those who follow a topic; nil is one that nobody
// follows.
func (s *shard) deliverTo(t *topic, f *Frame) {
	if t == nil {
		return
	}
	// From the end, since a stream that is too slow is removed on the way.
	for _, follows := range slices.Backward(t.conns) {
		s.deliver(follows.conn, f)
	}
}

// deliver queues a frame that the stream has not had.
func (s *shard) deliver(c *conn, f *Frame) {
	if f.Seq <= c.last || c.ending != nil {
		return
	}
	c.last = f.Seq
	if c.filter.Match(f.Type, f.Metadata) && !f.Expired() {
		s.enqueue(c, f)
	}
}

// enqueue queues a frame. Where there is no room, a client that takes what is
// written gets that first; another one is too slow.
func (s *shard) enqueue(c *conn, f *Frame) {
	if s.push(c, f, s.config.QueueFrames, s.config.QueueBytes) {
		return
	}
	if c.sub == nil && c.blocked == 0 && s.write(c) && s.push(c, f, s.config.QueueFrames, s.config.QueueBytes) {
		return
	}
	s.drop(c, ErrSlow)
}

// push queues a frame, if there is room by these bounds.
func (s *shard) push(c *conn, f *Frame, maxFrames, maxBytes int) bool {
	c.touched = s.now
	if c.sub != nil {
		return c.sub.push(f, !c.whole, maxFrames, maxBytes)
	}
	if !c.queue.push(f, !c.whole, maxFrames, maxBytes) {
		return false
	}
	s.touch(c)
	return true
}

// touch enters a socket among those that are to be written.
func (s *shard) touch(c *conn) {
	if !c.dirty && c.blocked == 0 {
		c.dirty = true
		s.dirty = append(s.dirty, c)
	}
}

// flush writes what is new.
func (s *shard) flush() {
	for i, c := range s.dirty {
		s.dirty[i] = nil
		c.dirty = false
		if s.conns[c.slot] == c && c.blocked == 0 {
			s.write(c)
		}
	}
	s.dirty = s.dirty[:0]
}

// tick does what is due by the clock.
func (s *shard) tick() {
	wall := time.Now().UnixNano()
	for _, c := range s.conns {
		if c == nil {
			continue
		}
		if c.blocked != 0 {
			if s.now-c.blocked >= s.config.WriteTimeout {
				s.drop(c, ErrWriteTimeout)
			}
			continue
		}
		if c.expires != 0 && wall >= c.expires-int64(s.config.Notice) {
			s.expire(c, wall)
		} else if s.now-c.touched >= s.quiet(c) {
			s.say(c, s.beat)
		}
	}
}

// quiet is how long a stream may be silent: each another time, so that those
// that were opened together do not beat together.
func (s *shard) quiet(c *conn) time.Duration {
	const fifth, steps = 5, 256
	spread := s.config.Heartbeat / fifth
	return s.config.Heartbeat - spread*time.Duration(c.id[len(c.id)-2])/steps
}

// expire says that the token ends soon, and ends the stream when it has. A
// client may count on the order.
func (s *shard) expire(c *conn, wall int64) {
	if !c.warned {
		c.warned = true
		s.say(c, &Frame{Bytes: s.config.Words.Expiring(time.Unix(0, c.expires).UTC())})
	}
	switch {
	case wall >= c.expires:
		s.say(c, &Frame{Bytes: s.config.Words.Expired()})
		s.finish(c, ErrExpired)
	case s.now-c.touched >= s.quiet(c):
		s.say(c, s.beat)
	}
}

// say queues something of the stream itself: little, seldom, and so whatever the
// bounds.
func (s *shard) say(c *conn, words *Frame) {
	if len(words.Bytes) > 0 && c.ending == nil {
		s.push(c, words, math.MaxInt, math.MaxInt)
	}
}

func (s *shard) sayClosing(c *conn) {
	s.say(c, &Frame{Bytes: s.config.Words.Closing()})
	s.finish(c, ErrClosing)
}

// drain tells every stream that the node stops, those that are being opened too,
// and waits until each has that, but not for ever.
func (s *shard) drain(ctx context.Context, tick <-chan time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Drain)
	defer cancel()
	s.look()
	s.doWaiting() // what was published before the end still goes out
	s.draining = true
	s.each(s.sayClosing)
	s.flush()
	for ctx.Err() == nil && !s.hub.isIdle() {
		s.step(ctx.Done(), s.hub.idle, tick)
	}
	s.doWaiting()
	s.flush()
	for ctx.Err() == nil && s.open > 0 {
		s.step(ctx.Done(), nil, tick)
	}
	s.cut()
}

// cut ends every stream at once.
func (s *shard) cut() {
	s.over = true
	s.each(func(c *conn) { s.drop(c, ErrClosing) })
	s.counts.add(s.config.Metrics)
}

// each does something with every stream there is.
func (s *shard) each(do func(*conn)) {
	for _, c := range slices.Clone(s.conns) {
		if c != nil {
			do(c)
		}
	}
}

func (s *shard) disconnect(id uuid.UUID, why error) {
	c := s.byID[id]
	if c == nil {
		return
	}
	if errors.Is(why, ErrExpired) {
		s.say(c, &Frame{Bytes: s.config.Words.Expired()})
	}
	s.finish(c, why)
}

// positions returns the streams that have been written to since the last call.
func (s *shard) positions() []Position {
	var list []Position
	for _, c := range s.conns {
		if c == nil {
			continue
		}
		if at := c.position(); at != c.reported {
			c.reported = at
			list = append(list, Position{ID: c.id, Written: at})
		}
	}
	return list
}
