package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/auth"
	"herald/internal/job"
)

// startElsewhere starts a job of alice's that the robot runs.
func (s *server) startElsewhere(t *testing.T) job.Job {
	t.Helper()
	a := s.do(t, http.MethodPost, "/api/jobs", s.token(t, "robot", auth.RoleWorker),
		`{"kind":"build","title":"a build","owner":"alice","external":true,"start":true,"metadata":{"tenant":"acme"},"watchers":["channel:ops"]}`)
	var j job.Job
	if err := json.Unmarshal([]byte(a.body), &j); err != nil || a.status != http.StatusCreated {
		t.Fatalf("start a job elsewhere: %d %s", a.status, a.body)
	}
	return j
}

// reports sends reports and returns what each became.
func (s *server) reports(t *testing.T, j job.Job, token, reports string, headers ...string) (answer, []string) {
	t.Helper()
	a := s.do(t, http.MethodPost, "/api/jobs/"+j.ID.String()+"/reports", token, `{"reports":[`+reports+`]}`, headers...)
	var body struct {
		Reports []struct{ Outcome string }
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, r := range body.Reports {
		outcomes = append(outcomes, r.Outcome)
	}
	return a, outcomes
}

func TestReportsSayWhatTheyBecame(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j, robot := s.startElsewhere(t), s.token(t, "robot", auth.RoleWorker)
	a, got := s.reports(t, j, robot, `{"attempt":1,"progress":0.4,"message":"hi","remaining_ms":1500},{"attempt":1},{"attempt":1,"state":"succeeded","result":{"n":1}},{"attempt":1,"message":"late"}`)
	if diff := cmp.Diff([]string{"applied", "unchanged", "applied", "late"}, got); diff != "" || !strings.Contains(a.body, `"state":"succeeded"`) {
		t.Errorf("%d %s: -want +got:\n%s", a.status, a.body, diff)
	}
	seen := s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String(), s.token(t, "alice"), "")
	for _, want := range []string{`"state":"succeeded"`, `"external":true`, `"worker":"robot"`, `"metadata":{"tenant":"acme"}`, `"result":{"n":1}`} {
		if !strings.Contains(seen.body, want) {
			t.Errorf("alice sees %s, want %s", seen.body, want)
		}
	}
}

func TestReportsRefuse(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j, robot := s.startElsewhere(t), s.token(t, "robot", auth.RoleWorker)
	many := strings.TrimSuffix(strings.Repeat(`{"attempt":1},`, 101), ",")
	for name, tt := range map[string]struct {
		reports string
		status  int
		problem string
	}{
		"none":             {``, 422, "invalid"},
		"too many":         {many, 422, "invalid"},
		"no attempt":       {`{"progress":0.5}`, 422, "invalid"},
		"attempt to come":  {`{"attempt":2}`, 422, "invalid"},
		"beyond the whole": {`{"attempt":1,"progress":1.5}`, 422, "invalid"},
		"a state of ours":  {`{"attempt":1,"state":"queued"}`, 422, "invalid"},
		"no error":         {`{"attempt":1,"state":"failed"}`, 422, "invalid"},
		"nested metadata":  {`{"attempt":1,"metadata":{"a":{}}}`, 422, "invalid"},
		"NUL":              {`{"attempt":1,"message":"a\u0000"}`, 422, "invalid"},
		"unknown field":    {`{"attempt":1,"owner":"root"}`, 422, "invalid"},
		"second is wrong":  {`{"attempt":1,"message":"x"},{"attempt":1,"error":"x","state":"dancing"}`, 422, "invalid"},
	} {
		if a, _ := s.reports(t, j, robot, tt.reports); a.status != tt.status || a.problem() != tt.problem {
			t.Errorf("%s: %d %.300s, want %d %s", name, a.status, a.body, tt.status, tt.problem)
		}
	}
	if a, _ := s.reports(t, j, robot, `{"attempt":1}`, "Idempotency-Key: "+strings.Repeat("k", 201)); a.status != 422 {
		t.Errorf("a long key: %d %s", a.status, a.body)
	}
	ours := s.startJob(t, "demo")
	if a, _ := s.reports(t, ours, s.token(t, "root", auth.RoleAdmin), `{"attempt":1}`); a.status != 409 || a.problem() != "not-external" {
		t.Errorf("a report on a job of ours: %d %s", a.status, a.body)
	}
	if current := s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String(), robot, ""); !strings.Contains(current.body, `"version":2,`) {
		t.Errorf("something was recorded: %s", current.body)
	}
}

// Repeats that come at once are answered alike, and one of them is recorded.
func TestRequestsAreRecordedOncePerKey(t *testing.T) {
	t.Parallel()
	s := setup(t)
	robot := s.token(t, "robot", auth.RoleWorker)
	j := s.startElsewhere(t)
	path := "/api/jobs/" + j.ID.String()
	for _, tt := range []struct{ name, path, body string }{
		{"create", "/api/jobs", `{"kind":"build","title":"once","external":true}`},
		{"report", path + "/reports", `{"reports":[{"attempt":1,"message":"one"}]}`},
		{"reports", path + "/reports", `{"reports":[{"attempt":1,"message":"two"},{"attempt":1,"message":"three"}]}`},
	} {
		bodies := make([]string, 8)
		var group sync.WaitGroup
		for i := range bodies {
			group.Go(func() {
				a := s.do(t, http.MethodPost, tt.path, robot, tt.body, "Idempotency-Key: "+tt.name)
				bodies[i] = fmt.Sprint(a.status, strings.ReplaceAll(a.body, `"repeated":true`, `"repeated":false`))
			})
		}
		group.Wait()
		slices.Sort(bodies)
		if len(slices.Compact(bodies)) != 1 || !strings.HasPrefix(bodies[0], "20") {
			t.Errorf("%s: answers %q, want one", tt.name, bodies)
		}
		other := s.do(t, http.MethodPost, tt.path, robot, strings.Replace(tt.body, `":"`, `":"x`, 1), "Idempotency-Key: "+tt.name)
		if other.status != http.StatusUnprocessableEntity || other.problem() != "idempotency-key-reused" {
			t.Errorf("%s: another request under the key: %d %s", tt.name, other.status, other.body)
		}
	}
	if current := s.do(t, http.MethodGet, path, robot, ""); !strings.Contains(current.body, `"version":5,`) {
		t.Errorf("the job is %s, want three messages recorded", current.body)
	}
}

func TestCommandsTellOfACancelAtOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j, robot := s.startElsewhere(t), s.token(t, "robot", auth.RoleWorker)
	path := "/api/jobs/" + j.ID.String()
	if a := s.do(t, http.MethodGet, path+"/commands?attempt=1&wait=0", robot, ""); !strings.Contains(a.body, `"commands":[]`) {
		t.Errorf("nothing to do: %d %s", a.status, a.body)
	}
	if a := s.do(t, http.MethodGet, path+"/commands?attempt=2&wait=30", robot, ""); !strings.Contains(a.body, `"commands":["stop"]`) {
		t.Errorf("another attempt: %d %s, want to be stopped at once", a.status, a.body)
	}
	told := make(chan answer, 1)
	go func() { told <- s.do(t, http.MethodGet, path+"/commands?attempt=1&wait=30", robot, "") }()
	if a := s.do(t, http.MethodPost, path+"/cancel", s.token(t, "alice"), ""); a.status != http.StatusAccepted {
		t.Fatalf("cancel: %d %s", a.status, a.body)
	}
	if a := <-told; !strings.Contains(a.body, `"commands":["cancel"]`) {
		t.Errorf("after the cancel: %d %s", a.status, a.body)
	}
	go func() { told <- s.do(t, http.MethodGet, path+"/commands?attempt=1&wait=30", robot, "") }()
	<-told // it is still cancelling
	s.reports(t, j, robot, `{"attempt":1,"state":"cancelled"}`)
	if a := s.do(t, http.MethodGet, path+"/commands?wait=30", robot, ""); !strings.Contains(a.body, `"commands":["stop"]`) {
		t.Errorf("after the end: %d %s", a.status, a.body)
	}
}

// A node that stops sends away those who wait for a command.
func TestCommandsDoNotHoldANodeUp(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j, robot := s.startElsewhere(t), s.token(t, "robot", auth.RoleWorker)
	told := make(chan answer, 1)
	go func() {
		told <- s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String()+"/commands?wait=30", robot, "")
	}()
	s.closeStreams()
	if a := <-told; a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWhoMayWork(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startElsewhere(t)
	path := "/api/jobs/" + j.ID.String()
	ours := "/api/jobs/" + s.startJob(t, "demo").ID.String()
	callers := map[string]string{
		"alice": s.token(t, "alice"), "bob": s.token(t, "bob"), "robot": s.token(t, "robot", auth.RoleWorker),
		"another": s.token(t, "another", auth.RoleWorker), "shop": s.token(t, "shop", auth.RoleBackend),
		"support": s.token(t, "sue", auth.RoleSupport), "admin": s.token(t, "root", auth.RoleAdmin),
		"robot as user": s.token(t, "robot"),
	}
	beat := `{"reports":[{"attempt":1}]}`
	for _, tt := range []struct {
		method, path, body string
		want               map[string]int
	}{
		{http.MethodGet, path, "", map[string]int{"alice": 200, "bob": 404, "robot": 200, "another": 404, "shop": 404, "support": 200, "admin": 200, "robot as user": 404}},
		{http.MethodPost, path + "/reports", beat, map[string]int{"alice": 403, "bob": 404, "robot": 200, "another": 404, "shop": 404, "support": 403, "admin": 200, "robot as user": 404}},
		{http.MethodGet, path + "/commands?wait=0", "", map[string]int{"alice": 403, "bob": 404, "robot": 200, "another": 404, "shop": 404, "support": 403, "admin": 200, "robot as user": 404}},
		{http.MethodPost, path + "/attempts", "{}", map[string]int{"alice": 403, "bob": 403, "robot": 409, "another": 409, "support": 403, "admin": 409, "robot as user": 403}},
		{http.MethodPost, ours + "/attempts", "{}", map[string]int{"robot": 409, "admin": 409}},
		{http.MethodPost, path + "/cancel", "", map[string]int{"robot": 403, "another": 404, "shop": 404, "support": 403}},
		{http.MethodPost, "/api/jobs", `{"kind":"x","title":"x","external":true}`, map[string]int{"alice": 403, "robot": 201, "shop": 201, "support": 403, "admin": 201}},
		{http.MethodPost, "/api/jobs", `{"kind":"test","title":"x","owner":"bob"}`, map[string]int{"alice": 403, "robot": 403, "shop": 201, "support": 403, "admin": 201}},
		{http.MethodPost, "/api/jobs", `{"kind":"test","title":"x","watchers":["user:bob"]}`, map[string]int{"alice": 403, "robot": 403, "shop": 201}},
		{http.MethodPost, "/api/jobs", `{"kind":"test","title":"x","watchers":["nobody"]}`, map[string]int{"shop": 400}},
		{http.MethodPost, "/api/jobs", `{"kind":"test","title":"x","start":true}`, map[string]int{"shop": 422}},
		{http.MethodPost, "/api/jobs", `{"kind":"test","title":"x","external":true,"worker":"w"}`, map[string]int{"shop": 422}},
		{http.MethodPost, "/api/jobs", `{"kind":"test","title":"x","owner":"alice"}`, map[string]int{"alice": 201}},
	} {
		for who, want := range tt.want {
			if a := s.do(t, tt.method, tt.path, callers[who], tt.body); a.status != want {
				t.Errorf("%s %s by %s = %d %s, want %d", tt.method, tt.path, who, a.status, a.body, want)
			}
		}
	}
}

func TestAClaimedJobIsItsWorkers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, http.MethodPost, "/api/jobs", s.token(t, "shop", auth.RoleBackend), `{"kind":"build","title":"x","owner":"alice","external":true}`)
	var j job.Job
	if err := json.Unmarshal([]byte(a.body), &j); err != nil || j.State != job.Queued {
		t.Fatalf("%d %s", a.status, a.body)
	}
	first, second := s.token(t, "w1", auth.RoleWorker), s.token(t, "w2", auth.RoleWorker)
	path := "/api/jobs/" + j.ID.String() + "/attempts"
	if a := s.do(t, http.MethodPost, path, first, `{"worker":"w1 on host","steps":[{"name":"one"}]}`); a.status != http.StatusCreated || !strings.Contains(a.body, `"attempt":1`) {
		t.Fatalf("claim: %d %s", a.status, a.body)
	}
	s.reports(t, j, first, `{"attempt":1,"state":"retrying","error":"oh"}`)
	if a := s.do(t, http.MethodPost, path, second, `{}`); !strings.Contains(a.body, `"attempt":2`) {
		t.Fatalf("second claim: %d %s", a.status, a.body)
	}
	if a, _ := s.reports(t, j, first, `{"attempt":1,"message":"a zombie's"}`); a.status != http.StatusNotFound {
		t.Errorf("the first worker's report: %d %s, want 404", a.status, a.body)
	}
	if _, got := s.reports(t, j, s.token(t, "shop", auth.RoleBackend), `{"attempt":1,"message":"late"}`); !slices.Equal(got, []string{"late"}) {
		t.Errorf("a report of the first attempt is %v, want it late", got)
	}
}
