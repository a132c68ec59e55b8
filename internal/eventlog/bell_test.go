package eventlog_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// pg is as much of Postgres as the doorbell depends on: transaction ids handed
// out at the first write, snapshots, a flag that is read outside MVCC, and
// notifications delivered at commit.
type pg struct {
	mu     sync.Mutex
	next   eventlog.XID
	latest eventlog.XID // the highest that has ended, where a snapshot ends
	open   map[eventlog.XID]bool
	outbox []outboxRow
	log    []int
	armed  bool
	mvcc   bool // the flag is read as a table's row is, which would be a fault
	bell   chan struct{}

	// between is called before each call of the session takes effect, so that a
	// test can have writers act there.
	between func()

	vacuum  func() // called by each vacuum
	vacuums atomic.Int64
	scans   atomic.Int64
}

type outboxRow struct {
	xid eventlog.XID
	id  int
}

func newPG() *pg {
	return &pg{
		next: 100, latest: 99, open: make(map[eventlog.XID]bool), bell: make(chan struct{}, 1000), between: func() {}, vacuum: func() {},
	}
}

// writer is one transaction that inserts one row.
type writer struct {
	db    *pg
	xid   eventlog.XID // 0: none yet
	armed bool         // whether the bell was, in its snapshot
	rings bool
}

// snapshot begins a transaction that has read something, and has no xid.
func (db *pg) snapshot() *writer {
	db.mu.Lock()
	defer db.mu.Unlock()
	return &writer{db: db, armed: db.armed}
}

// begin takes an xid, as a first write does.
func (db *pg) begin() *writer {
	w := db.snapshot()
	db.mu.Lock()
	defer db.mu.Unlock()
	w.take()
	return w
}

// take takes an xid. The caller holds the lock.
func (w *writer) take() {
	w.xid = w.db.next
	w.db.open[w.xid] = true
	w.db.next++
}

// insert inserts a row and reads the bell, as the trigger does.
func (w *writer) insert(id int) {
	w.db.mu.Lock()
	defer w.db.mu.Unlock()
	if w.xid == 0 {
		w.take()
	}
	w.db.outbox = append(w.db.outbox, outboxRow{w.xid, id})
	w.rings = w.db.armed
	if w.db.mvcc {
		w.rings = w.armed
	}
}

func (w *writer) commit() {
	w.db.mu.Lock()
	defer w.db.mu.Unlock()
	delete(w.db.open, w.xid)
	w.db.latest = max(w.db.latest, w.xid)
	if w.rings {
		w.db.bell <- struct{}{}
	}
}

func (db *pg) isArmed() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.armed
}

func (db *pg) sequenced() []int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.log)
}

// Lead makes pg a Store.
func (db *pg) Lead(context.Context) (eventlog.Session, error) { return session{db}, nil }

// Vacuum has nothing to do but to be counted: nothing dead is kept here.
func (db *pg) Vacuum(context.Context) error {
	db.vacuums.Add(1)
	db.vacuum()
	return nil
}

type session struct{ db *pg }

func (s session) Arm(_ context.Context, armed bool) error {
	s.db.between()
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	s.db.armed = armed
	return nil
}

func (s session) Barrier(context.Context) (eventlog.XID, error) {
	s.db.between()
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	s.db.latest = s.db.next // it ends at once
	s.db.next++
	return s.db.latest, nil
}

func (s session) Sequence(_ context.Context, mark eventlog.Mark, limit int) (eventlog.Batch, error) {
	s.db.between()
	s.db.scans.Add(1)
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	snapshot := eventlog.Snapshot{Xmin: s.db.latest + 1, Xmax: s.db.latest + 1}
	for x := range s.db.open {
		if x < snapshot.Xmax { // the others are all to come, as far as a snapshot can tell
			snapshot.Xmin = min(snapshot.Xmin, x)
			snapshot.Open = append(snapshot.Open, x)
		}
	}
	slices.SortFunc(s.db.outbox, func(a, b outboxRow) int { return a.id - b.id })
	batch := eventlog.Batch{Snapshot: snapshot}
	s.db.outbox = slices.DeleteFunc(s.db.outbox, func(r outboxRow) bool {
		if s.db.open[r.xid] || !due(mark, r) || batch.Events == limit {
			return false
		}
		s.db.log = append(s.db.log, r.id)
		batch.Events++
		batch.Last = int64(r.id)
		return true
	})
	batch.More = batch.Events == limit
	batch.Head = event.Seq(len(s.db.log))
	return batch, nil
}

// due reports whether a row that has been committed is to be found where the
// mark says.
func due(mark eventlog.Mark, r outboxRow) bool {
	if mark.Within == nil {
		return r.xid >= mark.Next || slices.Contains(mark.Open, r.xid)
	}
	return int64(r.id) > mark.After && r.xid < mark.Within.Xmax && !slices.Contains(mark.Within.Open, r.xid)
}

func (s session) WaitBell(ctx context.Context, longest time.Duration) (bool, error) {
	s.db.between()
	select {
	case <-ctx.Done():
		return false, nil
	case <-s.db.bell:
		return true, nil
	case <-time.After(longest):
		return false, nil
	}
}

func (session) Close() {}

// sequence runs a sequencer that would oversleep by a day if a wake-up were
// lost, for as long as the test function runs.
func sequence(t *testing.T, db *pg, config eventlog.Config, test func()) {
	t.Helper()
	config.Poll = 24 * time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = eventlog.NewSequencer(db, slog.New(slog.DiscardHandler), config).Run(ctx)
	}()
	test()
	cancel()
	<-done
}

func TestSleepingSequencerIsWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newPG()
		sequence(t, db, eventlog.Config{}, func() {
			time.Sleep(time.Minute)
			if !db.isArmed() {
				t.Error("the bell is not armed after a minute of silence")
			}
			w := db.begin()
			w.insert(1)
			w.commit()
			synctest.Wait()
			if got := db.sequenced(); len(got) != 1 {
				t.Errorf("sequenced %v at once, want the one event", got)
			}
		})
	})
}

// Whoever leads does its other duty for as long as it leads, and not longer.
func TestTheLeadersDuty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var times, under int
		sequence(t, newPG(), eventlog.Config{Duty: func(ctx context.Context) {
			times, under = times+1, under+1
			<-ctx.Done()
			under--
		}}, func() {
			time.Sleep(time.Minute)
			synctest.Wait()
			if times != 1 || under != 1 {
				t.Errorf("done %d times, %d under way, want once and going on", times, under)
			}
		})
		if under != 0 {
			t.Error("the duty outlives the lead")
		}
	})
}

func TestBellIsDisarmedUnderLoadOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		every time.Duration
		armed bool
	}{{"50 a second", 20 * time.Millisecond, true}, {"1000 a second", time.Millisecond, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := newPG()
				sequence(t, db, eventlog.Config{}, func() {
					time.Sleep(time.Minute)
					for id := range int(time.Second / tt.every) {
						w := db.begin()
						w.insert(id)
						w.commit()
						time.Sleep(tt.every)
					}
					if got := db.isArmed(); got != tt.armed {
						t.Errorf("armed = %v, want %v", got, tt.armed)
					}
				})
			})
		})
	}
}

// Events that come at leisure keep no sequencer awake: it sleeps in between, also
// when there never was a silence, and each event costs one scan.
func TestSequencerSleepsBetweenEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newPG()
		sequence(t, db, eventlog.Config{}, func() {
			var before int64
			for id := range 100 {
				if id == 50 {
					before = db.scans.Load()
				}
				w := db.begin()
				w.insert(id)
				w.commit()
				time.Sleep(20 * time.Millisecond)
			}
			if scans := db.scans.Load() - before; !db.isArmed() || scans != 50 {
				t.Errorf("armed = %v, %d scans for the last 50 events, want as many, and the bell armed", db.isArmed(), scans)
			}
		})
	})
}

// A writer that has read the bell before it was armed may commit at any time
// afterwards; nobody rings for it.
func TestSequencerWaitsForWritersOlderThanTheBell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newPG()
		w := db.begin()
		sequence(t, db, eventlog.Config{}, func() {
			w.insert(1)
			time.Sleep(time.Minute)
			w.commit()
			time.Sleep(time.Second)
			if got := db.sequenced(); len(got) != 1 {
				t.Errorf("sequenced %v, want the one event", got)
			}
		})
	})
}

// Nobody rings for writers that read the bell before it was armed. Where a batch
// is cut, some of their rows are yet to come; and where a scan goes on with what
// it saw at first, it does not see those that have committed since.
func TestSequencerDoesNotSleepOnACutScan(t *testing.T) {
	t.Parallel()
	for _, late := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			db := newPG()
			var writers []*writer
			for id := range 2 + late {
				w := db.begin()
				w.insert(id)
				writers = append(writers, w)
			}
			calls := 0
			db.between = func() {
				if !db.isArmed() {
					return
				}
				switch calls++; calls {
				case 1: // the barrier; the next call is the first scan
					writers[0].commit()
					writers[1].commit()
				case 3:
					for _, w := range writers[2:] {
						w.commit()
					}
				}
			}
			sequence(t, db, eventlog.Config{Batch: 1}, func() {
				time.Sleep(time.Minute)
				if got := db.sequenced(); len(got) != len(writers) {
					t.Errorf("sequenced %v, want %d events", got, len(writers))
				}
			})
		})
	}
}

// Writers begin, insert and commit at any point between the sequencer's calls,
// and each of their events is in the log soon, without the safety poll.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// Each number is how many of a writer's three acts happen before the
		// sequencer's next call; writers act in turn.
		acts := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 80).Draw(rt, "acts")
		quiet := rapid.IntRange(0, 40).Draw(rt, "calls before")
		limit := rapid.SampledFrom([]int{1, 2, 5, 5000}).Draw(rt, "batch")
		synctest.Test(t, func(t *testing.T) {
			db := newPG()
			script := newScript(db, quiet, acts)
			db.between = script.step
			sequence(t, db, eventlog.Config{Batch: limit, Idle: 10 * time.Millisecond}, func() {
				time.Sleep(time.Second)
				script.finish()
				time.Sleep(time.Second)
				if got := db.sequenced(); len(got) != script.made {
					t.Errorf("acts %v after %d calls: sequenced %v, want %d events", acts, quiet, got, script.made)
				}
			})
		})
	})
}

// script lets writers act between the calls of a sequencer.
type script struct {
	db    *pg
	quiet int
	acts  []int

	mu     sync.Mutex // guards the fields below
	first  *writer    // has begun
	second *writer    // has inserted
	made   int
}

func newScript(db *pg, quiet int, acts []int) *script {
	return &script{db: db, quiet: quiet, acts: acts}
}

// step performs the next acts.
func (s *script) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet > 0 {
		s.quiet--
		return
	}
	if len(s.acts) == 0 {
		return
	}
	for range s.acts[0] {
		s.act()
	}
	s.acts = s.acts[1:]
}

// act commits what was inserted, or inserts what has begun, or begins.
func (s *script) act() {
	switch {
	case s.second != nil:
		s.second.commit()
		s.second = nil
	case s.first != nil:
		s.made++
		s.first.insert(s.made)
		s.first, s.second = nil, s.first
	default:
		s.first = s.db.begin()
	}
}

// finish lets the writers under way commit, and none begin any more.
func (s *script) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts = nil
	for s.first != nil || s.second != nil {
		s.act()
	}
}
