package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald"
	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/presence"
	"herald/internal/receipt"
)

// told is an event with what became of it for a user.
type told struct {
	record
	Receipt receipt.Told
}

// listed holds the list of what a user was told against the deliveries of each event.
func (c *cast) listed() {
	c.t.Helper()
	s := c.nodes[0]
	sue := s.token(c.t, "sue", auth.RoleSupport)
	for _, user := range []string{"ann", "bob", "cid", "dan", "eve", "fay"} {
		next, got := "/api/users/"+user+"/events?limit=5", event.Seq(12)
		for ; next != ""; got-- {
			p := get[struct {
				Events []told
				Next   string
			}](c.t, s, sue, next)
			next = p.Next
			for _, e := range p.Events {
				d := get[deliveries](c.t, s, sue, fmt.Sprintf("/api/events/%d/deliveries?user=%s", e.Seq, user))
				if diff := cmp.Diff(d.Recipients, []receipt.Recipient{e.Receipt.Recipient}); diff != "" || e.Seq != got {
					c.t.Errorf("event %d for %s, where %d is next: -deliveries +list:\n%s", e.Seq, user, got, diff)
				}
				best := e.Receipt.Best
				if (best == nil) != (len(d.Deliveries) == 0) || best != nil && !slices.ContainsFunc(d.Deliveries, func(d receipt.Delivery) bool { return cmp.Equal(d, *best) }) {
					c.t.Errorf("event %d for %s: best %+v is none of %+v", e.Seq, user, best, d.Deliveries)
				}
				got--
			}
			got++
		}
		if got != 0 {
			c.t.Errorf("the list of %s ends before %d", user, got)
		}
	}
}

// Of progress that may have been replaced, the list says so as the deliveries do:
// also where the newer one is on another page.
func TestTheListOfAUserKnowsWhatWasReplaced(t *testing.T) {
	t.Parallel()
	s := setup(t)
	alice, sue := s.token(t, "alice"), s.token(t, "sue", auth.RoleSupport)
	f := s.follow(t, alice, "lastEventId=0")
	j := s.startJob(t, "alice")
	s.begin(t, j)
	for i := range 4 {
		s.report(t, j, job.Report{Attempt: 1, Progress: new(float64(i+1) / 10)})
	}
	s.waitHead(t, 6)
	for id := ""; id != "6"; {
		e, err := f.r.Next()
		if err != nil {
			t.Fatal(err)
		}
		id = e.ID
	}
	s.written()
	for _, limit := range []int{1, 2, 100} {
		for before := event.Seq(7); before > 2; before-- {
			p := get[struct{ Events []told }](t, s, sue, fmt.Sprintf("/api/users/alice/events?type=job.progress&limit=%d&before=%d", limit, before))
			for _, e := range p.Events {
				d := get[deliveries](t, s, sue, fmt.Sprintf("/api/events/%d/deliveries", e.Seq))
				want := receipt.Replaced
				if e.Seq == 6 {
					want = receipt.Written
				}
				if e.Receipt.Stage != want || d.Recipients[0].Stage != want {
					t.Errorf("event %d, limit %d: %s, its deliveries %s, want %s", e.Seq, limit, e.Receipt.Stage, d.Recipients[0].Stage, want)
				}
			}
		}
	}
	if a := s.do(t, http.MethodGet, "/api/users/alice/events?errors=true&type=job.failed", sue, ""); a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest {
		t.Errorf("errors and type = %d, want a refusal", a.status)
	}
}

// At each event of the log, a user's jobs are what somebody who had read the log up to
// there would say; others' are not among them, and who looks is noted.
func TestJobsAsTheyStood(t *testing.T) {
	t.Parallel()
	noted := &looks{}
	s := setup(t, noted.take)
	alice, sue := s.token(t, "alice"), s.token(t, "sue", auth.RoleSupport)
	first, second, others := s.startJob(t, "alice"), s.startJob(t, "alice"), s.startJob(t, "bob")
	for _, j := range []job.Job{first, others, second} {
		s.begin(t, j)
	}
	s.report(t, first, job.Report{Attempt: 1, Progress: new(0.25), Message: "a quarter"})
	s.report(t, second, job.Report{Attempt: 1, Progress: new(0.5)})
	s.report(t, first, job.Report{Attempt: 1, State: job.Failed, Error: "no space"})
	s.do(t, http.MethodPost, "/api/jobs/"+first.ID.String()+"/retry", alice, "")
	s.report(t, second, job.Report{Attempt: 1, State: job.Succeeded})
	if a := s.do(t, http.MethodDelete, "/api/jobs/"+second.ID.String(), alice, ""); a.status != http.StatusNoContent {
		t.Fatalf("delete: %d %s", a.status, a.body)
	}
	s.waitHead(t, 12)
	truth := map[string]herald.Job{}
	for _, e := range get[page](t, s, sue, "/api/events?user=alice&order=asc&limit=1000").Events {
		j, err := truth[e.JobID.String()].Apply(herald.Event{Seq: int64(e.Seq), Type: e.Type, Data: e.Data})
		if err != nil {
			t.Fatal(err)
		}
		if truth[e.JobID.String()] = j; e.Type == herald.JobDeleted {
			delete(truth, e.JobID.String())
		}
		got := get[struct {
			Jobs    []herald.Job
			Partial bool
		}](t, s, sue, fmt.Sprintf("/api/users/alice/jobs?seq=%d", e.Seq))
		want := slices.SortedFunc(maps.Values(truth), func(x, y herald.Job) int { return -slices.Compare([]byte(x.ID), []byte(y.ID)) })
		if diff := cmp.Diff(asJSON(t, want), asJSON(t, got.Jobs)); diff != "" || got.Partial {
			t.Fatalf("jobs as of %d, partial %v: -want +got:\n%s", e.Seq, got.Partial, diff)
		}
	}
	if want := "sue at jobs of user:alice (alice)"; !slices.Contains(noted.list, want) {
		t.Errorf("noted %v, want %q among it", noted.list, want)
	}
}

// Of a user's past streams, those are listed that had not ended at a moment.
func TestStreamsSinceAMoment(t *testing.T) {
	t.Parallel()
	s := setup(t)
	alice := s.token(t, "alice")
	past := s.follow(t, alice, "")
	id := past.clientID()
	s.written()
	past.close()
	s.closed(t, id)
	ended := *s.connection(t, id).ClosedAt
	now := s.follow(t, alice, "").clientID()
	s.written()
	for moment, want := range map[time.Time]int{ended: 2, ended.Add(time.Millisecond): 1} {
		list := get[struct{ Connections []presence.Connection }](t, s, alice, "/api/connections?user=alice&since="+url.QueryEscape(moment.Format(time.RFC3339Nano))).Connections
		if len(list) != want || list[0].ID != now {
			t.Errorf("since %v: %d streams, want %d, %s first", moment, len(list), want, now)
		}
	}
}

func asJSON(t *testing.T, jobs []herald.Job) string {
	t.Helper()
	text, err := json.MarshalIndent(slices.AppendSeq([]herald.Job{}, slices.Values(jobs)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
