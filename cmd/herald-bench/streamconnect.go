package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"herald/internal/auth"
	"herald/internal/event"
)

const (
	// perAddress is how many clients come from one address: fewer than a node lets
	// one have.
	perAddress = 500
	// connecting is how many clients at most wait for their first frame at once.
	connecting = 256
)

// tokens signs one for each client.
func tokens(secret []byte, clients int, users func(int) string) ([]string, error) {
	key, err := auth.NewKey(secret)
	if err != nil {
		return nil, err
	}
	signed := make([]string, clients)
	for i := range signed {
		if signed[i], err = key.Issue(auth.Principal{User: users(i), Roles: []auth.Role{auth.RoleUser}}, 24*time.Hour); err != nil {
			return nil, err
		}
	}
	return signed, nil
}

// connect connects all clients to the address and waits until each has a first
// frame; it returns how long that took. Those that resume say what the last event
// was that they have.
func (f *fleet) connect(ctx context.Context, address string, resume bool) (time.Duration, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for i := range f.clients {
		if i%(connecting/2) == 0 {
			if err := f.wait(ctx, "first frames", func() bool { return f.opened >= i-connecting/2 }); err != nil {
				return 0, err
			}
		}
		if err := f.dial(i, to, resume); err != nil {
			return 0, fmt.Errorf("connect client %d: %w", i, err)
		}
	}
	err = f.wait(ctx, "first frames", func() bool { return f.opened == len(f.clients) })
	return time.Since(began), err
}

// dial connects one client and sends its request.
func (f *fleet) dial(i int, to netip.AddrPort, resume bool) (err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Close(fd))
		}
	}()
	if err := f.prepare(fd, i); err != nil {
		return err
	}
	if err := reach(fd, to); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	request := f.request(i, to, resume)
	if n, err := unix.Write(fd, []byte(request)); err != nil || n < len(request) {
		return fmt.Errorf("%d bytes of the request were sent: %w", n, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := unix.EpollCtl(f.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
		return err
	}
	f.clients[i].fd = fd
	return nil
}

// reach connects the socket, and goes on waiting when a signal interrupts that.
func reach(fd int, to netip.AddrPort) error {
	err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	for errors.Is(err, unix.EINTR) {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(patience.Milliseconds()))
		if err != nil {
			continue
		}
		code, optionErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err = optionErr; code != 0 {
			err = unix.Errno(code)
		}
	}
	return err
}

// prepare sets up a client's socket before it connects. A connection that is
// closed is reset, so that its port is free at once.
func (f *fleet) prepare(fd, i int) error {
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	err := errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: f.source(i)}),
	)
	if f.receive > 0 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, f.receive))
	}
	return err
}

// source is the address that a client comes from.
func (f *fleet) source(i int) [4]byte {
	n := f.firstSource + i/perAddress
	return [4]byte{127, 1, byte(n >> 8), byte(n)}
}

func (f *fleet) request(i int, to netip.AddrPort, resume bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET /api/sse?topic=%s", event.UserTopic(f.users(i)))
	if !f.aside {
		fmt.Fprintf(&b, "&topic=%s", event.Everyone)
	}
	fmt.Fprintf(&b, " HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\n", to, f.tokens[i])
	if resume {
		fmt.Fprintf(&b, "Last-Event-ID: %s\r\n", f.clients[i].last)
	}
	b.WriteString("\r\n")
	return b.String()
}

// wait waits until it is so, or a client fails.
func (f *fleet) wait(ctx context.Context, what string, until func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	met := make(chan struct{})
	f.mu.Lock()
	f.until, f.met = until, met
	f.look()
	f.mu.Unlock()
	select {
	case <-met:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = nil
	if f.err != nil {
		return f.err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for %s: %w; %d clients are connected, %d events have come", what, err, f.opened, f.got)
	}
	return nil
}
