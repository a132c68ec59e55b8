package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"herald/internal/auth"
	"herald/internal/eventlog"
	"herald/internal/httpapi"
	"herald/internal/telemetry"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := telemetry.NewRegistry()
	eventlog.NewMetrics(registry)
	s := setup(t, func(d *httpapi.Deps) { d.Metrics = telemetry.Metrics(registry) })
	for _, tt := range []struct {
		role   auth.Role
		status int
	}{
		{auth.RoleUser, http.StatusForbidden},
		{auth.RoleWorker, http.StatusForbidden},
		{auth.RoleBackend, http.StatusOK},
		{auth.RoleSupport, http.StatusOK},
		{auth.RoleAdmin, http.StatusOK},
	} {
		a := s.do(t, http.MethodGet, "/metrics", s.token(t, "somebody", tt.role), "")
		if a.status != tt.status {
			t.Errorf("GET /metrics as %s = %d, want %d", tt.role, a.status, tt.status)
		}
		if a.status == http.StatusOK && !strings.Contains(a.body, "herald_sequencer_leads 0") {
			t.Errorf("GET /metrics = %q, want the sequencer's", a.body)
		}
	}
	without := setup(t)
	if a := without.do(t, http.MethodGet, "/metrics", without.token(t, "somebody", auth.RoleAdmin), ""); a.status != http.StatusNotFound {
		t.Errorf("GET /metrics where there are none = %d, want 404", a.status)
	}
}
