package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/sse"
)

// sent is the answer to a message.
type sent struct {
	EventID   *uuid.UUID `json:"event_id"`
	Addressed *int       `json:"addressed"`
	Repeated  bool       `json:"repeated"`
	DryRun    bool       `json:"dry_run"`
	Reaches   []struct {
		Client uuid.UUID `json:"client_id"`
		User   string    `json:"user"`
		Node   string    `json:"node"`
	} `json:"reaches"`
}

// post posts JSON, which must be answered with 200.
func post[T any](t *testing.T, s *server, token, path, body string, headers ...string) (value T) {
	t.Helper()
	a := s.do(t, http.MethodPost, path, token, body, headers...)
	if a.status != http.StatusOK {
		t.Fatalf("POST %s %.200s = %d %s", path, body, a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// dataOf is the data of an event of a stream.
func dataOf(t *testing.T, text string) string {
	t.Helper()
	var e struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return string(e.Data)
}

func TestParity_05_06_MessagesReachTheirTargetsOnAllNodes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	other := s.secondNode(t)
	shop, admin := s.token(t, "shop", auth.RoleBackend), s.token(t, "ada", auth.RoleAdmin)
	alice := s.follow(t, s.token(t, "alice"), "")
	bob := other.follow(t, s.token(t, "bob"), "")
	ops := other.follow(t, admin, "topic=channel:ops&topic=job:0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e")
	ids := map[*follower]uuid.UUID{}
	for _, f := range []*follower{alice, bob, ops} {
		ids[f] = f.clientID()
		f.next("stream.snapshot")
	}
	s.written()
	other.written()
	for i, tt := range []struct {
		to    string
		reach []*follower
	}{
		{`{"client":"` + ids[bob].String() + `"}`, []*follower{bob}},
		{`{"user":"alice"}`, []*follower{alice}},
		{`{"users":["alice","bob","nobody","alice"]}`, []*follower{alice, bob}},
		{`{"channel":"ops"}`, []*follower{ops}},
		{`{"channels":["ops","none"],"user":"bob"}`, []*follower{ops, bob}},
		{`{"topics":["job:0197F3C2-5D5E-7A6B-8A52-0C8A1B2C3D4E"]}`, []*follower{ops}},
		{`{"all":true}`, []*follower{alice, bob}},
	} {
		body := fmt.Sprintf(`{"event":"order.paid","data":{"n":%d},"to":%s}`, i, tt.to)
		dry := post[sent](t, s, shop, "/api/sse/message?dry_run=1", body)
		reached := map[uuid.UUID]bool{}
		for _, r := range dry.Reaches {
			reached[r.Client] = true
		}
		for _, f := range tt.reach {
			if !reached[ids[f]] {
				t.Errorf("a dry run to %s reaches %+v, want %s among them", tt.to, dry.Reaches, ids[f])
			}
		}
		if len(dry.Reaches) != len(tt.reach) || dry.EventID != nil || !dry.DryRun || *dry.Addressed != len(tt.reach) {
			t.Errorf("a dry run to %s = %+v, want %d streams", tt.to, dry, len(tt.reach))
		}
		got := post[sent](t, s, shop, "/api/sse/message", body)
		if got.EventID == nil || got.EventID.Version() != 7 || got.Addressed == nil || *got.Addressed != len(tt.reach) || got.Repeated {
			t.Errorf("a message to %s = %+v, want %d addressed", tt.to, got, len(tt.reach))
		}
		for _, f := range tt.reach {
			if e := f.next("order.paid"); dataOf(t, e.Data) != fmt.Sprintf(`{"n":%d}`, i) || !strings.Contains(e.Data, got.EventID.String()) {
				t.Errorf("%s reached somebody as %s", tt.to, e.Data)
			}
		}
	}
	const published = " WHERE type = 'order.paid'"
	if n := s.count(t, "SELECT count(*) FROM herald.outbox"+published) + s.count(t, "SELECT count(*) FROM herald.events"+published); n != 7 {
		t.Errorf("%d events, want those that were no dry run", n)
	}
}

// until returns the next event of the name, and passes over others.
func (f *follower) until(name string) sse.Event {
	f.t.Helper()
	for {
		e, err := f.r.Next()
		if err != nil {
			f.t.Fatalf("Next() = %v, want %s", err, name)
		}
		if e.Name == name {
			return e
		}
	}
}

// count is a number that the database knows.
func (s *server) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	if err := s.db.Pool().QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestParity_07_EventsHaveANamePayloadAndMetadata(t *testing.T) {
	t.Parallel()
	s := setup(t)
	shop := s.token(t, "shop", auth.RoleBackend)
	red := s.follow(t, s.token(t, "alice"), "metadata.team=red")
	all := s.follow(t, s.token(t, "alice"), "")
	for _, f := range []*follower{red, all} {
		f.next("stream.open")
		f.next("stream.snapshot")
	}
	publish := func(name, rest string) {
		t.Helper()
		post[sent](t, s, shop, "/api/sse/message", `{"event":"`+name+`","to":{"user":"alice"}`+rest+`}`)
	}
	publish("team.one", `,"data":{"x":1.50},"metadata":{"team":"blue"}`)
	publish("team.two", `,"data":[1e40]`)
	publish("team.three", `,"metadata":{"team":"red","big":true},"ttl_ms":60000`)
	publish("team.stale", `,"metadata":{"team":"red"},"ttl_ms":1`) // gone by the time it is in the log
	publish("team.four", `,"data":"text"`)
	publish("team.five", `,"data":{},"metadata":{"team":"red"}`)
	three := `{"metadata":{"team":"red","big":true},"ttl_ms":60000}`
	for _, want := range []struct{ name, data string }{
		{"team.one", `{"x":1.50,"metadata":{"team":"blue"}}`},
		{"team.two", `[1e40]`},
		{"team.three", three},
		{"team.four", `"text"`},
		{"team.five", `{"metadata":{"team":"red"}}`},
	} {
		if got := dataOf(t, all.until(want.name).Data); got != want.data {
			t.Errorf("%s has %s, want %s", want.name, got, want.data)
		}
	}
	if got := dataOf(t, red.next("team.three").Data); got != three {
		t.Errorf("filtered by metadata: %s", got)
	}
	red.until("team.five")
}

func TestAnEventIsNotSentOnceItHasExpired(t *testing.T) {
	t.Parallel()
	s := setup(t)
	shop := s.token(t, "shop", auth.RoleBackend)
	post[sent](t, s, shop, "/api/sse/message", `{"event":"sale.ends","data":{"n":1},"ttl_ms":1,"to":{"user":"alice"}}`)
	post[sent](t, s, shop, "/api/sse/message", `{"event":"sale.begins","ttl_ms":600000,"to":{"user":"alice"}}`)
	f := s.follow(t, s.token(t, "alice"), "", "Last-Event-ID: 0")
	f.next("stream.open")
	f.next("sale.begins")
	if n := s.count(t, "SELECT count(*) FROM herald.events WHERE type = 'sale.ends'"); n != 1 {
		t.Errorf("%d such events in the log, want the one that expired to be kept", n)
	}
}

func TestParity_17_PublishingUnderAKeyIsDoneOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	other := s.secondNode(t)
	shop := s.token(t, "shop", auth.RoleBackend)
	const body = `{"event":"order.paid","data":{"order":7},"to":{"user":"alice"}}`
	first := post[sent](t, s, shop, "/api/sse/message", body, "Idempotency-Key: k")
	for _, node := range []*server{s, other} {
		again := post[sent](t, node, shop, "/api/sse/message", body, "Idempotency-Key: k")
		if !again.Repeated || *again.EventID != *first.EventID {
			t.Errorf("again: %+v, want event %s", again, first.EventID)
		}
	}
	var bySQL uuid.UUID
	if err := s.db.Pool().QueryRow(t.Context(), `SELECT (herald.publish('{user:alice}', 'order.paid', '{"order":7}', 'shop', 'k') ->> 'event_id')::uuid`).Scan(&bySQL); err != nil || bySQL != *first.EventID {
		t.Errorf("again by SQL: %s, %v, want event %s", bySQL, err, first.EventID)
	}
	if n := s.count(t, "SELECT count(*) FROM herald.outbox") + s.count(t, "SELECT count(*) FROM herald.events"); n != 1 {
		t.Errorf("%d events, want one", n)
	}
	for name, tt := range map[string]struct {
		token, body, key string
		status           int
		problem          string
	}{
		"another under the key": {shop, `{"event":"order.paid","data":{"order":8},"to":{"user":"alice"}}`, "k", 422, "idempotency-key-reused"},
		"another's key":         {s.token(t, "ada", auth.RoleAdmin), body, "k", 200, ""},
		"a user":                {s.token(t, "alice"), body, "", 403, "forbidden"},
		"a worker":              {s.token(t, "robot", auth.RoleWorker), body, "", 403, "forbidden"},
		"support":               {s.token(t, "sue", auth.RoleSupport), body, "", 403, "forbidden"},
		"nobody":                {"", body, "", 401, "not-signed-in"},
		"for nobody":            {shop, `{"event":"a.b","to":{}}`, "", 422, "no-target"},
		"no target":             {shop, `{"event":"a.b"}`, "", 422, "invalid"},
		"a job's word":          {shop, `{"event":"job.failed","to":{"all":true}}`, "", 422, "bad-type"},
		"a stream's word":       {shop, `{"event":"stream.open","to":{"all":true}}`, "", 422, "bad-type"},
		"no word":               {shop, `{"event":"A b","to":{"all":true}}`, "", 422, "bad-type"},
		"no topic":              {shop, `{"event":"a.b","to":{"user":"a b"}}`, "", 400, "bad-topic"},
		"too many":              {shop, `{"event":"a.b","to":{"user":"one-more","users":[` + names(64) + `]}}`, "", 400, "bad-topic"},
		"metadata beside text":  {shop, `{"event":"a.b","data":"x","metadata":{},"to":{"all":true}}`, "", 422, "bad-payload"},
		"metadata twice":        {shop, `{"event":"a.b","data":{"metadata":{}},"metadata":{},"to":{"all":true}}`, "", 422, "bad-payload"},
		"NUL":                   {shop, `{"event":"a.b","data":"\u0000","to":{"all":true}}`, "", 422, "bad-payload"},
		"too large":             {shop, `{"event":"a.b","data":"` + strings.Repeat("x", event.MaxPayload) + `","to":{"all":true}}`, "", 422, "bad-payload"},
		"no time":               {shop, `{"event":"a.b","ttl_ms":0,"to":{"all":true}}`, "", 422, "invalid"},
		"a wrong member":        {shop, `{"event":"a.b","to":{"everyone":true}}`, "", 422, "invalid"},
		"a body too large":      {shop, `{"event":"a.b","data":"` + strings.Repeat("x", 1<<20) + `","to":{"all":true}}`, "", 413, "too-large"},
	} {
		for _, query := range []string{"", "?dry_run=1"} {
			if tt.key != "" && query != "" {
				continue
			}
			a := s.do(t, http.MethodPost, "/api/sse/message"+query, tt.token, tt.body, "Idempotency-Key: "+tt.key)
			if a.status != tt.status || a.problem() != tt.problem {
				t.Errorf("%s%s: %d %s, want %d %s", name, query, a.status, a.body, tt.status, tt.problem)
			}
		}
	}
}

// names are so many JSON strings.
func names(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"u%d"`, i)
	}
	return strings.Join(list, ",")
}

func TestParity_25_ManyMessagesAreOneTransaction(t *testing.T) {
	t.Parallel()
	s := setup(t)
	shop := s.token(t, "shop", auth.RoleBackend)
	alice := s.follow(t, s.token(t, "alice"), "")
	alice.next("stream.open")
	alice.next("stream.snapshot")
	s.written()
	var list []string
	for i := range 100 {
		list = append(list, fmt.Sprintf(`{"event":"n.x","data":%d,"to":{"users":["alice",%s]}}`, i, names(63)))
	}
	body := `{"messages":[` + strings.Join(list, ",") + `]}`
	type many struct {
		Events   []sent
		Repeated bool
	}
	if dry := post[many](t, s, shop, "/api/sse/messages?dry_run=true", body); len(dry.Events) != 100 || *dry.Events[99].Addressed != 1 {
		t.Errorf("a dry run: %+v", dry)
	}
	first := post[many](t, s, shop, "/api/sse/messages", body, "Idempotency-Key: many")
	if len(first.Events) != 100 || first.Repeated {
		t.Fatalf("%d events, repeated %v", len(first.Events), first.Repeated)
	}
	for i, e := range first.Events {
		got := alice.next("n.x")
		if *e.Addressed != 1 || dataOf(t, got.Data) != fmt.Sprint(i) || !strings.Contains(got.Data, e.EventID.String()) {
			t.Errorf("message %d is %+v, and came as %s", i, e, got.Data)
		}
	}
	again := post[many](t, s, shop, "/api/sse/messages", body, "Idempotency-Key: many")
	if diff := cmp.Diff(first.Events, again.Events); diff != "" || !again.Repeated {
		t.Errorf("again: repeated %v, -first +again:\n%s", again.Repeated, diff)
	}
	list[50] = `{"event":"n.x","to":{"user":"a b"}}`
	a := s.do(t, http.MethodPost, "/api/sse/messages", shop, `{"messages":[`+strings.Join(list, ",")+`]}`)
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, "event 51 of 100") {
		t.Errorf("with one bad message: %d %s", a.status, a.body)
	}
	if n := s.count(t, "SELECT count(*) FROM herald.outbox") + s.count(t, "SELECT count(*) FROM herald.events"); n != 100 {
		t.Errorf("%d events, want none of the refused ones", n)
	}
	if a := s.do(t, http.MethodPost, "/api/sse/messages", shop, `{"messages":[]}`); a.status != http.StatusUnprocessableEntity {
		t.Errorf("no messages: %d %s", a.status, a.body)
	}
}
