package eventlog_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
	"herald/internal/eventlog"
)

// slowStore takes a second for each transaction, and refuses what has the type
// bad.
type slowStore struct {
	mu      sync.Mutex
	groups  [][]string // keys or types of what was committed together
	locked  map[string]bool
	unlocks time.Duration
}

var errBad = errors.New("no, not that one")

func (s *slowStore) PublishGroup(_ context.Context, group []event.Submission) ([]eventlog.Result, error) {
	time.Sleep(time.Second)
	var names []string
	for _, g := range group {
		if g.Events[0].Type == "bad" && len(group) > 1 || s.locked[g.Key] && len(group) > 1 {
			return nil, eventlog.ErrApart
		}
		if g.Events[0].Type == "bad" {
			return nil, errBad
		}
		if s.locked[g.Key] {
			return nil, eventlog.ErrLocked
		}
		names = append(names, g.Key+string(g.Events[0].Type))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = append(s.groups, names)
	results := make([]eventlog.Result, len(group))
	for i, g := range group {
		results[i].Published.IDs = g.IDs()
	}
	return results, nil
}

func (s *slowStore) PublishOne(ctx context.Context, g event.Submission) (event.Published, error) {
	select {
	case <-time.After(s.unlocks):
		return event.Published{IDs: g.IDs(), Repeated: true}, nil
	case <-ctx.Done():
		return event.Published{}, ctx.Err()
	}
}

// three is an audience of three, which takes so long to count.
type three time.Duration

func (d three) Addressed(ctx context.Context, sets [][]event.Topic) ([]int, error) {
	select {
	case <-time.After(time.Duration(d)):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	counts := make([]int, len(sets))
	for i := range counts {
		counts[i] = 3
	}
	return counts, nil
}

// publishing runs a Publisher in a bubble, and publishes.
type publishing struct {
	t         *testing.T
	publisher *eventlog.Publisher
	stop      func()
	group     sync.WaitGroup
}

func publisher(t *testing.T, store *slowStore, audience eventlog.Audience, config eventlog.PublisherConfig) *publishing {
	t.Helper()
	config.Writers = max(config.Writers, 1)
	p := &publishing{t: t, publisher: eventlog.NewPublisher(store, audience, config)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.publisher.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

// ask publishes in a goroutine, and checks what comes of it.
func (p *publishing) ask(kind event.Type, key string, want error, events int) {
	p.group.Go(func() {
		publication := event.Publication{Actor: "shop", Key: key}
		for range events {
			publication.Notices = append(publication.Notices, event.Notice{Type: kind, Topics: []event.Topic{"all"}, Payload: json.RawMessage(`{}`)})
		}
		got, err := p.publisher.Publish(p.t.Context(), publication)
		if !errors.Is(err, want) || want == nil && (len(got.IDs) != events || len(got.Addressed) != events) {
			p.t.Errorf("Publish(%s, %q) = %+v, %v, want %v", kind, key, got, err, want)
		}
	})
	synctest.Wait() // it waits in the queue, or is answered
}

func TestWhatComesDuringACommitGoesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{}
		p := publisher(t, store, three(time.Millisecond), eventlog.PublisherConfig{Group: 4})
		p.ask("first", "", nil, 1)
		p.ask("second", "", nil, 3)
		p.ask("third", "k", nil, 1)
		p.ask("fourth", "", nil, 1)
		p.ask("again", "k", nil, 1)
		p.stop() // what waits is published still
		p.group.Wait()
		want := [][]string{{"first"}, {"second", "kthird"}, {"fourth", "kagain"}}
		if diff := cmp.Diff(want, store.groups); diff != "" {
			t.Errorf("groups: -want +got:\n%s", diff)
		}
		p.ask("late", "", eventlog.ErrBusy, 1)
	})
}

func TestOneIsPutTogetherWhileAnotherCommits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{}
		p := publisher(t, store, three(0), eventlog.PublisherConfig{Writers: 2})
		began := time.Now()
		p.ask("first", "", nil, 1)
		p.ask("second", "", nil, 1)
		p.ask("third", "", nil, 1)
		p.ask("fourth", "", nil, 1)
		p.group.Wait()
		slices.SortFunc(store.groups, slices.Compare[[]string])
		if diff := cmp.Diff([][]string{{"first"}, {"second"}, {"third", "fourth"}}, store.groups); diff != "" || time.Since(began) != 2*time.Second {
			t.Errorf("groups after %v: -want +got:\n%s", time.Since(began), diff)
		}
	})
}

func TestTheSameKeyWaitsForTheNextGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{}
		p := publisher(t, store, three(0), eventlog.PublisherConfig{})
		p.ask("first", "", nil, 1)
		p.ask("a", "k", nil, 1)
		p.ask("b", "k", nil, 1)
		p.ask("c", "", nil, 1)
		p.group.Wait()
		if diff := cmp.Diff([][]string{{"first"}, {"ka", "c"}, {"kb"}}, store.groups); diff != "" {
			t.Errorf("groups: -want +got:\n%s", diff)
		}
	})
}

func TestABadPublicationFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{locked: map[string]bool{"locked": true, "for ever": true, "one more": true}, unlocks: time.Second}
		p := publisher(t, store, three(0), eventlog.PublisherConfig{LockedAside: 2})
		p.ask("first", "", nil, 1)
		p.ask("good", "", nil, 1)
		p.ask("bad", "", errBad, 1)
		p.ask("slow", "locked", nil, 1)
		p.ask("better", "", nil, 1)
		p.group.Wait()
		if diff := cmp.Diff([][]string{{"first"}, {"good"}, {"better"}}, store.groups); diff != "" {
			t.Errorf("groups: -want +got:\n%s", diff)
		}
		store.unlocks = time.Hour
		p.ask("slow", "locked", eventlog.ErrBusy, 1) // after as long as a transaction may take
		p.ask("slow", "for ever", eventlog.ErrBusy, 1)
		p.ask("slow", "one more", eventlog.ErrBusy, 1) // at once
		p.ask("good", "", nil, 1)
		p.group.Wait()
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{}
		p := publisher(t, store, three(0), eventlog.PublisherConfig{Queue: 2, QueueBytes: 7})
		p.ask("first", "", nil, 1)
		p.ask("waits", "", nil, 2)
		p.ask("heavy", "", eventlog.ErrBusy, 2) // of 4 bytes each time
		p.ask("light", "", nil, 1)
		p.ask("full", "", eventlog.ErrBusy, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p.group.Wait()
		gone, leave := context.WithCancel(ctx)
		p.ask("busy", "", nil, 1)
		leave()
		if _, err := p.publisher.Publish(gone, event.Publication{Actor: "shop", Notices: []event.Notice{{
			Type: "gone", Topics: []event.Topic{"all"}, Payload: json.RawMessage(`{}`),
		}}}); !errors.Is(err, context.Canceled) {
			t.Errorf("Publish() after its caller has gone = %v", err)
		}
		p.ask("last", "", nil, 1)
		p.group.Wait()
		if diff := cmp.Diff([][]string{{"first"}, {"waits", "light"}, {"busy"}, {"last"}}, store.groups); diff != "" {
			t.Errorf("groups: -want +got:\n%s", diff)
		}
	})
}

func TestAnAudienceThatIsSlowToCountDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := publisher(t, &slowStore{}, three(time.Hour), eventlog.PublisherConfig{})
		began := time.Now()
		got, err := p.publisher.Publish(t.Context(), event.Publication{Actor: "shop", Notices: []event.Notice{{
			Type: "order.paid", Topics: []event.Topic{"all"}, Payload: json.RawMessage(`{}`),
		}}})
		if err != nil || got.Addressed != nil || time.Since(began) != time.Second {
			t.Errorf("Publish() = %+v, %v after %v, want an unknown number after a second", got, err, time.Since(began))
		}
	})
}
