package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"herald/internal/event"
	"herald/internal/httpapi"
)

// bareLoop is what nothing can be faster than: it takes connections, and then
// writes the bytes of each publication to one descriptor after the other, without
// queues, checks or care for slow readers.
type bareLoop struct {
	listener int
	at       string
	done     chan struct{} // closed when no more connections are taken
	encoder

	mu      sync.RWMutex // guards the fields below
	all     []int
	byTopic map[event.Topic]int
}

// encoder gives events their places and makes them frames.
type encoder struct {
	last atomic.Int64
	text []byte
}

// frames returns events of a topic as bytes that can be written at once.
func (e *encoder) frames(topic event.Topic, events int) ([]byte, event.Seq, error) {
	var joined []byte
	var seq event.Seq
	for _, ev := range sample(topic, events, e.text) {
		seq = event.Seq(e.last.Add(1))
		ev.Seq = seq
		frame, err := httpapi.EncodeEvent(ev)
		if err != nil {
			return nil, 0, err
		}
		if events == 1 {
			return frame, seq, nil
		}
		joined = append(joined, frame...)
	}
	return joined, seq, nil
}

func (e *encoder) head() event.Seq { return event.Seq(e.last.Load()) }
func (*encoder) queries() int64    { return 0 }
func (*encoder) restart() (time.Duration, error) {
	return 0, errors.New("this engine has no log to come back to")
}

func newBareLoop() (*bareLoop, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(unix.Bind(fd, loopback), unix.Listen(fd, 4096)); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	bound, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return nil, fmt.Errorf("a socket of IPv4 has the name %T", name)
	}
	b := &bareLoop{
		listener: fd, at: fmt.Sprintf("127.0.0.1:%d", bound.Port), done: make(chan struct{}),
		encoder: encoder{text: sampleText()}, byTopic: make(map[event.Topic]int),
	}
	go b.accept()
	return b, nil
}

// accept takes connections until the listener is shut down.
func (b *bareLoop) accept() {
	defer close(b.done)
	for {
		fd, _, err := unix.Accept4(b.listener, unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
			continue
		}
		if err != nil {
			return
		}
		if err := b.take(fd); err != nil {
			_ = unix.Close(fd) // the client sees that, and fails
		}
	}
}

// take reads the request and begins the answer.
func (b *bareLoop) take(fd int) error {
	const longest = 4 << 10
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	request, n := make([]byte, longest), 0
	for !bytes.HasSuffix(request[:n], []byte("\r\n\r\n")) {
		got, err := unix.Read(fd, request[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if got == 0 {
			return errors.New("the request is cut short or too long")
		}
		n += got
	}
	_, after, _ := strings.Cut(string(request[:n]), "topic=")
	topic, _, _ := strings.Cut(after, "&")
	b.mu.Lock() // so that a client who has the head is also published to
	defer b.mu.Unlock()
	if err := errors.Join(unix.SetNonblock(fd, true), send(fd, []byte(bareHead))); err != nil {
		return err
	}
	b.all = append(b.all, fd)
	b.byTopic[event.Topic(topic)] = fd
	return nil
}

const bareHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: open\n\n"

func send(fd int, bytes []byte) error {
	n, err := unix.Write(fd, bytes)
	if err == nil && n < len(bytes) {
		err = unix.EAGAIN
	}
	if err != nil {
		return fmt.Errorf("the bare loop writes to a client: %w", err)
	}
	return nil
}

func (b *bareLoop) address() string { return b.at }

func (b *bareLoop) publish(topic event.Topic, events int) (event.Seq, error) {
	frames, seq, err := b.frames(topic, events)
	if err != nil {
		return 0, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if topic != event.Everyone {
		fd, ok := b.byTopic[topic]
		if !ok {
			return 0, fmt.Errorf("nobody follows %s", topic)
		}
		return seq, send(fd, frames)
	}
	for _, fd := range b.all {
		if err := send(fd, frames); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

func (b *bareLoop) close() error {
	err := unix.Shutdown(b.listener, unix.SHUT_RDWR)
	<-b.done
	err = errors.Join(err, unix.Close(b.listener))
	for _, fd := range b.all {
		err = errors.Join(err, unix.Close(fd))
	}
	return err
}
