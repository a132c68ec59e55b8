package presence_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"herald/internal/event"
	"herald/internal/presence"
)

func TestWhatHappensInASecondIsOneStatement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{})
		opened := time.Now()
		var ids []uuid.UUID
		for range 1000 {
			ids = append(ids, b.open("demo"))
		}
		time.Sleep(100 * time.Millisecond)
		for i, id := range ids {
			b.hub.write(id, 9)
			if err := b.Acked(presence.Ack{Client: id, User: "demo", Seq: 2, Visible: i%2 == 0}); err != nil {
				t.Fatal(err)
			}
		}
		b.Closed(ids[0], presence.Slow, 7)
		b.Closed(ids[0], presence.Failed, 8) // has no more to say
		b.Closed(uuid.New(), presence.Slow, 7)
		b.Closed(ids[1], "dancing", 9)
		before := len(b.table.batches())
		tick()
		if got := b.table.batches()[before:]; len(got) != 1 || len(got[0].Changed) != 1000 {
			t.Fatalf("%d statements, the first with %d rows, want all in one", len(got), len(got[0].Changed))
		}
		at := presence.At(opened.Add(100 * time.Millisecond))
		want := presence.Progress{
			ID: ids[0], Written: 9, WrittenAt: b.table.row(ids[0]).WrittenAt, Acked: 2, AckedAt: at, Seen: 2, SeenAt: at, Visible: true,
			Closed: presence.Slow, ClosedAt: at,
		}
		if diff := cmp.Diff(want, b.table.row(ids[0]).Progress); diff != "" {
			t.Errorf("a row -want +got:\n%s", diff)
		}
		if r := b.table.row(ids[1]); r.Closed != presence.Failed || r.Seen != 0 || r.Visible {
			t.Errorf("another row is %+v", r)
		}
		tick()
		if last := b.last(); len(last.Changed) != 0 || len(last.Opened) != 0 {
			t.Errorf("when nothing changed, %d rows are written", len(last.Changed))
		}
		b.hub.write(ids[2], 10)
		tick()
		if last := b.last(); len(last.Changed) != 1 || len(last.Opened) != 0 {
			t.Errorf("when one stream changed, %d rows are written, %d from their beginning on", len(last.Changed), len(last.Opened))
		}
	})
}

func TestTwoStatementsASecondAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{Page: 10})
		elsewhere := uuid.New()
		b.table.set(func() { b.table.rows[elsewhere] = row{user: "demo"} })
		for i := range 600 { // a minute
			for range 3 {
				id := b.open("demo")
				go func() {
					_ = b.Await(t.Context(), presence.Ack{Client: elsewhere, User: "demo", Seq: event.Seq(i)})
					b.Closed(id, presence.ClientGone, 0)
				}()
			}
			time.Sleep(100 * time.Millisecond)
		}
		s := b.table.begun()
		for i := 2; i < len(s); i++ {
			if s[i].Sub(s[i-2]) < time.Second {
				t.Errorf("three statements within %v", s[i].Sub(s[i-2]))
			}
		}
		if b.table.sweeps < 8 || b.table.sweeps > 12 {
			t.Errorf("%d looks for lost nodes in a minute, want one in five seconds", b.table.sweeps)
		}
		for _, w := range b.table.batches() {
			if len(w.Changed) > 10 {
				t.Errorf("%d rows in a statement, want 10 at most", len(w.Changed))
			}
		}
	})
}

func TestWhatLivesOutlastsTheDatabasesAbsence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		b := setup(t, presence.Config{MaxEnded: 5, Metrics: presence.NewMetrics(registry)})
		known, ends := b.open("demo"), b.open("demo")
		tick()
		b.table.set(func() { b.table.away = true })
		var live, brief []uuid.UUID
		for range 20 {
			live = append(live, b.open("demo"))
			id := b.open("demo")
			time.Sleep(700 * time.Millisecond)
			b.Closed(id, presence.ClientGone, 4)
			brief = append(brief, id)
			b.hub.write(known, event.Seq(10+len(live)))
		}
		b.Closed(ends, presence.Expired, 5)
		tick()
		if err := b.Await(t.Context(), presence.Ack{Client: uuid.New(), User: "demo"}); !errors.Is(err, presence.ErrBusy) {
			t.Errorf("Await() while the database is away = %v, want %v", err, presence.ErrBusy)
		}
		b.table.set(func() { b.table.away = false })
		tick()
		tick()
		for _, id := range live {
			if r := b.table.row(id); r.user != "demo" || r.Closed != "" {
				t.Errorf("one that lives is %+v", r)
			}
		}
		if r := b.table.row(known); r.Written != 30 || r.Closed != "" {
			t.Errorf("one that lived before is %+v", r)
		}
		if r := b.table.row(ends); r.Written != 5 || r.Closed != presence.Expired {
			t.Errorf("one that ended meanwhile is %+v", r)
		}
		for i, id := range brief {
			if r := b.table.row(id); (r.user == "demo") != (i >= 15) || i >= 15 && r.Closed != presence.ClientGone {
				t.Errorf("the %dth that began and ended meanwhile is %+v, want the last 5 of 20 kept", i, r)
			}
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP herald_connections Open streams that this node's tracker knows.
# TYPE herald_connections gauge
herald_connections 21
# HELP herald_connections_dropped_total Streams that began and ended while the database was away, and were never written.
# TYPE herald_connections_dropped_total counter
herald_connections_dropped_total 15
`), "herald_connections", "herald_connections_dropped_total"); err != nil {
			t.Error(err)
		}
		if n := testutil.ToFloat64(metricOf{registry, "herald_connections_failures_total"}); n < 10 {
			t.Errorf("%v failures were counted, want one a second", n)
		}
	})
}

func TestTheEndOfRunWritesWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{Page: 2})
		var ids []uuid.UUID
		for range 5 {
			ids = append(ids, b.open("demo"))
		}
		b.Closed(ids[0], presence.Slow, 4)
		b.hub.write(ids[1], 8)
		waits := make(chan error)
		go func() {
			waits <- b.Await(t.Context(), presence.Ack{Client: uuid.New(), User: "demo"})
		}()
		synctest.Wait()
		go b.stop()
		if err := <-waits; !errors.Is(err, presence.ErrBusy) {
			t.Errorf("Await() = %v when the node stops, want %v", err, presence.ErrBusy)
		}
		b.stop()
		for i, want := range []presence.Progress{{Written: 4, Closed: presence.Slow}, {Written: 8, Closed: presence.Closing}, {Written: 3, Closed: presence.Closing}} {
			if r := b.table.row(ids[i]); r.Written != want.Written || r.Closed != want.Closed {
				t.Errorf("row %d is %+v, want %+v", i, r, want)
			}
		}
		if err := b.Await(t.Context(), presence.Ack{Client: uuid.New(), User: "demo"}); !errors.Is(err, presence.ErrBusy) {
			t.Errorf("Await() after Run = %v, want %v", err, presence.ErrBusy)
		}
	})
}

// A node that stops while the database is away does not wait for it.
func TestTheEndOfRunIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{})
		b.open("demo")
		b.table.set(func() { b.table.away = true })
		began := time.Now()
		b.stop()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("Run took %v to end", took)
		}
	})
}

func TestAnEarlierProcessOfTheNameIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bundle{hub: &hub{}, table: &table{rows: map[uuid.UUID]row{}, away: true}}
		left := uuid.New()
		b.table.rows[left] = row{user: "demo"}
		b.Tracker = presence.NewTracker("a", b.hub, b.table, discard(), presence.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		mine := b.open("demo")
		time.Sleep(3500 * time.Millisecond)
		b.table.set(func() { b.table.away = false })
		tick()
		tick()
		if r := b.table.row(left); r.Closed != presence.NodeLost {
			t.Errorf("what was left is %+v, want it lost", r)
		}
		if r := b.table.row(mine); r.user != "demo" || r.Closed != "" {
			t.Errorf("what has begun is %+v, want it open", r)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestANodeThatWasTakenForLostSaysThatItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{})
		id := b.open("demo")
		tick()
		b.table.set(func() {
			r := b.table.rows[id]
			r.Closed = presence.NodeLost
			b.table.rows[id], b.table.lost = r, true
		})
		tick()
		tick()
		if r := b.table.row(id); r.Closed != "" {
			t.Errorf("the stream ended because of %s, want it open", r.Closed)
		}
	})
}

func TestParity_13_TheHubIsToldToDisconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{})
		id := b.open("demo")
		tick()
		b.table.set(func() { b.table.close = []uuid.UUID{id} })
		tick()
		if diff := cmp.Diff([]uuid.UUID{id}, b.hub.disconnected()); diff != "" {
			t.Errorf("disconnected -want +got:\n%s", diff)
		}
	})
}

func TestParity_08_Acked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{})
		id := b.open("demo")
		ack := func(user string, seq event.Seq, visible bool, want, later error) {
			t.Helper()
			a := presence.Ack{Client: id, User: user, Seq: seq, Visible: visible}
			err := b.Acked(a)
			if !errors.Is(err, want) {
				t.Errorf("Acked(%+v) = %v, want %v", a, err, want)
			}
			if !errors.Is(want, presence.ErrLater) {
				return
			}
			began := time.Now()
			if err := b.Await(t.Context(), a); !errors.Is(err, later) || time.Since(began) > 2*time.Second {
				t.Errorf("Await(%+v) = %v after %v, want %v within two seconds", a, err, time.Since(began), later)
			}
		}
		stands := func(acked, seen event.Seq, visible bool) {
			t.Helper()
			tick()
			if r := b.table.row(id); r.Acked != acked || r.Seen != seen || r.Visible != visible {
				t.Errorf("acked %d, seen %d, visible %v, want %d, %d, %v", r.Acked, r.Seen, r.Visible, acked, seen, visible)
			}
		}
		ack("demo", 3, true, nil, nil)
		stands(3, 3, true)
		ack("demo", 1, false, nil, nil)
		stands(3, 3, false)
		ack("alice", 1, false, presence.ErrNotFound, nil)
		ack("alice", 99, false, presence.ErrNotFound, nil)
		ack("demo", 4, true, presence.ErrLater, presence.ErrAhead)
		b.hub.write(id, 7)
		ack("demo", 7, true, presence.ErrLater, nil) // written a moment ago
		ack("demo", 6, false, nil, nil)
		stands(7, 7, false)
		b.hub.write(id, 8)
		tick()
		for _, a := range []struct {
			seq     event.Seq
			visible bool
		}{{8, false}, {6, true}, {8, true}, {7, true}} { // acks may overtake each other
			ack("demo", a.seq, a.visible, nil, nil)
		}
		stands(8, 8, true)
		b.Closed(id, presence.ClientGone, 9)
		ack("demo", 9, true, nil, nil) // its last word comes late
		stands(9, 9, true)
		ack("demo", 9, true, presence.ErrLater, nil) // and later still: now it is the table's
		id = uuid.New()
		ack("demo", 9, true, presence.ErrLater, presence.ErrNotFound)
	})
}

func TestAcksOfStreamsElsewhereGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{MaxWait: 3})
		one, two := uuid.New(), uuid.New()
		b.table.set(func() {
			b.table.rows[one], b.table.rows[two] = row{user: "demo"}, row{user: "demo"}
			b.table.busy = 1
		})
		answers := make(chan error, 10)
		for _, a := range []presence.Ack{
			{Client: one, User: "demo", Seq: 5}, {Client: one, User: "demo", Seq: 4}, {Client: two, User: "demo", Seq: 101}, {Client: two, User: "alice"},
		} {
			go func() {
				if err := b.Await(t.Context(), a); err != nil {
					err = fmt.Errorf("%s: %w", a.User, err)
					answers <- err
					return
				}
				answers <- nil
			}()
		}
		synctest.Wait()
		if err := b.Await(t.Context(), presence.Ack{Client: uuid.New(), User: "demo"}); !errors.Is(err, presence.ErrBusy) {
			t.Errorf("Await() when too many do = %v, want %v", err, presence.ErrBusy)
		}
		before := len(b.table.begun())
		tick()
		tick()
		close(answers)
		got := map[string]int{}
		for err := range answers {
			got[fmt.Sprint(err)]++
		}
		want := map[string]int{"<nil>": 2, "demo: " + presence.ErrAhead.Error(): 1, "alice: " + presence.ErrNotFound.Error(): 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers -want +got:\n%s", diff)
		}
		if n := len(b.table.begun()) - before; n != 4 || b.table.row(one).Acked != 5 {
			t.Errorf("%d statements in two seconds, acked %d, want 4 and 5: one row was being written at first", n, b.table.row(one).Acked)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Await(ctx, presence.Ack{Client: one, User: "demo"}); !errors.Is(err, presence.ErrBusy) {
			t.Errorf("Await() when nobody waits = %v, want %v", err, presence.ErrBusy)
		}
	})
}

// A ping that says nothing new is not worth a row a second.
func TestPingsThatSayNothingNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, presence.Config{})
		id := b.open("demo")
		tick()
		before := len(b.table.batches())
		for range 20 { // a minute
			if err := b.Acked(presence.Ack{Client: id, User: "demo", Seq: 3, Visible: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		rows := 0
		for _, w := range b.table.batches()[before:] {
			rows += len(w.Changed)
		}
		if rows < 4 || rows > 7 {
			t.Errorf("a minute of pings wrote %d rows, want one in about ten seconds", rows)
		}
		if age := b.table.row(id).AckedAt.Passed(); age > 15*time.Second {
			t.Errorf("the last ping is %v old, want it known to about ten seconds", age)
		}
	})
}

// A node whose session was there, and is not, is looked into at once; but not by one
// whose own has gone too.
func TestNodesWhoseSessionHasEnded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		then []string // who is connected after a and b were
		want []string // whom the sweeps of four looks are told of
	}{
		"nothing ends":          {[]string{"a", "b"}, nil},
		"b is gone":             {[]string{"a"}, []string{"b", "b", "b", "b"}},
		"a has lost its own":    {nil, nil},
		"b, too, has lost its":  {[]string{"b"}, nil},
		"another is gone for b": {[]string{"a", "b", "c"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, presence.Config{})
				b.table.set(func() { b.table.connected = []string{"a", "b"} })
				tick()
				b.table.set(func() { b.table.connected, b.table.ended = tt.then, nil })
				for range 6 {
					before := len(b.table.begun())
					tick()
					if n := len(b.table.begun()) - before; n > 2 {
						t.Errorf("%d statements in a second, want 2 at most", n)
					}
				}
				if diff := cmp.Diff(tt.want, b.table.endedNodes()); diff != "" {
					t.Errorf("sweeps of nodes whose session has ended: -want +got:\n%s", diff)
				}
			})
		})
	}
}
