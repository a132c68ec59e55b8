package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"herald/internal/event"
)

// patience bounds every wait for a server that is being measured.
const patience = time.Minute

// fleet is many clients on raw sockets, read by one goroutine. Each follows
// everyone's topic and one of its own, unless they stand aside.
type fleet struct {
	users   func(client int) string
	tokens  []string
	receive int  // the sockets' receive buffer in bytes; 0: the kernel's choice
	aside   bool // they follow their own topic alone

	firstSource int // the first of the addresses that they come from

	poll, bell int           // an epoll, and what wakes it for the last time
	done       chan struct{} // closed when the reader has ended
	buffer     []byte        // the reader's

	mu      sync.Mutex // guards the fields below; held while the reader reads
	clients []client
	opened  int   // clients who have a first frame
	got     int   // events since the expectation began
	sum     int64 // of their places
	first   int64 // nanoseconds of the clock at the first of them
	latest  int64 // and at the last
	stamps  []stamp
	stamped bool // note when each arrives
	ending  bool // the node stops: the connections may end, after the stream's last words
	err     error
	until   func() bool // what somebody waits for; nil: nobody does
	met     chan struct{}
}

// client is one connection.
type client struct {
	fd int // -1: none
	scanner
}

// newFleet returns a client for each token, which have not connected yet and come
// from the addresses from the source on.
func newFleet(tokens []string, users func(int) string, source int) (*fleet, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(err, unix.Close(poll))
	}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		return nil, errors.Join(err, unix.Close(poll), unix.Close(bell))
	}
	f := &fleet{
		users: users, tokens: tokens, firstSource: source, poll: poll, bell: bell, done: make(chan struct{}),
		buffer: make([]byte, 256<<10), clients: make([]client, len(tokens)),
	}
	for i := range f.clients {
		f.clients[i].fd = -1
	}
	go f.run()
	return f, nil
}

// run reads what the clients receive until the bell rings.
func (f *fleet) run() {
	defer close(f.done)
	events := make([]unix.EpollEvent, 512)
	for {
		n, err := unix.EpollWait(f.poll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		f.mu.Lock()
		f.fail(err)
		for _, e := range events[:max(n, 0)] {
			if e.Fd < 0 {
				f.mu.Unlock()
				return
			}
			f.read(int(e.Fd))
		}
		f.look()
		f.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// read takes what one client has received. The caller holds mu.
func (f *fleet) read(i int) {
	c := &f.clients[i]
	if c.fd < 0 {
		return // it was closed after it had become readable
	}
	n, err := unix.Read(c.fd, f.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return
	case err == nil && n == 0 && f.ending:
		if err := c.end(); err != nil {
			f.fail(fmt.Errorf("client %d, after event %d: %w", i, c.last, err))
		}
		f.drop(c)
		return
	case err != nil || n == 0:
		if err == nil {
			err = io.EOF
		}
		f.fail(fmt.Errorf("client %d lost its connection after event %d: %w", i, c.last, err))
		f.drop(c)
		return
	}
	now, open, got := time.Now().UnixNano(), c.open, f.got
	if err := c.feed(f.buffer[:n], func(seq event.Seq) {
		f.got++
		f.sum += int64(seq)
		if f.stamped {
			f.stamps = append(f.stamps, stamp{seq, now})
		}
	}); err != nil {
		f.fail(fmt.Errorf("client %d: %w", i, err))
		f.drop(c)
	}
	if c.open && !open {
		f.opened++
	}
	if f.got > got {
		f.latest = now
		if got == 0 {
			f.first = now
		}
	}
}

// fail notes the first error. The caller holds mu.
func (f *fleet) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// look tells who waits that it is over. The caller holds mu.
func (f *fleet) look() {
	if f.until != nil && (f.err != nil || f.until()) {
		close(f.met)
		f.until = nil
	}
}

// drop closes a client's connection. The caller holds mu.
func (f *fleet) drop(c *client) {
	if c.fd < 0 {
		return
	}
	if c.open {
		f.opened--
	}
	_ = unix.Close(c.fd)
	c.fd, c.began, c.open, c.partial = -1, false, false, nil
}

// leave lets the client not read any more what it receives. The caller holds mu.
func (f *fleet) leave(c *client) error {
	return unix.EpollCtl(f.poll, unix.EPOLL_CTL_DEL, c.fd, nil)
}

// each does something with every connection there is.
func (f *fleet) each(do func(fd int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.clients {
		if fd := f.clients[i].fd; fd >= 0 {
			do(fd)
		}
	}
}

// forget takes the clients back to where the event of the place was their last.
func (f *fleet) forget(after event.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.clients {
		f.clients[i].last = after
	}
}

// hangUp closes all connections; each client remembers its last event.
func (f *fleet) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.clients {
		f.drop(&f.clients[i])
	}
}

// close ends the fleet.
func (f *fleet) close() error {
	f.hangUp()
	_, err := unix.Write(f.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	if err == nil {
		<-f.done
	}
	return errors.Join(err, unix.Close(f.bell), unix.Close(f.poll))
}
