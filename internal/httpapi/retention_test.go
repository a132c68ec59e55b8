package httpapi_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"golang.org/x/sync/errgroup"

	"herald/internal/broker"
	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/httpapi"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// setupSmall starts a server on a log with partitions of ten events, and fills
// two of them with a job of demo's.
func setupSmall(t *testing.T) (*server, job.Job) {
	t.Helper()
	db, err := postgres.Open(t.Context(), pgtest.New(t), postgres.Config{Partition: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s := start(t, db)
	j := s.startJob(t, "demo")
	s.begin(t, j)
	for range 22 {
		s.report(t, j, job.Report{Message: "on its way"})
	}
	f := s.follow(t, s.token(t, "demo"), "topic=user:demo&lastEventId=0")
	defer f.close()
	for {
		e, err := f.r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.ID == "24" {
			return s, j // all of it is in the log
		}
	}
}

// dropAll lets all go that is full.
func (s *server) dropAll(t *testing.T) {
	t.Helper()
	config := eventlog.RetentionConfig{Age: -1, Size: 1}
	if err := eventlog.NewRetention(s.db, slog.New(slog.DiscardHandler), config).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if floor, _, err := s.db.Bounds(t.Context()); err != nil || floor != 20 {
		t.Fatalf("the floor is %d (%v), want 20", floor, err)
	}
}

// wantReset checks that the stream begins with a reset and a snapshot.
func (f *follower) wantReset(j job.Job) {
	f.t.Helper()
	f.next("stream.open")
	if e := f.next("stream.reset"); e.Data != `{"reason":"cursor_too_old"}` {
		f.t.Errorf("stream.reset says %s", e.Data)
	}
	snapshot := f.next("stream.snapshot")
	var data struct{ Jobs []job.Job }
	if err := json.Unmarshal([]byte(snapshot.Data), &data); err != nil || len(data.Jobs) != 1 || data.Jobs[0].ID != j.ID {
		f.t.Errorf("the snapshot has %+v, %v, want demo's job", data, err)
	}
	if seq, err := event.ParseCursor(snapshot.ID); err != nil || seq != 24 {
		f.t.Errorf("the snapshot's cursor is %q, want 24", snapshot.ID)
	}
}

func TestACursorOlderThanTheLogGetsAReset(t *testing.T) {
	t.Parallel()
	s, j := setupSmall(t)
	s.dropAll(t)
	other := s.secondNode(t) // whose memory has nothing of what went
	other.follow(t, s.token(t, "demo"), "topic=user:demo&lastEventId=19").wantReset(j)
	f := other.follow(t, s.token(t, "demo"), "topic=user:demo&lastEventId=20")
	f.next("stream.open")
	if e := f.next("job.progress"); e.ID != "21" {
		t.Errorf("the first event kept is %s, want 21", e.ID)
	}
}

// gatedLog is a log whose replay waits for somebody after its first page.
type gatedLog struct {
	*postgres.DB
	asked, open chan struct{}
}

func (g gatedLog) EventsOfTopics(ctx context.Context, of []event.Topic, after, upto event.Seq, limit int) ([]event.Event, error) {
	if after > 0 {
		select {
		case g.asked <- struct{}{}:
			<-g.open
		case <-ctx.Done():
		}
	}
	return g.DB.EventsOfTopics(ctx, of, after, upto, limit)
}

// A replay whose partition goes under its feet ends; the client resumes from
// what it has, and is told.
func TestAReplayUnderWayEndsWhenItsPartitionGoes(t *testing.T) {
	t.Parallel()
	s, j := setupSmall(t)
	log := slog.New(slog.DiscardHandler)
	gated := gatedLog{s.db, make(chan struct{}), make(chan struct{})}
	slow := broker.New(gated, pgbus.New(s.db.Session, postgres.LogChannel, log), hub.New(hub.Config{}), httpapi.EncodeEvent, log,
		broker.Config{Preload: 1, Page: 3})
	ctx, stop := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return slow.Run(ctx) })
	t.Cleanup(func() {
		stop()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
	other := start(t, s.db, func(d *httpapi.Deps) { d.Broker = slow })
	f := other.follow(t, s.token(t, "demo"), "topic=user:demo&lastEventId=0")
	f.next("stream.open")
	last := f.next("job.queued") // a replay's first page is small
	<-gated.asked
	s.dropAll(t)
	close(gated.open)
	if e, err := f.r.Next(); err == nil {
		t.Fatalf("the stream goes on with %+v, want it to end", e)
	}
	other.follow(t, s.token(t, "demo"), "topic=user:demo", "Last-Event-ID: "+last.ID).wantReset(j)
}
