package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// httpLoadCmd is the process that publishes: an httpLoad comes in, an httpLoaded goes
// out.
type httpLoadCmd struct{}

// httpLoad is what publishers are to send, again and again.
type httpLoad struct {
	Address, Path, Token string
	Bodies               []string // of each publisher
	Keyed                bool     // each request has an idempotency key of its own
	Slice                time.Duration
}

// httpLoaded is what became of it.
type httpLoaded struct {
	Took  time.Duration
	CPU   time.Duration
	Waits []float64 // for each answer, in milliseconds
}

// Run publishes. It keeps to one core, whatever there is.
func (*httpLoadCmd) Run(ctx context.Context) error {
	runtime.GOMAXPROCS(1)
	var l httpLoad
	if err := json.NewDecoder(os.Stdin).Decode(&l); err != nil {
		return err
	}
	result, err := l.publish(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// run publishes in a process of its own, which the kernel ends should we be killed.
func (l httpLoad) run(ctx context.Context) (result httpLoaded, err error) {
	runtime.LockOSThread() // the kernel's signal comes when the thread that started the process ends
	defer runtime.UnlockOSThread()
	program, err := os.Executable()
	if err != nil {
		return result, err
	}
	order, err := json.Marshal(l)
	if err != nil {
		return result, err
	}
	cmd := exec.CommandContext(ctx, program, "http-load")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(order), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	answer, err := cmd.Output()
	if err != nil {
		return result, fmt.Errorf("the load: %w", err)
	}
	return result, json.Unmarshal(answer, &result)
}

func (l httpLoad) publish(ctx context.Context) (result httpLoaded, err error) {
	conns := make([]*publishConn, len(l.Bodies))
	for i, body := range l.Bodies {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Address)
		if err != nil {
			return result, err
		}
		defer conn.Close() //nolint:errcheck // all answers are in
		if err := conn.SetDeadline(time.Now().Add(l.Slice + patience)); err != nil {
			return result, err
		}
		conns[i] = l.on(conn, body)
	}
	before, err := currentUsage()
	if err != nil {
		return result, err
	}
	began := time.Now()
	var group errgroup.Group
	for _, c := range conns {
		group.Go(func() error {
			for { // at least once, however late it runs
				at := time.Now()
				if err := c.request(); err != nil {
					return err
				}
				c.waits = append(c.waits, milliseconds(time.Since(at)))
				if time.Since(began) >= l.Slice {
					return nil
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return result, err
	}
	result.Took = time.Since(began)
	after, err := currentUsage()
	result.CPU = after.CPU - before.CPU
	for _, c := range conns {
		result.Waits = append(result.Waits, c.waits...)
	}
	return result, err
}

// on returns the publisher of the body on the connection.
func (l httpLoad) on(conn net.Conn, body string) *publishConn {
	c := &publishConn{conn: conn, answers: bufio.NewReader(conn)}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		l.Path, l.Address, l.Token, len(body))
	if l.Keyed {
		head += "Idempotency-Key: "
		c.keyAt = len(head)
		head += uuid.Nil.String() + "\r\n"
	}
	c.text = []byte(head + "\r\n" + body)
	return c
}

// publishConn is one publisher's connection. It is written and read by hand, so
// that the load costs little beside the server.
type publishConn struct {
	conn    net.Conn
	answers *bufio.Reader
	text    []byte
	keyAt   int // where in the text the key stands; 0: there is none
	waits   []float64
}

func (c *publishConn) request() error {
	if c.keyAt > 0 {
		copy(c.text[c.keyAt:], uuid.NewString())
	}
	if _, err := c.conn.Write(c.text); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusOK {
		_, err = io.Copy(io.Discard, res.Body)
		return errors.Join(err, res.Body.Close())
	}
	answer, err := io.ReadAll(res.Body)
	return errors.Join(fmt.Errorf("answered with %s %s", res.Status, answer), err, res.Body.Close())
}
