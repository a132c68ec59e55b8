package streamtest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"herald/internal/auth"
	"herald/internal/broker"
	"herald/internal/broker/brokertest"
	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/hub"
	"herald/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lastType is of the events that end it all.
const lastType event.Type = "test.last"

// world is nodes on one log, and their clients.
type world struct {
	t       *testing.T
	seed    uint64
	burst   int // events at once, at most
	log     *brokertest.Log
	key     *auth.Key
	nodes   []*node
	clients []*client
	jobs    []uuid.UUID // one of each user

	mu       sync.Mutex // guards the field below
	restarts int
}

func newWorld(t *testing.T, seed uint64, clients int) *world {
	t.Helper()
	key, err := auth.NewKey(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, seed: seed, log: &brokertest.Log{}, key: key}
	for range max(clients/5, 40) {
		w.jobs = append(w.jobs, uuid.New())
	}
	for i := range 2 {
		n := &node{world: w, number: i}
		w.nodes = append(w.nodes, n)
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(w.stop)
	for i := range clients {
		w.clients = append(w.clients, w.newClient(i))
	}
	return w
}

func (w *world) head(t *testing.T) event.Seq {
	t.Helper()
	_, head, err := w.log.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// stop stops every node that runs.
func (w *world) stop() {
	for _, n := range w.nodes {
		if err := n.stop(); err != nil {
			w.t.Error(err)
		}
	}
}

// anyEvent is of some job, for its owner and now and then for everybody.
func (w *world) anyEvent(rng *rand.Rand) event.Event {
	n := rng.IntN(len(w.jobs))
	p := event.Pending{
		ID: uuid.New(), Type: event.JobProgress, JobID: w.jobs[n], CreatedAt: time.Now(),
		Topics:  []event.Topic{w.userOf(n), event.JobTopic(w.jobs[n])},
		Payload: fmt.Appendf(nil, `{"text":%q}`, bytes.Repeat([]byte("x"), rng.IntN(3000))),
	}
	if rng.IntN(3) == 0 {
		p.Type = event.JobStep
	}
	if rng.IntN(50) == 0 {
		p.Topics = append(p.Topics, event.Everyone)
	}
	return event.Event{Pending: p}
}

func (w *world) userOf(n int) event.Topic { return event.UserTopic(fmt.Sprint(n % len(w.jobs))) }

// node is a server that can be stopped and started again.
type node struct {
	world  *world
	number int

	mu     sync.Mutex // guards the fields below
	plain  string     // its addresses, others at each start
	secure string
	end    func() error // nil while it is stopped
}

// start serves over HTTP/1.1, and with TLS over HTTP/2, until stop.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	streams := hub.New(hub.Config{
		Words: httpapi.StreamWords(), Heartbeat: time.Second, WriteTimeout: 5 * time.Second, QueueFrames: 64, QueueBytes: 64 << 10, Drain: 2 * time.Second,
	})
	// Little memory, so that many resume from before it.
	follower := broker.New(n.world.log, n.world.log, streams, httpapi.EncodeEvent, log, broker.Config{Memory: 256 << 10, Preload: 100, Page: 100})
	handler := httpapi.New(httpapi.Deps{
		Node: fmt.Sprint("node", n.number), Log: log, Tokens: n.world.key, Snapshots: noJobs{}, Accesses: noAccesses{}, Broker: follower, Hub: streams, App: fstest.MapFS{},
		Limits: httpapi.Limits{PerUser: 1 << 20, PerAddress: 1 << 20},
	})
	plain, err := listen()
	if err != nil {
		return err
	}
	secure, err := listen()
	if err != nil {
		return errors.Join(err, plain.Close())
	}
	n.plain, n.secure = plain.Addr().String(), secure.Addr().String()
	quiet := slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	servers := []*httptest.Server{
		{Listener: plain, Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: quiet}},
		{Listener: secure, Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: quiet}, EnableHTTP2: true},
	}
	servers[0].Start()
	servers[1].StartTLS()
	ctx, cancel := context.WithCancel(context.Background())
	following, stopFollowing := context.WithCancel(context.Background())
	var group errgroup.Group
	group.Go(func() error { return streams.Run(ctx) })
	group.Go(func() error { return follower.Run(following) })
	n.end = func() error {
		cancel()
		for _, s := range servers {
			s.Close()
		}
		stopFollowing()
		return group.Wait()
	}
	return nil
}

func listen() (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// url is where the node is to be found, now or when it last ran.
func (n *node) url(http2 bool) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if http2 {
		return "https://" + n.secure
	}
	return "http://" + n.plain
}

func (n *node) stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.end == nil {
		return nil
	}
	end := n.end
	n.end = nil
	return end()
}

// noJobs is what a fresh stream begins with.
type noJobs struct{}

func (noJobs) ActiveJobs(context.Context, []event.Topic) ([]job.Job, error) { return []job.Job{}, nil }

// noAccesses takes what support reads, and keeps nothing of it.
type noAccesses struct{}

func (noAccesses) RecordAccess(context.Context, auth.Access) error { return nil }

func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
}
