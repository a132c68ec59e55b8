package clienttest

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"herald"
)

// publish has the shop tell alice, who follows.
func publish(t *testing.T, target Target) {
	shop, alice := target.client(t, "shop"), target.client(t, "alice")
	payment := herald.PaymentNotification{PaymentID: "p1", Status: "succeeded", Amount: "12.50", Currency: "EUR"}
	var want []string
	for e, err := range alice.Stream(t.Context(), herald.StreamOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == herald.StreamSnapshot {
			want = publishAll(t, shop, payment)
			continue
		}
		if e.ID != want[0] {
			t.Errorf("%s is %s, want %s", e.Type, e.ID, want[0])
		}
		var got herald.PaymentNotification
		if e.Type == herald.NotificationPayment && (json.Unmarshal(e.Data, &got) != nil || got.Amount != payment.Amount) {
			t.Errorf("%s has %s", e.Type, e.Data)
		}
		if want = want[1:]; len(want) == 0 {
			break
		}
	}
	for name, bad := range map[string]herald.Message{
		"a job's word": {Event: "job.failed", To: herald.ToAll()},
		"no such form": herald.NewMessage(herald.PostNotification{}, herald.ToAll()),
	} {
		if _, err := shop.Publish(t.Context(), bad); !errors.Is(err, herald.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, herald.ErrInvalid)
		}
		if _, err := shop.TryPublish(t.Context(), bad); !errors.Is(err, herald.ErrInvalid) {
			t.Errorf("%s, tried: %v, want %v", name, err, herald.ErrInvalid)
		}
	}
}

// publishAll publishes in each way, and returns the ids of alice's events.
func publishAll(t *testing.T, shop *herald.Client, n herald.Notification) []string {
	t.Helper()
	first := must[herald.Published](t)(shop.Notify(t.Context(), n, herald.ToUser("alice"), herald.ToUsers("bob", "eve"), herald.ToChannel("shop")))
	m := herald.Message{Event: "order.paid", Data: map[string]any{"n": 1}, Metadata: map[string]any{"team": "red"}, TTLMS: 60_000, To: herald.ToUser("alice"), Key: "order-1"}
	paid := must[herald.Published](t)(shop.Publish(t.Context(), m))
	if again := must[herald.Published](t)(shop.Publish(t.Context(), m)); again.EventID != paid.EventID || !again.Repeated || paid.Repeated || first.Repeated {
		t.Errorf("again: %+v, want %+v repeated", again, paid)
	}
	many := must[[]herald.Published](t)(shop.PublishBatch(t.Context(), herald.Batch{Messages: []herald.Message{
		{Event: "order.sent", To: herald.ToAll()}, herald.NewMessage(herald.PostNotification{PostID: "7", Action: "liked"}, herald.ToUsers("alice", "bob")),
	}}))
	must[herald.Reach](t)(shop.TryPublish(t.Context(), m))
	return []string{first.EventID, paid.EventID, many[0].EventID, many[1].EventID}
}

// However many requests and answers are lost, each notification is published
// once.
func lostNotices(t *testing.T, target Target) {
	seed := rand.Uint64()
	shop, alice := target.client(t, "shop", unreliably(seed)), target.client(t, "alice")
	const n = 10
	var sent, got []string
	for e, err := range alice.Stream(t.Context(), herald.StreamOptions{Types: []string{"notification.*"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == herald.StreamSnapshot {
			for range n {
				account := herald.AccountNotification{UserID: "alice", Action: "updated"}
				sent = append(sent, must[herald.Published](t)(shop.Notify(t.Context(), account, herald.ToUser("alice"))).EventID)
			}
			must[herald.Published](t)(target.client(t, "shop").Publish(t.Context(), herald.Message{Event: "notification.custom.end", To: herald.ToUser("alice")}))
			continue
		}
		if e.Type == "notification.custom.end" {
			break
		}
		got = append(got, e.ID)
	}
	if !slices.Equal(sent, got) {
		t.Errorf("seed %d: events %v, want %v", seed, got, sent)
	}
}
