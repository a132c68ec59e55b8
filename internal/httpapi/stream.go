package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"herald/internal/broker"
	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/sse"
)

// Broker is what a stream reads the log through.
type Broker interface {
	Head(ctx context.Context) (event.Seq, error)
	Subscribe(ctx context.Context, want broker.Reading) (*broker.Replay, error)
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
	// writeTimeout bounds one write to a client; a slower one resumes later.
	writeTimeout = 10 * time.Second
	// closingSpread is over how long the clients of a node that stops come back.
	closingSpread = 3 * time.Second
)

// EncodeEvent writes an event as one frame of a stream: an entry in JSON, the
// payload as it was recorded. It is written by hand, in one buffer, since to look
// through each payload again costs more than all the rest of a replay here.
func EncodeEvent(e event.Event) ([]byte, error) {
	if strings.ContainsFunc(string(e.Type), unlikely) || bytes.IndexByte(e.Payload, '\n') >= 0 || bytes.IndexByte(e.Payload, '\r') >= 0 {
		data, err := json.Marshal(entryOf(e))
		return sse.AppendEvent(nil, e.Seq.String(), string(e.Type), data), err
	}
	const others = 160 // what a frame has besides the payload and two times the type, at most
	frame := make([]byte, 0, len(e.Payload)+2*len(e.Type)+others)
	frame = strconv.AppendInt(append(frame, "id: "...), int64(e.Seq), 10)
	frame = append(append(frame, "\nevent: "...), e.Type...)
	frame = append(frame, "\ndata: "...)
	frame = strconv.AppendInt(append(frame, `{"seq":`...), int64(e.Seq), 10)
	frame = append(append(frame, `,"id":"`...), e.ID.String()...)
	frame = append(append(frame, `","type":"`...), e.Type...)
	frame = e.CreatedAt.AppendFormat(append(frame, `","time":"`...), time.RFC3339Nano)
	frame = append(append(frame, `","data":`...), e.Payload...)
	return append(frame, "}\n\n"...), nil
}

// unlikely reports whether a letter of a type cannot stand in a frame as it is.
// The log takes no such type.
func unlikely(r rune) bool { return r < '-' || r > 'z' || r == '\\' }

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
	opened, err := a.Hub.Open()
	if err != nil {
		w.Header().Set("Connection", "close") // else the client might come back to this node by this connection
		a.problems.write(w, r, err)
		return
	}
	defer opened()
	ask, err := a.streamRequest(r)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	network, err := a.limits.acquire(ask.principal.User, clientOf(r.Context()).addr)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	start, err := a.openStream(r.Context(), ask)
	if err == nil {
		err = a.noteTopics(r.Context(), ask.principal, ask.topics)
	}
	if err != nil {
		a.limits.release(ask.principal.User, network)
		a.problems.write(w, r, err)
		return
	}
	a.Presence.Opened(connectionOf(r, ask, start))
	a.Log.DebugContext(r.Context(), "stream begins", "client_id", ask.clientID, "user", ask.principal.User,
		"request_id", requestID(r.Context()))
	s := &streamServer{api: a, ask: ask, stream: a.hubStream(ask, network)} //nolint:contextcheck // the stream outlives its request
	// The hub writes the same to all, so what a guest gets is written here.
	if s.wire, err = newWire(w, r, !ask.principal.IsGuest()); err == nil {
		err = s.serve(r.Context(), start)
	}
	if err != nil {
		s.stream.Ended(err, s.written)
	}
}

// opening is how a stream begins.
type opening struct {
	replay   *broker.Replay
	from     event.Seq // where it reads on from
	reset    string    // why the client's cursor was of no use; empty when it was, or there was none
	snapshot []job.Job // nil when it resumes
}

// openStream subscribes. A fresh stream gets a snapshot: it is read after the
// subscription began, so it may be newer than what follows, never older, and
// jobs' versions tell the client which of the two counts.
func (a *api) openStream(ctx context.Context, ask streamRequest) (opening, error) {
	o := opening{from: ask.cursor}
	reading := broker.Reading{Topics: ask.topics, Own: event.ClientTopic(ask.clientID), Filter: ask.filter, After: ask.cursor}
	if ask.resume {
		var err error
		o.replay, err = a.Broker.Subscribe(ctx, reading)
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
	reading.After = o.from
	if o.replay, err = a.Broker.Subscribe(ctx, reading); err != nil {
		return o, err
	}
	if o.snapshot, err = a.Snapshots.ActiveJobs(ctx, ask.topics); err != nil {
		return o, err
	}
	o.snapshot, err = a.guestJobs(ask.principal, o.snapshot)
	return o, err
}

// streamServer serves one stream until the hub has taken its connection, or to
// its end where the hub cannot. It is owned by its handler's goroutine.
type streamServer struct {
	api     *api
	ask     streamRequest
	stream  hub.Stream
	wire    wire
	live    *hub.Subscription // nil until it has joined, and where the hub writes
	written event.Seq         // of the last event written before it joined
}

// serve writes how the stream begins and what the client has missed, and then
// joins it to what is live. It returns an error for a stream that ended before
// the hub knew of it. The beginning is not left to the hub: whoever opens streams
// as fast as they can, to drop them at once, is to keep handlers busy, and not
// the shards, for which others wait.
func (s *streamServer) serve(ctx context.Context, o opening) error {
	err := s.wire.write(append(s.wire.head(), s.open(o)...))
	for err == nil {
		if o.replay.Join(s.join) {
			s.follow(ctx)
			return nil
		}
		err = s.page(ctx, o.replay)
	}
	return errors.Join(err, s.wire.close())
}

// page writes the next page of what is missing, unless the node stops.
func (s *streamServer) page(ctx context.Context, replay *broker.Replay) error {
	select {
	case <-s.api.Hub.Closing():
		return errors.Join(hub.ErrClosing, s.wire.write(StreamWords().Closing()))
	default:
	}
	frames, err := replay.Next(ctx)
	if err != nil {
		return err
	}
	if err = s.writeFrames(frames); err != nil {
		return err
	}
	s.api.Presence.Wrote(s.ask.clientID, s.written)
	return nil
}

// join hands the connection to the hub, or follows the hub where it cannot write
// that itself.
func (s *streamServer) join(missing []*hub.Frame, after event.Seq) {
	if conn := s.wire.conn(); conn != nil {
		s.api.Hub.Attach(s.stream, conn, missing, after)
		return
	}
	s.live = s.api.Hub.Subscribe(s.stream, missing, after)
}

// follow writes what the hub has for the stream, until something ends it.
func (s *streamServer) follow(ctx context.Context) {
	if s.live == nil {
		return
	}
	for {
		frames, err := s.live.Next(ctx)
		if err == nil {
			err = s.writeFrames(frames)
		}
		if err != nil {
			s.live.Close(whyEnded(err))
			_ = s.wire.close() // the client may have done so before
			return
		}
	}
}

// whyEnded is the hub's word for what happened to a connection.
func whyEnded(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return hub.ErrWriteTimeout
	}
	return hub.ErrGone
}

func (s *streamServer) writeFrames(frames []*hub.Frame) error {
	if len(frames) == 0 {
		return nil
	}
	parts := make([][]byte, 0, len(frames))
	for _, f := range frames {
		switch {
		case !s.ask.principal.IsGuest():
			parts = append(parts, f.Bytes)
		default:
			if seen := s.api.guestFrame(s.ask.principal, f); seen != nil {
				parts = append(parts, seen)
			}
		}
	}
	if err := s.wire.write(parts...); err != nil {
		return err
	}
	s.written = max(s.written, frames[len(frames)-1].Seq)
	return nil
}

// open is how the stream begins. Each client is told another time to come back
// after, should the connection break, so that they do not all come at once.
func (s *streamServer) open(o opening) []byte {
	const soonest, spread = 500 * time.Millisecond, 2 * time.Second
	b := sse.AppendRetry(nil, soonest+rand.N(spread))
	said := openData{
		ClientID: s.ask.clientID, Node: s.api.Node, User: s.ask.principal.User,
		Topics:      append(slices.Clone(s.ask.topics), event.ClientTopic(s.ask.clientID)),
		HeartbeatMS: s.api.Hub.Heartbeat().Milliseconds(), AckMS: s.api.AckInterval.Milliseconds(),
		Head: o.from, Resumed: o.snapshot == nil,
	}
	if s.ask.principal.IsGuest() {
		said.Node, said.AckMS = "", 0 // a guest acknowledges nothing
	}
	b = appendJSON(b, "", streamOpen, said)
	if o.reset != "" {
		b = appendJSON(b, "", streamReset, resetData{o.reset})
	}
	if o.snapshot != nil {
		b = appendJSON(b, o.from.String(), streamSnapshot, snapshotData{o.snapshot})
	}
	return b
}

// What a stream says of itself.
type (
	resetData struct {
		Reason string `json:"reason" doc:"Why it begins anew: what the client had is worth nothing."`
	}
	snapshotData struct {
		Jobs []job.Job `json:"jobs" doc:"The active ones of the stream's topics."`
	}
	expiringData struct {
		ExpiresAt time.Time `json:"expires_at" doc:"When the client's token does."`
	}
	closingData struct {
		RetryMS int64 `json:"retry_ms" doc:"When the client is to come back."`
	}
	expiredData struct{}
)

// openData is what stream.open says.
type openData struct {
	ClientID    uuid.UUID     `json:"client_id"`
	Node        string        `json:"node"`
	User        string        `json:"user"`
	Topics      []event.Topic `json:"topics"`
	HeartbeatMS int64         `json:"heartbeat_ms"`
	AckMS       int64         `json:"ack_ms"`
	Head        event.Seq     `json:"head"`
	Resumed     bool          `json:"resumed"`
}

// StreamWords returns what the hub says on the streams of this API.
func StreamWords() hub.Words {
	return hub.Words{
		Heartbeat: sse.AppendHeartbeat(nil),
		Expiring: func(expires time.Time) []byte {
			return appendJSON(nil, "", streamExpiring, expiringData{expires})
		},
		Expired: func() []byte { return appendJSON(nil, "", streamExpired, expiredData{}) },
		// Each client comes back after a time of its own, so that the clients of a node
		// that stops do not all come at once.
		Closing: func() []byte {
			retry := 100*time.Millisecond + rand.N(closingSpread)
			return appendJSON(sse.AppendRetry(nil, retry), "", streamClosing, closingData{retry.Milliseconds()})
		},
	}
}

// appendJSON appends an event of the stream itself.
func appendJSON(to []byte, id, name string, data any) []byte {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(err) // all that is passed here can be encoded
	}
	return sse.AppendEvent(to, id, name, encoded)
}
