package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/postgres"
	"herald/internal/presence"
)

// shaky is a database whose statements fail now and then: some are not done, of
// others only the answer is lost.
type shaky struct {
	*postgres.DB
	mu    sync.Mutex
	more  *sync.Cond
	rand  *rand.Rand
	fine  bool
	wrote int // batches in a row since it is fine
}

func newShaky(db *postgres.DB, r *rand.Rand) *shaky {
	s := &shaky{DB: db, rand: r}
	s.more = sync.NewCond(&s.mu)
	return s
}

var errShaky = errors.New("the network")

// try does what it is given, or not, and says what came of it, or not.
func (s *shaky) try(do func() error) error {
	s.mu.Lock()
	chance := s.rand.IntN(4)
	if s.fine {
		chance = 3
	}
	s.mu.Unlock()
	if chance == 0 {
		return errShaky
	}
	if err := do(); err != nil || chance > 1 {
		return err
	}
	return errShaky
}

func (s *shaky) WriteConnections(ctx context.Context, b presence.Batch) (answer presence.Answer, err error) {
	err = s.try(func() (err error) { answer, err = s.DB.WriteConnections(ctx, b); return err })
	if err != nil {
		answer = presence.Answer{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fine && err == nil {
		s.wrote++
		s.more.Broadcast()
	}
	return answer, err
}

func (s *shaky) WriteAcks(ctx context.Context, acks []presence.Ack) (answers []error, err error) {
	err = s.try(func() (err error) { answers, err = s.DB.WriteAcks(ctx, acks); return err })
	return answers, err
}

func (s *shaky) CloseNodeConnections(ctx context.Context, node string, why presence.Reason, but []uuid.UUID) error {
	return s.try(func() error { return s.DB.CloseNodeConnections(ctx, node, why, but) })
}

// heal makes it reliable, and waits until so many batches have been written.
func (s *shaky) heal(batches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fine = true
	for s.wrote < batches {
		s.more.Wait()
	}
}

// writer is a hub that writes what it is told to.
type writer struct {
	mu      sync.Mutex
	written map[uuid.UUID]event.Seq
}

func (h *writer) Written(yield func(uuid.UUID, event.Seq)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, seq := range h.written {
		yield(id, seq)
	}
	clear(h.written)
}

func (*writer) Disconnect(uuid.UUID) {}

// world is a Tracker on a shaky database, and what its streams ought to be.
type world struct {
	t       *testing.T
	db      *postgres.DB
	rand    *rand.Rand
	hub     *writer
	tracker *presence.Tracker
	open    []uuid.UUID
	want    map[uuid.UUID]*standing
}

// standing is how a stream ought to stand in the table.
type standing struct {
	User                 string
	Written, Acked, Seen event.Seq
	Visible              bool
	Closed               presence.Reason
}

// step does something at random, to the world and to the model of it.
func (w *world) step() {
	if w.rand.IntN(4) == 0 || len(w.open) == 0 {
		c := connection("a", []string{"demo", "alice"}[w.rand.IntN(2)])
		w.tracker.Opened(c)
		w.open = append(w.open, c.ID)
		w.want[c.ID] = &standing{User: c.User, Written: c.OpenedSeq}
		return
	}
	i := w.rand.IntN(len(w.open))
	id := w.open[i]
	s := w.want[id]
	switch w.rand.IntN(6) {
	case 0:
		s.Written += event.Seq(w.rand.IntN(3))
		s.Closed = []presence.Reason{presence.ClientGone, presence.Slow, presence.Expired}[w.rand.IntN(3)]
		w.tracker.Closed(id, s.Closed, s.Written)
		w.open = append(w.open[:i], w.open[i+1:]...)
	case 1, 2:
		s.Written += event.Seq(w.rand.IntN(5))
		w.hub.mu.Lock()
		w.hub.written[id] = s.Written
		w.hub.mu.Unlock()
	case 3, 4:
		w.ack(id, s)
	case 5:
		if w.rand.IntN(10) == 0 { // another node takes this one for lost
			execSQL(w.t, w.db, "UPDATE herald.nodes SET streams_at = NULL")
			if _, err := w.db.CloseLostConnections(w.t.Context(), nil); err != nil {
				w.t.Error(err)
			}
		}
	}
}

func (w *world) ack(id uuid.UUID, s *standing) {
	a := presence.Ack{Client: id, User: s.User, Seq: event.Seq(w.rand.Int64N(int64(s.Written) + 1)), Visible: w.rand.IntN(2) == 0}
	if w.rand.IntN(5) == 0 {
		a.User = "mallory"
	}
	if err := w.tracker.Acked(a); err != nil {
		if a.User == s.User && !errors.Is(err, presence.ErrLater) || a.User != s.User && !errors.Is(err, presence.ErrNotFound) {
			w.t.Errorf("Acked(%+v) = %v", a, err)
		}
		return
	}
	s.Acked, s.Visible = max(s.Acked, a.Seq), a.Visible
	if a.Visible {
		s.Seen = max(s.Seen, a.Seq)
	}
}

// Whatever happens to streams, to statements about them and to their answers,
// the table ends up as the streams are.
func TestTheTableEndsUpAsTheStreamsAre(t *testing.T) {
	t.Parallel()
	db := open(t)
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := &world{t: t, db: db, rand: r, hub: &writer{written: map[uuid.UUID]event.Seq{}}, want: map[uuid.UUID]*standing{}}
		store := newShaky(db, rand.New(rand.NewPCG(seed, 8)))
		w.tracker = presence.NewTracker("a", w.hub, store, slog.New(slog.DiscardHandler), presence.Config{Interval: time.Millisecond, Page: 7})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.tracker.Run(ctx) }()
		for range 200 {
			w.step()
			if r.IntN(20) == 0 {
				time.Sleep(time.Millisecond) // it makes more interleavings; nothing depends on it
			}
		}
		if store.heal(60); seed%2 == 0 {
			w.compare(seed, "while it runs")
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, id := range w.open {
			w.want[id].Closed = presence.Closing
		}
		w.compare(seed, "at the end")
	}
}

func (w *world) compare(seed uint64, when string) {
	w.t.Helper()
	for id, want := range w.want {
		c, err := w.db.Connection(w.t.Context(), id)
		got := &standing{User: c.User, Written: c.Written, Acked: c.Acked, Seen: c.Seen, Visible: c.Visible, Closed: c.ClosedWhy}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			w.t.Errorf("seed %d, %s, stream %s: %v, -want +got:\n%s", seed, when, id, err, diff)
		}
	}
}
