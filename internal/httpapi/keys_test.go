package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/presence"
)

// A key is good on every node until it is revoked; then it is refused on all of
// them, and the streams that it has opened there end with a word.
func TestAKeyOnAllNodes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	other := s.secondNode(t)
	id, key := s.apiKey(t, auth.APIKey{User: "shop", Roles: []auth.Role{auth.RoleBackend}, Topics: []auth.Pattern{"channel:orders"}})
	_, kept := s.apiKey(t, auth.APIKey{User: "shop", Roles: []auth.Role{auth.RoleBackend}})
	var streams []*follower
	var ids []uuid.UUID
	for _, node := range []*server{s, other} {
		f := node.follow(t, key, "topic=channel:orders")
		streams, ids = append(streams, f), append(ids, f.clientID())
	}
	staying := other.follow(t, kept, "")
	stays := staying.clientID()
	if a := s.do(t, http.MethodGet, "/api/sse?topic=channel:others", key, ""); a.status != http.StatusForbidden {
		t.Errorf("a channel that the key has no pattern for = %d, want 403", a.status)
	}
	if a := s.do(t, http.MethodPost, "/api/session", key, ""); a.status != http.StatusForbidden || a.header.Get("Set-Cookie") != "" {
		t.Errorf("sign in with a key = %d %v, want 403 and no cookie", a.status, a.header)
	}
	if _, err := s.db.RevokeAPIKey(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	for _, f := range streams {
		f.skipTo("stream.expired")
		f.ended()
	}
	if why := s.closed(t, ids[0]); why != presence.Expired {
		t.Errorf("it ended as %q, want %q", why, presence.Expired)
	}
	for _, node := range []*server{s, other} {
		if a := node.do(t, http.MethodGet, "/api/jobs", key, ""); a.status != http.StatusUnauthorized || a.problem() != "bad-token" {
			t.Errorf("with a revoked key = %d %s, want 401", a.status, a.body)
		}
		if a := node.do(t, http.MethodGet, "/api/jobs", kept, ""); a.status != http.StatusOK {
			t.Errorf("with the other key = %d, want 200", a.status)
		}
	}
	other.written()
	if c := s.connection(t, stays); c.ClosedAt != nil {
		t.Error("the stream of the other key has ended too")
	}
}

// skipTo reads on to the event with the name.
func (f *follower) skipTo(name string) {
	f.t.Helper()
	for {
		e, err := f.r.Next()
		if err != nil {
			f.t.Fatalf("the stream ended with %v, want %s", err, name)
		}
		if e.Name == name {
			return
		}
	}
}

// ticket makes a ticket.
func (s *server) ticket(t *testing.T, token string) string {
	t.Helper()
	a := s.do(t, http.MethodPost, "/api/tickets", token, "")
	ticket := between(a.body, `"ticket":"`, `"`)
	if a.status != http.StatusCreated || ticket == "" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("POST /api/tickets = %d %s", a.status, a.body)
	}
	return ticket
}

func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	value, _, _ := strings.Cut(rest, after)
	return value
}

// A ticket opens one stream on whichever node it reaches first, with the rights of
// who made it and until their token ends. No log has it.
func TestTickets(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	s := setup(t, log.capture)
	other := s.secondNode(t)
	ticket := s.ticket(t, s.token(t, "demo"))
	var winners, losers atomic.Int32
	var group sync.WaitGroup
	for i := range 50 {
		node := []*server{s, other}[i%2]
		group.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, node.URL+"/api/sse?topic=user:demo&ticket="+ticket, nil)
			if err != nil {
				t.Error(err)
				return
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			switch res.StatusCode {
			case http.StatusOK:
				winners.Add(1)
			case http.StatusUnauthorized:
				losers.Add(1)
			}
		})
	}
	group.Wait()
	if w, l := winners.Load(), losers.Load(); w != 1 || l != 49 {
		t.Errorf("of 50, %d got a stream and %d were refused, want 1 and 49", w, l)
	}
	for name, query := range map[string]string{
		"used": ticket, "none": "", "garbage": "x", "made up": auth.NewTicket(), "a token": s.token(t, "demo"),
	} {
		// The token beside it does not count: the ticket is what was asked with.
		a := s.do(t, http.MethodGet, "/api/sse?ticket="+query, s.token(t, "demo"), "")
		if a.status != http.StatusUnauthorized || a.problem() != "bad-ticket" {
			t.Errorf("a ticket that is %s = %d %s, want 401", name, a.status, a.body)
		}
	}
	if a := s.do(t, http.MethodGet, "/api/sse?topic=user:alice&ticket="+s.ticket(t, s.token(t, "demo")), "", ""); a.status != http.StatusForbidden {
		t.Errorf("another's topic with a ticket = %d, want 403", a.status)
	}
	if a := s.do(t, http.MethodGet, "/api/jobs?ticket="+s.ticket(t, s.token(t, "demo")), "", ""); a.status != http.StatusUnauthorized {
		t.Errorf("a ticket for another route = %d, want 401", a.status)
	}
	if lines := log.String(); !strings.Contains(lines, "route=/api/sse") || strings.Contains(lines, auth.TicketPrefix) {
		t.Errorf("the log has a ticket, or no stream:\n%s", lines)
	}
}

// A stream that a ticket has opened ends with the key that made the ticket, also
// when that is revoked in between.
func TestATicketsStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id, key := s.apiKey(t, auth.APIKey{User: "shop", Roles: []auth.Role{auth.RoleBackend}})
	ticket := s.ticket(t, key)
	if _, err := s.db.RevokeAPIKey(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	s.follow(t, "", "ticket="+ticket).skipTo("stream.expired")
}

// A key that names topics publishes to those alone; one that names none, to all.
func TestAKeyPublishesToItsTopics(t *testing.T) {
	t.Parallel()
	s := setup(t)
	backend := []auth.Role{auth.RoleBackend}
	_, narrow := s.apiKey(t, auth.APIKey{User: "shop", Roles: backend, Topics: []auth.Pattern{"channel:orders", "user:a*"}})
	_, wide := s.apiKey(t, auth.APIKey{User: "shop", Roles: backend})
	for to, want := range map[string]int{
		`{"channel":"orders"}`: 200, `{"user":"alice","channels":["orders"]}`: 200, `{"user":"bob"}`: 403,
		`{"channels":["orders","others"]}`: 403, `{"all":true}`: 403, `{"topics":["channel:audit"]}`: 403,
	} {
		body := `{"event":"order.paid","to":` + to + `}`
		if a := s.do(t, http.MethodPost, "/api/sse/message", narrow, body); a.status != want {
			t.Errorf("to %s by the narrow key = %d %s, want %d", to, a.status, a.body, want)
		}
		if a := s.do(t, http.MethodPost, "/api/sse/messages", narrow, `{"messages":[`+body+`]}`); a.status != want {
			t.Errorf("to %s by the narrow key, as one of several = %d %s, want %d", to, a.status, a.body, want)
		}
		if a := s.do(t, http.MethodPost, "/api/sse/message", wide, body); a.status != http.StatusOK {
			t.Errorf("to %s by the wide key = %d %s, want 200", to, a.status, a.body)
		}
	}
}
