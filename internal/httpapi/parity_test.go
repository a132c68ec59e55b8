package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"herald"
	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/presence"
)

// What docs/parity.md lists and no other test shows whole.

// Streams are told from each other, stay open through silence, and are what the
// standard says.
func TestParity_01_02_StreamsStayOpenUnderIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	nodes := []*server{s, s.secondNode(t)}
	demo := s.token(t, "demo")
	seen := map[uuid.UUID]bool{}
	var streams []*bufio.Scanner
	for i := range 10 {
		f := nodes[i%2].follow(t, demo, "")
		if h := f.res.Header; h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store, no-transform" || h.Get("X-Accel-Buffering") != "no" {
			t.Errorf("the stream's headers are %v", h)
		}
		lines := bufio.NewScanner(f.res.Body)
		var open struct {
			ID uuid.UUID `json:"client_id"`
		}
		text := strings.TrimPrefix(until(t, lines, "data: "), "data: ")
		if err := json.Unmarshal([]byte(text), &open); err != nil || open.ID == uuid.Nil || seen[open.ID] {
			t.Errorf("stream.open says %s, %v, want an id that no other has", text, err)
		}
		seen[open.ID] = true
		until(t, lines, "event: stream.snapshot")
		streams = append(streams, lines)
	}
	for _, lines := range streams {
		for range 3 {
			until(t, lines, ":") // a sign of life
		}
	}
	post[sent](t, s, s.token(t, "shop", auth.RoleBackend), "/api/sse/message", `{"event":"order.paid","to":{"user":"demo"}}`)
	for _, lines := range streams {
		until(t, lines, "event: order.paid")
	}
}

// until returns the next line that begins so.
func until(t *testing.T, lines *bufio.Scanner, prefix string) string {
	t.Helper()
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			return lines.Text()
		}
	}
	t.Fatalf("the stream ended before %q: %v", prefix, lines.Err())
	return ""
}

// A token, a cookie and a ticket say who asks. The query does not.
func TestParity_03_WhoAsksIsVerified(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo := s.token(t, "demo")
	for name, tt := range map[string]struct {
		token, query string
		headers      []string
	}{
		"a token":                {demo, "", nil},
		"a token, and the query": {demo, "userId=alice&username=Alice", nil},
		"a cookie":               {"", "", []string{"Cookie: herald_session=" + demo}},
		"a ticket":               {"", "ticket=" + s.ticket(t, demo), nil},
	} {
		headers := tt.headers
		if tt.token != "" {
			headers = append(headers, "Authorization: Bearer "+tt.token)
		}
		f := s.follow(t, "", tt.query, append([]string{"Authorization: "}, headers...)...)
		if open := f.next("stream.open").Data; !strings.Contains(open, `"user":"demo"`) {
			t.Errorf("%s: %s, want demo's stream", name, open)
		}
	}
	for _, query := range []string{"", "userId=demo&username=Demo", "ticket=x&userId=demo"} {
		if a := s.do(t, http.MethodGet, "/api/sse?"+query, "", ""); a.status != http.StatusUnauthorized {
			t.Errorf("GET /api/sse?%s = %d %s, want 401", query, a.status, a.body)
		}
	}
}

// In development the query may say who asks, if that was switched on, and only at
// an address of this machine.
func TestParity_03_InDevelopmentTheQueryMaySayWhoAsks(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.Development = &httpapi.Development{QueryIdentity: true} })
	off := start(t, s.db, func(d *httpapi.Deps) { d.Node, d.Development = "test-2", &httpapi.Development{} })
	demo := s.token(t, "demo")
	f := s.follow(t, "", "userId=alice&username=Alice+A.", "Authorization: ")
	id := f.clientID()
	f.next("stream.snapshot")
	s.written()
	if c := s.connection(t, id); c.User != "alice" || string(c.Metadata) != `{"username":"Alice A."}` {
		t.Errorf("the connection is %+v, want alice's, with her name", c)
	}
	post[sent](t, s, s.token(t, "shop", auth.RoleBackend), "/api/sse/message", `{"event":"order.paid","to":{"user":"alice"}}`)
	f.next("order.paid")
	verified := s.follow(t, demo, "userId=alice")
	if open := verified.next("stream.open").Data; !strings.Contains(open, `"user":"demo"`) {
		t.Errorf("a token beside the query: %s, want demo's stream", open)
	}
	for name, tt := range map[string]struct {
		s      *server
		path   string
		host   string
		status int
	}{
		"a topic of another's": {s, "/api/sse?userId=alice&topic=user:demo", "localhost", http.StatusForbidden},
		"the log":              {s, "/api/sse?userId=alice&topic=log", "localhost", http.StatusForbidden},
		"no name":              {s, "/api/sse?userId=a%20b", "localhost", http.StatusBadRequest},
		"a bad ticket":         {s, "/api/sse?userId=alice&ticket=x", "localhost", http.StatusUnauthorized},
		"another route":        {s, "/api/jobs?userId=alice", "localhost", http.StatusUnauthorized},
		"another site's name":  {s, "/api/sse?userId=alice", "evil.example:8080", http.StatusUnauthorized},
		"switched off":         {off, "/api/sse?userId=alice", "localhost", http.StatusUnauthorized},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that is not refused has no end
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, tt.path, nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		tt.s.handler.ServeHTTP(w, r)
		cancel()
		if w.Code != tt.status {
			t.Errorf("%s: GET %s = %d %s, want %d", name, tt.path, w.Code, w.Body, tt.status)
		}
	}
}

// A page that says it is seen is known to be active, from then on.
func TestParity_09_ActivityIsKept(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo := s.token(t, "demo")
	f := s.follow(t, demo, "")
	id := f.clientID()
	seq, err := event.ParseCursor(f.next("stream.snapshot").ID)
	if err != nil {
		t.Fatal(err)
	}
	s.written()
	active := func() presence.User { return get[presence.User](t, s, demo, "/api/users/demo/presence") }
	opened := active()
	if a := s.ack(t, demo, id, seq, true); a.status != http.StatusNoContent {
		t.Fatalf("an ack = %d %s", a.status, a.body)
	}
	s.written()
	if u := active(); !u.Online || opened.LastActiveAt == nil || u.LastActiveAt == nil || !u.LastActiveAt.After(*opened.LastActiveAt) {
		t.Errorf("after an ack the user is %+v, before it %+v, want them active later", u, opened)
	}
}

// What a stream is filtered by, history is too, whichever index finds the rest.
func TestParity_20_HistoryByMetadata(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo, shop := s.token(t, "demo"), s.token(t, "shop", auth.RoleBackend)
	for n, metadata := range []string{`{"team":"red","size":1}`, `{"team":"blue"}`, `{"team":"green","size":1}`, `{"team":"red","size":1.0}`, `{"size":true}`} {
		post[sent](t, s, shop, "/api/sse/message", fmt.Sprintf(`{"event":"order.paid","data":{"n":%d},"metadata":%s,"to":{"user":"demo"}}`, n, metadata))
	}
	s.publish(t, "demo", 1, "order.paid", func(int) string { return `{"n":5,"metadata":{"team":{"red":1},"size":null}}` })
	s.publish(t, "demo", 1, "order.paid", func(int) string { return `{"n":6,"metadata":"red"}` })
	s.publish(t, "demo", 1, "order.paid", func(int) string { return `"metadata"` })
	s.waitHead(t, 8)
	for query, want := range map[string][]int{
		"metadata.team=red":                        {0, 3},
		"metadata.team=red&metadata.team=blue":     {0, 1, 3},
		"metadata.team=red&metadata.size=1":        {0},
		"metadata.size=true":                       {4},
		"metadata.team=%7B%22red%22%3A1%7D":        nil,
		"metadata.te%27am=red":                     nil,
		"metadata.team=red&type=order.paid&user=":  {0, 3},
		"metadata.team=red&topic=all&topic=user:x": nil,
	} {
		tokens := []string{demo, s.token(t, "sue", auth.RoleSupport)}
		if strings.Contains(query, "user:x") {
			tokens = tokens[1:]
		}
		for _, token := range tokens {
			var got []int
			for _, r := range s.walk(t, token, "/api/events?order=asc&limit=1&"+query, func() {}) {
				var data struct{ N int }
				if err := json.Unmarshal(r.Data, &data); err != nil {
					t.Fatal(err)
				}
				got = append(got, data.N)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s finds %v, want %v", query, got, want)
			}
		}
	}
	client, err := herald.New(herald.Config{URL: s.URL, Token: demo})
	if err != nil {
		t.Fatal(err)
	}
	filter := herald.EventFilter{Metadata: map[string][]string{"team": {"green", "red"}, "size": {"1"}}, Oldest: true}
	var got []int
	for e, err := range client.History(t.Context(), filter) {
		var data struct{ N int }
		if err == nil {
			err = json.Unmarshal(e.Data, &data)
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, data.N)
	}
	if !slices.Equal(got, []int{0, 2}) {
		t.Errorf("the client finds %v with %v, want 0 and 2", got, filter.Metadata)
	}
	if a := s.do(t, http.MethodGet, "/api/events?metadata.=x", demo, ""); a.status != http.StatusBadRequest || a.problem() != "bad-filter" {
		t.Errorf("metadata without a key = %d %s, want 400", a.status, a.body)
	}
}

// When streams have ended, nothing of them is left but the record of it: no place
// among those that may be open, and nobody to be addressed.
func TestParity_24_StreamsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const most = 30
	s := setup(t, func(d *httpapi.Deps) { d.Limits = httpapi.Limits{PerUser: most} })
	demo := s.token(t, "demo")
	for range 3 { // all that may be open, again and again
		var ids []uuid.UUID
		var streams []*follower
		for range most {
			f := s.follow(t, demo, "")
			ids, streams = append(ids, f.clientID()), append(streams, f)
		}
		if a := s.do(t, http.MethodGet, "/api/sse", demo, ""); a.status != http.StatusTooManyRequests {
			t.Fatalf("one more = %d %s, want 429", a.status, a.body)
		}
		for _, f := range streams {
			f.close()
		}
		for _, id := range ids {
			s.closed(t, id)
		}
	}
	type page struct{ Statistics presence.Statistics }
	p := get[page](t, s, s.token(t, "sue", auth.RoleSupport), "/api/connections?live=true&limit=1")
	if p.Statistics.Connections != 0 || p.Statistics.Users != 0 {
		t.Errorf("when all have ended, the statistics are %+v", p.Statistics)
	}
	m := post[sent](t, s, s.token(t, "shop", auth.RoleBackend), "/api/sse/message?dry_run=1", `{"event":"order.paid","to":{"user":"demo"}}`)
	if *m.Addressed != 0 {
		t.Errorf("%d streams are addressed, and none is open", *m.Addressed)
	}
}

// A client that comes to another node misses nothing, whichever node was told
// what in between.
func TestParity_26_AStreamGoesOnAtAnotherNode(t *testing.T) {
	t.Parallel()
	s := setup(t)
	nodes := []*server{s, s.secondNode(t)}
	demo, shop := s.token(t, "demo"), s.token(t, "shop", auth.RoleBackend)
	f := s.follow(t, demo, "")
	f.next("stream.open")
	cursor := f.next("stream.snapshot").ID
	for i := range 6 {
		f.close()
		for n, node := range nodes {
			post[sent](t, node, shop, "/api/sse/message", fmt.Sprintf(`{"event":"test.number","data":{"n":%d},"to":{"user":"demo"}}`, 2*i+n))
		}
		f = nodes[(i+1)%2].follow(t, demo, "", "Last-Event-ID: "+cursor)
		f.next("stream.open")
		for n := range nodes {
			e := f.next("test.number")
			if want := fmt.Sprintf(`{"n":%d}`, 2*i+n); dataOf(t, e.Data) != want {
				t.Fatalf("got %s, want %s", e.Data, want)
			}
			cursor = e.ID
		}
	}
}
