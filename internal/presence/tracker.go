package presence

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Streams is what holds a node's streams: its hub.
type Streams interface {
	// Written visits the streams to which more was written since the last visit,
	// with the last Seq of each.
	Written(yield func(id uuid.UUID, seq event.Seq))
	// Disconnect ends a stream, if there is one, as Disconnected.
	Disconnect(id uuid.UUID)
}

// Store is where streams are written down. Each method is one statement.
type Store interface {
	// WriteConnections says that the node is alive, and how its streams are.
	WriteConnections(ctx context.Context, b Batch) (Answer, error)
	// WriteAcks writes acks of streams that other nodes hold. For each it returns
	// nil, ErrNotFound, ErrAhead, or ErrLater when the row is being written.
	WriteAcks(ctx context.Context, acks []Ack) ([]error, error)
	// CloseNodeConnections ends all of the node's streams in the table but those.
	CloseNodeConnections(ctx context.Context, node string, why Reason, but []uuid.UUID) error
	// CloseLostConnections ends the streams of nodes that have been silent for Silence,
	// or, of those whose session has ended, for EndedSilence. It returns how many there
	// were.
	CloseLostConnections(ctx context.Context, ended []string) (int, error)
}

// Batch is what changed of a node's streams.
type Batch struct {
	Node    string
	Changed []Progress   // in order of ID
	Opened  []Connection // how those of them began that may not be in the table yet
}

// Progress is all that changes of a stream.
type Progress struct {
	ID                                   uuid.UUID
	Written, Acked, Seen                 event.Seq
	WrittenAt, AckedAt, SeenAt, ClosedAt Moment // zero: never; of AckedAt, also not since it was last written
	Visible                              bool
	Closed                               Reason // empty while it is open
}

// Moment is a time in Unix microseconds, a third of a time.Time: there are four
// for each stream. The zero Moment is never.
type Moment int64

// At is the moment of a time.
func At(t time.Time) Moment { return Moment(t.UnixMicro()) }

func now() Moment { return At(time.Now()) }

// Passed is how long ago it was, or negative for never.
func (m Moment) Passed() time.Duration {
	if m == 0 {
		return -1
	}
	return max(0, time.Duration(now()-m)*time.Microsecond)
}

// Answer is what a node is told when it writes.
type Answer struct {
	// Lost says that the node had been silent for so long that others may have
	// taken its streams for ended.
	Lost bool
	// Close are the node's streams that somebody wants to end.
	Close []uuid.UUID
	// Connected are the nodes that have a session with the database.
	Connected []string
}

// Config is a Tracker's measures. The zero Config is fit for use.
type Config struct {
	Interval time.Duration // between two statements of what changed; default 1 s
	Page     int           // streams in one statement; default 5000
	MaxEnded int           // streams kept that ended before the database knew of them; default 10,000
	MaxWait  int           // clients that wait in Await; default 10,000
	Metrics  *Metrics      // default: some that nobody collects
}

// Tracker writes down what happens to a node's streams: about once a second all
// that changed, in one statement, and in another what concerns other nodes'
// streams. While the database is away, it keeps what it has to write: of each
// open stream, and of the last MaxEnded that began and ended meanwhile.
type Tracker struct {
	node    string
	streams Streams
	store   Store
	log     *slog.Logger
	config  Config

	// Owned by Run.
	doubtful bool      // the last batch's answer, which may have told of a loss, did not come
	failing  bool      // the last statement did
	steady   time.Time // since when every statement has worked; zero when the last has not
	swept    time.Time // when it last ended the streams of lost nodes
	sessions sessions  // those of the nodes

	mu      sync.Mutex // guards the fields below; held for moments, never during I/O
	entered bool       // what the table has of this node as open is what is known here
	known   map[uuid.UUID]*stream
	changed map[*stream]struct{} // those among known that are to be written
	brief   []*stream            // those that ended before they were written, oldest first; maybe some of the past
	waiting map[waiter]*question // nil when Run has ended
}

// stream is what is known of a stream until its end is written.
type stream struct {
	user    string
	opening *Connection // until it is written
	spoken  bool        // there is an ack that is not written
	Progress
}

// NewTracker returns a Tracker of the node's streams, which writes when Run does.
// The node's name is its own: no other process has it.
func NewTracker(node string, streams Streams, store Store, log *slog.Logger, c Config) *Tracker {
	c.Interval = orDefault(c.Interval, time.Second)
	c.Page, c.MaxEnded, c.MaxWait = orDefault(c.Page, 5000), orDefault(c.MaxEnded, 10_000), orDefault(c.MaxWait, 10_000)
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	return &Tracker{
		node: node, streams: streams, store: store, log: log, config: c,
		known: map[uuid.UUID]*stream{}, changed: map[*stream]struct{}{}, waiting: map[waiter]*question{},
	}
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Opened says that a stream has begun, before anything else is said of it. It
// does not wait.
func (t *Tracker) Opened(c Connection) {
	c = c.Clean()
	c.Node = t.node
	if c.OpenedAt.IsZero() {
		c.OpenedAt = time.Now()
	}
	s := &stream{user: c.User, opening: &c, Progress: Progress{ID: c.ID, Written: c.OpenedSeq}}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[c.ID] = s
	t.changed[s] = struct{}{}
	t.config.Metrics.open.Inc()
}

// Wrote says how far a stream has been written that the hub does not know yet. It
// does not wait.
func (t *Tracker) Wrote(id uuid.UUID, seq event.Seq) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.known[id]; s != nil {
		t.write(s, seq)
	}
}

// Closed says that a stream has ended, why, and the last Seq written to it. It
// does not wait.
func (t *Tracker) Closed(id uuid.UUID, why Reason, written event.Seq) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.known[id]
	if s == nil || s.Closed != "" {
		return
	}
	t.write(s, written)
	s.Closed, s.ClosedAt = why.known(), now()
	t.changed[s] = struct{}{}
	t.config.Metrics.open.Dec()
	if s.opening != nil {
		t.brief = append(t.brief, s)
		t.trim()
	}
}

// trim forgets the oldest streams that began and ended unwritten when there are
// too many of them.
func (t *Tracker) trim() {
	for ; len(t.brief) > t.config.MaxEnded; t.brief = t.brief[1:] {
		s := t.brief[0]
		if _, kept := t.changed[s]; !kept || s.opening == nil {
			continue // it has been written meanwhile
		}
		delete(t.known, s.ID)
		delete(t.changed, s)
		t.config.Metrics.dropped.Inc()
		t.entered = false // a statement whose answer was lost may have written its beginning
	}
}

func (t *Tracker) write(s *stream, seq event.Seq) {
	if seq > s.Written {
		s.Written, s.WrittenAt = seq, now()
		t.changed[s] = struct{}{}
	}
}
