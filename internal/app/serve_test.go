package app_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/internal/app"
)

// pipes is a listener whose connections are in memory, so that a bubble's clock
// drives their deadlines.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    *sync.Once
}

func newPipes() pipes { return pipes{make(chan net.Conn), make(chan struct{}), new(sync.Once)} }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	p.waiting <- there
	t.Cleanup(func() { _ = here.Close() })
	return here
}

// served runs the test against the server of a node, with nothing behind it.
func served(t *testing.T, test func(t *testing.T, at pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		at := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		go func() { done <- app.Serve(ctx, at, handler, slog.New(slog.DiscardHandler)) }()
		test(t, at)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A client that sends its head letter by letter is let go of after ten seconds,
// however steadily it sends.
func TestAHeadThatNeverEndsIsCutOff(t *testing.T) {
	t.Parallel()
	served(t, func(t *testing.T, at pipes) {
		t.Helper()
		conn, began := at.dial(t), time.Now()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: herald\r\nX-Slow: "); err != nil {
			t.Fatal(err)
		}
		for time.Since(began) < time.Minute {
			time.Sleep(time.Second)
			if _, err := io.WriteString(conn, "x"); err != nil {
				break
			}
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("it was cut off after %v, want ten seconds", took)
		}
	})
}

// A head that is too large is refused before it is all read; so is one that is none.
func TestHeadsThatAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100<<10)
	for name, tt := range map[string]struct {
		head string
		want int
	}{
		"a large header":             {"GET / HTTP/1.1\r\nHost: herald\r\nX-Large: " + long + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge},
		"many headers":               {"GET / HTTP/1.1\r\nHost: herald\r\n" + strings.Repeat("X-Many: 1234567890\r\n", 10_000) + "\r\n", http.StatusRequestHeaderFieldsTooLarge},
		"a large query":              {"GET /?" + long + " HTTP/1.1\r\nHost: herald\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge},
		"no host":                    {"GET / HTTP/1.1\r\n\r\n", http.StatusBadRequest},
		"a letter that is none":      {"GET / HTTP/1.1\r\nHost: herald\r\nX-Bad: a\x00b\r\n\r\n", http.StatusBadRequest},
		"a header in two lines":      {"GET / HTTP/1.1\r\nHost: herald\r\nX-Bad : a\r\n\r\n", http.StatusBadRequest},
		"two lengths":                {"POST / HTTP/1.1\r\nHost: herald\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", http.StatusBadRequest},
		"an encoding nobody knows":   {"POST / HTTP/1.1\r\nHost: herald\r\nTransfer-Encoding: gzip, x\r\n\r\n", http.StatusNotImplemented},
		"a length that is no number": {"POST / HTTP/1.1\r\nHost: herald\r\nContent-Length: -1\r\n\r\n", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served(t, func(t *testing.T, at pipes) {
				t.Helper()
				conn := at.dial(t)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					_, _ = io.WriteString(conn, tt.head) // the server may stop reading
				}()
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatal(err)
				}
				if answer.StatusCode != tt.want {
					t.Errorf("the answer is %s, want %d", answer.Status, tt.want)
				}
				_ = answer.Body.Close()
				_ = conn.Close()
				<-sent
			})
		})
	}
}
