package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"herald/internal/auth"
	"herald/internal/httpapi"
)

// few is a rate that gives nothing back while a test runs.
func few(burst int) httpapi.Rate { return httpapi.Rate{PerSecond: 1e-6, Burst: burst} }

// Each limit by itself: who is beyond it is told so, with when to come back, and
// nobody else is.
func TestParity_21_RequestsAreLimitedByWhoAsks(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics := httpapi.NewRequestMetrics(registry)
	s := setup(t, func(d *httpapi.Deps) {
		d.Rates = httpapi.Rates{Strangers: few(3), People: few(4), Programs: few(6), Publishes: few(2), Uploads: few(1)}
		d.RequestMetrics = metrics
	})
	demo, alice, robot := s.token(t, "demo"), s.token(t, "alice"), s.token(t, "robot", auth.RoleWorker)
	_, key := s.apiKey(t, auth.APIKey{User: "demo", Roles: []auth.Role{auth.RoleBackend}})
	report := "/api/jobs/0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e/reports"
	for _, step := range []struct {
		name, method, path, token string
		want                      []int // one request after the other
	}{
		{"a user's uploads", http.MethodPost, "/api/uploads?name=x", demo, []int{201, 429}},
		{"a user's requests", http.MethodGet, "/api/jobs", demo, []int{200, 200, 429, 429}},
		{"another user's", http.MethodGet, "/api/jobs", alice, []int{200, 200, 200, 200, 429}},
		{"a key's of the first user", http.MethodGet, "/api/jobs", key, []int{200, 200, 200, 200, 200, 200, 429}},
		{"a worker's reports", http.MethodPost, report, robot, []int{404, 404, 429}},
		{"a worker's other requests", http.MethodGet, "/api/jobs", robot, []int{200, 200, 200, 429}},
		{"strangers'", http.MethodGet, "/api/jobs", "garbage", []int{401, 401, 401, 429}},
		{"anybody's, where strangers have used it up", http.MethodGet, "/healthz", "", []int{429}},
	} {
		for n, want := range step.want {
			body := ""
			if step.method == http.MethodPost {
				body = `{"reports":[{"attempt":1}]}`
			}
			a := s.do(t, step.method, step.path, step.token, body)
			if a.status != want {
				t.Fatalf("%s, request %d = %d %s, want %d", step.name, n+1, a.status, a.body, want)
			}
			if after, err := strconv.Atoi(a.header.Get("Retry-After")); want == http.StatusTooManyRequests && (err != nil || after < 1 || a.problem() != "too-many-requests") {
				t.Errorf("%s: %v %s, want when to come back", step.name, a.header, a.body)
			}
		}
	}
	s.follow(t, s.token(t, "carol"), "") // streams have limits of their own
	text := exposition(t, registry)
	for limit, n := range map[string]int{"upload": 1, "user": 3, "program": 2, "publish": 1, "address": 2} {
		if want := `herald_requests_refused_total{limit="` + limit + `"} ` + strconv.Itoa(n) + "\n"; !strings.Contains(text, want) {
			t.Errorf("the metrics have no %q:\n%s", want, text)
		}
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := httpapi.NewBuckets(httpapi.Rate{PerSecond: 2, Burst: 3})
		take := func(who string, want ...bool) {
			t.Helper()
			for n, w := range want {
				if got := b.Take(who); got != w {
					t.Errorf("take %d of %s = %v, want %v", n+1, who, got, w)
				}
			}
		}
		take("a", true, true, true, false)
		take("b", true)
		time.Sleep(500 * time.Millisecond)
		take("a", true, false)
		b.Give("a")
		take("a", true, false)
		time.Sleep(time.Hour)
		take("a", true, true, true, false)
		b.Give("c") // no more than a full one
		take("c", true, true, true, false)
		for n := range 2 * httpapi.MaxBuckets {
			b.Take(strconv.Itoa(n))
		}
		if n := b.Remembered(); n > httpapi.MaxBuckets {
			t.Errorf("it remembers %d, want %d at most", n, httpapi.MaxBuckets)
		}
		time.Sleep(time.Hour)
		take("d", true, true, true, false) // who is new still has a limit
	})
}
