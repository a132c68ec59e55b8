package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/job"
)

// waiting makes a job that waits for a worker elsewhere.
func (s *server) waiting(t *testing.T, kind string) job.Job {
	t.Helper()
	a := s.do(t, http.MethodPost, "/api/jobs", s.token(t, "shop", auth.RoleBackend),
		`{"kind":"`+kind+`","title":"x","owner":"alice","external":true,"lease_ms":60000,"size":7}`)
	var j job.Job
	if err := json.Unmarshal([]byte(a.body), &j); err != nil || j.State != job.Queued || *j.Lease != 60_000 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return j
}

func TestAWorkerTakesTheNextJobOfItsKinds(t *testing.T) {
	t.Parallel()
	s := setup(t)
	robot := s.token(t, "robot", auth.RoleWorker)
	next := func(body string, headers ...string) answer {
		return s.do(t, http.MethodPost, "/api/attempts", robot, body, headers...)
	}
	if a := next(`{"kinds":["build"]}`); a.status != http.StatusOK || a.body != `{"attempt":0,"job":null}`+"\n" {
		t.Errorf("when none waits: %d %s", a.status, a.body)
	}
	told := make(chan answer, 1)
	go func() {
		told <- next(`{"kinds":["test","build"],"worker":"robot on host","wait":30}`, "Idempotency-Key: k")
	}()
	first, other := s.waiting(t, "build"), s.waiting(t, "deploy")
	a := <-told
	if !strings.Contains(a.body, first.ID.String()) || !strings.Contains(a.body, `"attempt":1`) || !strings.Contains(a.body, `"worker":"robot on host"`) {
		t.Fatalf("who waited got %d %s, want %s", a.status, a.body, first.ID)
	}
	if again := next(`{"kinds":["test","build"],"worker":"robot on host","wait":30}`, "Idempotency-Key: k"); !strings.Contains(again.body, first.ID.String()) {
		t.Errorf("under the same key: %d %s", again.status, again.body)
	}
	if _, got := s.reports(t, first, robot, `{"attempt":1,"next_within_ms":60000},{"attempt":1,"state":"succeeded"}`); len(got) != 2 || got[0] != "unchanged" {
		t.Errorf("reports became %v", got)
	}
	list := s.do(t, http.MethodGet, "/api/jobs?claimable=true&kind=deploy", robot, "")
	if !strings.Contains(list.body, other.ID.String()) || strings.Contains(list.body, first.ID.String()) {
		t.Errorf("claimable: %d %s", list.status, list.body)
	}
	for name, tt := range map[string]struct {
		method, path, token, body string
		status                    int
	}{
		"list by a user":      {http.MethodGet, "/api/jobs?claimable=true&kind=deploy", s.token(t, "alice"), "", 403},
		"list without a kind": {http.MethodGet, "/api/jobs?claimable=true", robot, "", 400},
		"claim by a user":     {http.MethodPost, "/api/attempts", s.token(t, "alice"), `{"kinds":["deploy"]}`, 403},
		"claim by support":    {http.MethodPost, "/api/attempts", s.token(t, "sue", auth.RoleSupport), `{"kinds":["deploy"]}`, 403},
		"no kinds":            {http.MethodPost, "/api/attempts", robot, `{"kinds":[]}`, 422},
		"too long a wait":     {http.MethodPost, "/api/attempts", robot, `{"kinds":["x"],"wait":31}`, 422},
		"too long a promise":  {http.MethodPost, "/api/jobs/" + first.ID.String() + "/reports", robot, `{"reports":[{"attempt":1,"next_within_ms":86400001}]}`, 422},
		"too long a lease":    {http.MethodPost, "/api/jobs", robot, `{"kind":"x","title":"x","external":true,"lease_ms":604800001}`, 422},
	} {
		if a := s.do(t, tt.method, tt.path, tt.token, tt.body); a.status != tt.status {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, tt.status)
		}
	}
}

// looking tells how many wait for a job, whenever somebody looks for all of them.
type looking struct {
	allJobs

	waiting chan int
}

// allJobs is httpapi.Jobs by a name that none of its methods has.
type allJobs = httpapi.Jobs

func (l looking) CountClaimable(ctx context.Context, kinds []string, bound int) (map[string]int, error) {
	select {
	case l.waiting <- bound:
	default:
	}
	return l.allJobs.CountClaimable(ctx, kinds, bound)
}

// Requests that wait are bounded, and do not hold a node up that stops.
func TestRequestsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	waiting := make(chan int)
	s := setup(t, func(d *httpapi.Deps) {
		d.Limits = httpapi.Limits{Waits: 2, WaitsPerUser: 1}
		d.Jobs = looking{d.Jobs, waiting}
	})
	j, robot := s.startElsewhere(t), s.token(t, "robot", auth.RoleWorker)
	next := func(who string, wait int) answer {
		return s.do(t, http.MethodPost, "/api/attempts", s.token(t, who, auth.RoleWorker), fmt.Sprintf(`{"kinds":["none"],"wait":%d}`, wait))
	}
	commands := func(wait int) answer {
		return s.do(t, http.MethodGet, fmt.Sprintf("/api/jobs/%s/commands?attempt=1&wait=%d", j.ID, wait), robot, "")
	}
	told := make(chan answer, 2)
	for i, who := range []string{"robot", "other"} {
		go func() { told <- next(who, 30) }()
		for <-waiting != i+1 {
			continue // until it waits, too
		}
	}
	for name, a := range map[string]answer{"for a job": next("robot", 1), "for a command": commands(1)} {
		if a.status != http.StatusTooManyRequests || a.problem() != "too-many-waiting" || a.header.Get("Retry-After") == "" {
			t.Errorf("a second request of the user that waits %s: %d %s", name, a.status, a.body)
		}
	}
	if a := next("third", 1); a.status != http.StatusServiceUnavailable || a.problem() != "node-full" || a.header.Get("Retry-After") == "" {
		t.Errorf("a third request that waits: %d %s", a.status, a.body)
	}
	for name, a := range map[string]answer{"for a job": next("robot", 0), "for a command": commands(0)} {
		if a.status != http.StatusOK {
			t.Errorf("one that does not wait %s: %d %s", name, a.status, a.body)
		}
	}
	s.closeStreams()
	for range 2 {
		if a := <-told; a.status != http.StatusOK {
			t.Errorf("when the node stops: %d %s", a.status, a.body)
		}
	}
}

// A worker may follow the topic of a job that it may report on, and of no other.
func TestAWorkerFollowsItsJob(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startElsewhere(t)
	for who, want := range map[string]int{"robot": http.StatusOK, "another": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/sse?topic=job:"+j.ID.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.token(t, who, auth.RoleWorker))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != want {
			t.Errorf("%s follows the job: %d, want %d", who, res.StatusCode, want)
		}
	}
}
