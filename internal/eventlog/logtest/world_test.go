package logtest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"herald/internal/broker"
	"herald/internal/bus/pgbus"
	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// world is a Postgres and everything that works with it.
type world struct {
	t          *testing.T
	seed       uint64
	server     *pgtest.Server
	url        string // the same across crashes
	db         *postgres.DB
	shared     []uuid.UUID // jobs that all writers write
	ledger     ledger
	sequencers *crew
	writers    []*writer
	nodes      []node

	readers     []*logReader
	subscribers []*subscriber

	terminated int // backends; owned by terminateBackends
}

func (w *world) rng(n uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, n)) }

// newWorld makes the jobs and those who will write and read.
func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	const sharedJobs, writers, readers, subscribers = 4, 12, 3, 6
	server := pgtest.NewServer(t)
	w := &world{t: t, seed: seed, server: server, url: server.URL()}
	w.db = open(t, w.url, 24)
	// A batch of five cuts transactions, and a poll once an hour hides no ring that was lost.
	config := eventlog.Config{Batch: 5, Idle: 20 * time.Millisecond, Retry: 40 * time.Millisecond, Poll: time.Hour}
	w.sequencers = &crew{url: w.url, logs: newTail(t), config: config}
	t.Cleanup(w.sequencers.stop)
	for i := range sharedJobs {
		w.shared = append(w.shared, w.newJob(i))
	}
	for i := range writers {
		name := fmt.Sprintf("w%d", i)
		w.writers = append(w.writers, &writer{world: w, name: name, rng: w.rng(uint64(100 + i)), own: w.newJob(i)})
	}
	for i := range readers {
		r := &logReader{url: w.url, rng: w.rng(uint64(200 + i))}
		r.got.name = fmt.Sprintf("reader %d", i)
		w.readers = append(w.readers, r)
	}
	for _, config := range []hub.Config{{}, {QueueFrames: 16}} {
		db := open(t, w.url, 4)
		log := slog.New(slog.DiscardHandler)
		bus := pgbus.New(db.Session, postgres.LogChannel, log)
		streams := hub.New(config)
		w.nodes = append(w.nodes, node{
			broker.New(db, bus, streams, encodeToken, log, broker.Config{Memory: 64 << 10, Page: 50, Poll: time.Second}), streams,
		})
	}
	for i := range subscribers {
		s := &subscriber{nodes: w.nodes, rng: w.rng(uint64(300 + i))}
		s.got = got{name: fmt.Sprintf("subscriber %d", i), topics: w.someTopics(i)}
		w.subscribers = append(w.subscribers, s)
	}
	return w
}

func encodeToken(e event.Event) ([]byte, error) { return []byte(tokenOf(e)), nil }

// newJob makes a running job, and notes what its making has written.
func (w *world) newJob(n int) uuid.UUID {
	w.t.Helper()
	made, err := w.db.CreateJob(w.t.Context(), job.New{
		Kind: "test", Owner: "demo", Title: "a test", Watchers: []event.Topic{event.Topic(fmt.Sprintf("channel:%d", n%3))},
	}, noQueue{})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.db.StartJob(w.t.Context(), made.ID, 1, "worker", nil); err != nil {
		w.t.Fatal(err)
	}
	for version := int64(1); version <= 2; version++ {
		w.ledger.add(transaction{kind: "made", events: []written{{nameless(made.ID, version), made.ID, version}}})
	}
	return made.ID
}

func (w *world) someTopics(n int) []event.Topic {
	switch n % 4 {
	case 0:
		return []event.Topic{event.UserTopic("demo"), event.Everyone}
	case 1:
		return []event.Topic{event.JobTopic(w.shared[0])}
	case 2:
		return []event.Topic{"channel:0", "channel:1", event.JobTopic(w.shared[1])}
	default:
		return []event.Topic{event.Everyone, event.JobTopic(w.writers[0].own), "channel:nobody"}
	}
}

// run lets the world go through storms, each followed by a calm, and looks at
// what is left.
func (w *world) run(ctx context.Context, storms int, length time.Duration) {
	w.t.Helper()
	const sequencers = 3
	if err := w.sequencers.start(sequencers); err != nil {
		w.t.Fatal(err)
	}
	following, stop := context.WithCancel(ctx)
	var followers errgroup.Group
	defer func() {
		stop()
		_ = followers.Wait() // looked at below, unless the test has failed before
	}()
	for _, n := range w.nodes {
		followers.Go(func() error { return n.run(following) })
	}
	for _, r := range w.readers {
		followers.Go(func() error { return r.run(following) })
	}
	for _, s := range w.subscribers {
		followers.Go(func() error { return s.run(following) })
	}
	for i := range storms {
		if err := w.storm(ctx, i, length); err != nil {
			w.t.Fatalf("storm %d: %v", i, err)
		}
		if err := w.calm(ctx); err != nil {
			w.t.Fatalf("calm %d: %v", i, err)
		}
	}
	log := w.readLog(ctx)
	if err := w.awaitReaders(ctx, log); err != nil {
		w.t.Errorf("a reader is not at the end: %v", err)
	}
	stop()
	if err := followers.Wait(); err != nil {
		w.t.Error(err)
	}
	w.check(ctx, log)
}

// storm has everybody write while everything is killed.
func (w *world) storm(ctx context.Context, number int, length time.Duration) error {
	until, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var group errgroup.Group
	for i, writer := range w.writers {
		group.Go(func() error { return writer.run(ctx, until, i, 50*time.Millisecond) })
	}
	group.Go(func() error { return w.sequencers.disturb(until, w.rng(uint64(400+number))) })
	group.Go(func() error { return w.terminateBackends(until, w.rng(uint64(500+number))) })
	_ = rest(ctx, length*2/3)
	err := w.crash(ctx, number)
	if waitErr := group.Wait(); err == nil {
		err = waitErr
	}
	return err
}

// calm kills nothing. What was committed is to reach the log now, and what a few
// writers go on writing, now and then, must wake the sequencer each time.
func (w *world) calm(ctx context.Context) error {
	if err := w.drained(ctx); err != nil {
		return err
	}
	until, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	var group errgroup.Group
	for i, writer := range w.writers[:4] {
		group.Go(func() error { return writer.run(ctx, until, i, 150*time.Millisecond) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := w.drained(ctx); err != nil {
		return err
	}
	return w.takeovers(ctx)
}

// takeovers ends the lead again and again, and has one writer write meanwhile.
// The next leader disarms the bell and arms it once more; it may not sleep over
// a writer that has read the bell in between, for whom nobody rings.
func (w *world) takeovers(ctx context.Context) error {
	around := kind{name: "around a takeover", write: func(ctx context.Context, a *attempt) error {
		if err := rest(ctx, a.upTo(80*time.Millisecond)); err != nil {
			return err
		}
		if err := a.report(ctx, a.own); err != nil {
			return err
		}
		return rest(ctx, 60*time.Millisecond)
	}}
	for range 8 {
		if err := unexpected(terminate(ctx, w.url, leaders)); err != nil {
			return err
		}
		if err := w.writers[0].transact(ctx, around); err != nil {
			return err
		}
		if err := w.drained(ctx); err != nil {
			return err
		}
	}
	return nil
}

// drained waits until the outbox is empty.
func (w *world) drained(ctx context.Context) error {
	var left, open, leading int
	var armed bool
	err := await(ctx, func(ctx context.Context) (bool, error) {
		err := w.db.Pool().QueryRow(ctx, `SELECT (SELECT count(*) FROM herald.outbox), is_called,
			(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL),
			(SELECT count(*) FROM (`+leaders+`) l) FROM herald.bell`).Scan(&left, &armed, &open, &leading)
		return err == nil && left == 0, unexpected(err)
	})
	if err != nil {
		return fmt.Errorf("%d events wait in the outbox (armed %v, transactions %d, leaders %d): %w", left, armed, open, leading, err)
	}
	return nil
}

// readLog reads the whole log, as a new reader would.
func (w *world) readLog(ctx context.Context) []event.Event {
	w.t.Helper()
	var log []event.Event
	for {
		page, err := w.db.Events(ctx, event.Seq(len(log)), 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			return log
		}
		log = append(log, page...)
	}
}

// awaitReaders waits until each reader has the last event that concerns it.
func (w *world) awaitReaders(ctx context.Context, log []event.Event) error {
	for _, r := range w.readers {
		if err := await(ctx, func(context.Context) (bool, error) { return r.last.Load() == int64(len(log)), nil }); err != nil {
			return fmt.Errorf("%s at %d of %d: %w", r.got.name, r.last.Load(), len(log), err)
		}
	}
	for _, s := range w.subscribers {
		var last event.Seq
		for _, e := range log {
			if concerns(e, s.got.topics) {
				last = e.Seq
			}
		}
		if err := await(ctx, func(context.Context) (bool, error) { return s.last.Load() == int64(last), nil }); err != nil {
			return fmt.Errorf("%s at %d of %d: %w", s.got.name, s.last.Load(), last, err)
		}
	}
	return nil
}

// check is the one check of everything.
func (w *world) check(ctx context.Context, log []event.Event) {
	w.t.Helper()
	h := history{transactions: w.ledger.transactions, log: log}
	for _, r := range w.readers {
		h.readers = append(h.readers, r.got)
	}
	for _, s := range w.subscribers {
		h.subscribers = append(h.subscribers, s.got)
		w.checkTopics(ctx, log, s.got.topics)
	}
	found := h.faults()
	const most = 20
	for _, fault := range found[:min(len(found), most)] {
		w.t.Error(fault)
	}
	if len(found) > most {
		w.t.Errorf("and %d more faults", len(found)-most)
	}
	floor, head, err := w.db.Bounds(ctx)
	if err != nil || floor != 0 || head != event.Seq(len(log)) {
		w.t.Errorf("Bounds() = %d, %d, %v, want 0 and %d", floor, head, err, len(log))
	}
	if err := verifyChain(ctx, w.db, len(log)); err != nil {
		w.t.Errorf("the log's digests: %v", err)
	}
	w.sum(len(log))
}

// verifyChain computes the log's digests anew.
func verifyChain(ctx context.Context, db *postgres.DB, events int) error {
	floor, head, beyond, err := db.Ends(ctx)
	if err != nil {
		return err
	}
	v := chain.NewVerifier(floor, nil)
	if err := errors.Join(db.Scan(ctx, floor.Seq, head.Seq, v), v.End(head)); err != nil {
		return err
	}
	if int(v.Events()) != events || beyond != 0 {
		return fmt.Errorf("%d events of %d are in the chain, and seq %d is behind it", v.Events(), events, beyond)
	}
	return nil
}

// checkTopics compares a replay by topic with the log.
func (w *world) checkTopics(ctx context.Context, log []event.Event, topics []event.Topic) {
	w.t.Helper()
	replay, err := w.db.EventsOfTopics(ctx, topics, 0, event.Seq(len(log)), len(log)+1)
	if err != nil {
		w.t.Error(err)
		return
	}
	for _, e := range log {
		if !concerns(e, topics) {
			continue
		}
		if len(replay) == 0 || replay[0].Seq != e.Seq {
			w.t.Errorf("the replay of %v has not seq %d in its place", topics, e.Seq)
			return
		}
		replay = replay[1:]
	}
	if len(replay) > 0 {
		w.t.Errorf("the replay of %v has seq %d, which is not of them", topics, replay[0].Seq)
	}
}

// sum says what happened, and complains of what did not.
func (w *world) sum(events int) {
	w.t.Helper()
	type count struct{ committed, unknown, abandoned int }
	byKind := make(map[string]*count)
	for _, tx := range w.ledger.transactions {
		if byKind[tx.kind] == nil {
			byKind[tx.kind] = new(count)
		}
		switch tx.fate {
		case committed:
			byKind[tx.kind].committed++
		case unknown:
			byKind[tx.kind].unknown++
		case abandoned:
			byKind[tx.kind].abandoned++
		}
	}
	for kind, n := range byKind {
		w.t.Logf("%-16s %5d committed, %3d unknown, %4d abandoned", kind, n.committed, n.unknown, n.abandoned)
	}
	connects, slow := 0, 0
	for _, r := range w.readers {
		connects += r.connects
	}
	for _, s := range w.subscribers {
		connects += s.connects
		slow += s.slow
	}
	w.t.Logf("%d events, %d sequencers killed, %d backends terminated, %d connects of readers, %d cut off",
		events, w.sequencers.kills.Load(), w.terminated, connects, slow)
	for _, k := range kinds() {
		if n := byKind[k.name]; n == nil || n.committed == 0 && n.abandoned == 0 {
			w.t.Errorf("no transaction of the kind %q ended", k.name)
		}
	}
}
