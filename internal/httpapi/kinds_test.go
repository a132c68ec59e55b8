package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/httpapi"
)

func TestKindsAreDescribed(t *testing.T) {
	t.Parallel()
	kinds := []httpapi.Kind{{
		Name: "video", Title: "Video", Description: "Converts.", Schema: json.RawMessage(`{"type":"object"}`),
		Steps: []httpapi.KindStep{{Name: "probe", Title: "Look"}},
	}}
	s := setup(t, func(d *httpapi.Deps) { d.Kinds, d.MaxUpload = kinds, 42 })
	a := s.do(t, http.MethodGet, "/api/kinds", s.token(t, "demo"), "")
	var got struct {
		Kinds     []httpapi.Kind
		MaxUpload int64 `json:"max_upload_bytes"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kinds, got.Kinds); diff != "" || got.MaxUpload != 42 {
		t.Errorf("up to %d bytes; kinds: -want +got:\n%s", got.MaxUpload, diff)
	}
	if a := s.do(t, http.MethodGet, "/api/kinds", "", ""); a.status != http.StatusUnauthorized {
		t.Errorf("without a token the answer is %d, want 401", a.status)
	}
}
