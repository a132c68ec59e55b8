package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/receipt"
)

// client is what one stream's client knows: the truth that receipts are held against.
type client struct {
	*follower
	node        *server
	id          uuid.UUID
	user        string
	got         []event.Seq
	acked, seen event.Seq
}

// cast is three nodes on one log, and those who follow it.
type cast struct {
	t     *testing.T
	nodes []*server
	head  event.Seq
	all   []*client
}

func (c *cast) open(node int, user, query string) *client {
	c.t.Helper()
	s := c.nodes[node]
	f := s.follow(c.t, s.token(c.t, user), query)
	cl := &client{follower: f, node: s, id: f.clientID(), user: user}
	c.all = append(c.all, cl)
	return cl
}

// publish has n events in the log that concern all of the cast's users.
func (c *cast) publish(n int) {
	c.t.Helper()
	if _, err := c.nodes[0].db.Pool().Exec(c.t.Context(), `INSERT INTO herald.outbox (event_id, type, topics, payload)
		SELECT gen_random_uuid(), 'order.paid', ARRAY['user:ann', 'user:bob', 'user:cid', 'user:dan', 'user:eve', 'user:fay'], '{}' FROM generate_series(1, $1::int)`, n); err != nil {
		c.t.Fatal(err)
	}
	c.head += event.Seq(n)
	c.nodes[0].waitHead(c.t, c.head)
}

// readUpTo reads up to a seq.
func (cl *client) readUpTo(seq event.Seq) {
	cl.t.Helper()
	for len(cl.got) == 0 || cl.got[len(cl.got)-1] < seq {
		e, err := cl.r.Next()
		if err != nil {
			cl.t.Fatal(err)
		}
		if e.Name == "order.paid" {
			at, err := event.ParseCursor(e.ID)
			if err != nil {
				cl.t.Fatal(err)
			}
			cl.got = append(cl.got, at)
		}
	}
}

// says acknowledges what it has up to the seq, by another node than its own.
func (c *cast) says(cl *client, seq event.Seq, visible bool) {
	c.t.Helper()
	other := c.nodes[(slices.Index(c.nodes, cl.node)+1)%len(c.nodes)]
	cl.node.written()
	if a := other.ack(c.t, other.token(c.t, cl.user), cl.id, seq, visible); a.status != http.StatusNoContent {
		c.t.Fatalf("ack of %s: %d %s", cl.user, a.status, a.body)
	}
	if cl.acked = seq; visible {
		cl.seen = seq
	}
}

// leave ends the stream, and waits until that is known.
func (c *cast) leave(cl *client) {
	c.t.Helper()
	cl.close()
	cl.node.closed(c.t, cl.id)
}

// truth is the furthest stage that the event came to at one of the user's clients.
func (c *cast) truth(user string, seq event.Seq) (stage receipt.Stage) {
	for _, cl := range c.all {
		if cl.user != user || !slices.Contains(cl.got, seq) {
			continue
		}
		switch {
		case seq <= cl.seen:
			return receipt.Seen
		case seq <= cl.acked:
			stage = receipt.Acknowledged
		case stage == "":
			stage = receipt.Written
		}
	}
	return stage
}

type deliveries struct {
	Recipients []receipt.Recipient
	Deliveries []receipt.Delivery
	Next       string
}

// Receipts say what the clients know: of users who stay, leave and resume on another
// node, leave for good, come back afresh, filter, and never acknowledge.
func TestReceiptsAreTheTruth(t *testing.T) {
	t.Parallel()
	noted := &looks{}
	first := setup(t, noted.take)
	c := &cast{t: t, nodes: []*server{first}}
	for _, name := range []string{"test-2", "test-3"} {
		c.nodes = append(c.nodes, start(t, first.db, noted.take, func(d *httpapi.Deps) { d.Node = name }))
	}
	ann, bob, cid := c.open(0, "ann", "lastEventId=0"), c.open(1, "bob", "lastEventId=0"), c.open(2, "cid", "lastEventId=0")
	dan, fay := c.open(0, "dan", "lastEventId=0"), c.open(1, "fay", "lastEventId=0")
	c.open(1, "eve", "lastEventId=0&type=job.*")
	c.publish(5)
	for _, cl := range []*client{ann, bob, cid, dan, fay} {
		cl.readUpTo(5)
	}
	c.says(bob, 3, true)
	c.says(cid, 5, false)
	for _, cl := range []*client{bob, cid, dan} {
		c.leave(cl)
	}
	c.publish(5)
	ann.readUpTo(10) // so that their nodes, to which bob and dan come, have them too
	fay.readUpTo(10)
	again, afresh := c.open(0, "bob", "lastEventId=3"), c.open(1, "dan", "")
	again.readUpTo(10)
	c.publish(2)
	for _, cl := range []*client{ann, again, afresh, fay} {
		cl.readUpTo(12)
	}
	c.says(ann, 12, true)
	c.says(again, 11, false)
	for _, node := range c.nodes {
		node.written()
	}
	sue := first.token(t, "sue", auth.RoleSupport)
	for seq := event.Seq(1); seq <= 12; seq++ {
		d := get[deliveries](t, c.nodes[seq%3], sue, fmt.Sprintf("/api/events/%d/deliveries", seq))
		c.compare(seq, d)
		away := seq > 5 && seq <= 10
		want := map[string]receipt.Recipient{
			"ann": {Online: true, Way: receipt.Live}, "bob": {Online: !away, Way: receipt.Live}, "cid": {Online: seq <= 5},
			"dan": {Online: !away, Way: receipt.Live}, "eve": {Online: true, Stage: receipt.Filtered}, "fay": {Online: true, Way: receipt.Live},
		}
		if away {
			want["bob"], want["dan"] = receipt.Recipient{Way: receipt.Replay}, receipt.Recipient{Way: receipt.Snapshot}
		}
		if seq == 4 || seq == 5 { // they were written to bob's first stream, and acknowledged on the second
			want["bob"] = receipt.Recipient{Online: true, Way: receipt.Replay}
		}
		if seq <= 5 {
			want["cid"] = receipt.Recipient{Online: true, Way: receipt.Live}
		}
		for _, got := range d.Recipients {
			w := want[got.User]
			w.User = got.User
			if stage := c.truth(got.User, seq); stage != "" {
				w.Stage = stage
			}
			if diff := cmp.Diff(w, got); diff != "" {
				t.Errorf("event %d: -want +got:\n%s", seq, diff)
			}
		}
	}
	c.explained(map[string][]receipt.Code{
		"ann 7": {receipt.CodeSeen}, "bob 7": {receipt.CodeNoConnection, receipt.CodeAcknowledged}, "bob 12": {receipt.CodeWritten},
		"cid 7": {receipt.CodeNoConnection}, "dan 7": {receipt.CodeNoConnection, receipt.CodeSnapshot}, "eve 7": {receipt.CodeFiltered},
		"fay 7": {receipt.CodeWritten}, "zed 7": {receipt.CodeNotAddressed, receipt.CodeNoGrant, receipt.CodeNoConnection},
	})
	c.listed()
	c.whoMayAsk()
}

// compare holds the deliveries of an event against what clients got.
func (c *cast) compare(seq event.Seq, d deliveries) {
	c.t.Helper()
	if len(d.Recipients) != 6 {
		c.t.Errorf("event %d has %d recipients, want 6", seq, len(d.Recipients))
	}
	reported := map[uuid.UUID]bool{}
	for _, each := range d.Deliveries {
		reported[each.Client] = each.Stage.Got()
	}
	for _, cl := range c.all {
		if got := slices.Contains(cl.got, seq); got != reported[cl.id] {
			c.t.Errorf("event %d and %s's stream: written %v, and the client says %v", seq, cl.user, reported[cl.id], got)
		}
	}
}

// explained checks which findings there are about a user and an event.
func (c *cast) explained(want map[string][]receipt.Code) {
	c.t.Helper()
	s := c.nodes[0]
	for of, codes := range want {
		var user string
		var seq event.Seq
		if _, err := fmt.Sscan(of, &user, &seq); err != nil {
			c.t.Fatal(err)
		}
		x := get[receipt.Explanation](c.t, s, s.token(c.t, "sue", auth.RoleSupport), fmt.Sprintf("/api/events/%d/explain?user=%s", seq, user))
		var got []receipt.Code
		for _, f := range x.Findings {
			got = append(got, f.Code)
		}
		if diff := cmp.Diff(codes, got); diff != "" || x.Received != (c.truth(user, seq) != "") {
			c.t.Errorf("%s: received %v, findings -want +got:\n%s%+v", of, x.Received, diff, x.Findings)
		}
	}
}

// whoMayAsk checks that users are told of themselves alone, page by page.
func (c *cast) whoMayAsk() {
	c.t.Helper()
	s := c.nodes[0]
	bob := s.token(c.t, "bob")
	d := get[deliveries](c.t, s, bob, "/api/events/4/deliveries?limit=1")
	next := get[deliveries](c.t, s, bob, "/api/events/4/deliveries?limit=1&before="+d.Next)
	if len(d.Recipients) != 1 || len(d.Deliveries) != 1 || len(next.Deliveries) != 1 || next.Next != "" ||
		d.Deliveries[0].User != "bob" || d.Deliveries[0].Way != receipt.Replay || next.Deliveries[0].Way != receipt.Live {
		c.t.Errorf("bob is told %+v, and then %+v", d, next)
	}
	for path, status := range map[string]int{
		"/api/events/4/deliveries?user=ann": 403, "/api/events/4/explain?user=ann": 403, "/api/events/4/explain": 200,
		"/api/events/99/explain": 404, "/api/events/4/deliveries?before=x": 400,
	} {
		if a := s.do(c.t, http.MethodGet, path, bob, ""); a.status != status {
			c.t.Errorf("GET %s by bob = %d %s, want %d", path, a.status, a.body, status)
		}
	}
	if a := s.do(c.t, http.MethodGet, "/api/events/4/deliveries", s.token(c.t, "zed"), ""); a.status != http.StatusNotFound {
		c.t.Errorf("zed is told %d %s", a.status, a.body)
	}
}
