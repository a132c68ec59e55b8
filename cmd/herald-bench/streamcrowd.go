package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// crowd is clients who do what no client should.
type crowd struct {
	silent  *fleet // follow everyone's topic and never read
	slow    *fleet // read a byte a second of it
	talkers *fleet // send and send where nobody listens
	passers *fleet // connect and are gone, one after the other

	doing sync.WaitGroup // what slow clients and talkers do
	cease context.CancelFunc
	pass  errgroup.Group // what passers do
	began time.Time
	met   int // passers that have been there; owned by pass
}

// gather connects a crowd and has it begin. The caller disperses it.
func (b *streamBench) gather(ctx context.Context, address string) (*crowd, error) {
	const smallest = 1 // the kernel's least buffer
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	doing, cease := context.WithCancel(ctx)
	c := &crowd{cease: cease}
	for _, kind := range []struct {
		fleet   **fleet
		clients int
	}{{&c.silent, b.plan.share(10)}, {&c.slow, b.plan.share(20)}, {&c.talkers, b.plan.share(50)}, {&c.passers, b.plan.share(100)}} {
		f, err := b.fleet(kind.clients, userName)
		if err != nil {
			return nil, errors.Join(err, c.disperse())
		}
		*kind.fleet = f
	}
	c.silent.receive, c.slow.receive, c.talkers.aside = smallest, smallest, true
	for _, f := range []*fleet{c.silent, c.slow, c.talkers} {
		if _, err := f.connect(ctx, address, false); err != nil {
			return nil, errors.Join(err, c.disperse())
		}
	}
	if err := errors.Join(c.silent.stall(), c.slow.stall()); err != nil {
		return nil, errors.Join(err, c.disperse())
	}
	c.begin(doing, to)
	return c, nil
}

// share is one in so many of all connections.
func (p streamPlan) share(in int) int { return max(p.connections/in, 1) }

// begin has the clients do what they do until ctx ends.
func (c *crowd) begin(ctx context.Context, to netip.AddrPort) {
	const aByte, aLot = time.Second, 10 * time.Millisecond
	c.began = time.Now()
	read, nonsense := make([]byte, 1), make([]byte, 16<<10)
	// What comes of it does not matter: whom the server ends has no more to do.
	c.doing.Go(func() {
		every(ctx, aByte, func() { c.slow.each(func(fd int) { _, _ = unix.Read(fd, read) }) })
	})
	c.doing.Go(func() {
		every(ctx, aLot, func() { c.talkers.each(func(fd int) { _, _ = unix.Write(fd, nonsense) }) })
	})
	c.pass.Go(func() error {
		for ; ctx.Err() == nil; c.met++ {
			// Who comes too fast is reset, sooner or later.
			if err := c.passers.pass(c.met, to); err != nil && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
				return fmt.Errorf("connect after %d connections: %w", c.met, err)
			}
		}
		return nil
	})
}

// every does something again and again until ctx ends.
func every(ctx context.Context, gap time.Duration, do func()) {
	ticker := time.NewTicker(gap)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// disperse ends the crowd. All its connections are reset.
func (c *crowd) disperse() error {
	c.cease()
	c.doing.Wait()
	err := c.pass.Wait()
	for _, f := range []*fleet{c.silent, c.slow, c.talkers, c.passers} {
		if f != nil {
			err = errors.Join(err, f.close())
		}
	}
	return err
}

// rate is how many passers came a second, of a crowd that is dispersed.
func (c *crowd) rate(until time.Time) float64 { return float64(c.met) / until.Sub(c.began).Seconds() }

// pass connects and closes the connection, in one of four ways in turn: before
// anything is said, in the middle of a request, with a stream on its way, or in
// order at the same point. All but the last reset it. All come from one address.
func (f *fleet) pass(nth int, to netip.AddrPort) (err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := errors.Join(f.prepare(fd, 0), reach(fd, to)); err != nil {
		return err
	}
	const ways = 4
	request := f.request(nth/ways%len(f.clients), to, false)
	switch nth % ways {
	case 0:
		return nil
	case 1:
		request = request[:len(request)/2]
	case 2:
	default:
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}); err != nil {
			return err
		}
	}
	_, err = unix.Write(fd, []byte(request))
	return err
}
