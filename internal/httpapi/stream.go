package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/broker"
	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/sse"
)

// Broker is what a stream reads the log through.
type Broker interface {
	Head(ctx context.Context) (event.Seq, error)
	Subscribe(ctx context.Context, topics []event.Topic, after event.Seq) (*broker.Stream, error)
}

// Snapshots is what a fresh stream begins with.
type Snapshots interface {
	ActiveJobs(ctx context.Context, topics []event.Topic) ([]job.Job, error)
}

// The events of the stream itself, which are not in the log.
const (
	streamOpen     = "stream.open"
	streamSnapshot = "stream.snapshot"
	streamReset    = "stream.reset"
	streamExpiring = "stream.expiring"
	streamExpired  = "stream.expired"
	streamClosing  = "stream.closing"
)

const (
	// maxStreamTopics bounds how many topics one stream may follow.
	maxStreamTopics = 100
	// writeTimeout bounds one write to a client; a slower one resumes later.
	writeTimeout = 10 * time.Second
	// writeSize is about how much is written at once, in bytes.
	writeSize = 64 << 10
	// expiryNotice is how long before its token's end a stream is told.
	expiryNotice = time.Minute
	// closingSpread is over how long the clients of a node that stops come back.
	closingSpread = 3 * time.Second
)

// EncodeEvent writes an event as one frame of a stream: an entry in JSON, the
// payload as it was recorded. It is written by hand, since to look through each
// payload again costs more than all the rest of a replay here.
func EncodeEvent(e event.Event) ([]byte, error) {
	kind, err := json.Marshal(e.Type)
	if err != nil {
		return nil, err
	}
	const others = 160 // what a frame has besides the payload and two times the type, at most
	data := make([]byte, 0, len(e.Payload)+len(kind)+others)
	data = strconv.AppendInt(append(data, `{"seq":`...), int64(e.Seq), 10)
	data = append(append(data, `,"id":"`...), e.ID.String()...)
	data = append(append(data, `","type":`...), kind...)
	data = e.CreatedAt.AppendFormat(append(data, `,"time":"`...), time.RFC3339Nano)
	data = append(append(append(data, `","data":`...), e.Payload...), '}')
	return sse.AppendEvent(make([]byte, 0, len(data)+len(e.Type)+others), e.Seq.String(), string(e.Type), data), nil
}

// entry is an event as clients see it. Its topics stay here: they would tell
// one watcher of a job who the others are.
type entry struct {
	Seq  event.Seq       `json:"seq"`
	ID   uuid.UUID       `json:"id"`
	Type event.Type      `json:"type"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"`
}

func entryOf(e event.Event) entry {
	return entry{Seq: e.Seq, ID: e.ID, Type: e.Type, Time: e.CreatedAt, Data: e.Payload}
}

// stream serves GET /api/sse: what the client has missed, then what is new,
// until one of the two goes away.
func (a *api) stream(w http.ResponseWriter, r *http.Request) {
	principal := principalOf(r.Context())
	topics, err := a.streamTopics(r, principal)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	cursor, resume, err := streamCursor(r)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	s := &streamWriter{
		w: w, control: http.NewResponseController(w), heartbeat: a.Heartbeat, expires: principal.Expires, clientID: uuid.New(),
	}
	topics = append(topics, event.Topic("client:"+s.clientID.String()))
	opening, err := a.openStream(r.Context(), topics, cursor, resume)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	defer opening.stream.Close()

	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx passes each write on at once
	w.WriteHeader(http.StatusOK)
	if err := s.open(principal, a.Node, topics, opening); err == nil {
		err = s.follow(r.Context(), opening.stream)
		a.Log.DebugContext(r.Context(), "stream ended", "client_id", s.clientID, "user", principal.User, "reason", err)
	}
}

// streamTopics reads which topics the client asks for and whether it may follow
// them.
func (a *api) streamTopics(r *http.Request, principal auth.Principal) ([]event.Topic, error) {
	asked := r.URL.Query()["topic"]
	if len(asked) > maxStreamTopics {
		return nil, fmt.Errorf("%w: %d topics, at most %d", event.ErrTopic, len(asked), maxStreamTopics)
	}
	if len(asked) == 0 {
		return []event.Topic{event.UserTopic(principal.User), event.Everyone}, nil
	}
	topics := make([]event.Topic, 0, len(asked))
	for _, text := range asked {
		topic, err := event.ParseTopic(text)
		if err != nil {
			return nil, err
		}
		if !a.mayFollow(r.Context(), principal, topic) {
			return nil, fmt.Errorf("%w: topic %s", auth.ErrForbidden, topic)
		}
		if !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	return topics, nil
}

// mayFollow reports whether the principal may follow the topic: by the policy,
// or because the topic is a job that it may see.
func (a *api) mayFollow(ctx context.Context, principal auth.Principal, topic event.Topic) bool {
	if principal.MayFollow(string(topic)) {
		return true
	}
	id, ok := topic.Job()
	if !ok {
		return false
	}
	j, err := a.Jobs.Job(ctx, id)
	return err == nil && principal.MaySee(j.Owner)
}

// streamCursor reads from where the client wants to resume, if it does.
func streamCursor(r *http.Request) (cursor event.Seq, resume bool, err error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("lastEventId")
	}
	if text == "" {
		return 0, false, nil
	}
	cursor, err = event.ParseCursor(text)
	return cursor, true, err
}

// opening is how a stream begins.
type opening struct {
	stream   *broker.Stream
	from     event.Seq // where it reads on from
	reset    string    // why the client's cursor was of no use; empty when it was, or there was none
	snapshot []job.Job // nil when it resumes
}

// openStream subscribes. A fresh stream gets a snapshot: it is read after the
// subscription began, so it may be newer than what follows, never older, and
// jobs' versions tell the client which of the two counts.
func (a *api) openStream(ctx context.Context, topics []event.Topic, cursor event.Seq, resume bool) (opening, error) {
	o := opening{from: cursor}
	if resume {
		var err error
		o.stream, err = a.Broker.Subscribe(ctx, topics, cursor)
		switch {
		case err == nil:
			return o, nil
		case errors.Is(err, event.ErrTooOld):
			o.reset = "cursor_too_old"
		case errors.Is(err, broker.ErrCursorAhead):
			o.reset = "cursor_ahead"
		default:
			return o, err
		}
	}
	var err error
	if o.from, err = a.Broker.Head(ctx); err != nil {
		return o, err
	}
	if o.stream, err = a.Broker.Subscribe(ctx, topics, o.from); err != nil {
		return o, err
	}
	if o.snapshot, err = a.Snapshots.ActiveJobs(ctx, topics); err != nil {
		o.stream.Close()
		return o, err
	}
	return o, nil
}

// streamWriter writes one stream. It is owned by its handler's goroutine.
type streamWriter struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	heartbeat time.Duration
	expires   time.Time // of the client's token
	warned    bool      // the client knows that its token is about to end
	clientID  uuid.UUID
	buffer    []byte
}

// open writes how the stream begins.
func (s *streamWriter) open(principal auth.Principal, node string, topics []event.Topic, o opening) error {
	s.event("", streamOpen, map[string]any{
		"client_id": s.clientID, "node": node, "user": principal.User, "topics": topics,
		"heartbeat_ms": s.heartbeat.Milliseconds(), "head": o.from, "resumed": o.snapshot == nil,
	})
	if o.reset != "" {
		s.event("", streamReset, map[string]string{"reason": o.reset})
	}
	if o.snapshot != nil {
		s.event(o.from.String(), streamSnapshot, map[string][]job.Job{"jobs": o.snapshot})
	}
	return s.flush()
}

// follow writes what the stream has, and a heartbeat where it has nothing for
// long, until something ends it. The error says what.
func (s *streamWriter) follow(ctx context.Context, stream *broker.Stream) error {
	for {
		wait, cancel := context.WithDeadline(ctx, s.nextDeadline(time.Now()))
		frames, err := stream.Next(wait)
		cancel()
		over := err
		if err := s.append(frames); err != nil {
			return err
		}
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			over = s.tick(time.Now())
		}
		if errors.Is(over, hub.ErrClosing) {
			s.closing()
		}
		if err := s.flush(); err != nil {
			return err
		}
		if over != nil {
			return over
		}
	}
}

// append puts frames into the buffer, and writes it out whenever it is large.
func (s *streamWriter) append(frames []*hub.Frame) error {
	for _, f := range frames {
		s.buffer = append(s.buffer, f.Bytes...)
		if len(s.buffer) < writeSize {
			continue
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// nextDeadline is when something is to be written even if nothing happens.
func (s *streamWriter) nextDeadline(now time.Time) time.Time {
	next := now.Add(s.heartbeat)
	due := s.expires
	if !s.warned {
		due = due.Add(-expiryNotice)
	}
	if !s.expires.IsZero() && due.Before(next) {
		return due
	}
	return next
}

// tick writes what is due by the clock: a heartbeat, or word of the token's end.
func (s *streamWriter) tick(now time.Time) error {
	if s.expires.IsZero() || now.Before(s.expires.Add(-expiryNotice)) || s.warned && now.Before(s.expires) {
		s.buffer = sse.AppendHeartbeat(s.buffer)
		return nil
	}
	if !s.warned { // also where both are due at once, so that a client may count on the order
		s.warned = true
		s.event("", streamExpiring, map[string]time.Time{"expires_at": s.expires})
	}
	if now.Before(s.expires) {
		return nil
	}
	s.event("", streamExpired, struct{}{})
	return auth.ErrExpired
}

// closing tells the client to come back, each after a time of its own, so that
// the clients of a node that stops do not all come at once.
func (s *streamWriter) closing() {
	retry := 100*time.Millisecond + rand.N(closingSpread)
	s.buffer = sse.AppendRetry(s.buffer, retry)
	s.event("", streamClosing, map[string]int64{"retry_ms": retry.Milliseconds()})
}

// event puts an event of the stream itself into the buffer.
func (s *streamWriter) event(id, name string, data any) {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(err) // all that is passed here can be encoded
	}
	s.buffer = sse.AppendEvent(s.buffer, id, name, encoded)
}

// flush writes the buffer out, in one write and bounded time.
func (s *streamWriter) flush() error {
	if len(s.buffer) == 0 {
		return nil
	}
	if err := ignoreUnsupported(s.control.SetWriteDeadline(time.Now().Add(writeTimeout))); err != nil {
		return err
	}
	_, err := s.w.Write(s.buffer)
	if s.buffer = s.buffer[:0]; cap(s.buffer) > 2*writeSize {
		s.buffer = nil
	}
	if err == nil {
		err = s.control.Flush()
	}
	// A deadline that stays would end an HTTP/2 stream while it is idle.
	return errors.Join(err, ignoreUnsupported(s.control.SetWriteDeadline(time.Time{})))
}

// ignoreUnsupported passes over a writer that has no deadlines.
func ignoreUnsupported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
