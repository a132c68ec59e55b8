package streamtest_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/broker/brokertest"
	"herald/internal/event"
	"herald/internal/sse"
)

// client is a browser with moods: it comes, stalls, leaves, and comes back to
// one node or the other, from the last seq it saw. Its fields are owned by run
// until that has returned.
type client struct {
	world  *world
	rng    *rand.Rand
	name   string
	user   event.Topic
	job    uuid.UUID
	topics []event.Topic
	token  string
	whole  bool // it wants every progress
	http2  bool

	started bool // it has had a cursor
	first   event.Seq
	last    event.Seq
	got     []event.Seq
	done    bool // it has seen a last event

	connects, resumes, cut int
}

func (w *world) newClient(i int) *client {
	rng := w.rng(uint64(1000 + i))
	user := w.userOf(i)
	name, _ := user.User()
	token, err := w.key.Issue(auth.Principal{User: name, Roles: []auth.Role{auth.RoleSupport}}, 24*time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client{
		world: w, rng: rng, name: fmt.Sprint("client ", i), user: user, job: w.jobs[rng.IntN(len(w.jobs))], token: token,
		whole: i%2 == 0, http2: i%8 == 7,
	}
	c.topics = []event.Topic{user, event.Everyone}
	if i%3 == 0 {
		c.topics = append(c.topics, event.JobTopic(c.job))
	}
	if i%5 == 0 { // much comes for it, so that stalls cost it the connection
		const many = 20
		for n := range many {
			if topic := w.userOf(i + 1 + n); topic != user {
				c.topics = append(c.topics, topic)
			}
		}
	}
	return c
}

// fault is something that must never be.
type fault struct{ text string }

func (f *fault) Error() string { return f.text }

// run connects again and again until it has seen a last event, which come some
// time after calm is closed: from then on it behaves.
func (c *client) run(ctx context.Context, calm <-chan struct{}) error {
	transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: c.http2, TLSClientConfig: clientTLS()}
	if !c.http2 {
		transport.TLSClientConfig = nil
	}
	defer transport.CloseIdleConnections()
	for !c.done {
		if err := c.connect(ctx, transport, calm); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-calm:
			pause(ctx, time.Duration(c.rng.IntN(100))*time.Millisecond)
		case <-time.After(time.Duration(c.rng.IntN(600)) * time.Millisecond):
		}
	}
	return nil
}

// connect opens a stream and follows it for a while. Only a fault is an error.
func (c *client) connect(ctx context.Context, transport *http.Transport, calm <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := c.world.nodes[c.rng.IntN(len(c.world.nodes))]
	query := "/api/sse?"
	for _, t := range c.topics {
		query += "topic=" + string(t) + "&"
	}
	if c.whole {
		query += "conflate=off"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url(c.http2)+query, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if c.started {
		r.Header.Set("Last-Event-ID", c.last.String())
		c.resumes++
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusServiceUnavailable:
		return nil // it stops
	case res.StatusCode != http.StatusOK:
		text, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return &fault{fmt.Sprintf("GET /api/sse = %d %s", res.StatusCode, text)}
	}
	c.connects++
	return c.follow(ctx, res.Body, calm)
}

// follow reads the stream until it ends or the client leaves.
func (c *client) follow(ctx context.Context, body io.Reader, calm <-chan struct{}) error {
	events := sse.NewReader(body, 1<<20)
	leave := c.rng.IntN(400) // after so many events
	for n := 0; ; n++ {
		e, err := events.Next()
		if err != nil {
			if n > 1 {
				c.cut++
			}
			return nil
		}
		if err := c.take(e); err != nil || c.done {
			return err
		}
		select {
		case <-calm:
			continue
		default:
		}
		if c.rng.IntN(200) == 0 { // it stalls
			pause(ctx, time.Duration(c.rng.IntN(3000))*time.Millisecond)
		}
		if n >= leave {
			return nil
		}
	}
}

// take notes an event, and sees a fault where one can be seen at once.
func (c *client) take(e sse.Event) error {
	switch e.Name {
	case "stream.reset", "stream.expired", "stream.expiring":
		return &fault{fmt.Sprintf("it was told %s: %s", e.Name, e.Data)}
	case "stream.open", "stream.closing":
		return nil // it has the id of the event before
	case "stream.snapshot":
		if c.started {
			return &fault{"it resumed, and got a snapshot"}
		}
	}
	seq, err := event.ParseCursor(e.ID)
	if err != nil {
		return err
	}
	if e.Name == "stream.snapshot" {
		c.started, c.first, c.last = true, seq, seq
		return nil
	}
	if seq <= c.last {
		return &fault{fmt.Sprintf("seq %d came after %d", seq, c.last)}
	}
	if !strings.Contains(e.Data, `"seq":`+e.ID+`,`) {
		return &fault{fmt.Sprintf("event %s has the data %.200s", e.ID, e.Data)}
	}
	c.last = seq
	c.got = append(c.got, seq)
	c.done = e.Name == string(lastType)
	return nil
}

// check compares what the client has got with the log: every event of its topics
// from its first cursor on, but for progress that a newer one could replace.
func (c *client) check(log *brokertest.Log) error {
	events, err := log.Events(context.Background(), c.first, int(c.last-c.first))
	if err != nil {
		return err
	}
	newest := make(map[uuid.UUID]event.Seq)
	var must, may []event.Seq
	for _, e := range events {
		if !slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return slices.Contains(c.topics, t) }) {
			continue
		}
		may = append(may, e.Seq)
		if c.whole || e.Type != event.JobProgress {
			must = append(must, e.Seq)
		} else {
			newest[e.JobID] = e.Seq
		}
	}
	for _, seq := range newest {
		must = append(must, seq)
	}
	slices.Sort(must)
	if missed := without(must, c.got); len(missed) > 0 {
		return &fault{fmt.Sprintf("%s missed %d of %d events: %v", c.name, len(missed), len(must), missed[:min(10, len(missed))])}
	}
	if strange := without(c.got, may); len(strange) > 0 {
		return &fault{fmt.Sprintf("%s got %d events that were not for it: %v", c.name, len(strange), strange[:min(10, len(strange))])}
	}
	return nil
}

// without returns what is in the first list, which is sorted, but not in the
// second, which is sorted too.
func without(list, others []event.Seq) []event.Seq {
	var left []event.Seq
	for _, seq := range list {
		if _, found := slices.BinarySearch(others, seq); !found {
			left = append(left, seq)
		}
	}
	return left
}
