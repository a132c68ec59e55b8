package broker_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"herald/internal/broker"
	"herald/internal/broker/brokertest"
	"herald/internal/bus"
	"herald/internal/event"
	"herald/internal/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLog is a log in memory that counts its readers' queries, and a bus that
// announces only what it is told to.
type fakeLog struct {
	mu     sync.Mutex
	floor  event.Seq
	events []event.Event
	pages  int
	fail   error
	grown  func(event.Seq)

	afterBounds func() // called when the bounds have been read; nil: nothing
}

func (l *fakeLog) append(topics ...event.Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range topics {
		seq := l.floor + event.Seq(len(l.events)) + 1
		l.events = append(l.events, event.Event{Seq: seq, Pending: event.Pending{Type: event.JobStep, Topics: []event.Topic{t}}})
	}
}

// drop raises the floor.
func (l *fakeLog) drop(upto event.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = l.events[upto-l.floor:]
	l.floor = upto
}

func (l *fakeLog) announce() {
	l.mu.Lock()
	grown := l.grown
	l.mu.Unlock()
	grown(0)
}

func (l *fakeLog) Follow(ctx context.Context, grown func(event.Seq)) error {
	l.mu.Lock()
	l.grown = grown
	l.mu.Unlock()
	grown(0)
	<-ctx.Done()
	return nil
}

func (l *fakeLog) Bounds(context.Context) (floor, head event.Seq, err error) {
	if l.afterBounds != nil {
		defer l.afterBounds()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.floor, l.floor + event.Seq(len(l.events)), l.fail
}

func (l *fakeLog) Events(_ context.Context, after event.Seq, limit int) ([]event.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return nil, l.fail
	}
	if after < l.floor {
		return nil, event.ErrTooOld
	}
	rest := l.events[after-l.floor:]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (l *fakeLog) EventsOfTopics(
	_ context.Context, topics []event.Topic, after, upto event.Seq, limit int,
) ([]event.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages++
	if after < l.floor {
		return nil, event.ErrTooOld
	}
	var found []event.Event
	for _, e := range l.events {
		if e.Seq > after && e.Seq <= upto && len(found) < limit && slices.Contains(topics, e.Topics[0]) {
			found = append(found, e)
		}
	}
	return found, nil
}

func encode(e event.Event) ([]byte, error) { return []byte(e.Seq.String()), nil }

// start runs a broker on the log until the returned function is called.
func start(log *fakeLog, config broker.Config) (*broker.Broker, *hub.Hub, func()) {
	return startOn(log, config)
}

// logAndBus is what a broker follows.
type logAndBus interface {
	broker.Log
	bus.Bus
}

func startOn(log logAndBus, config broker.Config) (*broker.Broker, *hub.Hub, func()) {
	h := hub.New(hub.Config{})
	b := broker.New(log, log, h, encode, slog.New(slog.DiscardHandler), config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	streams := make(chan struct{})
	go func() {
		defer close(streams)
		_ = h.Run(ctx)
	}()
	go func() {
		defer close(done)
		_ = b.Run(ctx)
	}()
	return b, h, func() {
		cancel()
		<-done
		<-streams
	}
}

func subscribe(t *testing.T, b *broker.Broker, h *hub.Hub, after event.Seq, topics ...event.Topic) (*brokertest.Client, error) {
	t.Helper()
	return brokertest.Subscribe(t.Context(), b, h, topics, after)
}

func mustSubscribe(t *testing.T, b *broker.Broker, h *hub.Hub, after event.Seq, topics ...event.Topic) *brokertest.Client {
	t.Helper()
	c, err := subscribe(t, b, h, after, topics...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// read takes from the stream until it would wait.
func read(t *testing.T, s *brokertest.Client) []event.Seq {
	t.Helper()
	var got []event.Seq
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		frames, err := s.Next(ctx)
		cancel()
		for _, f := range frames {
			got = append(got, f.Seq)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return got
		}
		if err != nil {
			t.Fatalf("Next() = %v", err)
		}
	}
}

func TestSubscribeFromAnywhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config broker.Config
		after  event.Seq
		want   []event.Seq
		pages  int // read by topic
		topic  event.Topic
	}{
		{"from the start, all in memory", broker.Config{}, 0, []event.Seq{1, 3, 5, 7, 9, 11}, 0, "user:a"},
		{"from the middle, all in memory", broker.Config{}, 4, []event.Seq{5, 7, 9, 11}, 0, "user:a"},
		{"from the head", broker.Config{}, 10, []event.Seq{11}, 0, "user:a"},
		{"log, in pages of 1, then 2, then memory, then live", broker.Config{Preload: 4, Page: 2}, 0, []event.Seq{1, 3, 5, 7, 9, 11}, 3, "user:a"},
		{"memory bounded by bytes", broker.Config{Memory: 500, Page: 100}, 2, []event.Seq{3, 5, 7, 9, 11}, 1, "user:a"},
		{"the whole log, from memory", broker.Config{}, 7, []event.Seq{8, 9, 10, 11, 12}, 0, event.WholeLog},
		{"the whole log, in pages, then memory, then live", broker.Config{Preload: 4, Page: 2}, 2, []event.Seq{3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 0, event.WholeLog},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &fakeLog{}
				log.append("user:a", "user:b", "user:a", "user:b", "user:a", "user:b", "user:a", "user:b", "user:a", "user:b")
				b, h, stop := start(log, tt.config)
				defer stop()
				s := mustSubscribe(t, b, h, tt.after, tt.topic)
				defer s.Close()
				got := read(t, s)
				log.append("user:a", "user:b")
				log.announce()
				got = append(got, read(t, s)...)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if log.pages != tt.pages {
					t.Errorf("%d pages were read from the log, want %d", log.pages, tt.pages)
				}
			})
		})
	}
}

func TestSubscribeRefusesCursorsOutsideTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{floor: 10}
		log.append("all", "all")
		b, h, stop := start(log, broker.Config{})
		defer stop()
		for after, want := range map[event.Seq]error{9: event.ErrTooOld, 10: nil, 12: nil, 13: broker.ErrCursorAhead} {
			if _, err := subscribe(t, b, h, after, "all"); !errors.Is(err, want) {
				t.Errorf("Subscribe(after %d) = %v, want %v", after, err, want)
			}
		}
	})
}

func TestAReplayEndsWhenWhatItNeedsIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		for range 20 {
			log.append("all")
		}
		b, h, stop := start(log, broker.Config{Preload: 2, Page: 5})
		defer stop()
		s := mustSubscribe(t, b, h, 0, "all")
		defer s.Close()
		if frames, err := s.Next(t.Context()); err != nil || len(frames) != 1 {
			t.Fatalf("Next() = %d frames, %v, want a first page of one", len(frames), err)
		}
		log.drop(10)
		if frames, err := s.Next(t.Context()); !errors.Is(err, event.ErrTooOld) {
			t.Errorf("Next() = %v, %v, want %v", frames, err, event.ErrTooOld)
		}
	})
}

// A broker that the log's floor has passed begins anew, and ends the streams
// that would miss events.
func TestABrokerThatWasOvertakenBeginsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		log.append("all", "all")
		b, h, stop := start(log, broker.Config{Poll: time.Hour})
		defer stop()
		s := mustSubscribe(t, b, h, 2, "all")
		defer s.Close()
		synctest.Wait()
		log.append("all", "all", "all")
		log.drop(4)
		log.announce()
		if frames, err := s.Next(t.Context()); !errors.Is(err, event.ErrTooOld) {
			t.Errorf("Next() = %v, %v, want %v", frames, err, event.ErrTooOld)
		}
		time.Sleep(time.Second)
		if _, err := subscribe(t, b, h, 2, "all"); !errors.Is(err, event.ErrTooOld) {
			t.Errorf("Subscribe() = %v, want %v", err, event.ErrTooOld)
		}
		again := mustSubscribe(t, b, h, 4, "all")
		defer again.Close()
		if diff := cmp.Diff([]event.Seq{5}, read(t, again)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A client may come from a node that has read further.
func TestSubscribeAheadOfThisNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		log.append("all")
		b, h, stop := start(log, broker.Config{Poll: time.Hour})
		defer stop()
		synctest.Wait()
		log.append("all", "all") // not announced here yet
		s := mustSubscribe(t, b, h, 2, "all")
		defer s.Close()
		log.announce()
		if diff := cmp.Diff([]event.Seq{3}, read(t, s)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// While a client that comes from a node further on subscribes, this node reads
// past the client's cursor.
func TestSubscribeAheadOfANodeThatCatchesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		log.append("all")
		b, h, stop := start(log, broker.Config{Poll: time.Hour})
		defer stop()
		synctest.Wait()
		log.append("all")
		log.afterBounds = func() {
			log.append("all", "all")
			log.announce()
			synctest.Wait()
		}
		s := mustSubscribe(t, b, h, 2, "all")
		defer s.Close()
		if diff := cmp.Diff([]event.Seq{3, 4}, read(t, s)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestLostAnnouncementCostsDelayOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		b, h, stop := start(log, broker.Config{Poll: 5 * time.Second})
		defer stop()
		s := mustSubscribe(t, b, h, 0, "all")
		defer s.Close()
		synctest.Wait()
		log.append("all")
		if got := read(t, s); got != nil {
			t.Fatalf("got %v before anybody could know", got)
		}
		time.Sleep(5 * time.Second)
		if diff := cmp.Diff([]event.Seq{1}, read(t, s)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestBrokerOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{fail: errors.New("the database is away")}
		b, _, stop := start(log, broker.Config{})
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Head(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Head() without a database = %v, want to wait", err)
		}
		log.mu.Lock()
		log.fail = nil
		log.mu.Unlock()
		log.append("all")
		if _, err := b.Head(t.Context()); err != nil {
			t.Errorf("Head() = %v", err)
		}
	})
}

// Readers that come and go at random, with a log that grows meanwhile and a
// memory that is small, get each event of their topic once, in order.
func TestAnyReaderMissesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		life := anyLife(rt)
		synctest.Test(t, func(t *testing.T) {
			got, want := life.run(t)
			if len(got) > len(want) || !slices.Equal(want[:len(got)], got) {
				t.Errorf("%+v: got %v, want %v or its beginning", life, got, want)
			}
		})
	})
}

// life is what happens to a log and to one reader of it.
type life struct {
	follows []event.Topic
	config  broker.Config
	rounds  []round
}

type round struct {
	grows     []event.Topic
	announced bool
	reads     int
}

func anyLife(t *rapid.T) life {
	l := life{config: broker.Config{
		Memory: rapid.IntRange(1, 3000).Draw(t, "memory"), Page: rapid.IntRange(1, 5).Draw(t, "page"),
		Preload: rapid.IntRange(1, 10).Draw(t, "preload"),
	}}
	l.follows = rapid.SampledFrom([][]event.Topic{{"user:a", "user:b"}, {event.WholeLog}, {"user:a", event.WholeLog}}).Draw(t, "follows")
	for range rapid.IntRange(1, 20).Draw(t, "rounds") {
		l.rounds = append(l.rounds, round{
			grows:     rapid.SliceOfN(rapid.SampledFrom([]event.Topic{"user:a", "user:b", "user:c"}), 0, 12).Draw(t, "grows"),
			announced: rapid.Bool().Draw(t, "announced"),
			reads:     rapid.IntRange(0, 3).Draw(t, "reads"),
		})
	}
	return l
}

// run lives the life and returns what the reader got, and all there was for it.
func (l life) run(t *testing.T) (got, want []event.Seq) {
	t.Helper()
	log := &fakeLog{}
	b, h, stop := start(log, l.config)
	defer stop()
	cursor := event.Seq(0)
	for _, r := range l.rounds {
		log.append(r.grows...)
		if r.announced {
			synctest.Wait()
			log.announce()
		}
		s := mustSubscribe(t, b, h, cursor, l.follows...)
		for range r.reads {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			frames, _ := s.Next(ctx)
			cancel()
			for _, f := range frames {
				got = append(got, f.Seq)
				cursor = f.Seq
			}
		}
		s.Close()
	}
	for _, e := range log.events {
		if slices.Contains(l.follows, e.Topics[0]) || slices.Contains(l.follows, event.WholeLog) {
			want = append(want, e.Seq)
		}
	}
	return got, want
}
