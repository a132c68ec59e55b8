package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/job"
)

// A callback address is taken where callbacks are sent and it may be called. What
// is shown of the job does not tell it.
func TestCallbackURLs(t *testing.T) {
	t.Parallel()
	with := setup(t, func(d *httpapi.Deps) {
		d.CheckCallback = func(url string) error {
			if !strings.HasPrefix(url, "https://") {
				return &job.InvalidError{Field: "callback_url", Reason: "not there"}
			}
			return nil
		}
	})
	body := func(url string) string { return `{"kind":"test","title":"t","callback_url":"` + url + `"}` }
	for _, tt := range []struct {
		s      *server
		url    string
		status int
	}{
		{with, "https://example.org/hook?token=secret", http.StatusCreated},
		{with, "http://127.0.0.1/", http.StatusUnprocessableEntity},
		{with, "https://example.org/" + strings.Repeat("x", 2048), http.StatusUnprocessableEntity},
		{setup(t), "https://example.org/hook", http.StatusUnprocessableEntity},
	} {
		a := tt.s.do(t, http.MethodPost, "/api/jobs", tt.s.token(t, "demo"), body(tt.url))
		if a.status != tt.status || strings.Contains(a.body, "token=secret") || a.status == http.StatusCreated && strings.Contains(a.body, "callback") {
			t.Errorf("a callback to %.60s = %d %s, want %d without the address", tt.url, a.status, a.body, tt.status)
		}
	}
}

// Support and admins see the jobs of others, and so those of Herald itself.
func TestListJobsOfAnother(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startJob(t, "demo")
	for role, want := range map[auth.Role]int{auth.RoleUser: 403, auth.RoleWorker: 403, auth.RoleSupport: 200, auth.RoleAdmin: 200} {
		a := s.do(t, http.MethodGet, "/api/jobs?owner=demo", s.token(t, "other", role), "")
		if a.status != want || want == http.StatusOK && !strings.Contains(a.body, j.ID.String()) {
			t.Errorf("demo's jobs to a %s = %d %s, want %d", role, a.status, a.body, want)
		}
	}
}
