package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/hub"
	"herald/internal/postgres"
	"herald/internal/presence"
)

// hubStreams is the hub as the tracker knows it.
type hubStreams struct{ hub *hub.Hub }

func (s hubStreams) Written(yield func(uuid.UUID, event.Seq)) {
	positions, _ := s.hub.Written(context.Background())
	for _, p := range positions {
		yield(p.ID, p.Written)
	}
}

func (s hubStreams) Disconnect(id uuid.UUID) { s.hub.Disconnect(id, hub.ErrDisconnected) }

// writes is the database, and counts what a tracker writes.
type writes struct {
	*postgres.DB
	mu   sync.Mutex
	more *sync.Cond
	n    int
}

func newWrites(db *postgres.DB) *writes {
	w := &writes{DB: db}
	w.more = sync.NewCond(&w.mu)
	return w
}

func (w *writes) WriteConnections(ctx context.Context, b presence.Batch) (presence.Answer, error) {
	answer, err := w.DB.WriteConnections(ctx, b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	w.more.Broadcast()
	return answer, err
}

// written waits until what the tracker knows now is in the table: the statement
// after next began after this.
func (s *server) written() {
	s.writes.mu.Lock()
	defer s.writes.mu.Unlock()
	for upto := s.writes.n + 2; s.writes.n < upto; {
		s.writes.more.Wait()
	}
}

// clientID reads stream.open.
func (f *follower) clientID() uuid.UUID {
	f.t.Helper()
	var open struct {
		ID uuid.UUID `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(f.next("stream.open").Data), &open); err != nil {
		f.t.Fatal(err)
	}
	return open.ID
}

// get reads JSON.
func get[T any](t *testing.T, s *server, token, path string) (value T) {
	t.Helper()
	a := s.do(t, http.MethodGet, path, token, "")
	if a.status != http.StatusOK {
		t.Fatalf("GET %s = %d %s", path, a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func (s *server) connection(t *testing.T, id uuid.UUID) presence.Connection {
	t.Helper()
	return get[presence.Connection](t, s, s.token(t, "sue", auth.RoleSupport), "/api/connections/"+id.String())
}

// closed waits until the connection has ended, and returns why.
func (s *server) closed(t *testing.T, id uuid.UUID) presence.Reason {
	t.Helper()
	for {
		s.written()
		if c := s.connection(t, id); c.ClosedAt != nil {
			return c.ClosedWhy
		}
	}
}

func (s *server) ack(t *testing.T, token string, id uuid.UUID, seq event.Seq, visible bool) answer {
	t.Helper()
	return s.do(t, http.MethodPost, "/api/sse/ack", token, fmt.Sprintf(`{"client_id":%q,"seq":%d,"visible":%v}`, id, seq, visible))
}

func TestParity_04_ConnectionsAreWrittenDown(t *testing.T) {
	t.Parallel()
	s := setup(t)
	f := s.follow(t, s.token(t, "demo"), "topic=user:demo&session=tab+1&about="+url.QueryEscape(`{"app":"shop"}`), "User-Agent: a browser")
	id := f.clientID()
	f.next("stream.snapshot")
	s.written()
	c := s.connection(t, id)
	want := presence.Connection{
		ID: id, Node: "test", User: "demo", Session: "tab 1", UserAgent: "a browser", Address: new(netip.MustParseAddr("127.0.0.1")),
		Topics: []event.Topic{"user:demo", event.ClientTopic(id)}, Metadata: json.RawMessage(`{"app":"shop"}`), OpenedAt: c.OpenedAt,
	}
	if diff := cmp.Diff(want, c, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || c.OpenedAt.IsZero() {
		t.Errorf("the connection -want +got:\n%s", diff)
	}
	if id.Version() != 7 {
		t.Errorf("the client id is a UUIDv%d, want 7, which sorts by time", id.Version())
	}
	for _, about := range []string{"x", "[1]", `{"a":"` + strings.Repeat("x", 3000) + `"}`, `{"a":"\u0000"}`} {
		a := s.do(t, http.MethodGet, "/api/sse?about="+url.QueryEscape(about), s.token(t, "demo"), "")
		if a.status != http.StatusBadRequest || a.problem() != "bad-query" {
			t.Errorf("about=%.20s = %d %s, want 400", about, a.status, a.body)
		}
	}
}

func TestParity_08_AcksByAnyNode(t *testing.T) {
	t.Parallel()
	s := setup(t)
	other := s.secondNode(t)
	demo := s.token(t, "demo")
	j := s.startJob(t, "demo")
	f := s.follow(t, demo, "", "Last-Event-ID: 0")
	id := f.clientID()
	seq, err := event.ParseCursor(f.next("job.queued").ID)
	if err != nil {
		t.Fatal(err)
	}
	stands := func(acked, seen event.Seq, visible bool) {
		t.Helper()
		s.written()
		c := s.connection(t, id)
		if c.Acked != acked || c.Seen != seen || c.Visible != visible || c.Written < acked {
			t.Errorf("the connection is %+v, want acked %d, seen %d, visible %v", c, acked, seen, visible)
		}
	}
	taken := func(a answer) {
		t.Helper()
		if a.status != http.StatusNoContent {
			t.Errorf("an ack = %d %s, want 204", a.status, a.body)
		}
	}
	taken(s.ack(t, demo, id, seq, false))
	stands(seq, 0, false)
	s.begin(t, j)
	last, err := event.ParseCursor(f.next("job.started").ID)
	if err != nil {
		t.Fatal(err)
	}
	s.written() // the other node knows what the table does
	taken(other.ack(t, demo, id, last, true))
	stands(last, last, true)
	taken(other.ack(t, demo, id, seq, true))
	taken(s.ack(t, demo, id, seq, true))
	stands(last, last, true)
	for _, node := range []*server{s, other} {
		for name, tt := range map[string]struct {
			a       answer
			status  int
			problem string
		}{
			"ahead":     {node.ack(t, demo, id, last+1000, true), 409, "ack-ahead"},
			"another's": {node.ack(t, s.token(t, "alice"), id, seq, true), 404, "not-found"},
			"unknown":   {node.ack(t, demo, uuid.New(), seq, true), 404, "not-found"},
			"negative":  {node.ack(t, demo, id, -1, true), 422, "invalid"},
			"nonsense":  {node.do(t, http.MethodPost, "/api/sse/ack", demo, `{"client_id":"x","seq":"y"}`), 422, "invalid"},
		} {
			if tt.a.status != tt.status || tt.a.problem() != tt.problem {
				t.Errorf("%s: %d %s, want %d %s", name, tt.a.status, tt.a.body, tt.status, tt.problem)
			}
		}
	}
	stands(last, last, true)
}

func TestParity_08_TheAckIntervalIsTold(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]time.Duration{"set": 3 * time.Second, "off": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, func(d *httpapi.Deps) { d.AckInterval = interval })
			demo := s.token(t, "demo")
			for _, resume := range [][]string{nil, {"Last-Event-ID: 0"}} {
				open := s.follow(t, demo, "", resume...).next("stream.open").Data
				told := struct {
					Ack *int64 `json:"ack_ms"`
				}{}
				if err := json.Unmarshal([]byte(open), &told); err != nil || told.Ack == nil || *told.Ack != interval.Milliseconds() {
					t.Errorf("stream.open is %s, %v, want ack_ms %d", open, err, interval.Milliseconds())
				}
			}
		})
	}
}

func TestParity_10_AClientThatIsGoneIsNotThere(t *testing.T) {
	t.Parallel()
	s := setup(t)
	f := s.follow(t, s.token(t, "demo"), "")
	id := f.clientID()
	s.written()
	there := func() presence.User {
		return get[presence.User](t, s, s.token(t, "demo"), "/api/users/demo/presence")
	}
	if u := there(); !u.Online || u.Connections != 1 || u.Since == nil || u.LastActiveAt == nil {
		t.Errorf("with a stream, the user is %+v", u)
	}
	f.close()
	if why := s.closed(t, id); why != presence.ClientGone {
		t.Errorf("it ended because of %q, want %q", why, presence.ClientGone)
	}
	if u := there(); u.Online || u.Connections != 0 || u.Since != nil || u.LastActiveAt == nil {
		t.Errorf("without a stream, the user is %+v", u)
	}
}

func TestParity_12_ConnectionsAndPresenceOverAllNodes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	other := s.secondNode(t)
	support := s.token(t, "sue", auth.RoleSupport)
	ids := []uuid.UUID{s.follow(t, s.token(t, "demo"), "").clientID()}
	ids = append(ids, other.follow(t, s.token(t, "demo"), "").clientID(), s.follow(t, s.token(t, "a/b%25c"), "").clientID())
	s.written()
	other.written()
	if u := get[presence.User](t, s, support, "/api/users/demo/presence"); !u.Online || u.Connections != 2 {
		t.Errorf("demo is %+v, want two streams", u)
	}
	odd := "/api/users/" + url.PathEscape("a/b%25c") + "/presence"
	if u := get[presence.User](t, s, support, odd); !u.Online || u.User != "a/b%25c" {
		t.Errorf("GET %s = %+v", odd, u)
	}
	type page struct {
		Connections []presence.Connection
		Next        string
		Statistics  *presence.Statistics
	}
	list := func(query string) (got []uuid.UUID, first page) {
		for next := ""; ; {
			p := get[page](t, s, support, "/api/connections?limit=1&"+query+next)
			if first.Connections == nil {
				first = p
			}
			for _, c := range p.Connections {
				got = append(got, c.ID)
			}
			if p.Next == "" {
				return got, first
			}
			next = "&before=" + p.Next
		}
	}
	for query, want := range map[string][]uuid.UUID{
		"": {ids[2], ids[1], ids[0]}, "live=true": {ids[2], ids[1], ids[0]}, "user=demo": {ids[1], ids[0]}, "node=test": {ids[2], ids[0]}, "user=bob": nil,
	} {
		got, first := list(query)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("GET /api/connections?%s -want +got:\n%s", query, diff)
		}
		if query != "" {
			continue
		}
		stats := &presence.Statistics{Connections: 3, Users: 2, Nodes: map[string]int{"test": 2, "test-2": 1}}
		if diff := cmp.Diff(stats, first.Statistics); diff != "" {
			t.Errorf("statistics -want +got:\n%s", diff)
		}
	}
	if a := s.do(t, http.MethodGet, "/api/connections?before=x", support, ""); a.status != http.StatusBadRequest || a.problem() != "bad-cursor" {
		t.Errorf("a bad cursor = %d %s", a.status, a.body)
	}
}

func TestParity_13_DisconnectFromAnyNode(t *testing.T) {
	t.Parallel()
	s := setup(t)
	other := s.secondNode(t)
	demo, backend := s.token(t, "demo"), s.token(t, "shop", auth.RoleBackend)
	one, two, three := s.follow(t, demo, ""), s.follow(t, demo, ""), other.follow(t, demo, "")
	alice := s.follow(t, s.token(t, "alice"), "")
	ids := []uuid.UUID{one.clientID(), two.clientID(), three.clientID(), alice.clientID()}
	s.written()
	other.written()
	a := other.do(t, http.MethodDelete, "/api/connections/"+ids[0].String(), demo, "") // a user's own
	if a.status != http.StatusAccepted || !strings.Contains(a.body, `"close_asked_by":"demo"`) {
		t.Errorf("DELETE = %d %s", a.status, a.body)
	}
	if why := s.closed(t, ids[0]); why != presence.Disconnected {
		t.Errorf("it ended because of %q, want %q", why, presence.Disconnected)
	}
	one.ended()
	a = other.do(t, http.MethodDelete, "/api/users/demo/connections", backend, "")
	if a.status != http.StatusAccepted || strings.TrimSpace(a.body) != `{"asked":2}` {
		t.Errorf("DELETE = %d %s, want two asked", a.status, a.body)
	}
	for i, node := range []*server{s, other} {
		if why := node.closed(t, ids[i+1]); why != presence.Disconnected {
			t.Errorf("it ended because of %q, want %q", why, presence.Disconnected)
		}
	}
	two.ended()
	three.ended()
	if c := s.connection(t, ids[3]); c.ClosedAt != nil {
		t.Errorf("another user's stream is %+v, want it open", c)
	}
	again := s.do(t, http.MethodDelete, "/api/connections/"+ids[0].String(), backend, "")
	if again.status != http.StatusAccepted || !strings.Contains(again.body, `"closed_why":"disconnected"`) {
		t.Errorf("DELETE of one that has ended = %d %s, want it as it is", again.status, again.body)
	}
}

// ended reads until the stream ends.
func (f *follower) ended() {
	f.t.Helper()
	for {
		if _, err := f.r.Next(); err != nil {
			return
		}
	}
}

// Each kind of caller against the stream of demo's.
func TestWhoMaySeeAndEndStreams(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.follow(t, s.token(t, "demo"), "").clientID()
	s.written()
	callers := map[string]string{
		"demo": s.token(t, "demo"), "other": s.token(t, "alice"), "worker": s.token(t, "demo", auth.RoleWorker),
		"backend": s.token(t, "shop", auth.RoleBackend), "support": s.token(t, "sue", auth.RoleSupport), "admin": s.token(t, "root", auth.RoleAdmin),
	}
	path := "/api/connections/" + id.String()
	for _, tt := range []struct {
		method, path string
		want         map[string]int
	}{
		{http.MethodGet, "/api/connections", map[string]int{"demo": 403, "other": 403, "worker": 403, "backend": 200, "support": 200, "admin": 200}},
		{http.MethodGet, "/api/connections?ended=true", map[string]int{"demo": 403, "other": 403, "worker": 403, "backend": 200, "support": 200, "admin": 200}},
		{http.MethodGet, "/api/connections?user=demo", map[string]int{"demo": 200, "other": 403, "worker": 403, "backend": 200, "support": 200, "admin": 200}},
		{http.MethodGet, path, map[string]int{"demo": 200, "other": 404, "worker": 404, "backend": 200, "support": 200, "admin": 200}},
		{http.MethodGet, "/api/users/demo/presence", map[string]int{"demo": 200, "other": 403, "worker": 403, "backend": 200, "support": 200, "admin": 200}},
		{http.MethodDelete, path, map[string]int{"other": 404, "worker": 404, "support": 403}},
		{http.MethodDelete, "/api/users/demo/connections", map[string]int{"other": 403, "worker": 403, "support": 403}},
		{http.MethodDelete, "/api/users/nobody/connections", map[string]int{"backend": 202, "admin": 202}},
		{http.MethodGet, "/api/connections/" + uuid.NewString(), map[string]int{"demo": 404, "support": 404}},
	} {
		for who, want := range tt.want {
			if a := s.do(t, tt.method, tt.path, callers[who], ""); a.status != want {
				t.Errorf("%s %s by %s = %d %s, want %d", tt.method, tt.path, who, a.status, a.body, want)
			}
		}
	}
	if a := s.do(t, http.MethodGet, "/api/connections?ended=true", callers["support"], ""); !strings.Contains(a.body, `"connections":[]`) {
		t.Errorf("streams that have ended: %s, want none: it is open", a.body)
	}
	if c := s.connection(t, id); c.CloseAskedAt != nil {
		t.Errorf("one who may not has asked for the stream's end: %+v", c)
	}
}
