package presence_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"herald/internal/event"
	"herald/internal/presence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("the database is away")

// hub stands in for what holds the streams.
type hub struct {
	mu      sync.Mutex
	written map[uuid.UUID]event.Seq // since the last visit
	ended   []uuid.UUID
}

func (h *hub) write(id uuid.UUID, seq event.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.written[id] = seq
}

func (h *hub) Written(yield func(uuid.UUID, event.Seq)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, seq := range h.written {
		yield(id, seq)
	}
	clear(h.written)
}

func (h *hub) Disconnect(id uuid.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = append(h.ended, id)
}

// disconnected are those that it was told to end.
func (h *hub) disconnected() []uuid.UUID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ended)
}

// table stands in for the database: it does what the statements promise.
type table struct {
	mu         sync.Mutex
	rows       map[uuid.UUID]row
	away       bool
	lost       bool              // what the next Write is told
	close      []uuid.UUID       // too
	busy       int               // so often, acks are answered with ErrLater
	statements []time.Time       // when each began
	writes     []presence.Batch  // those that were written
	ends       []presence.Reason // of each CloseNodeConnections
	sweeps     int
	ended      []string // of each sweep, the nodes whose session has
	connected  []string // what each Write is told
}

type row struct {
	presence.Progress
	user string
}

// statement notes that one began.
func (tb *table) statement(ctx context.Context) error {
	tb.statements = append(tb.statements, time.Now())
	if tb.away {
		return errAway
	}
	return ctx.Err()
}

func (tb *table) WriteConnections(ctx context.Context, b presence.Batch) (presence.Answer, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if err := tb.statement(ctx); err != nil {
		return presence.Answer{}, err
	}
	tb.writes = append(tb.writes, b)
	for _, c := range b.Opened {
		if _, there := tb.rows[c.ID]; !there {
			tb.rows[c.ID] = row{user: c.User}
		}
	}
	for _, p := range b.Changed {
		if r, there := tb.rows[p.ID]; there {
			if p.AckedAt == 0 {
				p.AckedAt, p.Visible = r.AckedAt, r.Visible
			}
			r.Progress = p
			tb.rows[p.ID] = r
		}
	}
	answer := presence.Answer{Lost: tb.lost, Close: tb.close, Connected: slices.Clone(tb.connected)}
	tb.lost, tb.close = false, nil
	return answer, nil
}

func (tb *table) WriteAcks(ctx context.Context, acks []presence.Ack) ([]error, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if err := tb.statement(ctx); err != nil {
		return nil, err
	}
	answers := make([]error, len(acks))
	for i, a := range acks {
		r, there := tb.rows[a.Client]
		switch {
		case !there || r.user != a.User:
			answers[i] = presence.ErrNotFound
		case a.Seq > 100:
			answers[i] = presence.ErrAhead
		case tb.busy > 0:
			tb.busy--
			answers[i] = presence.ErrLater
		default:
			r.Acked = max(r.Acked, a.Seq)
			tb.rows[a.Client] = r
		}
	}
	return answers, nil
}

func (tb *table) CloseNodeConnections(ctx context.Context, _ string, why presence.Reason, but []uuid.UUID) error {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if err := tb.statement(ctx); err != nil {
		return err
	}
	tb.ends = append(tb.ends, why)
	for id, r := range tb.rows {
		if r.Closed == "" && !slices.Contains(but, id) {
			r.Closed = why
			tb.rows[id] = r
		}
	}
	return nil
}

func (tb *table) CloseLostConnections(ctx context.Context, ended []string) (int, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.sweeps++
	tb.ended = append(tb.ended, strings.Join(ended, " "))
	return 0, tb.statement(ctx)
}

// set changes the table.
func (tb *table) set(change func()) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	change()
}

// batches are those that were written.
func (tb *table) batches() []presence.Batch {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.writes)
}

// endedNodes are the nodes that sweeps were told of.
func (tb *table) endedNodes() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(tb.ended), func(s string) bool { return s == "" })
}

// begun is when each statement began.
func (tb *table) begun() []time.Time {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.statements)
}

func (tb *table) row(id uuid.UUID) row {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return tb.rows[id]
}

// bundle is a Tracker that runs in a bubble.
type bundle struct {
	*presence.Tracker
	hub   *hub
	table *table
	stop  func() // ends Run and waits for it
}

// setup starts a Tracker, whose first statement is behind it.
func setup(t *testing.T, c presence.Config) *bundle {
	t.Helper()
	b := &bundle{hub: &hub{written: map[uuid.UUID]event.Seq{}}, table: &table{rows: map[uuid.UUID]row{}}}
	b.Tracker = presence.NewTracker("a", b.hub, b.table, slog.New(slog.DiscardHandler), c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	t.Cleanup(b.stop)
	tick()
	return b
}

// tick waits until what changed so far has been written.
func tick() {
	synctest.Wait()
	time.Sleep(time.Second)
	synctest.Wait()
}

// open opens a stream of the user's.
func (b *bundle) open(user string) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	b.Opened(presence.Connection{ID: id, User: user, OpenedSeq: 3})
	return id
}

// last is the last batch that was written.
func (b *bundle) last() presence.Batch {
	all := b.table.batches()
	return all[len(all)-1]
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// metricOf is one of several metrics.
type metricOf struct {
	prometheus.Collector
	name string
}

// Collect is prometheus.Collector's.
func (m metricOf) Collect(to chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric, 100)
	m.Collector.Collect(all)
	close(all)
	for metric := range all {
		if strings.Contains(metric.Desc().String(), `"`+m.name+`"`) {
			to <- metric
		}
	}
}
