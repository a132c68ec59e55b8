package httpapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/hub"
)

// overHTTP2 serves the same API over TLS with HTTP/2, where a stream is its
// handler's, not the hub's.
func (s *server) overHTTP2(t *testing.T) *server {
	t.Helper()
	return s.again(t, s.handler, func(again *httptest.Server) {
		again.EnableHTTP2 = true
		again.StartTLS()
	})
}

// again serves the handler once more.
func (s *server) again(t *testing.T, handler http.Handler, start func(*httptest.Server)) *server {
	t.Helper()
	again := httptest.NewUnstartedServer(handler)
	start(again)
	t.Cleanup(func() {
		s.closeStreams()
		again.Close()
	})
	other := *s
	other.Server, other.client = again, again.Client()
	return &other
}

// overEach runs a test over each transport.
func overEach(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			if proto == "HTTP/2.0" {
				s = s.overHTTP2(t)
			}
			f := s.follow(t, s.token(t, "demo"), "")
			if f.res.Proto != proto {
				t.Fatalf("the answer came over %s, want %s", f.res.Proto, proto)
			}
			f.close()
			test(t, s)
		})
	}
}

// publish puts events for the user into the log, and returns the Seq of the
// first.
func (s *server) publish(t *testing.T, user string, n int, kind event.Type, payload func(i int) string) {
	t.Helper()
	var p event.Publication
	p.Actor = "test"
	for i := range n {
		p.Notices = append(p.Notices, event.Notice{Type: kind, Topics: []event.Topic{event.UserTopic(user)}, Payload: json.RawMessage(payload(i))})
	}
	if _, err := s.db.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// begin reads how a stream begins.
func (f *follower) begin() {
	f.t.Helper()
	f.next("stream.open")
	if f.res.Request.URL.Query().Get("lastEventId") == "" {
		f.next("stream.snapshot")
	}
}

func TestAStreamOverEachTransport(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, s *server) {
		t.Helper()
		number := func(i int) string { return fmt.Sprintf(`{"n":%d}`, i) }
		live := s.follow(t, s.token(t, "demo"), "")
		live.begin()
		const events = 700
		s.publish(t, "demo", events, "test.number", number)
		s.publish(t, "alice", 1, "test.number", number)
		s.publish(t, "demo", 1, "test.end", number)
		late := s.follow(t, s.token(t, "demo"), "lastEventId=0")
		late.begin()
		for _, f := range []*follower{live, late} {
			for i := range events {
				if e := f.next("test.number"); e.ID != strconv.Itoa(i+1) || !strings.Contains(e.Data, fmt.Sprintf(`{"n":%d}`, i)) {
					t.Fatalf("got %s %s, want event %d", e.ID, e.Data, i)
				}
			}
			f.next("test.end")
		}
		s.closeStreams()
		for _, f := range []*follower{live, late} {
			f.next("stream.closing")
			if _, err := f.r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("after closing: %v, want the end", err)
			}
		}
	})
}

func TestParity_20_FiltersOfAStream(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, s *server) {
		t.Helper()
		query := "type=order.*&type=user.named&metadata.team=red&metadata.team=blue"
		live := s.follow(t, s.token(t, "demo"), query)
		live.begin()
		team := func(name string) func(int) string {
			return func(int) string { return fmt.Sprintf(`{"metadata":{"team":%q}}`, name) }
		}
		s.publish(t, "demo", 1, "order.paid", team("red"))
		s.publish(t, "demo", 1, "order.paid", team("green"))
		s.publish(t, "demo", 1, "user.removed", team("red"))
		s.publish(t, "demo", 1, "order.sent", func(int) string { return `{}` })
		s.publish(t, "demo", 1, "user.named", team("blue"))
		late := s.follow(t, s.token(t, "demo"), query+"&lastEventId=0")
		late.begin()
		for _, f := range []*follower{live, late} {
			f.next("order.paid")
			f.next("user.named")
		}
	})
}

func TestParity_21_AStreamThatIsAskedForWrongly(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for query, want := range map[string]string{
		"type=Order":                      "bad-filter",
		"type=*":                          "bad-filter",
		"metadata.=x":                     "bad-filter",
		"conflate=maybe":                  "bad-query",
		"topic=nothing":                   "bad-topic",
		"lastEventId=yesterday":           "bad-cursor",
		strings.Repeat("topic=all&", 101): "bad-topic",
	} {
		a := s.do(t, http.MethodGet, "/api/sse?"+query, s.token(t, "demo"), "")
		if a.status != http.StatusBadRequest || a.problem() != want {
			t.Errorf("GET /api/sse?%s = %d %s, want %s", query, a.status, a.body, want)
		}
	}
}

// What a client has not been told before a message to itself can be sent is
// which client it is: it gets all that is sent to it from then on.
func TestAMessageToOneClient(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, s *server) {
		t.Helper()
		f, other := s.follow(t, s.token(t, "demo"), ""), s.follow(t, s.token(t, "demo"), "")
		var opened struct {
			ID string `json:"client_id"`
		}
		if err := json.Unmarshal([]byte(f.next("stream.open").Data), &opened); err != nil {
			t.Fatal(err)
		}
		f.next("stream.snapshot")
		other.begin()
		p := event.Publication{Actor: "test", Notices: []event.Notice{
			{Type: "test.own", Topics: []event.Topic{event.Topic("client:" + opened.ID)}, Payload: json.RawMessage(`{}`)},
			{Type: "test.all", Topics: []event.Topic{event.Everyone}, Payload: json.RawMessage(`{}`)},
		}}
		if _, err := s.db.Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		f.next("test.own")
		f.next("test.all")
		other.next("test.all")
	})
}

func TestANodeThatStopsTakesNoStream(t *testing.T) {
	t.Parallel()
	s := setup(t)
	f := s.follow(t, s.token(t, "demo"), "")
	f.begin()
	s.closeStreams()
	f.next("stream.closing")
	a := s.do(t, http.MethodGet, "/api/sse", s.token(t, "demo"), "")
	if a.status != http.StatusServiceUnavailable || a.problem() != "closing" {
		t.Errorf("GET /api/sse = %d %s, want 503 closing", a.status, a.body)
	}
	if !a.close {
		t.Error("the connection stays open: who comes back by it comes back to this node")
	}
}

// lines is a log as its lines.
type lines chan []byte

func (l lines) Write(p []byte) (int, error) {
	l <- bytes.Clone(p)
	return len(p), nil
}

// A connection that was taken from the server is logged with its answer. Its
// beginning stands beside the request's id, its end beside the client's.
func TestParity_11_TheLogOfAStream(t *testing.T) {
	t.Parallel()
	log := make(lines, 100)
	s := setup(t, func(d *httpapi.Deps) {
		d.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	f := s.follow(t, s.token(t, "demo"), "", "X-Request-ID: the-stream")
	f.begin()
	if got := f.res.Header.Get("X-Request-ID"); got != "the-stream" {
		t.Errorf("X-Request-ID is %q, want what the middleware set", got)
	}
	s.closeStreams()
	logged := map[string]map[string]any{}
	for logged["request"] == nil || logged["stream ended"] == nil {
		var entry map[string]any
		if err := json.Unmarshal(<-log, &entry); err != nil {
			t.Fatal(err)
		}
		message, _ := entry["msg"].(string)
		logged[message] = entry
	}
	begins, end := logged["stream begins"], logged["stream ended"]
	if request := logged["request"]; request["status"] != 200.0 || request["route"] != "/api/sse" || request["request_id"] != "the-stream" {
		t.Errorf("the request was logged as %v", request)
	}
	if begins["request_id"] != "the-stream" || begins["user"] != "demo" || begins["client_id"] == nil {
		t.Errorf("the beginning was logged as %v", begins)
	}
	if end["reason"] != "the node is stopping" || end["client_id"] != begins["client_id"] {
		t.Errorf("the end was logged as %v, the beginning as %v", end, begins)
	}
}

func TestAUserHasOnlySoManyStreams(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.Limits = httpapi.Limits{PerUser: 2} })
	first, second := s.follow(t, s.token(t, "demo"), ""), s.follow(t, s.token(t, "demo"), "")
	var opened struct {
		ID uuid.UUID `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(first.next("stream.open").Data), &opened); err != nil {
		t.Fatal(err)
	}
	first.next("stream.snapshot")
	second.begin()
	a := s.do(t, http.MethodGet, "/api/sse", s.token(t, "demo"), "")
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("a third stream: %d, Retry-After %q, want 429 and a time", a.status, a.header.Get("Retry-After"))
	}
	s.follow(t, s.token(t, "alice"), "").begin()
	s.hub.Disconnect(opened.ID, hub.ErrDisconnected)
	if _, err := first.r.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("Next() of a stream that was disconnected = %v", err)
	}
	s.follow(t, s.token(t, "demo"), "").begin()
	// What is refused for another reason takes no place.
	for range 3 {
		s.do(t, http.MethodGet, "/api/sse?topic=channel:secret", s.token(t, "bob"), "")
	}
	s.follow(t, s.token(t, "bob"), "").begin()
}

// A server's time-outs are for requests that end. Those of a stream pass while it
// is silent but for its signs of life.
func TestAServersTimeoutsSpareStreams(t *testing.T) {
	t.Parallel()
	const short = 2 * time.Second
	for name, start := range map[string]func(*httptest.Server){
		"HTTP/1.1": (*httptest.Server).Start,
		"TLS":      (*httptest.Server).StartTLS,
		"HTTP/2":   func(again *httptest.Server) { again.EnableHTTP2 = true; again.StartTLS() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			again := s.again(t, s.handler, func(again *httptest.Server) {
				again.Config.ReadTimeout, again.Config.WriteTimeout = short, short
				start(again)
			})
			f := again.follow(t, s.token(t, "demo"), "")
			f.begin()
			s.publish(t, "demo", 1, "test.early", func(int) string { return `{}` })
			f.next("test.early")
			time.Sleep(short + short/2)
			s.publish(t, "demo", 1, "test.late", func(int) string { return `{}` })
			for e, err := f.r.Next(); e.Name != "test.late"; e, err = f.r.Next() {
				if err != nil {
					t.Fatalf("the stream has ended: %v", err)
				}
			}
		})
	}
}

// unwilling is a writer that says it can be hijacked, and then cannot, for a
// reason of its own.
type unwilling struct{ http.ResponseWriter }

func (unwilling) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("not this connection")
}

func (u unwilling) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestAWriterThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(unwilling{w}, r) })
	again := s.again(t, wrapped, (*httptest.Server).Start)
	f := again.follow(t, s.token(t, "demo"), "")
	f.begin()
	s.publish(t, "demo", 1, "test.one", func(int) string { return `{}` })
	f.next("test.one")
	s.closeStreams()
	f.next("stream.closing")
	if _, err := f.r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after closing: %v, want the end", err)
	}
}
