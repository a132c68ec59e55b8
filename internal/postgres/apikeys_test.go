package postgres_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/auth"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	db := open(t)
	made, secret, err := auth.NewAPIKey(auth.APIKey{
		Name: "the shop's", User: "shop", Roles: []auth.Role{auth.RoleBackend, auth.RoleWorker}, Topics: []auth.Pattern{"channel:*"},
		CreatedBy: "root", ExpiresAt: new(time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)),
	})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := db.SaveAPIKey(t.Context(), made, auth.HashOf(secret))
	if err != nil || saved.CreatedAt.IsZero() {
		t.Fatalf("SaveAPIKey() = %+v, %v", saved, err)
	}
	got, err := db.APIKeyByHash(t.Context(), auth.HashOf(secret))
	if diff := cmp.Diff(saved, got); diff != "" || err != nil {
		t.Errorf("APIKeyByHash(): %v, -want +got:\n%s", err, diff)
	}
	if _, err := db.APIKeyByHash(t.Context(), auth.HashOf(secret+"x")); !errors.Is(err, auth.ErrNoAPIKey) {
		t.Errorf("APIKeyByHash(of another) = %v, want %v", err, auth.ErrNoAPIKey)
	}
	for _, ago := range []time.Duration{time.Hour, 2 * time.Hour} { // the later use counts, whichever is written first
		if err := db.APIKeysUsed(t.Context(), []auth.KeyUse{{ID: saved.ID, Ago: ago}, {ID: uuid.New(), Ago: ago}}); err != nil {
			t.Fatal(err)
		}
	}
	unknown := uuid.New()
	if gone, err := db.APIKeysGone(t.Context(), []uuid.UUID{saved.ID, unknown}); err != nil || !slices.Equal(gone, []uuid.UUID{unknown}) {
		t.Errorf("APIKeysGone() = %v, %v, want the unknown one", gone, err)
	}
	for _, actor := range []string{"root", "another"} {
		if k, err := db.RevokeAPIKey(t.Context(), saved.ID, actor); err != nil || k.RevokedBy != "root" || k.RevokedAt == nil {
			t.Errorf("RevokeAPIKey(by %s) = %+v, %v, want that root has revoked it", actor, k, err)
		}
	}
	if gone, err := db.APIKeysGone(t.Context(), []uuid.UUID{saved.ID}); err != nil || len(gone) != 1 {
		t.Errorf("APIKeysGone() = %v, %v, want the revoked one", gone, err)
	}
	list, err := db.APIKeys(t.Context())
	if err != nil || len(list) != 1 || list[0].LastUsedAt == nil {
		t.Fatalf("APIKeys() = %+v, %v", list, err)
	}
	if ago := list[0].CreatedAt.Sub(*list[0].LastUsedAt); ago < 59*time.Minute || ago > 61*time.Minute {
		t.Errorf("last used %v before it was made, want an hour", ago)
	}
	if _, err := db.RevokeAPIKey(t.Context(), unknown, "root"); !errors.Is(err, auth.ErrNoAPIKey) {
		t.Errorf("RevokeAPIKey(an unknown one) = %v", err)
	}
}

// Whoever comes with a ticket, and however many at once, one gets it.
func TestATicketIsTakenOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	want := auth.Principal{
		User: "alice", Roles: []auth.Role{auth.RoleUser}, Topics: []auth.Pattern{"job:*"}, Key: uuid.New(),
		Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond),
	}
	hash := auth.HashOf(auth.NewTicket())
	if err := db.SaveTicket(t.Context(), hash, want, time.Minute); err != nil {
		t.Fatal(err)
	}
	var winners atomic.Int32
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			p, err := db.TakeTicket(t.Context(), hash)
			switch {
			case err == nil:
				winners.Add(1)
				if diff := cmp.Diff(want, p); diff != "" {
					t.Errorf("TakeTicket(): -want +got:\n%s", diff)
				}
			case !errors.Is(err, auth.ErrBadTicket):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := winners.Load(); n != 1 {
		t.Errorf("%d of 50 got it, want 1", n)
	}
}

func TestATicketExpires(t *testing.T) {
	t.Parallel()
	db := open(t)
	old, fresh := auth.HashOf("old"), auth.HashOf("fresh")
	if err := errors.Join(
		db.SaveTicket(t.Context(), old, auth.Principal{User: "alice"}, -time.Second),
		db.SaveTicket(t.Context(), auth.HashOf("older"), auth.Principal{User: "alice"}, -time.Minute),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := db.TakeTicket(t.Context(), old); !errors.Is(err, auth.ErrBadTicket) {
		t.Errorf("TakeTicket(an expired one) = %v", err)
	}
	if err := db.SaveTicket(t.Context(), fresh, auth.Principal{User: "alice"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM herald.tickets").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d tickets are kept, %v, want the fresh one", left, err)
	}
}
