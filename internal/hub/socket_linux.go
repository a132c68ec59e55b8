package hub

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TakesConnections is whether the hub can write connections itself on this
// system.
const TakesConnections = true

// Takes reports whether the hub can write the connection itself.
func Takes(conn net.Conn) bool {
	_, ok := conn.(*net.TCPConn)
	return ok
}

// notSent bounds what the kernel holds for a client that takes nothing, in
// bytes; it would be megabytes.
const notSent = 16 << 10

// detach takes the connection out of the runtime's hands: what is left is a
// descriptor that does not block, and costs nothing more.
func detach(conn net.Conn, timeout time.Duration) (fd int, err error) {
	defer conn.Close() //nolint:errcheck // the duplicate keeps it open
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return -1, fmt.Errorf("write to a %T: %w", conn, errors.ErrUnsupported)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, err
	}
	// TCPConn.File would make the socket, which the duplicate shares, block.
	controlErr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(controlErr, err); err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds())),
	)
	if err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

func closeFD(fd int) { _ = unix.Close(fd) } // nothing can be done about it

// readiness is what the kernel says of a socket.
type readiness struct {
	slot, generation uint32
	gone             bool // closed by the client, or broken
}

// sockets tells a shard which of its sockets can be written again and which are
// gone. The kernel is asked for the first time when there is one.
type sockets struct {
	ready      chan []readiness // nil until there is a socket
	generation uint32
	epoll      *os.File
	stop, done chan struct{}
}

// open begins to wait for the kernel, in a goroutine that close ends.
func (k *sockets) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime waits for it, and no thread does
		closeFD(fd)
		return fmt.Errorf("epoll: %w", err)
	}
	k.epoll = os.NewFile(uintptr(fd), "epoll")
	raw, err := k.epoll.SyscallConn()
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	k.ready, k.stop, k.done = make(chan []readiness), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(k.done)
		k.wait(raw)
	}()
	return nil
}

// close ends the waiting.
func (k *sockets) close() {
	if k.epoll == nil {
		return
	}
	close(k.stop)
	_ = k.epoll.Close() // wakes the one who waits
	<-k.done
}

// wait passes on what the kernel says until the epoll is closed. It writes into
// one list while the shard reads the other.
func (k *sockets) wait(raw syscall.RawConn) {
	const batch = 128
	var events [batch]unix.EpollEvent
	var lists [2][batch]readiness
	for turn := 0; ; turn = 1 - turn {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			var err error
			if n, err = unix.EpollWait(int(fd), events[:], 0); err != nil {
				n = 0
			}
			return n > 0
		})
		if err != nil {
			return
		}
		for i, e := range events[:n] {
			lists[turn][i] = readiness{
				slot: uint32(e.Fd), generation: uint32(e.Pad),
				gone: e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			}
		}
		select {
		case k.ready <- lists[turn][:n]:
		case <-k.stop:
			return
		}
	}
}

// watch asks the kernel to tell when the socket is gone, or can be written
// again after it could not.
func (s *shard) watch(c *conn) error {
	k := &s.sockets
	if k.epoll == nil {
		if err := k.open(); err != nil {
			return err
		}
	}
	k.generation++
	c.generation = k.generation
	err := unix.EpollCtl(int(k.epoll.Fd()), unix.EPOLL_CTL_ADD, int(c.fd), &unix.EpollEvent{
		Events: unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     int32(c.slot), Pad: int32(c.generation),
	})
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// handle does what the kernel's news ask for.
func (s *shard) handle(news []readiness) {
	for _, n := range news {
		c := s.conns[n.slot]
		switch {
		case c == nil || c.sub != nil || c.generation != n.generation:
			// It has been removed since.
		case n.gone:
			s.remove(c, ErrGone)
		case c.blocked != 0:
			s.write(c)
		}
	}
}

// write writes what waits for the client, as far as it takes it, and ends the
// stream when that was the last. It reports whether the stream is still there.
func (s *shard) write(c *conn) bool {
	for c.queue.live > 0 {
		data := c.queue.next(s.buffer)
		n, err := unix.Write(int(c.fd), data)
		switch {
		case err == nil:
			s.wrote(c, n)
		case errors.Is(err, unix.EAGAIN):
			if c.blocked == 0 {
				c.blocked = s.now
				s.counts.blocked++
			}
			return true
		case !errors.Is(err, unix.EINTR):
			s.remove(c, ErrGone)
			return false
		}
	}
	c.blocked = 0
	if c.ending != nil {
		s.remove(c, c.ending)
		return false
	}
	return true
}

func (s *shard) wrote(c *conn, n int) {
	frames, last := c.queue.wrote(n)
	c.written = max(c.written, last)
	s.counts.writes++
	s.counts.frames += frames
	s.counts.bytes += n
	if c.blocked != 0 {
		c.blocked = s.now
	}
}

// closeSocket closes a connection. One that ends in peace is emptied first: were
// anything unread, the kernel would reset the connection, and the client might
// lose what was written last.
func (s *shard) closeSocket(c *conn) {
	const most = 16 // reads, for a client that sends on and on
	if c.ending != nil {
		_ = unix.Shutdown(int(c.fd), unix.SHUT_WR)
		for range most {
			if n, err := unix.Read(int(c.fd), s.buffer[:cap(s.buffer)]); n <= 0 || err != nil {
				break
			}
		}
	}
	closeFD(int(c.fd))
	c.fd = -1
}
