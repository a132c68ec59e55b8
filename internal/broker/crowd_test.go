package broker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/broker"
	"herald/internal/event"
)

// slowLog is a log whose queries take their time, so that readers meet.
type slowLog struct {
	*fakeLog
	wholes int // guarded by fakeLog's mu
}

func (l *slowLog) Events(ctx context.Context, after event.Seq, limit int) ([]event.Event, error) {
	time.Sleep(time.Millisecond)
	l.mu.Lock()
	l.wholes++
	l.mu.Unlock()
	return l.fakeLog.Events(ctx, after, limit)
}

func (l *slowLog) EventsOfTopics(
	ctx context.Context, topics []event.Topic, after, upto event.Seq, limit int,
) ([]event.Event, error) {
	time.Sleep(time.Millisecond)
	return l.fakeLog.EventsOfTopics(ctx, topics, after, upto, limit)
}

func userOf(i int) event.Topic { return event.UserTopic(fmt.Sprint(i % 20)) }

// Many who resume from before what is in memory get each their own, and the log
// is read about once for all of them.
func TestACrowdSharesWhatIsRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		after func(i int) event.Seq
	}{
		{"all from the same place", func(int) event.Seq { return 0 }},
		{"each from another", func(i int) event.Seq { return event.Seq(37 * i % 900) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const clients, events, page = 500, 1000, 100
				log := &slowLog{fakeLog: &fakeLog{}}
				for i := range events {
					log.append(userOf(i))
				}
				b, h, stop := startOn(log, broker.Config{Preload: 10, Page: page})
				defer stop()
				if _, err := b.Head(t.Context()); err != nil {
					t.Fatal(err)
				}
				before := log.wholes
				var crowd sync.WaitGroup
				for i := range clients {
					crowd.Go(func() {
						after := tt.after(i)
						c := mustSubscribe(t, b, h, after, userOf(i))
						defer c.Close()
						if diff := cmp.Diff(seqsOf(log.fakeLog, userOf(i), after), read(t, c)); diff != "" {
							t.Errorf("client %d: -want +got:\n%s", i, diff)
						}
					})
				}
				crowd.Wait()
				// The first few come when there is no crowd yet, and the last when there is none any more.
				if most := events/page + 3*8; log.pages+log.wholes-before > most {
					t.Errorf("%d pages of topics and %d of the log were read for %d clients, want at most %d",
						log.pages, log.wholes-before, clients, most)
				}
			})
		})
	}
}

// seqsOf is what there is of the topic after the Seq.
func seqsOf(l *fakeLog, topic event.Topic, after event.Seq) []event.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []event.Seq
	for _, e := range l.events {
		if e.Seq > after && e.Topics[0] == topic {
			list = append(list, e.Seq)
		}
	}
	return list
}

// A stretch that many share may begin before what is still kept: then each reads
// its own.
func TestACrowdAtTheFloor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &slowLog{fakeLog: &fakeLog{floor: 50}}
		for i := range 200 {
			log.append(userOf(i))
		}
		b, h, stop := startOn(log, broker.Config{Preload: 10, Page: 100})
		defer stop()
		if _, err := b.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
		var crowd sync.WaitGroup
		for i := range 50 {
			crowd.Go(func() {
				c := mustSubscribe(t, b, h, 60, userOf(i))
				defer c.Close()
				if diff := cmp.Diff(seqsOf(log.fakeLog, userOf(i), 60), read(t, c)); diff != "" {
					t.Errorf("client %d: -want +got:\n%s", i, diff)
				}
			})
		}
		crowd.Wait()
	})
}

// One that gives up does not spoil what it reads for the others.
func TestOneOfACrowdGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &slowLog{fakeLog: &fakeLog{}}
		for i := range 300 {
			log.append(userOf(i))
		}
		b, h, stop := startOn(log, broker.Config{Preload: 10, Page: 100, Readers: 1})
		defer stop()
		if _, err := b.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
		var crowd sync.WaitGroup
		for i := range 60 {
			crowd.Go(func() {
				c := mustSubscribe(t, b, h, 0, userOf(i))
				defer c.Close()
				if i%2 == 0 {
					ctx, cancel := context.WithTimeout(t.Context(), 500*time.Microsecond)
					defer cancel()
					_, _ = c.Next(ctx)
					return
				}
				if diff := cmp.Diff(seqsOf(log.fakeLog, userOf(i), 0), read(t, c)); diff != "" {
					t.Errorf("client %d: -want +got:\n%s", i, diff)
				}
			})
		}
		crowd.Wait()
	})
}

func TestReplayPassesTheFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		for range 40 {
			log.append("all")
		}
		for i := range log.events {
			if i%2 == 0 {
				log.events[i].Type = event.JobFailed
			}
			if i%3 == 0 {
				log.events[i].Payload = []byte(`{"metadata":{"team":"red"}}`)
			}
		}
		b, _, stop := start(log, broker.Config{Preload: 20, Page: 5})
		defer stop()
		replay, err := b.Subscribe(t.Context(), broker.Reading{Topics: []event.Topic{"all"}, Filter: &event.Filter{
			Types: []string{"job.failed"}, Metadata: map[string][]string{"team": {"red"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		var got []event.Seq
		for range 20 { // pages, some of them empty
			frames, err := replay.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				got = append(got, f.Seq)
			}
		}
		if diff := cmp.Diff([]event.Seq{1, 7, 13, 19, 25, 31, 37}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
