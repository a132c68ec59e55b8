package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"herald"
	"herald/internal/auth"
)

// filled are notifications with all that matters in them.
func filled() []herald.Notification {
	return []herald.Notification{
		herald.PaymentNotification{PaymentID: "p1", Status: "succeeded", Amount: "12.50", Currency: "EUR", Details: map[string]any{"card": "4242"}},
		herald.AccountNotification{UserID: "alice", Action: "password_changed"},
		herald.SystemNotification{Component: "search", Status: "maintenance", Severity: "info", StartsAt: "2026-01-02T03:04:05Z"},
		herald.VideoNotification{VideoID: "v1", Status: "processing", Progress: new(0.1 + 0.2), Step: "encode"},
		herald.ExportNotification{ExportID: "e1", Status: "succeeded", Rows: new(int64(0)), ExpiresAt: "2026-01-02T03:04:05+01:00"},
		herald.PostNotification{PostID: "42", Action: "liked", Title: "Grüße 👋", By: "bob"},
		herald.ProfileNotification{UserID: "bob", Action: "avatar_changed"},
		herald.ActivityNotification{UserID: "bob", Action: "followed", Object: "alice"},
	}
}

func TestParity_14_15_16_NotificationsHaveASchema(t *testing.T) {
	t.Parallel()
	s := setup(t)
	shop := s.token(t, "shop", auth.RoleBackend)
	f := s.follow(t, s.token(t, "alice"), "type=notification.*")
	f.next("stream.open")
	f.next("stream.snapshot")
	if got, want := len(filled()), len(herald.Notifications()); got != want {
		t.Errorf("%d notifications tried, of %d", got, want)
	}
	for _, n := range filled() {
		data, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		post[sent](t, s, shop, "/api/sse/message", `{"event":"`+n.EventType()+`","data":`+string(data)+`,"to":{"user":"alice"}}`)
		if got := dataOf(t, f.next(n.EventType()).Data); got != string(data) {
			t.Errorf("%s has %s, want %s", n.EventType(), got, data)
		}
	}
	for _, bad := range []string{
		`"event":"notification.payment"`,
		`"event":"notification.payment","data":[]`,
		`"event":"notification.payment","data":{"payment_id":"p","status":"succeeded","amount":"12,50","currency":"EUR"}`,
		`"event":"notification.payment","data":{"payment_id":"p","status":"lost","amount":"1","currency":"EUR"}`,
		`"event":"notification.payment","data":{"payment_id":"p","status":"pending","amount":"1","currency":"EUR","own":1}`,
		`"event":"notification.account","data":{"user_id":"","action":"created"}`,
		`"event":"notification.system","data":{"component":"a","status":"outage","ends_at":"tomorrow"}`,
		`"event":"notification.video","data":{"video_id":"v","status":"processing","progress":1.5}`,
		`"event":"notification.export","data":{"export_id":"e","status":"succeeded","rows":-1}`,
		`"event":"notification.profile","data":{"user_id":7,"action":"updated"}`,
	} {
		if a := s.do(t, http.MethodPost, "/api/sse/message", shop, `{`+bad+`,"to":{"user":"alice"}}`); a.status != http.StatusUnprocessableEntity || a.problem() != "bad-payload" {
			t.Errorf("%s: %d %s, want 422", bad, a.status, a.body)
		}
	}
	for _, free := range []string{
		`"event":"notification.custom.payment","data":[1]`, `"event":"order.paid","data":null`,
		`"event":"notification.profile","data":{"user_id":"bob","action":"updated"},"metadata":{"team":"red"},"ttl_ms":60000`,
	} {
		post[sent](t, s, shop, "/api/sse/message", `{`+free+`,"to":{"user":"bob"}}`)
	}
	if _, err := s.db.Pool().Exec(t.Context(), `SELECT herald.publish('{all}', 'notification.account', '{"user_id": "alice", "action": "danced"}')`); err == nil {
		t.Error("SQL took a notification that does not fit its schema")
	}
}

// Who does not know the API may read what it is.
func TestTheDocumentsAreServed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for path, member := range map[string]string{"/openapi.json": "openapi", "/asyncapi.json": "asyncapi"} {
		a := s.do(t, http.MethodGet, path, "", "")
		var document map[string]any
		if err := json.Unmarshal([]byte(a.body), &document); err != nil || a.status != http.StatusOK || document[member] == nil {
			t.Errorf("GET %s = %d %.80s, %v", path, a.status, a.body, err)
		}
	}
}
