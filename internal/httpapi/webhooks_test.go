package httpapi_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/webhook"
)

func TestParity_18_WebhooksBecomeNotifications(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	secret, err := webhook.LoadOrCreateSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	example, err := webhook.Example(file)
	if err != nil {
		t.Fatal(err)
	}
	use := func(d *httpapi.Deps) { d.Webhooks = webhook.Sources{"example": example} }
	s := setup(t, use)
	other := start(t, s.db, use, func(d *httpapi.Deps) { d.Node = "test-2" })
	f := s.follow(t, s.token(t, "alice"), "")
	f.next("stream.open")
	f.next("stream.snapshot")

	send := func(to *server, id, body string, at time.Time, more ...string) answer {
		t.Helper()
		header, err := webhook.Sign(secret, id, at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for name := range header {
			more = append(more, name+": "+header.Get(name))
		}
		return to.do(t, http.MethodPost, "/api/webhooks/example", "", body, more...)
	}
	const body = `{"user":"alice","message":"hello"}`
	first := send(s, "msg_1", body, time.Now())
	if first.status != http.StatusOK || !strings.HasPrefix(first.body, `{"event_ids":["`) {
		t.Fatalf("a webhook = %d %s", first.status, first.body)
	}
	if e := f.next(webhook.ExampleType); dataOf(t, e.Data) != `{"message":"hello"}` {
		t.Errorf("it became %s", e.Data)
	}
	for name, to := range map[string]*server{"this node": s, "another": other} { // as a sender repeats it: signed anew
		if again := send(to, "msg_1", body, time.Now().Add(-time.Second)); again.status != first.status || again.body != first.body {
			t.Errorf("again, to %s: %d %s, want %s", name, again.status, again.body, first.body)
		}
	}
	if n := s.count(t, "SELECT count(*) FROM herald.outbox") + s.count(t, "SELECT count(*) FROM herald.events"); n != 1 {
		t.Errorf("%d events, want one", n)
	}
	for name, tt := range map[string]struct {
		a       answer
		status  int
		problem string
	}{
		"not signed":           {s.do(t, http.MethodPost, "/api/webhooks/example", s.token(t, "shop", auth.RoleBackend), body), 403, "bad-signature"},
		"another signature":    {send(s, "msg_2", body, time.Now(), "webhook-extra: 1", "webhook-id: msg_1"), 200, ""}, // Sign's own stands last
		"an old one":           {send(s, "msg_3", body, time.Now().Add(-time.Hour)), 403, "stale-webhook"},
		"another under its id": {send(s, "msg_1", `{"user":"bob","message":"hello"}`, time.Now()), 422, "idempotency-key-reused"},
		"what does not fit":    {send(s, "msg_4", `{"user":7}`, time.Now()), 422, "bad-webhook"},
		"what is no topic":     {send(s, "msg_5", `{"user":"a b","message":""}`, time.Now()), 400, "bad-topic"},
		"not JSON":             {send(s, "msg_6", `user=alice`, time.Now()), 422, "bad-webhook"},
		"too large":            {send(s, "msg_7", `"`+strings.Repeat("x", 300<<10)+`"`, time.Now()), 413, "too-large"},
		"of nobody":            {s.do(t, http.MethodPost, "/api/webhooks/nobody", "", body), 404, "not-found"},
		"from another's page":  {send(s, "msg_8", body, time.Now(), "Sec-Fetch-Site: cross-site"), 403, "cross-origin"},
	} {
		if tt.a.status != tt.status || tt.a.problem() != tt.problem {
			t.Errorf("%s: %d %s, want %d %s", name, tt.a.status, tt.a.body, tt.status, tt.problem)
		}
	}
	if text, err := os.ReadFile(file); err != nil || strings.Contains(first.body, strings.TrimSpace(string(text))) {
		t.Error("the secret is told")
	}
}
