package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
)

// shareStore is one share in memory.
type shareStore struct {
	mu    sync.Mutex // guards the fields below
	share auth.Share
	hash  auth.Hash
}

func (s *shareStore) ShareByHash(_ context.Context, hash auth.Hash) (auth.Share, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hash != s.hash {
		return auth.Share{}, auth.ErrNoShare
	}
	return s.share, nil
}

func (s *shareStore) SharesGone(_ context.Context, ids []uuid.UUID) (gone []uuid.UUID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.share.RevokedAt != nil && slices.Contains(ids, s.share.ID) {
		gone = append(gone, s.share.ID)
	}
	return gone, nil
}

func (s *shareStore) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.share.RevokedAt = new(time.Now())
}

// A share is a guest until it expires or is revoked, and what was opened by it ends
// within five seconds of that.
func TestShareKeyring(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		share, secret := auth.NewShare(auth.Share{Job: uuid.New(), CreatedBy: "demo", ExpiresAt: time.Now().Add(time.Hour)})
		store := &shareStore{share: share, hash: auth.HashOf(secret)}
		ring := auth.NewShareKeyring(store, slog.New(slog.DiscardHandler), auth.KeyringConfig{})
		verifier := auth.NewVerifier(key(t), nil, ring, nil)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- ring.Run(ctx) }()

		p, err := verifier.Verify(t.Context(), secret)
		if err != nil || !p.IsGuest() || !p.Expires.Equal(share.ExpiresAt) || p.Share.Job != share.Job {
			t.Fatalf("Verify() = %+v, %v, want a guest of the job", p, err)
		}
		if _, err := verifier.Verify(t.Context(), secret[:len(secret)-1]+"!"); !errors.Is(err, auth.ErrNoShare) {
			t.Errorf("Verify(another) = %v, want ErrNoShare", err)
		}
		var ended time.Time
		release := verifier.Hold(p, func() {
			if ended.IsZero() {
				ended = time.Now()
			}
		})
		defer release()
		revoked := time.Now()
		store.revoke()
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := ended.Sub(revoked); ended.IsZero() || after > 5*time.Second {
			t.Errorf("it ended after %v, want within 5 s", after)
		}
		if _, err := verifier.Verify(t.Context(), secret); !errors.Is(err, auth.ErrShareRevoked) {
			t.Errorf("Verify(revoked) = %v, want ErrShareRevoked", err)
		}
		store.mu.Lock()
		store.share.RevokedAt = nil
		store.mu.Unlock()
		if _, err := verifier.Verify(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		for range 2 { // from memory, and from the store
			if _, err := verifier.Verify(t.Context(), secret); !errors.Is(err, auth.ErrShareExpired) {
				t.Errorf("Verify(expired) = %v, want ErrShareExpired", err)
			}
			time.Sleep(time.Minute)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A guest may do what the policy's last column says to the one job, and no more.
func TestGuestIsOfOneJob(t *testing.T) {
	t.Parallel()
	job, other := uuid.New(), uuid.New()
	share := auth.Share{ID: uuid.New(), Job: job, Files: true, ExpiresAt: time.Now().Add(time.Hour)}
	p, err := share.Principal()
	if err != nil {
		t.Fatal(err)
	}
	if !p.MayFollow("job:"+job.String()) || !p.MaySeeJob("demo", job.String()) {
		t.Error("a guest may not see the job that is shared")
	}
	for what, may := range map[string]bool{
		"follow another job": p.MayFollow("job:" + other.String()), "follow all": p.MayFollow("all"), "follow itself": p.MayFollow("user:" + p.User),
		"follow the owner": p.MayFollow("user:demo"), "see another job": p.MaySeeJob("demo", other.String()), "see the owner's": p.MaySee("demo"),
		"change": p.MayChange("demo"), "share": p.MayShare("demo"), "link": p.MayLink("demo"), "start": p.MayStart(false), "upload": p.MayUpload(),
		"acknowledge": p.MayAcknowledge(), "publish": p.MayPublish(), "watch": p.MayWatch("demo"), "export": p.MayExport(), "read the log": p.MayReadLog(), "look into the queue": p.MayReadQueue(),
		"measure": p.MayMeasure(), "end streams": p.MayDisconnect("demo"), "report": p.MayReport("demo", "demo"),
	} {
		if may {
			t.Errorf("a guest may %s", what)
		}
	}
	if slices.Contains(auth.Roles(), auth.RoleGuest) {
		t.Error("a token may say that it is a guest's")
	}
}
