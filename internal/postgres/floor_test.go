package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/eventlog"
)

// Two keepers and readers whose cursors are about the floor: a page is whole, or
// the reader is told.
func TestReadersMissNothingInSilence(t *testing.T) {
	t.Parallel()
	const total, partition = 600, 20
	db := openSmall(t, partition)
	session := lead(t, db)
	post(t, db, total, "user:a")
	for head := event.Seq(0); head < total; {
		batch, err := session.Sequence(t.Context(), eventlog.Mark{}, 7)
		if err != nil {
			t.Fatal(err)
		}
		head = batch.Head
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var keepers, readers errgroup.Group
	for range 2 {
		keepers.Go(func() error {
			return eventlog.NewRetention(db, slog.New(slog.DiscardHandler),
				eventlog.RetentionConfig{Age: -1, Size: 1, Interval: time.Millisecond}).Run(ctx)
		})
	}
	var pages, told atomic.Int64
	for _, read := range []func(after event.Seq) ([]event.Event, error){
		func(after event.Seq) ([]event.Event, error) { return db.Events(ctx, after, 9) },
		func(after event.Seq) ([]event.Event, error) {
			return db.EventsOfTopics(ctx, []event.Topic{"user:a"}, after, total, 9)
		},
	} {
		readers.Go(func() error {
			var floor event.Seq
			for n := 0; ; n++ {
				var err error
				if n%10 == 0 { // else it is as it was a while ago
					floor, _, err = db.Bounds(ctx)
				}
				if err != nil || floor == total {
					return err
				}
				after := min(floor+event.Seq(rand.IntN(2*partition)), total-9)
				events, err := read(after)
				switch {
				case errors.Is(err, event.ErrTooOld):
					told.Add(1)
				case err != nil:
					return err
				case len(events) != 9 || events[0].Seq != after+1 || events[8].Seq != after+9:
					return fmt.Errorf("a page of %d events after %d was not told to be short", len(events), after)
				default:
					pages.Add(1)
				}
			}
		})
	}
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
	stop()
	if err := keepers.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d pages, and %d times a reader was told that the floor had passed it", pages.Load(), told.Load())
}

func TestReadersBelowTheFloor(t *testing.T) {
	t.Parallel()
	k := fullLog(t)
	if err := k.once(t, eventlog.RetentionConfig{Age: -1, Size: 1}); err != nil {
		t.Fatal(err)
	}
	topics := []event.Topic{"user:a"}
	for after, want := range map[event.Seq]error{0: event.ErrTooOld, 39: event.ErrTooOld, 40: nil, 45: nil} {
		events, err := k.Events(t.Context(), after, 100)
		if !errors.Is(err, want) || want == nil && len(events) != int(45-after) {
			t.Errorf("Events(after %d) = %d, %v, want %v", after, len(events), err, want)
		}
		if events, err = k.EventsOfTopics(t.Context(), topics, after, 45, 100); !errors.Is(err, want) || want == nil && len(events) != int(45-after) {
			t.Errorf("EventsOfTopics(after %d) = %d, %v, want %v", after, len(events), err, want)
		}
		if err := k.Scan(t.Context(), after, 45, chain.NewVerifier(chain.Point{}, nil)); (after < 40) != errors.Is(err, event.ErrTooOld) {
			t.Errorf("Scan(after %d) = %v", after, err)
		}
		if after == 0 {
			want = nil // a timeline is what is kept of it
		}
		if _, err := k.EventsOfJob(t.Context(), uuid.New(), after, 100); !errors.Is(err, want) {
			t.Errorf("EventsOfJob(after %d) = %v, want %v", after, err, want)
		}
	}
}
