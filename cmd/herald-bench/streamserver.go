package main

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/auth"
	"herald/internal/broker"
	"herald/internal/broker/brokertest"
	"herald/internal/bus"
	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/presence"
)

// node is Herald's stream engine put together as the program does it, but on a
// log of the bench's and without jobs.
type node struct {
	key    *auth.Key
	log    *slog.Logger
	source *countedLog
	bus    bus.Bus
	memory *brokertest.Log // nil: the log is a database's
	db     *postgres.DB    // nil: it is in memory
	config broker.Config
	text   []byte

	at   string       // where it listens
	stop func() error // ends what start began
}

func newNode(s setup) (*node, error) {
	key, err := auth.NewKey(s.Secret)
	if err != nil {
		return nil, err
	}
	n := &node{
		key: key, text: sampleText(), memory: &brokertest.Log{Keep: keptEvents},
		log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	n.source, n.bus = &countedLog{log: n.memory}, n.memory
	if s.Database != "" {
		if err := n.useDatabase(s.Database); err != nil {
			return nil, err
		}
	}
	return n, n.start()
}

// useDatabase makes the log that of the database, of which next to nothing is
// kept in memory, so that a client that resumes is served from the log.
func (n *node) useDatabase(url string) (err error) {
	if n.db, err = postgres.Open(context.Background(), url, postgres.Config{}); err != nil {
		return err
	}
	n.memory, n.config.Preload = nil, 1
	n.source, n.bus = &countedLog{log: n.db}, pgbus.New(n.db.Session, postgres.LogChannel, n.log)
	return nil
}

// start serves, as internal/app does.
func (n *node) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		cancel()
		return err
	}
	n.at = listener.Addr().String()
	streams := hub.New(hub.Config{Words: httpapi.StreamWords()})
	follower := broker.New(n.source, n.bus, streams, httpapi.EncodeEvent, n.log, n.config)
	tracker := presence.NewTracker("bench", present{streams}, unread{}, n.log, presence.Config{})
	server := &http.Server{
		Handler: httpapi.New(httpapi.Deps{
			Node: "bench", Log: n.log, Tokens: n.key, Snapshots: noJobs{}, Broker: follower, Hub: streams, Presence: tracker, App: embed.FS{},
		}),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
	var front, group errgroup.Group
	streaming, endStreams := context.WithCancel(ctx)
	front.Go(func() error { return streams.Run(streaming) })
	front.Go(func() error { return shutDown(streaming, server) })
	group.Go(func() error { return follower.Run(ctx) })
	group.Go(func() error { return tracker.Run(ctx) })
	limited := httpapi.LimitConnections(listener, httpapi.Limits{}, nil, httpapi.NewStreamMetrics(nil))
	group.Go(func() error {
		if err := server.Serve(limited); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	n.stop = func() error {
		endStreams()
		err := front.Wait()
		cancel()
		return errors.Join(err, group.Wait())
	}
	_, err = follower.Head(ctx)
	return err
}

// shutDown waits until ctx ends, and then for requests under way, but not for long.
func shutDown(ctx context.Context, server *http.Server) error {
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}

// noJobs is the snapshot of a fresh stream.
type noJobs struct{}

func (noJobs) ActiveJobs(context.Context, []event.Topic) ([]job.Job, error) { return []job.Job{}, nil }

func (n *node) address() string { return n.at }

func (n *node) publish(topic event.Topic, events int) (event.Seq, error) {
	if n.memory == nil {
		return 0, errors.New("the bench publishes to a log in memory alone")
	}
	return n.memory.Append(sample(topic, events, n.text)...), nil
}

func (n *node) head() event.Seq {
	_, head, err := n.source.log.Bounds(context.Background())
	if err != nil {
		n.log.Warn("head of the log", "error", err)
	}
	return head
}

func (n *node) queries() int64 { return n.source.queries.Load() }

func (n *node) restart() (ended time.Duration, err error) {
	began := time.Now()
	if err := n.stop(); err != nil {
		return 0, err
	}
	ended = time.Since(began)
	n.source.queries.Store(0)
	return ended, n.start()
}

func (n *node) close() error {
	err := n.stop()
	if n.db != nil {
		n.db.Close()
	}
	return err
}
