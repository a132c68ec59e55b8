package eventlog_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"herald/internal/eventlog"
)

// ground is what sequencer and writers stand on: the model of Postgres, or
// Postgres itself.
type ground interface {
	eventlog.Store
	// snapshot begins a writer's transaction that has its snapshot, and no
	// transaction id.
	snapshot() (transaction, error)
	// length is how many events the log has.
	length() (int, error)
	// ring wakes a sequencer that sleeps.
	ring() error
	// readFlagUnderMVCC makes writers read the flag as a row of a table.
	readFlagUnderMVCC() error
	// setFlag sets that row.
	setFlag(armed bool) error
	// armInOneStatement takes a transaction id and arms the bell in one statement,
	// which stands still in between while the function runs.
	armInOneStatement(between func()) (eventlog.XID, error)
}

// transaction is a writer's, of one row.
type transaction interface {
	put() error                  // takes a transaction id, inserts, and reads the bell
	end() (rang bool, err error) // commits
}

// The moments at which a script has its writer act. Each comes before what it
// names.
type moment int

const (
	arming     moment = iota + 1 // the bell is armed
	halfArmed                    // between the two halves of arming: the flag, and the barrier
	scanning                     // a scan after that
	fallAsleep                   // the sequencer sleeps
)

// interleaving is what a writer does, and when.
type interleaving struct {
	begin, insert moment // insert 0: at the end, with the commit
}

// A mutant is a doorbell with a fault in it.
type mutant struct {
	name      string
	writer    interleaving
	prepare   func(ground) error
	session   func(stepped) eventlog.Session
	modelOnly bool // the interleaving cannot be brought about on a Postgres that also works by itself
}

func mutants() []mutant {
	return []mutant{
		{
			name: "the barrier is left out", writer: interleaving{arming, arming},
			session: func(s stepped) eventlog.Session { return noBarrier{s} },
		},
		{
			name: "the flag is read under MVCC", writer: interleaving{begin: arming},
			prepare: ground.readFlagUnderMVCC,
			session: func(s stepped) eventlog.Session { return tableFlag{s} },
		},
		{
			name: "flag and barrier in one statement", writer: interleaving{halfArmed, halfArmed},
			session: func(s stepped) eventlog.Session { return &oneStatement{stepped: s} },
		},
		{
			name: "only the open transactions of the snapshot count", writer: interleaving{arming, arming},
			session:   func(s stepped) eventlog.Session { return openOnly{noBarrier{s}} },
			modelOnly: true,
		},
	}
}

// Each mutant oversleeps: a writer commits, nobody rings, and the event waits
// for the safety poll. Stepped through the same interleaving, the true doorbell
// does not.
func TestMutantsOversleep(t *testing.T) {
	t.Parallel()
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { m.check(t, func() ground { return modelGround{newPG()} }) })
		})
	}
}

// The same on Postgres, one after another: all its databases share their
// transaction ids.
func TestMutantsOversleepOnPostgres(t *testing.T) {
	t.Parallel()
	for _, m := range mutants() {
		if m.modelOnly {
			continue
		}
		m.check(t, func() ground { return newPostgresGround(t) })
	}
}

// check has the true doorbell and the mutant go through the interleaving.
func (m mutant) check(t *testing.T, newGround func() ground) {
	t.Helper()
	if m.oversleeps(t, newGround(), false) {
		t.Errorf("%s: the true doorbell oversleeps, too", m.name)
	}
	if !m.oversleeps(t, newGround(), true) {
		t.Errorf("%s: the test does not see it", m.name)
	}
}

// oversleeps reports whether the sequencer sleeps although an event was
// committed. In the end, the event is in the log.
func (m mutant) oversleeps(t *testing.T, on ground, mutated bool) bool {
	t.Helper()
	if mutated && m.prepare != nil {
		if err := m.prepare(on); err != nil {
			t.Fatal(err)
		}
	}
	script := &stepper{ground: on, writer: m.writer, done: make(chan struct{})}
	store := steppedStore{on, func(inner eventlog.Session) eventlog.Session {
		s := stepped{inner, script}
		if mutated {
			return m.session(s)
		}
		return trueBell{s}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = eventlog.NewSequencer(store, slog.New(slog.DiscardHandler), eventlog.Config{Poll: 24 * time.Hour}).Run(ctx)
	}()
	defer func() {
		cancel()
		<-stopped
	}()
	select {
	case <-script.done:
	case <-time.After(time.Minute):
		t.Fatalf("%s: the script is not at its end after a minute", m.name)
	}
	if script.err != nil {
		t.Fatalf("%s: %v", m.name, script.err)
	}
	overslept := script.asleep && !script.rang
	if overslept {
		if n, err := on.length(); n != 0 || err != nil {
			t.Errorf("%s: the log has %d events (%v) before anybody rang", m.name, n, err)
		}
		if err := on.ring(); err != nil {
			t.Fatal(err)
		}
	}
	if err := awaitLength(on, 1); err != nil {
		t.Errorf("%s: %v", m.name, err)
	}
	return overslept
}

// awaitLength waits until the log has so many events.
func awaitLength(on ground, want int) error {
	for range 20_000 {
		if n, err := on.length(); n == want || err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the event is not in the log")
}

// stepper has one writer act at the moments of its interleaving. It belongs to
// the sequencer's goroutine until done is closed.
type stepper struct {
	ground ground
	writer interleaving

	tx    transaction
	scans int
	over  bool

	done   chan struct{} // closed when the writer has committed
	asleep bool          // the sequencer was about to sleep then
	rang   bool
	err    error
}

// manyScans is after how many scans a sequencer that should not sleep as yet has
// shown that it does not.
const manyScans = 100

// at is called by the sequencer's session.
func (s *stepper) at(now moment) {
	if s.over || s.err != nil || s.tx == nil && now != s.writer.begin {
		return
	}
	var err error
	if now == s.writer.begin {
		s.tx, err = s.ground.snapshot()
	}
	if err == nil && now == s.writer.insert {
		err = s.tx.put()
	}
	if now == scanning {
		s.scans++
	}
	if err == nil && (now == fallAsleep || s.scans == manyScans && s.writer.insert != 0) {
		if s.writer.insert == 0 {
			err = s.tx.put()
		}
		if err == nil {
			s.rang, err = s.tx.end()
		}
		s.asleep, s.over = now == fallAsleep, true
	}
	if s.err = err; s.over || err != nil {
		close(s.done)
	}
}

// steppedStore gives out sessions of another kind.
type steppedStore struct {
	eventlog.Store
	wrap func(eventlog.Session) eventlog.Session
}

func (s steppedStore) Lead(ctx context.Context) (eventlog.Session, error) {
	session, err := s.Store.Lead(ctx)
	if err != nil {
		return nil, err
	}
	return s.wrap(session), nil
}

// stepped is a session that tells the script of the moments that all doorbells
// have in common.
type stepped struct {
	eventlog.Session
	script *stepper
}

func (s stepped) Sequence(ctx context.Context, mark eventlog.Mark, limit int) (eventlog.Batch, error) {
	s.script.at(scanning)
	return s.Session.Sequence(ctx, mark, limit)
}

func (s stepped) WaitBell(ctx context.Context, longest time.Duration) (bool, error) {
	s.script.at(fallAsleep)
	return s.Session.WaitBell(ctx, longest)
}

func (s stepped) Arm(ctx context.Context, armed bool) error {
	if armed {
		s.script.at(arming)
	}
	return s.Session.Arm(ctx, armed)
}

// trueBell is as Herald's is.
type trueBell struct{ stepped }

func (s trueBell) Barrier(ctx context.Context) (eventlog.XID, error) {
	s.script.at(halfArmed)
	return s.Session.Barrier(ctx)
}

// noBarrier sleeps whenever a scan has found nothing.
type noBarrier struct{ stepped }

func (noBarrier) Barrier(context.Context) (eventlog.XID, error) { return 0, nil }

// openOnly sleeps when a scan has found nothing and its snapshot names no open
// transaction, which one that is newer than all that have ended never is.
type openOnly struct{ noBarrier }

func (s openOnly) Sequence(ctx context.Context, mark eventlog.Mark, limit int) (eventlog.Batch, error) {
	batch, err := s.noBarrier.Sequence(ctx, mark, limit)
	if len(batch.Snapshot.Open) > 0 {
		batch.Snapshot.Xmin = 0
	}
	return batch, err
}

// tableFlag keeps the flag in a row as well, which is what its writers read.
type tableFlag struct{ stepped }

func (s tableFlag) Arm(ctx context.Context, armed bool) error {
	if err := s.stepped.Arm(ctx, armed); err != nil {
		return err
	}
	return s.script.ground.setFlag(armed)
}

// oneStatement arms the bell and takes the barrier at once.
type oneStatement struct {
	stepped
	barrier eventlog.XID
}

func (s *oneStatement) Arm(ctx context.Context, armed bool) (err error) {
	if !armed {
		return s.stepped.Arm(ctx, armed)
	}
	s.barrier, err = s.script.ground.armInOneStatement(func() { s.script.at(halfArmed) })
	return err
}

func (s *oneStatement) Barrier(context.Context) (eventlog.XID, error) { return s.barrier, nil }

// modelGround is the model of Postgres.
type modelGround struct{ *pg }

func (g modelGround) snapshot() (transaction, error) { return modelWriter{g.pg.snapshot()}, nil }
func (g modelGround) length() (int, error)           { return len(g.sequenced()), nil }
func (g modelGround) setFlag(bool) error             { return nil } // its writers look at the one flag as it was

func (g modelGround) ring() error {
	g.bell <- struct{}{}
	return nil
}

func (g modelGround) readFlagUnderMVCC() error {
	g.mvcc = true
	return nil
}

func (g modelGround) armInOneStatement(between func()) (eventlog.XID, error) {
	s := session{g.pg}
	barrier, err := s.Barrier(context.Background())
	between()
	return barrier, errors.Join(err, s.Arm(context.Background(), true))
}

type modelWriter struct{ w *writer }

func (m modelWriter) put() error {
	m.w.insert(1)
	return nil
}

func (m modelWriter) end() (rang bool, err error) {
	m.w.commit()
	return m.w.rings, nil
}
