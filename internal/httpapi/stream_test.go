package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/sse"
)

// follower reads one stream.
type follower struct {
	t    *testing.T
	res  *http.Response
	r    *sse.Reader
	stop context.CancelFunc
}

// follow opens a stream with the query.
func (s *server) follow(t *testing.T, token, query string, headers ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/sse?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, res: res, r: sse.NewReader(res.Body, 1<<20), stop: cancel}
	t.Cleanup(f.close)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Accel-Buffering") != "no" {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		t.Fatalf("GET /api/sse?%s = %d %v %s", query, res.StatusCode, res.Header, text)
	}
	return f
}

func (f *follower) close() {
	f.stop()
	_ = f.res.Body.Close()
}

// next returns the next event, which must have the name.
func (f *follower) next(name string) sse.Event {
	f.t.Helper()
	e, err := f.r.Next()
	if err != nil || e.Name != name {
		f.t.Fatalf("Next() = %+v, %v, want %s", e, err, name)
	}
	return e
}

func (s *server) report(t *testing.T, j job.Job, r job.Report) {
	t.Helper()
	r.Attempt = 1
	if _, err := s.db.RecordReport(t.Context(), j.ID, r); err != nil {
		t.Fatal(err)
	}
}

func (s *server) begin(t *testing.T, j job.Job) {
	t.Helper()
	if _, err := s.db.StartJob(t.Context(), j.ID, 1, "w", nil); err != nil {
		t.Fatal(err)
	}
}

func TestAFreshStreamBeginsWithASnapshot(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startJob(t, "demo")
	s.startJob(t, "alice")
	f := s.follow(t, s.token(t, "demo"), "")
	var open struct {
		ClientID  string   `json:"client_id"`
		User      string   `json:"user"`
		Node      string   `json:"node"`
		Topics    []string `json:"topics"`
		Heartbeat int      `json:"heartbeat_ms"`
		Resumed   bool     `json:"resumed"`
	}
	if err := json.Unmarshal([]byte(f.next("stream.open").Data), &open); err != nil {
		t.Fatal(err)
	}
	want := []string{"user:demo", "all", "client:" + open.ClientID}
	if diff := cmp.Diff(want, open.Topics); diff != "" || open.User != "demo" || open.Node != "test" || open.Heartbeat != int(heartbeat.Milliseconds()) || open.Resumed {
		t.Errorf("stream.open is %+v, topics -want +got:\n%s", open, diff)
	}
	snapshot := f.next("stream.snapshot")
	var data struct{ Jobs []job.Job }
	if err := json.Unmarshal([]byte(snapshot.Data), &data); err != nil || len(data.Jobs) != 1 || data.Jobs[0].ID != j.ID {
		t.Errorf("the snapshot has %+v, %v, want demo's job alone", data, err)
	}
	if _, err := event.ParseCursor(snapshot.ID); err != nil {
		t.Errorf("the snapshot's id is %q, want a cursor", snapshot.ID)
	}
	s.begin(t, j)
	for { // what the snapshot already has may come again, for those who look at versions
		e, err := f.r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Name == "job.started" {
			break
		}
		if e.Name != "job.queued" {
			t.Fatalf("got %+v, want job.queued or job.started", e)
		}
	}
}

func TestAStreamResumesWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	for name, resume := range map[string]func(id string) (query string, headers []string){
		"by header": func(id string) (string, []string) { return "topic=user:demo", []string{"Last-Event-ID: " + id} },
		"by query":  func(id string) (string, []string) { return "topic=user:demo&lastEventId=" + id, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			j := s.startJob(t, "demo")
			s.begin(t, j)
			first := s.follow(t, s.token(t, "demo"), "topic=user:demo&lastEventId=0")
			first.next("stream.open")
			first.next("job.queued")
			last := first.next("job.started")
			first.close()
			s.report(t, j, job.Report{Message: "while away"})
			s.report(t, j, job.Report{State: job.Succeeded})
			query, headers := resume(last.ID)
			second := s.follow(t, s.token(t, "demo"), query, headers...)
			if e := second.next("stream.open"); !strings.Contains(e.Data, `"resumed":true`) {
				t.Errorf("stream.open says %s, want that it is resumed", e.Data)
			}
			second.next("job.message")
			second.next("job.succeeded")
		})
	}
}

func TestALongReplayComesWhole(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startJob(t, "demo")
	s.begin(t, j)
	const reports = 300 // of a kilobyte each, so that several writes are needed
	for i := range reports {
		s.report(t, j, job.Report{Message: fmt.Sprintf("%d %s", i, strings.Repeat("x", 900))})
	}
	f := s.follow(t, s.token(t, "demo"), "lastEventId=0")
	f.next("stream.open")
	f.next("job.queued")
	f.next("job.started")
	for i := range reports {
		if e := f.next("job.message"); e.ID != strconv.Itoa(i+3) || !strings.Contains(e.Data, fmt.Sprintf(`"message":"%d x`, i)) {
			t.Fatalf("got event %s, %.80s, want report %d in event %d", e.ID, e.Data, i, i+3)
		}
	}
}

func TestAStreamOfAJobAlone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j, other := s.startJob(t, "demo"), s.startJob(t, "demo")
	f := s.follow(t, s.token(t, "demo"), "lastEventId=0&topic=job:"+j.ID.String())
	f.next("stream.open")
	f.next("job.queued")
	s.begin(t, other)
	s.begin(t, j)
	if e := f.next("job.started"); !strings.Contains(e.Data, j.ID.String()) {
		t.Errorf("got %s, want an event of job %s", e.Data, j.ID)
	}
}

// The whole log is for those alone who may read all of it, and that they do is in it.
func TestAStreamOfTheWholeLog(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.startJob(t, "demo")
	_, key := s.apiKey(t, auth.APIKey{User: "shop", Roles: []auth.Role{auth.RoleBackend}, Topics: []auth.Pattern{"job:*", "user:*"}})
	for _, token := range []string{s.token(t, "demo"), s.token(t, "bot", auth.RoleWorker), key} {
		if a := s.do(t, http.MethodGet, "/api/sse?topic=log", token, ""); a.status != http.StatusForbidden {
			t.Errorf("GET /api/sse?topic=log = %d, want 403", a.status)
		}
	}
	f := s.follow(t, s.token(t, "sue", auth.RoleSupport), "topic=log&lastEventId=0")
	f.next("stream.open")
	f.next("job.queued")
	if e := f.next("access.read"); !strings.Contains(e.Data, `"what":["log"]`) || !strings.Contains(e.Data, `"reader":"sue"`) {
		t.Errorf("the log says %s, want that sue reads it", e.Data)
	}
	j := s.startJob(t, "alice")
	if e := f.next("job.queued"); !strings.Contains(e.Data, j.ID.String()) {
		t.Errorf("got %s, want an event of job %s", e.Data, j.ID)
	}
	if a := s.do(t, http.MethodGet, "/api/events?topic=log", s.token(t, "sue", auth.RoleSupport), ""); a.status != http.StatusBadRequest {
		t.Errorf("GET /api/events?topic=log = %d, want 400: no event has it", a.status)
	}
}

func TestACursorAheadOfTheLogIsReset(t *testing.T) {
	t.Parallel()
	s := setup(t)
	f := s.follow(t, s.token(t, "demo"), "lastEventId=1000")
	f.next("stream.open")
	if e := f.next("stream.reset"); e.Data != `{"reason":"cursor_ahead"}` {
		t.Errorf("stream.reset says %s", e.Data)
	}
	f.next("stream.snapshot")
}

func TestParity_09_Heartbeats(t *testing.T) {
	t.Parallel()
	s := setup(t)
	f := s.follow(t, s.token(t, "demo"), "")
	buffer := make([]byte, 4096)
	var all strings.Builder
	for strings.Count(all.String(), "\n:\n") < 3 {
		n, err := f.res.Body.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(buffer[:n])
	}
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	for name, life := range map[string]time.Duration{"soon": 2 * time.Second, "at once, within the leeway": time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			token, err := s.key.Issue(auth.Principal{User: "demo", Roles: []auth.Role{auth.RoleUser}}, life)
			if err != nil {
				t.Fatal(err)
			}
			f := s.follow(t, token, "")
			f.next("stream.open")
			f.next("stream.snapshot")
			f.next("stream.expiring")
			f.next("stream.expired")
			if _, err := f.r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("after its token's end: %v, want the stream's end", err)
			}
		})
	}
}

func TestADrainingNodeSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	f := s.follow(t, s.token(t, "demo"), "")
	f.next("stream.open")
	f.next("stream.snapshot")
	s.closeStreams()
	f.next("stream.closing")
	if _, err := f.r.Next(); !errors.Is(err, io.EOF) || f.r.Retry() < 100*time.Millisecond {
		t.Errorf("after closing: %v, retry in %v, want the end and a time to come back", err, f.r.Retry())
	}
}

// Names of others, and topics, must not reach those who follow a job.
func TestFramesDoNotTellWhoElseWatches(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, err := s.db.CreateJob(t.Context(), job.New{Kind: "test", Owner: "demo", Title: "shared", Watchers: []event.Topic{"user:secret-watcher"}}, noQueue{})
	if err != nil {
		t.Fatal(err)
	}
	f := s.follow(t, s.token(t, "demo"), "lastEventId=0")
	f.next("stream.open")
	if e := f.next("job.queued"); strings.Contains(e.Data, "secret-watcher") {
		t.Errorf("the frame tells of watchers: %s", e.Data)
	}
}

// What people write cannot break out of its frame.
func TestNothingBreaksOutOfAFrame(t *testing.T) {
	t.Parallel()
	s := setup(t)
	title := "a\n\nid: 999\nevent: job.succeeded\ndata: {}\r\rx\u2028"
	if _, err := s.db.CreateJob(t.Context(), job.New{Kind: "test", Owner: "demo", Title: title}, noQueue{}); err != nil {
		t.Fatal(err)
	}
	f := s.follow(t, s.token(t, "demo"), "lastEventId=0")
	f.next("stream.open")
	var entry struct{ Data job.Job }
	e := f.next("job.queued")
	if err := json.Unmarshal([]byte(e.Data), &entry); err != nil || entry.Data.Title != title || e.ID != "1" {
		t.Errorf("got %+v, %v, want the title whole in event 1", e, err)
	}
}
