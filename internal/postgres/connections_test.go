package postgres_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/postgres"
	"herald/internal/presence"
)

// connection is one that has just begun.
func connection(node, user string) presence.Connection {
	id := uuid.Must(uuid.NewV7())
	return presence.Connection{
		ID: id, Node: node, User: user, Session: "tab 1", UserAgent: `Mozilla "5.0" \ {}`, Address: new(netip.MustParseAddr("2001:db8::7")),
		Topics: []event.Topic{event.UserTopic(user), event.Everyone, event.Topic("client:" + id.String())},
		Filter: &event.Filter{Types: []string{"job.*"}, Metadata: map[string][]string{"tenant": {"a", `"`}}}, Whole: true,
		Metadata: json.RawMessage(`{"app":"shop"}`), OpenedAt: time.Now(), OpenedSeq: 3,
	}
}

// write writes a batch, the progress of what has begun in it too, and returns the
// answer.
func write(t *testing.T, db *postgres.DB, node string, opened []presence.Connection, changed ...presence.Progress) presence.Answer {
	t.Helper()
	b := presence.Batch{Node: node, Opened: opened, Changed: changed}
	for _, c := range opened {
		if !slices.ContainsFunc(changed, func(p presence.Progress) bool { return p.ID == c.ID }) {
			b.Changed = append(b.Changed, presence.Progress{ID: c.ID, Written: c.OpenedSeq})
		}
	}
	answer, err := db.WriteConnections(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// read reads a connection.
func read(t *testing.T, db *postgres.DB, id uuid.UUID) presence.Connection {
	t.Helper()
	c, err := db.Connection(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lately lets times differ by what passes between two machines.
func lately() cmp.Option { return cmpopts.EquateApproxTime(5 * time.Second) }

func execSQL(t *testing.T, db *postgres.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := connection("a", "demo")
	c.OpenedAt = time.Now().Add(-time.Hour) // the database was away
	write(t, db, "a", []presence.Connection{c})
	want := c
	want.Written = c.OpenedSeq
	if diff := cmp.Diff(want, read(t, db, c.ID), lately(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("Connection() -want +got:\n%s", diff)
	}

	bare := presence.Connection{ID: uuid.Must(uuid.NewV7()), Node: "a", User: "demo", OpenedAt: time.Now()}.Clean()
	write(t, db, "a", []presence.Connection{bare})
	if got := read(t, db, bare.ID); got.Address != nil || len(got.Topics) != 0 || string(got.Metadata) != `{}` {
		t.Errorf("a bare connection is %+v", got)
	}
	if _, err := db.Connection(t.Context(), uuid.New()); !errors.Is(err, presence.ErrNotFound) {
		t.Errorf("Connection(unknown) = %v, want %v", err, presence.ErrNotFound)
	}
}

// Whatever a client calls itself, a batch is written.
func TestWhatAClientSendsIsMadeFitToBeKept(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := connection("a", "demo")
	c.Session, c.UserAgent = "nul \x00", "latin \xe9"+strings.Repeat("é", 1000)
	c.Address = new(netip.MustParseAddr("fe80::1%eth0"))
	c.Metadata = json.RawMessage(`{"n":1e999999,"s":"\u0000"}`)
	write(t, db, "a", []presence.Connection{c.Clean()})
	got := read(t, db, c.ID)
	if got.Session != "nul \uFFFD" || !strings.HasPrefix(got.UserAgent, "latin \uFFFDé") || got.Address.String() != "fe80::1" || string(got.Metadata) != `{}` {
		t.Errorf("it is kept as %+v", got)
	}
	c = connection("a", "demo")
	c.Metadata = json.RawMessage(`{"n":1e999999}`)
	write(t, db, "a", []presence.Connection{c.Clean()})
	if got := read(t, db, c.ID); string(got.Metadata) != `{"n":1e999999}` {
		t.Errorf("metadata is kept as %s", got.Metadata)
	}
}

func TestProgressOfAConnection(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := connection("a", "demo")
	now := time.Now()
	minute, hour := now.Add(-time.Minute), now.Add(-time.Hour)
	p := presence.Progress{
		ID: c.ID, Written: 9, WrittenAt: presence.At(minute), Acked: 7, AckedAt: presence.At(now), Seen: 6, SeenAt: presence.At(hour), Visible: true,
	}
	write(t, db, "a", []presence.Connection{c})
	write(t, db, "a", nil, p)
	want := c
	want.Written, want.WrittenAt, want.Acked, want.AckedAt = 9, &minute, 7, &now
	want.Seen, want.SeenAt, want.Visible = 6, &hour, true
	compare := func(step string) {
		t.Helper()
		if diff := cmp.Diff(want, read(t, db, c.ID), lately(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", step, diff)
		}
	}
	compare("progress")
	p.Written = 10
	write(t, db, "a", []presence.Connection{c}, p) // the answer to the first was lost
	want.Written = 10
	compare("the beginning again")
	p.Closed, p.ClosedAt = presence.Slow, presence.At(now)
	write(t, db, "a", nil, p)
	want.ClosedAt, want.ClosedWhy = &now, presence.Slow
	compare("its end")
	p.Closed, p.ClosedAt = "", 0
	write(t, db, "a", nil, p) // its node knows best
	want.ClosedAt, want.ClosedWhy = nil, ""
	compare("its end, taken back")

	brief := connection("a", "demo")
	write(t, db, "a", []presence.Connection{brief},
		presence.Progress{ID: brief.ID, Written: 4, WrittenAt: presence.At(now), Closed: presence.ClientGone, ClosedAt: presence.At(now)})
	if got := read(t, db, brief.ID); got.ClosedWhy != presence.ClientGone || got.ClosedAt == nil || got.Written != 4 {
		t.Errorf("one that was written when it had ended is %+v", got)
	}
}

func TestWriteAcks(t *testing.T) {
	t.Parallel()
	db := open(t)
	execSQL(t, db, "UPDATE herald.log_state SET floor = 20")
	c, past, long := connection("a", "demo"), connection("a", "demo"), connection("a", "demo")
	write(t, db, "a", []presence.Connection{c, past, long})
	write(t, db, "a", nil,
		presence.Progress{ID: c.ID, Written: 10, WrittenAt: presence.At(time.Now())},
		presence.Progress{ID: past.ID, Written: 10, Closed: presence.ClientGone, ClosedAt: presence.At(time.Now())},
		presence.Progress{ID: long.ID, Written: 10, Closed: presence.ClientGone, ClosedAt: presence.At(time.Now().Add(-time.Hour))})
	ack := func(want error, a presence.Ack) {
		t.Helper()
		got, err := db.WriteAcks(t.Context(), []presence.Ack{{Client: uuid.New(), User: "demo"}, a})
		if err != nil || !errors.Is(got[0], presence.ErrNotFound) || !errors.Is(got[1], want) {
			t.Errorf("WriteAcks(unknown, %+v) = %v, %v, want [%v, %v]", a, got, err, presence.ErrNotFound, want)
		}
	}
	stands := func(acked, seen event.Seq, visible bool) {
		t.Helper()
		if got := read(t, db, c.ID); got.Acked != acked || got.Seen != seen || got.Visible != visible || got.AckedAt == nil {
			t.Errorf("acked %d, seen %d, visible %v, want %d, %d, %v", got.Acked, got.Seen, got.Visible, acked, seen, visible)
		}
	}
	ack(nil, presence.Ack{Client: c.ID, User: "demo", Seq: 8, Visible: true})
	stands(8, 8, true)
	ack(nil, presence.Ack{Client: c.ID, User: "demo", Seq: 9})
	stands(9, 8, false)
	ack(nil, presence.Ack{Client: c.ID, User: "demo", Seq: 5, Visible: true}) // acks may overtake each other
	stands(9, 8, true)
	ack(presence.ErrNotFound, presence.Ack{Client: c.ID, User: "alice", Seq: 10})
	ack(presence.ErrAhead, presence.Ack{Client: c.ID, User: "demo", Seq: 21})
	stands(9, 8, true)
	ack(nil, presence.Ack{Client: c.ID, User: "demo", Seq: 12, Visible: true}) // its node has not told yet what it wrote
	stands(10, 10, true)
	write(t, db, "a", nil, presence.Progress{ID: c.ID, Written: 15, WrittenAt: presence.At(time.Now())})
	stands(12, 12, true)
	ack(nil, presence.Ack{Client: past.ID, User: "demo", Seq: 10})
	ack(presence.ErrNotFound, presence.Ack{Client: long.ID, User: "demo", Seq: 10})

	tx, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM herald.connections WHERE id = $1 FOR NO KEY UPDATE`, c.ID); err != nil {
		t.Fatal(err)
	}
	ack(presence.ErrLater, presence.Ack{Client: c.ID, User: "demo", Seq: 13})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	ack(nil, presence.Ack{Client: c.ID, User: "demo", Seq: 13})
	stands(13, 12, false)
}

// An ack by another node stays when the connection's own node, which does not
// know of it, writes what it knows.
func TestAnAckElsewhereIsKept(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := connection("a", "demo")
	write(t, db, "a", []presence.Connection{c})
	mine := presence.Progress{ID: c.ID, Written: 3, Acked: 1, AckedAt: presence.At(time.Now().Add(-time.Minute)), Visible: false}
	write(t, db, "a", nil, mine)
	execSQL(t, db, "UPDATE herald.log_state SET floor = 3")
	if got, err := db.WriteAcks(t.Context(), []presence.Ack{{Client: c.ID, User: "demo", Seq: 3, Visible: true}}); err != nil || got[0] != nil {
		t.Fatal(got, err)
	}
	mine.WrittenAt = presence.At(time.Now())
	write(t, db, "a", nil, mine)
	got := read(t, db, c.ID)
	if got.Acked != 3 || got.Seen != 3 || !got.Visible || got.AckedAt.Before(time.Now().Add(-10*time.Second)) {
		t.Errorf("the connection is %+v, want the newer ack kept", got)
	}
}

func TestClosingIsAskedOfTheNode(t *testing.T) {
	t.Parallel()
	db := open(t)
	one, two, others, past := connection("a", "demo"), connection("b", "demo"), connection("a", "alice"), connection("a", "demo")
	write(t, db, "a", []presence.Connection{one, others, past})
	write(t, db, "b", []presence.Connection{two})
	write(t, db, "a", nil, presence.Progress{ID: past.ID, Closed: presence.ClientGone, ClosedAt: presence.At(time.Now())})
	if got := write(t, db, "a", nil); len(got.Close) != 0 || got.Lost {
		t.Errorf("before anybody asked, a node is told %+v", got)
	}
	c, err := db.CloseConnection(t.Context(), others.ID, "root")
	if err != nil || c.CloseAskedBy != "root" || c.CloseAskedAt == nil || c.ClosedAt != nil {
		t.Errorf("CloseConnection() = %+v, %v", c, err)
	}
	if c, err := db.CloseConnection(t.Context(), others.ID, "another"); err != nil || c.CloseAskedBy != "root" {
		t.Errorf("CloseConnection() again = %+v, %v, want the first to have asked", c, err)
	}
	if c, err := db.CloseConnection(t.Context(), past.ID, "root"); err != nil || c.CloseAskedBy != "" || c.ClosedWhy != presence.ClientGone {
		t.Errorf("CloseConnection(past) = %+v, %v, want it as it is", c, err)
	}
	if _, err := db.CloseConnection(t.Context(), uuid.New(), "root"); !errors.Is(err, presence.ErrNotFound) {
		t.Errorf("CloseConnection(unknown) = %v, want %v", err, presence.ErrNotFound)
	}
	for _, want := range []int{2, 0} {
		if n, err := db.CloseUserConnections(t.Context(), "demo", "root"); n != want || err != nil {
			t.Errorf("CloseUserConnections() = %d, %v, want %d", n, err, want)
		}
	}
	for node, want := range map[string][]uuid.UUID{"a": {one.ID, others.ID}, "b": {two.ID}} {
		got := write(t, db, node, nil)
		if diff := cmp.Diff(want, got.Close, cmpopts.SortSlices(func(a, b uuid.UUID) bool { return a.String() < b.String() })); diff != "" {
			t.Errorf("node %s is told to close -want +got:\n%s", node, diff)
		}
	}
}

func TestConnectionsAreListed(t *testing.T) {
	t.Parallel()
	db := open(t)
	a1, a2, b1, old := connection("a", "demo"), connection("a", "alice"), connection("b", "demo"), connection("a", "demo")
	write(t, db, "a", []presence.Connection{a1, a2, old})
	write(t, db, "b", []presence.Connection{b1})
	write(t, db, "a", nil, presence.Progress{ID: old.ID, Closed: presence.Slow, ClosedAt: presence.At(time.Now())})
	for _, tt := range []struct {
		name   string
		filter presence.Filter
		want   []uuid.UUID
	}{
		{"all", presence.Filter{}, []uuid.UUID{old.ID, b1.ID, a2.ID, a1.ID}},
		{"live", presence.Filter{Live: true}, []uuid.UUID{b1.ID, a2.ID, a1.ID}},
		{"ended", presence.Filter{Ended: true}, []uuid.UUID{old.ID}},
		{"a user's ended", presence.Filter{Ended: true, User: "alice"}, []uuid.UUID{}},
		{"a user's", presence.Filter{User: "demo"}, []uuid.UUID{old.ID, b1.ID, a1.ID}},
		{"a user's live", presence.Filter{User: "demo", Live: true}, []uuid.UUID{b1.ID, a1.ID}},
		{"a node's", presence.Filter{Node: "a"}, []uuid.UUID{a2.ID, a1.ID}},
		{"a user's on a node", presence.Filter{Node: "a", User: "demo"}, []uuid.UUID{a1.ID}},
		{"nobody's", presence.Filter{User: "bob"}, []uuid.UUID{}},
	} {
		var got []uuid.UUID
		for tt.filter.Limit = 1; ; { // page by page
			page, err := db.Connections(t.Context(), tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page[0].ID)
			tt.filter.Before = page[0].ID
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
	stats, err := db.ConnectionStatistics(t.Context())
	if diff := cmp.Diff(presence.Statistics{Connections: 3, Users: 2, Nodes: map[string]int{"a": 2, "b": 1}}, stats); err != nil || diff != "" {
		t.Errorf("ConnectionStatistics(): %v, -want +got:\n%s", err, diff)
	}
}

func TestParity_12_UserPresenceOverAllNodes(t *testing.T) {
	t.Parallel()
	db := open(t)
	presenceIs := func(step string, want presence.User) {
		t.Helper()
		want.User = "demo"
		got, err := db.UserPresence(t.Context(), "demo")
		if diff := cmp.Diff(want, got, lately()); err != nil || diff != "" {
			t.Errorf("%s: %v, -want +got:\n%s", step, err, diff)
		}
	}
	presenceIs("never seen", presence.User{})
	now := time.Now()
	hour, minute := now.Add(-time.Hour), now.Add(-time.Minute)
	first, second := connection("a", "demo"), connection("b", "demo")
	first.OpenedAt, second.OpenedAt = hour, now.Add(-2*time.Hour)
	write(t, db, "a", []presence.Connection{first, connection("a", "alice")})
	presenceIs("one stream", presence.User{Online: true, Connections: 1, Since: &hour, LastActiveAt: &hour})
	write(t, db, "b", []presence.Connection{second})
	write(t, db, "b", nil, presence.Progress{ID: second.ID, AckedAt: presence.At(minute), SeenAt: presence.At(minute), Visible: true})
	presenceIs("two nodes", presence.User{Online: true, Connections: 2, Since: &second.OpenedAt, LastActiveAt: &minute, Visible: true})
	write(t, db, "b", nil, presence.Progress{ID: second.ID, AckedAt: presence.At(minute), SeenAt: presence.At(minute), Visible: true, Closed: presence.ClientGone, ClosedAt: presence.At(now)})
	write(t, db, "a", nil, presence.Progress{ID: first.ID, Closed: presence.ClientGone, ClosedAt: presence.At(now)})
	presenceIs("gone", presence.User{LastActiveAt: &minute})
}

func TestAddressedCountsOpenConnections(t *testing.T) {
	t.Parallel()
	db := open(t)
	a, b, silent := connection("a", "demo"), connection("b", "demo"), connection("a", "alice")
	a.Topics = append(a.Topics, "channel:news")
	silent.Topics = []event.Topic{"channel:news", "client:" + event.Topic(silent.ID.String())}
	past := connection("a", "demo")
	write(t, db, "a", []presence.Connection{a, silent, past})
	write(t, db, "b", []presence.Connection{b})
	write(t, db, "a", nil, presence.Progress{ID: past.ID, Closed: presence.ClientGone, ClosedAt: presence.At(time.Now())})
	for _, tt := range []struct {
		topics []event.Topic
		want   int
	}{
		{[]event.Topic{"user:demo"}, 2},
		{[]event.Topic{"all"}, 2},
		{[]event.Topic{"channel:news"}, 2},
		{[]event.Topic{"user:demo", "channel:news"}, 3}, // each once
		{[]event.Topic{event.Topic("client:" + a.ID.String())}, 1},
		{[]event.Topic{event.Topic("client:" + past.ID.String())}, 0},
		{[]event.Topic{"user:bob", "user:dem"}, 0},
		{nil, 0},
	} {
		if n, err := db.CountAddressed(t.Context(), [][]event.Topic{tt.topics, tt.topics}); err != nil || n[0] != tt.want || n[1] != tt.want {
			t.Errorf("CountAddressed(%v) = %d, %v, want %d", tt.topics, n, err, tt.want)
		}
	}
}

func TestConnectionsOfLostNodesEnd(t *testing.T) {
	t.Parallel()
	db := open(t)
	nodes := []string{"alive", "gone", "silent", "worker"}
	of := map[string]presence.Connection{}
	for _, node := range nodes {
		of[node] = connection(node, "demo")
		write(t, db, node, []presence.Connection{of[node]})
	}
	execSQL(t, db, "DELETE FROM herald.nodes WHERE id = 'gone'")
	execSQL(t, db, "UPDATE herald.nodes SET streams_at = now() - interval '11 s' WHERE id = 'silent'")
	execSQL(t, db, "UPDATE herald.nodes SET streams_at = NULL WHERE id = 'worker'")
	for _, want := range []int{3, 0} {
		if n, err := db.CloseLostConnections(t.Context(), nil); n != want || err != nil {
			t.Errorf("CloseLostConnections() = %d, %v, want %d", n, err, want)
		}
	}
	for node, c := range of {
		want := presence.NodeLost
		if node == "alive" {
			want = ""
		}
		if got := read(t, db, c.ID); got.ClosedWhy != want {
			t.Errorf("the connection of node %s ended because of %q, want %q", node, got.ClosedWhy, want)
		}
		if got := write(t, db, node, nil); got.Lost != (node != "alive") {
			t.Errorf("node %s is told that it was lost: %v", node, got.Lost)
		}
		if got := write(t, db, node, nil); got.Lost {
			t.Errorf("node %s is told again that it was lost", node)
		}
	}
}

// A node whose session has ended is lost as soon as it is silent for a moment; one that
// is heard, or has its session, is not.
func TestANodeWhoseSessionHasEnded(t *testing.T) {
	t.Parallel()
	db := open(t)
	of := map[string]presence.Connection{}
	for _, node := range []string{"killed", "heard", "connected"} {
		of[node] = connection(node, "demo")
		write(t, db, node, []presence.Connection{of[node]})
	}
	session, err := db.NodeSession("killed")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := write(t, db, "heard", nil).Connected; !slices.Equal(got, []string{"killed"}) {
		t.Errorf("the nodes %v are connected, want the one that has a session", got)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(write(t, db, "heard", nil).Connected) > 0 { // the server sees it in a moment
		if t.Context().Err() != nil {
			t.Fatal("the session is still there")
		}
	}
	execSQL(t, db, "UPDATE herald.nodes SET streams_at = now() - interval '1 s' WHERE id IN ('killed', 'connected')")
	write(t, db, "heard", nil)
	if n, err := db.CloseLostConnections(t.Context(), []string{"killed", "heard"}); n != 1 || err != nil {
		t.Errorf("CloseLostConnections() = %d, %v, want one", n, err)
	}
	for node, c := range of {
		if got := read(t, db, c.ID); (got.ClosedWhy == presence.NodeLost) != (node == "killed") {
			t.Errorf("the connection of node %s ended because of %q", node, got.ClosedWhy)
		}
	}
	if !write(t, db, "killed", nil).Lost { // it lives after all
		t.Error("the node is not told that it was lost")
	}
}

func TestConnectionsOfANodeEnd(t *testing.T) {
	t.Parallel()
	db := open(t)
	old, kept, other := connection("a", "demo"), connection("a", "demo"), connection("b", "demo")
	write(t, db, "a", []presence.Connection{old, kept})
	write(t, db, "b", []presence.Connection{other})
	closed := func(c presence.Connection, want presence.Reason) {
		t.Helper()
		if got := read(t, db, c.ID); got.ClosedWhy != want || (got.ClosedAt != nil) != (want != "") {
			t.Errorf("it ended because of %q, want %q", got.ClosedWhy, want)
		}
	}
	if err := db.CloseNodeConnections(t.Context(), "a", presence.NodeLost, []uuid.UUID{kept.ID}); err != nil {
		t.Fatal(err)
	}
	closed(old, presence.NodeLost)
	closed(kept, "")
	if err := db.CloseNodeConnections(t.Context(), "a", presence.Closing, nil); err != nil {
		t.Fatal(err)
	}
	closed(old, presence.NodeLost)
	closed(kept, presence.Closing)
	closed(other, "")
	if alive, err := db.BeatNode(t.Context(), "a"); alive || err != nil {
		t.Errorf("BeatNode() = %v, %v, want the node to be gone", alive, err)
	}
}

func TestPastConnectionsGo(t *testing.T) {
	t.Parallel()
	db := open(t)
	live, late, old := connection("a", "demo"), connection("a", "demo"), connection("a", "demo")
	write(t, db, "a", []presence.Connection{live, late, old})
	for c, age := range map[*presence.Connection]time.Duration{&late: 29 * 24 * time.Hour, &old: 31 * 24 * time.Hour} {
		write(t, db, "a", nil, presence.Progress{ID: c.ID, Closed: presence.ClientGone, ClosedAt: presence.At(time.Now().Add(-age))})
	}
	keeper, err := db.Keep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	if err := keeper.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := db.Connections(t.Context(), presence.Filter{Limit: 10})
	if err != nil || len(list) != 2 || list[0].ID != late.ID || list[1].ID != live.ID {
		t.Errorf("what is kept: %+v, %v, want what lives and what ended 29 days ago", list, err)
	}
}
