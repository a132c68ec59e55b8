package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"sync"
	"time"

	"herald/internal/event"
)

// streamServerCmd is the process that serves streams while they are measured. It
// takes its orders from the bench, which starts it, and ends when that does.
type streamServerCmd struct{}

// setup is the first line that a server process reads.
type setup struct {
	Engine   string // ours, bare or ordinary
	Secret   []byte // signs the clients' tokens
	Database string // URL of the log to serve; empty: one in memory
}

// order is each line after it, one thing to do.
type order struct {
	Profile  string // file for a CPU profile from now until the end; empty: none
	Publish  *publishing
	Restart  bool          // end the node and start another on the same log
	Amid     time.Duration // from one event for everyone to the next while that is done; zero: none
	Resident bool          // tell what is in memory, and what is open
	Usage    bool
}

// answer is the line that answers setup and each order.
type answer struct {
	Error       string
	Address     string // where streams are served
	Publish     published
	Ended       time.Duration // how long a node took to end
	Resident    int64         // bytes, after a collection of garbage
	Descriptors int
	Usage       usage
}

// Run serves until its input ends.
func (streamServerCmd) Run() error { return serveOrders(os.Stdin, os.Stdout) }

func serveOrders(in io.Reader, out io.Writer) (err error) {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var s setup
	if err := orders.Decode(&s); err != nil {
		return fmt.Errorf("read the setup: %w", err)
	}
	e, err := newEngine(s)
	if err != nil {
		return errors.Join(err, answers.Encode(answer{Error: err.Error()}))
	}
	server := streamServer{engine: e, endProfile: func() error { return nil }}
	defer func() { err = errors.Join(err, server.endProfile(), e.close()) }()
	if err := answers.Encode(answer{Address: e.address()}); err != nil {
		return err
	}
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		a, err := server.obey(o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

// streamServer obeys orders.
type streamServer struct {
	engine     engine
	endProfile func() error
}

// obey does what is ordered.
func (s *streamServer) obey(o order) (answer, error) {
	var a answer
	var err error
	if o.Profile != "" {
		if s.endProfile, err = profile(o.Profile); err != nil {
			return a, err
		}
	}
	if o.Publish != nil {
		if a.Publish, err = o.Publish.run(s.engine); err != nil {
			return a, err
		}
	}
	if o.Restart {
		if a.Ended, err = s.restart(o.Amid); err != nil {
			return a, err
		}
		a.Publish.Last = s.engine.head()
	}
	if o.Resident {
		if a.Resident, err = resident(); err != nil {
			return a, err
		}
		if a.Descriptors, err = descriptors(); err != nil {
			return a, err
		}
	}
	if o.Usage {
		if a.Usage, err = currentUsage(); err != nil {
			return a, err
		}
		a.Usage.Queries = s.engine.queries()
	}
	a.Address = s.engine.address()
	return a, nil
}

// restart ends the node and starts another, amid events for everyone with such a
// gap between them. It returns how long the first took to end.
func (s *streamServer) restart(amid time.Duration) (ended time.Duration, err error) {
	if amid <= 0 {
		return s.engine.restart()
	}
	before := publishing{Events: 4, Gap: amid}
	if _, err := before.run(s.engine); err != nil {
		return 0, err
	}
	restarted, stop := context.WithCancel(context.Background())
	var publisher sync.WaitGroup
	var publishErr error
	publisher.Go(func() {
		every(restarted, amid, func() {
			_, err := s.engine.publish(event.Everyone, 1)
			publishErr = errors.Join(publishErr, err)
		})
	})
	ended, err = s.engine.restart()
	stop()
	publisher.Wait()
	return ended, errors.Join(err, publishErr)
}

// profile writes a CPU profile to the file until the returned function is called.
func profile(path string) (stop func() error, err error) {
	f, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		return func() error { return nil }, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// engine is a way of serving streams.
type engine interface {
	address() string
	// publish sends so many events of the topic at once, and returns the place of
	// the last. Of each topic, one goroutine publishes at a time.
	publish(topic event.Topic, events int) (event.Seq, error)
	// head is the place of the last event published.
	head() event.Seq
	// queries is how often a log was asked since the last start.
	queries() int64
	// restart ends the node and starts another. It tells how long the first took to end.
	restart() (ended time.Duration, err error)
	close() error
}

func newEngine(s setup) (engine, error) {
	switch s.Engine {
	case ours:
		return newNode(s)
	case bare:
		return newBareLoop()
	case ordinary:
		return newOrdinary()
	default:
		return nil, fmt.Errorf("there is no engine %q", s.Engine)
	}
}

// sample returns events of a topic as all engines send them.
func sample(topic event.Topic, events int, text []byte) []event.Event {
	list := make([]event.Event, events)
	topics, now := []event.Topic{topic}, time.Now().UTC()
	for i := range list {
		list[i].Pending = event.Pending{Type: "notification.bench", Topics: topics, Actor: "bench", CreatedAt: now, Payload: text}
	}
	return list
}

// sampleText is the payload of each event.
func sampleText() []byte { return fmt.Appendf(nil, `{"text":"%0220d"}`, 0) }
