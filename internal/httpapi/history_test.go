package httpapi_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/httpapi"
	"herald/internal/job"
)

// looks collects who reads what belongs to others, instead of the log.
type looks struct {
	mu   sync.Mutex
	list []string
}

func (l *looks) take(d *httpapi.Deps) { d.Accesses = l }

func (l *looks) RecordAccess(_ context.Context, a auth.Access) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, a.Reader+" at "+a.What[0]+" ("+a.Whose+")")
	return nil
}

// record is an event of the history as support sees it.
type record struct {
	Seq        event.Seq
	ID         uuid.UUID
	Type       string
	Time       time.Time
	RecordedAt time.Time `json:"recorded_at"`
	JobID      uuid.UUID `json:"job_id"`
	JobVersion int64     `json:"job_version"`
	Actor      string
	Topics     []string
	Data       json.RawMessage
}

// data is what is looked for in an event's data.
func (r record) data() (d struct{ Message, Error, State, Kind string }) {
	_ = json.Unmarshal(r.Data, &d)
	return d
}

func (r record) concerns(topics ...string) bool {
	return slices.ContainsFunc(r.Topics, func(t string) bool { return slices.Contains(topics, t) })
}

// page is a page of the history.
type page struct {
	Events     []record
	Next, Prev string
	Partial    bool
	Floor      event.Seq
}

func seqsOf(events []record) []event.Seq {
	seqs := []event.Seq{}
	for _, e := range events {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// appendEvents has n events more of many kinds in the log.
func (s *server) appendEvents(t *testing.T, n int) {
	t.Helper()
	_, before, err := s.db.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Pool().Exec(t.Context(), `INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
		SELECT gen_random_uuid(), (ARRAY['job.progress', 'job.message', 'job.failed', 'order.paid', 'order.sent', 'job.retrying'])[1 + n % 6],
			CASE WHEN n % 6 IN (3, 4) THEN ARRAY['channel:shop', 'all', 'user:u3'] ELSE ARRAY['job:' || job, 'user:u' || n % 4, 'user:w' || n % 3] END,
			CASE WHEN n % 6 NOT IN (3, 4) THEN job END, n, 'actor-' || n % 2,
			CASE WHEN n % 6 IN (3, 4) THEN '"paid"' ELSE json_build_object('kind', 'build', 'state', (ARRAY['running', 'running', 'failed'])[1 + n % 6 % 3],
				'message', 'Part 50%_' || n, 'error', CASE n % 6 WHEN 2 THEN 'No Space' ELSE '' END) END
		FROM (SELECT n, md5((n % 5)::text)::uuid AS job FROM generate_series(1, $1::int) n) AS numbered`, n); err != nil {
		t.Fatal(err)
	}
	s.waitHead(t, before+event.Seq(n))
}

// waitHead waits until the log has come so far.
func (s *server) waitHead(t *testing.T, head event.Seq) {
	t.Helper()
	for at := event.Seq(0); at < head; {
		var err error
		if at, err = s.db.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// lines reads everything that matches.
func (s *server) lines(t *testing.T, token, query string) []record {
	t.Helper()
	a := s.do(t, http.MethodGet, "/api/events?format=ndjson&"+query, token, "")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("lines of %s: %d %v %.300s", query, a.status, a.header, a.body)
	}
	list := []record{}
	for line := range strings.Lines(a.body) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// walk follows next from page to page, and then prev back, which has to find the
// same.
func (s *server) walk(t *testing.T, token, path string, grow func()) []record {
	t.Helper()
	list := []record{}
	var pages []page
	for at := path; at != ""; {
		p := get[page](t, s, token, at)
		list = append(list, p.Events...)
		pages = append(pages, p)
		at = p.Next
		grow()
	}
	for i := len(pages) - 1; i > 0; i-- {
		back := get[page](t, s, token, pages[i].Prev)
		if diff := cmp.Diff(seqsOf(pages[i-1].Events), seqsOf(back.Events)); diff != "" {
			t.Errorf("%s: the page before page %d -want +got:\n%s", path, i, diff)
		}
	}
	return list
}

func TestHistoryFinds(t *testing.T) {
	t.Parallel()
	s := setup(t, (&looks{}).take)
	sue := s.token(t, "sue", auth.RoleSupport)
	s.appendEvents(t, 60)
	s.appendEvents(t, 60)
	all := s.lines(t, sue, "")
	if len(all) != 120 || all[0].Seq != 1 || all[119].Seq != 120 {
		t.Fatalf("the log has %d events", len(all))
	}
	second, job3 := all[60].RecordedAt, uuid.MustParse("eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3")
	at := func(of time.Time) string { return url.QueryEscape(of.Format(time.RFC3339Nano)) }
	for query, want := range map[string]func(record) bool{
		"user=u1":                           func(r record) bool { return r.concerns("user:u1") },
		"user=w2":                           func(r record) bool { return r.concerns("user:w2") },
		"topic=channel:shop":                func(r record) bool { return r.concerns("channel:shop") },
		"topic=user:u3&topic=all":           func(r record) bool { return r.concerns("user:u3", "all") },
		"user=u3&topic=all&type=order.sent": func(r record) bool { return r.concerns("all") && r.Type == "order.sent" },
		"user=w1&state=failed":              func(r record) bool { return r.concerns("user:w1") && r.data().State == "failed" },
		"job=" + job3.String():              func(r record) bool { return r.JobID == job3 },
		"errors=true&job=" + job3.String(): func(r record) bool {
			return r.JobID == job3 && (r.Type == "job.failed" || r.Type == "job.retrying")
		},
		"user=u2&job=" + job3.String(): func(r record) bool { return r.JobID == job3 && r.concerns("user:u2") },
		"type=job.failed":              func(r record) bool { return r.Type == "job.failed" },
		"type=job.failed&type=order.*": func(r record) bool { return r.Type == "job.failed" || strings.HasPrefix(r.Type, "order.") },
		"type=order.&actor=actor-1":    func(r record) bool { return strings.HasPrefix(r.Type, "order.") && r.Actor == "actor-1" },
		"type=job.*":                   func(r record) bool { return strings.HasPrefix(r.Type, "job.") },
		"type=job.progress":            func(r record) bool { return r.Type == "job.progress" },
		"type=never.seen":              func(record) bool { return false },
		"errors=true":                  func(r record) bool { return r.Type == "job.failed" || r.Type == "job.retrying" },
		"state=failed&actor=actor-0":   func(r record) bool { return r.data().State == "failed" && r.Actor == "actor-0" },
		"kind=build":                   func(r record) bool { return r.data().Kind == "build" },
		"kind=other":                   func(record) bool { return false },
		"since=" + at(second):          func(r record) bool { return !r.RecordedAt.Before(second) },
		"until=" + at(second):          func(r record) bool { return r.RecordedAt.Before(second) },
		"user=u1&until=" + at(second):  func(r record) bool { return r.concerns("user:u1") && r.RecordedAt.Before(second) },
		"type=order.paid&since=" + at(second): func(r record) bool {
			return r.Type == "order.paid" && !r.RecordedAt.Before(second)
		},
		"text=50%25_1&user=u1":                              func(r record) bool { return r.concerns("user:u1") && strings.Contains(r.data().Message, "50%_1") },
		"text=no+space&since=" + at(second.Add(-time.Hour)): func(r record) bool { return r.data().Error == "No Space" },
	} {
		expected := slices.DeleteFunc(slices.Clone(all), func(r record) bool { return !want(r) })
		if got := s.walk(t, sue, "/api/events?order=asc&limit=7&"+query, func() {}); !cmp.Equal(expected, got) {
			t.Errorf("%s, from the oldest: -want +got:\n%s", query, cmp.Diff(seqsOf(expected), seqsOf(got)))
		}
		if got := s.lines(t, sue, query); !cmp.Equal(expected, got) {
			t.Errorf("%s, all: -want +got:\n%s", query, cmp.Diff(seqsOf(expected), seqsOf(got)))
		}
		slices.Reverse(expected)
		if got := s.walk(t, sue, "/api/events?limit=7&"+query, func() {}); !cmp.Equal(expected, got) {
			t.Errorf("%s, from the newest: -want +got:\n%s", query, cmp.Diff(seqsOf(expected), seqsOf(got)))
		}
		if got := s.lines(t, sue, "order=desc&"+query); !cmp.Equal(expected, got) {
			t.Errorf("%s, all from the newest: -want +got:\n%s", query, cmp.Diff(seqsOf(expected), seqsOf(got)))
		}
	}
	rows, err := csv.NewReader(strings.NewReader(s.do(t, http.MethodGet, "/api/events?format=csv&type=job.failed", sue, "").body)).ReadAll()
	if err != nil || len(rows) != 21 || rows[0][0] != "seq" || rows[1][2] != "job.failed" || rows[1][8] != strings.Join(all[1].Topics, " ") && rows[1][9] == "" {
		t.Errorf("as CSV: %d rows, %v, %v", len(rows), rows[0], err)
	}
}

func TestPagesStayRightWhileTheLogGrows(t *testing.T) {
	t.Parallel()
	s := setup(t, (&looks{}).take)
	sue := s.token(t, "sue", auth.RoleSupport)
	s.appendEvents(t, 30)
	newest := get[page](t, s, sue, "/api/events?limit=5")
	got := s.walk(t, sue, "/api/events?limit=5", func() { s.appendEvents(t, 2) })
	if len(got) != 30 || got[0].Seq != 30 || got[29].Seq != 1 {
		t.Errorf("backward through a log that grows: %v, want 30 to 1", seqsOf(got))
	}
	after := get[page](t, s, sue, "/api/events?limit=5&after="+newest.Events[0].Seq.String())
	if diff := cmp.Diff([]event.Seq{35, 34, 33, 32, 31}, seqsOf(after.Events)); diff != "" {
		t.Errorf("what has come since -want +got:\n%s", diff)
	}
	head := event.Seq(30 + 2*6)
	none := get[page](t, s, sue, "/api/events?order=asc&after="+head.String())
	if len(none.Events) != 0 || none.Next != "" {
		t.Errorf("after the head: %+v", none)
	}
	if back := get[page](t, s, sue, none.Prev); len(back.Events) == 0 || back.Events[len(back.Events)-1].Seq != head {
		t.Errorf("back from there: %v, want up to %d", seqsOf(back.Events), head)
	}
}

func TestWhoSeesWhichHistory(t *testing.T) {
	t.Parallel()
	noted := &looks{}
	s := setup(t, noted.take)
	demo, eve, sue := s.token(t, "demo"), s.token(t, "eve"), s.token(t, "sue", auth.RoleSupport)
	j := s.startJob(t, "demo")
	other := s.startJob(t, "alice")
	s.appendEvents(t, 12)
	for _, tt := range []struct {
		token, path string
		status      int
		events      int
	}{
		{demo, "?type=job.queued", 200, 1},
		{demo, "", 200, 1 + 4}, // and what concerns all
		{demo, "?user=demo", 200, 1},
		{demo, "?user=alice", 403, 0},
		{demo, "?topic=user:demo&topic=channel:shop", 403, 0},
		{demo, "?job=" + j.ID.String(), 200, 1},
		{demo, "?job=" + other.ID.String(), 403, 0},
		{demo, "?topic=job:" + other.ID.String(), 403, 0},
		{demo, "?user=alice&format=ndjson", 403, 0},
		{eve, "?actor=demo", 200, 0},
		{s.token(t, "bot", auth.RoleBackend), "", 200, 4},
		{sue, "", 200, 14},
		{s.token(t, "ann", auth.RoleAdmin), "?user=demo", 200, 1},
		{sue, "?text=space", 400, 0},
		{sue, "?text=x&user=demo", 400, 0},
		{sue, "?after=1&before=3", 400, 0},
		{sue, "?format=csv&after=1&before=3", 400, 0},
		{sue, "?since=2030-01-01T00:00:00Z&until=2029-01-01T00:00:00Z", 400, 0},
		{sue, "?type=Nonsense", 400, 0},
		{sue, "?type=job.failed&errors=true", 400, 0},
		{sue, "?job=7", 400, 0},
		{sue, "?actor=%00", 400, 0},
		{sue, "?since=yesterday", 422, 0},
		{sue, "?order=up", 422, 0},
	} {
		a := s.do(t, http.MethodGet, "/api/events"+tt.path, tt.token, "")
		var p page
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != tt.status || len(p.Events) != tt.events {
			t.Errorf("GET /api/events%s = %d with %d events, want %d with %d: %.200s", tt.path, a.status, len(p.Events), tt.status, tt.events, a.body)
		}
	}
	if p := get[page](t, s, demo, "/api/events?user=demo"); p.Events[0].Topics != nil || p.Events[0].Actor != "demo" {
		t.Errorf("demo sees %+v, want no topics", p.Events[0])
	}
	if a := s.do(t, http.MethodGet, "/api/events?text=space", sue, ""); !strings.Contains(a.body, "so say where") {
		t.Errorf("a search of everything is refused with %s", a.body)
	}
	for path, status := range map[string][2]int{"1": {200, 200}, "2": {404, 200}, "3": {404, 200}, "99": {404, 404}, "0": {422, 422}} {
		mine, all := s.do(t, http.MethodGet, "/api/events/"+path, demo, ""), s.do(t, http.MethodGet, "/api/events/"+path, sue, "")
		if mine.status != status[0] || all.status != status[1] {
			t.Errorf("event %s: %d for demo, %d for support, want %v", path, mine.status, all.status, status)
		}
	}
	for _, want := range []string{"sue at events ()", "ann at events of user:demo (demo)", "sue at event 2 (alice)"} {
		if !slices.Contains(noted.list, want) {
			t.Errorf("%q is not among the looks at what is others': %q", want, noted.list)
		}
	}
}

func TestHistoryOfWhatIsNoLongerKept(t *testing.T) {
	t.Parallel()
	s, j := setupSmall(t)
	s.dropAll(t)
	demo := s.token(t, "demo")
	p := get[page](t, s, demo, "/api/events?limit=3")
	if diff := cmp.Diff([]event.Seq{24, 23, 22}, seqsOf(p.Events)); diff != "" || p.Floor != 20 {
		t.Errorf("the newest, with floor %d: -want +got:\n%s", p.Floor, diff)
	}
	if rest := get[page](t, s, demo, p.Next); len(rest.Events) != 1 || rest.Next != "" {
		t.Errorf("the rest is %+v", rest)
	}
	if a := s.do(t, http.MethodGet, "/api/events/20/explain", demo, ""); !strings.Contains(a.body, `"code":"retention"`) {
		t.Errorf("explain says %s", a.body)
	}
	for _, path := range []string{"/api/events?order=asc&after=19", "/api/events?format=ndjson&after=19", "/api/events/20", "/api/jobs/" + j.ID.String() + "/events?after=5"} {
		if a := s.do(t, http.MethodGet, path, s.token(t, "demo"), ""); a.problem() != "too-old" || a.status != http.StatusGone {
			t.Errorf("GET %s = %d %s, want 410", path, a.status, a.body)
		}
	}
}

// A job's timeline can be read from both ends, and without what went well.
func TestATimelineFromBothEnds(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo := s.token(t, "demo")
	j := s.startJob(t, "demo")
	s.begin(t, j)
	for _, message := range []string{"a", "b", "c"} {
		s.report(t, j, job.Report{Message: message})
	}
	s.report(t, j, job.Report{State: job.Failed, Error: "No Space"})
	s.waitHead(t, 6)
	path := "/api/jobs/" + j.ID.String() + "/events"
	if got := s.walk(t, demo, path+"?limit=2", func() {}); len(got) != 6 || got[0].Type != "job.queued" || got[5].Type != "job.failed" {
		t.Errorf("from the oldest: %v", seqsOf(got))
	}
	if got := s.walk(t, demo, path+"?limit=4&order=desc", func() {}); len(got) != 6 || got[0].Type != "job.failed" {
		t.Errorf("from the newest: %v", seqsOf(got))
	}
	if got := s.walk(t, demo, path+"?limit=1&type=job.failed&type=job.started", func() {}); len(got) != 2 || got[1].Type != "job.failed" {
		t.Errorf("two types alone: %v", seqsOf(got))
	}
	if p := get[page](t, s, demo, path+"?errors=true"); len(p.Events) != 1 || p.Events[0].Type != "job.failed" {
		t.Errorf("errors alone: %+v", p.Events)
	}
}

// gatedHistory answers each page after the first when it is told to.
type gatedHistory struct {
	log   httpapi.History
	pages chan context.Context
}

func (g gatedHistory) Event(ctx context.Context, seq event.Seq) (event.Event, error) {
	return g.log.Event(ctx, seq)
}

func (g gatedHistory) Curve(ctx context.Context, id uuid.UUID, points int) ([]job.Point, error) {
	return g.log.Curve(ctx, id, points)
}

func (g gatedHistory) History(ctx context.Context, q event.Query) (event.Page, error) {
	if q.After == 0 {
		return g.log.History(ctx, q)
	}
	g.pages <- ctx
	<-ctx.Done()
	return event.Page{}, ctx.Err()
}

// Nothing is read any more for a client that is gone, and what is cut off does not
// look whole.
func TestLinesEndWithTheirClient(t *testing.T) {
	t.Parallel()
	gated := gatedHistory{pages: make(chan context.Context)}
	s := setup(t, func(d *httpapi.Deps) { gated.log, d.History = d.History, &gated })
	s.appendEvents(t, 600) // more than a page
	ctx, stop := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/events?format=ndjson", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token(t, "sue", auth.RoleSupport))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	reading := <-gated.pages
	stop()
	<-reading.Done()
	if _, err := io.ReadAll(res.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("the rest of the answer: %v", err)
	}
}
