package httpapi_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/queue"
)

// enter makes an entry about the job and returns its id.
func (s *server) enter(t *testing.T, job, state string) (id int64) {
	t.Helper()
	err := s.db.Pool().QueryRow(t.Context(), `INSERT INTO herald_queue.river_job (queue, kind, args, max_attempts, state, attempt, attempted_by, errors)
VALUES ('errands', 'callback', jsonb_build_object('job_id', $1::text), 25, $2::text::herald_queue.river_job_state, 1, '{a}',
    ARRAY['{"at":"2026-01-02T03:04:05Z","attempt":1,"error":"no answer","trace":""}']::jsonb[]) RETURNING id`, job, state).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestTheQueueIsLookedInto(t *testing.T) {
	t.Parallel()
	var seen looks
	s := setup(t, seen.take)
	root := s.token(t, "root", auth.RoleAdmin)
	j := s.startJob(t, "demo") // which the test's queue enters, too
	id := s.enter(t, j.ID.String(), "retryable")
	s.enter(t, j.ID.String(), "available")

	type page struct {
		Entries []queue.Entry
		Next    string
	}
	list := func(query string) (ids []int64) {
		for next := ""; ; {
			p := get[page](t, s, root, "/api/queue/entries?limit=1&"+query+next)
			for _, e := range p.Entries {
				ids = append(ids, e.ID)
			}
			if p.Next == "" {
				return ids
			}
			next = "&before=" + p.Next
		}
	}
	if got := list("state=retryable"); !slices.Equal(got, []int64{id}) {
		t.Errorf("the retryable ones are %v, want %d", got, id)
	}
	if got := list("queue=errands&kind=callback"); !slices.Equal(got, []int64{id + 1, id}) {
		t.Errorf("the callbacks are %v, want %d and the one before it", got, id+1)
	}
	o := get[queue.Overview](t, s, root, "/api/queue")
	if i := slices.IndexFunc(o.Queues, func(q queue.Queue) bool { return q.Name == "errands" }); i < 0 || o.Queues[i].Counts[queue.Retryable] != 1 {
		t.Errorf("GET /api/queue = %+v, want one that is retryable among the errands", o)
	}
	path := "/api/queue/entries/" + strconv.FormatInt(id, 10)
	d := get[queue.EntryDetails](t, s, root, path)
	if d.Job == nil || d.Job.ID != j.ID || d.Owner() != "demo" || len(d.Errors) != 1 || d.Errors[0].Error != "no answer" || d.Error != "no answer" {
		t.Errorf("GET %s = %+v, want demo's job and its error", path, d)
	}
	want := []string{"root at queue ()", "root at queue:" + strconv.FormatInt(id, 10) + " (demo)"}
	if diff := cmp.Diff(want, seen.list); diff != "" {
		t.Errorf("who has looked -want +got:\n%s", diff)
	}
}

func TestTheQueueRefuses(t *testing.T) {
	t.Parallel()
	s := setup(t)
	root := s.token(t, "root", auth.RoleAdmin)
	for _, tt := range []struct {
		method, path string
		status       int
		problem      string
	}{
		{http.MethodGet, "/api/queue/entries?before=x", 400, "bad-cursor"},
		{http.MethodGet, "/api/queue/entries?before=-1", 400, "bad-cursor"},
		{http.MethodGet, "/api/queue/entries?state=dancing", 422, "invalid"},
		{http.MethodGet, "/api/queue/entries?limit=201", 422, "invalid"},
		{http.MethodGet, "/api/queue/entries/0", 422, "invalid"},
		{http.MethodGet, "/api/queue/entries/99", 404, "not-found"},
		{http.MethodDelete, "/api/queue/entries/99", 405, "method-not-allowed"}, // it is its job's that is cancelled
		{http.MethodPost, "/api/queue/entries/99/retry", 404, "not-found"},
	} {
		if a := s.do(t, tt.method, tt.path, root, ""); a.status != tt.status || a.problem() != tt.problem {
			t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, a.status, a.body, tt.status, tt.problem)
		}
	}
	silent := setup(t, func(d *httpapi.Deps) { d.Accesses = noAccesses{} })
	id := silent.enter(t, silent.startJob(t, "demo").ID.String(), "retryable")
	for _, path := range []string{"/api/queue", "/api/queue/entries", "/api/queue/entries/" + strconv.FormatInt(id, 10)} {
		if a := silent.do(t, http.MethodGet, path, silent.token(t, "root", auth.RoleAdmin), ""); a.status != http.StatusInternalServerError {
			t.Errorf("GET %s that cannot be written down = %d, want 500", path, a.status)
		}
	}
}
