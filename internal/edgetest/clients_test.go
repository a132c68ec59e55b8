package edgetest_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gosse "github.com/tmaxmax/go-sse"

	"herald/internal/sse"
)

// received is what a client got: the payloads in their order.
type received struct {
	payloads []string
	last     uint64 // id
}

// take adds an event, whose id must be larger than the one before.
func (r *received) take(t *testing.T, id, data string) {
	t.Helper()
	var e struct{ Data string }
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		t.Errorf("the event %q: %v", data, err)
	}
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil || seq <= r.last {
		t.Errorf("an event with the id %q came after %d", id, r.last)
	}
	r.payloads, r.last = append(r.payloads, e.Data), seq
}

// A client that others wrote, told nothing of Herald but the address, gets each
// event once and in order across the restart of its node.
func TestGoSSE(t *testing.T) {
	t.Parallel()
	for _, proto := range []int{1, 2} {
		t.Run("HTTP/"+strconv.Itoa(proto), func(t *testing.T) {
			t.Parallel()
			var roots *x509.CertPool
			var n *node
			if proto == 2 {
				n, _, roots = newTLSNode(t)
			} else {
				n = newNode(t)
			}
			const phase = 30
			got := followWithGoSSE(t, n, n.direct(proto, roots).client(t))
			n.publish(numbers(0, phase)...)
			await(t, "the first events", func() bool { return len(got.seen()) >= phase })
			n.stop()
			n.publish(numbers(phase, 2*phase)...)
			n.start()
			n.publish(append(numbers(2*phase, 3*phase), end)...)
			<-got.done
			if diff := cmp.Diff(append(numbers(0, 3*phase), end), got.seen()); diff != "" {
				t.Errorf("it got, -want +got:\n%s", diff)
			}
		})
	}
}

// following is a client at work.
type following struct {
	events chan received // one value, that of now
	done   chan struct{} // closed when it has ended
}

func (f following) seen() []string {
	r := <-f.events
	defer func() { f.events <- r }()
	return slices.Clone(r.payloads)
}

// end is the payload after which a client stops.
const end = "end"

// followWithGoSSE follows the node to the end. It returns once the stream is
// open.
func followWithGoSSE(t *testing.T, n *node, client *http.Client) following {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url("/api/sse?topic="+string(topic)), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+n.token)
	c := gosse.Client{HTTPClient: client, Backoff: gosse.Backoff{InitialInterval: 10 * time.Millisecond}}
	conn := c.NewConnection(req)
	f := following{events: make(chan received, 1), done: make(chan struct{})}
	f.events <- received{}
	opened := make(chan struct{}, 1)
	conn.SubscribeEvent("stream.snapshot", func(gosse.Event) { opened <- struct{}{} })
	conn.SubscribeEvent("notification.test", func(e gosse.Event) {
		r := <-f.events
		r.take(t, e.LastEventID, e.Data)
		f.events <- r
		if slices.Contains(r.payloads, end) {
			cancel()
		}
	})
	go func() {
		defer close(f.done)
		if err := conn.Connect(); !errors.Is(err, context.Canceled) {
			t.Errorf("Connect() = %v", err)
		}
	}()
	<-opened
	return f
}

// curl is one that follows a node.
type curl struct {
	t   *testing.T
	cmd *exec.Cmd
	r   *sse.Reader
}

// startCurl starts a curl that prints the node's stream.
func startCurl(t *testing.T, n *node, args ...string) *curl {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	args = append(args, "--no-progress-meter", "--fail", "--no-buffer", "--header", "Authorization: Bearer "+n.token, n.url("/api/sse?topic="+string(topic)))
	cmd := exec.CommandContext(ctx, "curl", args...)
	said := &logText{}
	cmd.Stderr = said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; '.ci/packages curl' installs it", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("curl said: %s", &said.text)
		}
	})
	return &curl{t: t, cmd: cmd, r: sse.NewReader(stdout, 1<<20)}
}

// next reads an event, which must have the name.
func (c *curl) next(name string) sse.Event {
	c.t.Helper()
	e, err := c.r.Next()
	if err != nil || e.Name != name {
		_ = c.cmd.Wait()
		c.t.Fatalf("curl printed %+v, %v, want %s", e, err, name)
	}
	return e
}

// ends waits for curl's end, which must be a good one.
func (c *curl) ends() {
	c.t.Helper()
	if e, err := c.r.Next(); !errors.Is(err, io.EOF) {
		c.t.Errorf("curl printed %+v, %v, want the end", e, err)
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("curl ended with %v, want a stream that ends as it should", err)
	}
}

// curl prints events as they come, and goes on with the last id that it has
// seen.
func TestCurl(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--http1.1"}, {"--http1.0"}, {"--http2"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			var n *node
			if args[0] == "--http2" {
				var f files
				n, f, _ = newTLSNode(t)
				args = append(args, "--cacert", f.cert)
			} else {
				n = newNode(t)
			}
			c := startCurl(t, n, args...)
			c.next("stream.open")
			c.next("stream.snapshot")
			var got received
			for _, payload := range numbers(0, 20) {
				n.publish(payload)
				e := c.next("notification.test")
				got.take(t, e.ID, e.Data)
			}
			n.stop()
			c.next("stream.closing")
			c.ends()
			n.publish(numbers(20, 40)...)
			n.start()
			n.publish(numbers(40, 60)...)
			c = startCurl(t, n, append(args, "--header", "Last-Event-ID: "+strconv.FormatUint(got.last, 10))...)
			c.next("stream.open")
			for range 40 {
				e := c.next("notification.test")
				got.take(t, e.ID, e.Data)
			}
			if diff := cmp.Diff(numbers(0, 60), got.payloads); diff != "" {
				t.Errorf("curl printed, -want +got:\n%s", diff)
			}
			n.stop()
			c.next("stream.closing")
			c.ends()
		})
	}
}
