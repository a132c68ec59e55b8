package httpapi_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
	"herald/internal/job"
)

type curve struct{ Points []job.Point }

// A curve has the last event of each stretch, so its end is where the job is, and
// what comes back is bounded however much the job has said.
func TestCurve(t *testing.T) {
	t.Parallel()
	s := setup(t)
	demo := s.token(t, "demo")
	j := s.startJob(t, "demo")
	path := "/api/jobs/" + j.ID.String() + "/curve"
	if got := get[curve](t, s, demo, path); len(got.Points) != 0 {
		t.Errorf("the curve of a job that waits = %v, want nothing", got.Points)
	}
	// Every third event is another job's. Attempt 2 begins halfway, and what it says late of attempt 1 does not count.
	if _, err := s.db.Pool().Exec(t.Context(), `INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
		SELECT gen_random_uuid(), CASE WHEN n % 50 = 49 THEN (ARRAY['job.late_report', 'job.shared'])[1 + n / 50 % 2] ELSE 'job.progress' END,
			ARRAY['job:' || id, 'user:demo'], id, n, 'w', json_build_object('attempt', 1 + n / 1500, 'progress', n % 1500 / 1500.0)
		FROM (SELECT n, CASE n % 3 WHEN 0 THEN $2::uuid ELSE $1::uuid END AS id FROM generate_series(1, 2999) n) AS numbered`,
		j.ID, s.startJob(t, "demo").ID); err != nil {
		t.Fatal(err)
	}
	s.waitHead(t, 2+2999)
	for _, most := range []int{2, 40, 500} {
		got := get[curve](t, s, demo, path+"?points="+event.Seq(most).String()).Points
		if len(got) > most || len(got) < most*9/10 || !slices.IsSortedFunc(got, func(a, b job.Point) int { return int(a.Seq - b.Seq) }) {
			t.Fatalf("points=%d: %d points", most, len(got))
		}
		for i, p := range got {
			n := int(p.Seq) - 2
			if want := (job.Point{Seq: p.Seq, Time: p.Time, Attempt: 1 + n/1500, Progress: p.Progress}); !cmp.Equal(want, p) || n%3 == 0 || n%50 == 49 {
				t.Fatalf("points=%d: point %d = %+v", most, i, p)
			}
		}
		if last := got[len(got)-1]; last.Seq != 2+2998 || last.Attempt != 2 {
			t.Errorf("points=%d: the last point = %+v, want the job's last progress", most, last)
		}
	}
	for _, bad := range []string{"1", "501", "x"} {
		if a := s.do(t, http.MethodGet, path+"?points="+bad, demo, ""); a.status != http.StatusUnprocessableEntity {
			t.Errorf("points=%s: %d, want 422", bad, a.status)
		}
	}
}
