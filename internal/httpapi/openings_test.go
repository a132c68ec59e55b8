package httpapi_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/hub"
)

// Who asks too fast is refused before their token is looked at.
func TestParity_21_OpeningsAreBoundedBeforeTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const burst, rate = 3, 2
		key, err := auth.NewKey(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		api := httpapi.New(httpapi.Deps{
			Tokens: key, Log: slog.New(slog.DiscardHandler), Hub: hub.New(hub.Config{Words: httpapi.StreamWords()}), App: fstest.MapFS{},
			Limits: httpapi.Limits{PerAddress: burst, OpeningRate: rate},
		})
		ask := func(from string) (int, string) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/sse", nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		for range burst {
			if status, problem := ask("192.0.2.1:1"); status != http.StatusUnauthorized {
				t.Fatalf("a stream without a token got %d %s, want 401", status, problem)
			}
		}
		if status, problem := ask("192.0.2.1:2"); status != http.StatusTooManyRequests || !strings.Contains(problem, "/problems/too-fast") {
			t.Errorf("one beyond the burst got %d %s, want 429", status, problem)
		}
		if status, problem := ask("192.0.2.2:1"); status != http.StatusUnauthorized {
			t.Errorf("one from another address got %d %s, want 401", status, problem)
		}
		time.Sleep(time.Second / rate)
		if status, problem := ask("192.0.2.1:1"); status != http.StatusUnauthorized {
			t.Errorf("one a pause later got %d %s, want 401", status, problem)
		}
	})
}
