package herald

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"herald/internal/sse"
)

const (
	// maxFrame bounds one event, in bytes: a snapshot of a thousand jobs fits.
	maxFrame = 64 << 20
	// firstWord bounds how long a stream may take to begin.
	firstWord = 30 * time.Second
	// missedBeats is after how many of the server's heartbeats a silent stream is
	// taken for dead.
	missedBeats = 3
)

// StreamOptions say which events are read. The zero StreamOptions read what
// concerns the token's owner and everybody, from now on.
type StreamOptions struct {
	Topics   []string            // "user:ID", "job:UUID", "channel:NAME" or "all"; default the owner's, and all
	Types    []string            // event types, or "job.*" for all that begin so; default all
	Metadata map[string][]string // for each key, the values of which the event's must be one
	After    int64               // reads on from there: the Seq of the last event seen; 0 for a snapshot and what is new
	Whole    bool                // every progress counts: none is left out because a newer one is there already
}

// Events follows the topics, or what concerns the token's owner when there are
// none; see Stream.
func (c *Client) Events(ctx context.Context, topics ...string) iter.Seq2[Event, error] {
	return c.Stream(ctx, StreamOptions{Topics: topics})
}

// Stream reads events for as long as the caller wants, each once and in the order
// of Seq. It begins with a StreamSnapshot, unless it resumes. When the connection
// breaks, or the server stops, it comes back by itself and reads on where it was;
// what the log no longer has is told of by a StreamReset and a new StreamSnapshot.
// Only its last pair has an error: ctx's, or that of a server that refuses.
func (c *Client) Stream(ctx context.Context, o StreamOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &stream{client: c, options: o, cursor: o.After, resumes: o.After > 0}
		for {
			err := s.connect(ctx, yield)
			switch {
			case errors.Is(err, errEnough):
				return
			case ctx.Err() != nil:
				yield(Event{}, ctx.Err())
				return
			case !repeatable(err):
				yield(Event{}, err)
				return
			}
			s.failures++
			wait := s.wait(err)
			c.config.Log.DebugContext(ctx, "stream interrupted", "after", s.cursor, "wait", wait, "error", err)
			if !sleep(ctx, wait) {
				yield(Event{}, ctx.Err())
				return
			}
		}
	}
}

// stream is one Stream over its connections.
type stream struct {
	client   *Client
	options  StreamOptions
	cursor   int64         // the Seq of the last event that the caller has
	resumes  bool          // the cursor is one
	failures int           // since the last word of the server's
	retry    time.Duration // what the server wants to be waited for
}

var (
	// errEnough means that the caller reads no further.
	errEnough = errors.New("enough")
	// errSilent means that a stream is taken for dead.
	errSilent = errors.New("the stream is silent")
)

// wait is how long to wait before the next connection: what the server has asked
// for, which differs from client to client, and more when that fails.
func (s *stream) wait(err error) time.Duration {
	wait := s.retry
	if wait == 0 || s.failures > 1 {
		wait = max(wait, s.client.backoff(s.failures))
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		wait = max(wait, refused.RetryAfter)
	}
	return min(wait, s.client.config.MaxWait)
}

// connect reads one connection to its end, which always has an error.
func (s *stream) connect(ctx context.Context, yield func(Event, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(firstWord, func() { cancel(errSilent) })
	defer watch.Stop()
	req, err := s.client.newRequest(ctx, http.MethodGet, "/api/sse", s.query(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if s.resumes {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(s.cursor, 10))
	}
	res, err := s.client.http.Do(req)
	if err != nil {
		return fmt.Errorf("herald: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("herald: %w", err)
		}
		return refusal(res, body)
	}
	return s.read(res.Body, watch, yield)
}

func (s *stream) query() url.Values {
	query := url.Values{"topic": s.options.Topics, "type": s.options.Types}
	for key, values := range s.options.Metadata {
		query["metadata."+key] = values
	}
	if s.options.Whole {
		query.Set("conflate", "off")
	}
	return query
}

// watched puts the watch off each time that something is read.
type watched struct {
	io.Reader
	watch   *time.Timer
	silence time.Duration
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if n > 0 {
		w.watch.Reset(w.silence)
	}
	return n, err
}

func (s *stream) read(body io.Reader, watch *time.Timer, yield func(Event, error) bool) error {
	in := &watched{Reader: body, watch: watch, silence: firstWord}
	r := sse.NewReader(in, maxFrame)
	for {
		frame, err := r.Next()
		s.retry = r.Retry()
		if err != nil {
			return fmt.Errorf("herald: the stream ended: %w", err)
		}
		s.failures = 0
		event, ok, err := s.event(frame, in)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		watch.Stop() // the caller may take as long as it likes
		if !yield(event, nil) {
			return errEnough
		}
		watch.Reset(in.silence)
	}
}

// event is what the caller gets for a frame, if anything.
func (s *stream) event(frame sse.Event, in *watched) (Event, bool, error) {
	switch frame.Name {
	case "stream.open":
		var open struct {
			HeartbeatMS int64 `json:"heartbeat_ms"`
		}
		if err := json.Unmarshal([]byte(frame.Data), &open); err == nil && open.HeartbeatMS > 0 {
			in.silence = max(missedBeats*time.Duration(open.HeartbeatMS)*time.Millisecond, 5*time.Second)
		}
		return Event{}, false, nil
	case "stream.expired":
		return Event{}, false, s.expired()
	case StreamReset:
		s.cursor, s.resumes = 0, false
		return Event{Type: StreamReset, Data: json.RawMessage(frame.Data)}, true, nil
	case StreamSnapshot:
		seq, err := strconv.ParseInt(frame.ID, 10, 64)
		if err != nil {
			return Event{}, false, fmt.Errorf("herald: a snapshot at %.20q", frame.ID)
		}
		s.cursor, s.resumes = seq, true
		return Event{Seq: seq, Type: StreamSnapshot, Data: json.RawMessage(frame.Data)}, true, nil
	}
	var e Event
	if err := json.Unmarshal([]byte(frame.Data), &e); err != nil || e.Seq == 0 { // what the stream says of itself
		return Event{}, false, nil //nolint:nilerr // words that this client does not know are none of its business
	}
	if e.Seq <= s.cursor {
		return Event{}, false, nil
	}
	s.cursor, s.resumes = e.Seq, true
	return e, true, nil
}

// expired is the end of a stream whose token is good no more. With a source of
// tokens, the next connection has another one.
func (s *stream) expired() error {
	if s.client.config.Token != "" {
		return &Error{Status: http.StatusUnauthorized, Type: "/problems/token-expired", Title: "The token has expired"}
	}
	return errors.New("herald: the token has expired")
}
