package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/auth"
)

// keyStore is keys in memory.
type keyStore struct {
	mu    sync.Mutex // guards the fields below
	keys  map[auth.Hash]auth.APIKey
	away  bool
	looks int
	uses  []auth.KeyUse
}

var errAway = errors.New("the database is away")

func (s *keyStore) APIKeyByHash(_ context.Context, hash auth.Hash) (auth.APIKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	if s.away {
		return auth.APIKey{}, errAway
	}
	k, ok := s.keys[hash]
	if !ok {
		return auth.APIKey{}, auth.ErrNoAPIKey
	}
	return k, nil
}

func (s *keyStore) APIKeysGone(_ context.Context, ids []uuid.UUID) (gone []uuid.UUID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, errAway
	}
	for _, k := range s.keys {
		if k.RevokedAt != nil && slices.Contains(ids, k.ID) {
			gone = append(gone, k.ID)
		}
	}
	return gone, nil
}

func (s *keyStore) APIKeysUsed(_ context.Context, uses []auth.KeyUse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	s.uses = append(s.uses, uses...)
	return nil
}

// change changes the key with the secret, and the store.
func (s *keyStore) change(secret string, do func(k *auth.APIKey)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[auth.HashOf(secret)]
	do(&k)
	s.keys[auth.HashOf(secret)] = k
}

// add makes a key for the user, which expires then, if ever.
func (s *keyStore) add(tb testing.TB, user string, expires *time.Time) (secret string) {
	tb.Helper()
	k, secret, err := auth.NewAPIKey(auth.APIKey{User: user, Roles: []auth.Role{auth.RoleBackend}, ExpiresAt: expires})
	if err != nil {
		tb.Fatal(err)
	}
	s.keys[auth.HashOf(secret)] = k
	return secret
}

func keyring(store *keyStore, c auth.KeyringConfig) *auth.Keyring {
	return auth.NewKeyring(store, slog.New(slog.DiscardHandler), c)
}

// inBubble runs the test with a keyring that runs.
func inBubble(t *testing.T, test func(t *testing.T, store *keyStore, k *auth.Keyring)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := &keyStore{keys: map[auth.Hash]auth.APIKey{}}
		k := keyring(store, auth.KeyringConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.Run(ctx) }()
		test(t, store, k)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func wantVerified(t *testing.T, k *auth.Keyring, secret string, want error) {
	t.Helper()
	if p, err := k.Verify(t.Context(), secret); !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("Verify() = %+v, %v, want %v", p, err, want)
	}
}

// However often a key is used, it is looked up once, and its use written once a
// minute.
func TestAKeyIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, store *keyStore, k *auth.Keyring) {
		t.Helper()
		secret := store.add(t, "shop", nil)
		for range 180 {
			wantVerified(t, k, secret, nil)
			time.Sleep(time.Second)
		}
		if store.looks != 1 {
			t.Errorf("%d looks, want 1", store.looks)
		}
		if n := len(store.uses); n < 2 || n > 4 {
			t.Errorf("its use was written %d times in three minutes, want once a minute", n)
		}
		for _, use := range store.uses {
			if use.Ago > 3*time.Second {
				t.Errorf("written as %v ago, want when it was", use.Ago)
			}
		}
	})
}

// A revoked key is refused, and what it holds ends, within five seconds.
func TestARevokedKeyIsHeardOf(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, store *keyStore, k *auth.Keyring) {
		t.Helper()
		secret, other := store.add(t, "shop", nil), store.add(t, "bank", nil)
		p, err := k.Verify(t.Context(), secret)
		if err != nil || p.User != "shop" || !p.Is(auth.RoleBackend) || !p.Expires.IsZero() {
			t.Fatalf("Verify() = %+v, %v", p, err)
		}
		wantVerified(t, k, other, nil)
		var release func()
		var ended, released, late atomic.Int32
		release = k.Hold(p, func() { ended.Add(1); release() })
		letGo := k.Hold(p, func() { released.Add(1) })
		letGo()
		time.Sleep(time.Minute)
		if ended.Load() != 0 {
			t.Fatal("it ended while the key was good")
		}
		store.change(secret, func(k *auth.APIKey) { k.RevokedAt = new(time.Now()) })
		time.Sleep(5 * time.Second)
		wantVerified(t, k, secret, auth.ErrBadToken)
		wantVerified(t, k, other, nil)
		time.Sleep(10 * time.Second)
		if ended.Load() != 1 || released.Load() != 0 {
			t.Errorf("the end of what is held was called %d times, of what is not %d times, want 1 and 0", ended.Load(), released.Load())
		}
		k.Hold(p, func() { late.Add(1) })
		time.Sleep(5 * time.Second)
		if late.Load() == 0 {
			t.Error("what was held after the key was gone never ended")
		}
	})
}

// What cannot be looked at is not believed for long; nothing that is held ends by
// that.
func TestWhileTheDatabaseIsAwayKeysAreNotBelieved(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, store *keyStore, k *auth.Keyring) {
		t.Helper()
		secret := store.add(t, "shop", nil)
		p, err := k.Verify(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		k.Hold(p, func() { t.Error("it ended") })
		store.change(secret, func(*auth.APIKey) { store.away = true })
		time.Sleep(5 * time.Second)
		wantVerified(t, k, secret, auth.ErrUnavailable)
		store.change(secret, func(*auth.APIKey) { store.away = false })
		wantVerified(t, k, secret, nil)
	})
}

func TestAKeyExpires(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, store *keyStore, k *auth.Keyring) {
		t.Helper()
		secret := store.add(t, "shop", new(time.Now().Add(3*time.Second)))
		wantVerified(t, k, secret, nil)
		time.Sleep(3 * time.Second)
		wantVerified(t, k, secret, auth.ErrExpired) // from memory
		time.Sleep(time.Hour)
		wantVerified(t, k, secret, auth.ErrExpired) // from the store
	})
}

func TestVerifyRefusesWhatIsNoKey(t *testing.T) {
	t.Parallel()
	store := &keyStore{keys: map[auth.Hash]auth.APIKey{}}
	secret := store.add(t, "shop", nil)
	k := keyring(store, auth.KeyringConfig{})
	for _, bad := range []string{"", "hk_", secret[:len(secret)-1], secret + "x", strings.ToLower(secret), "ht_" + secret[3:]} {
		wantVerified(t, k, bad, auth.ErrBadToken)
	}
	if store.looks > 1 { // one has the right form
		t.Errorf("%d looks for what cannot be a key", store.looks)
	}
}

// What is remembered is bounded, and whatever is forgotten is found again.
func TestTheKeyringIsBounded(t *testing.T) {
	t.Parallel()
	store := &keyStore{keys: map[auth.Hash]auth.APIKey{}}
	k := keyring(store, auth.KeyringConfig{MaxKnown: 2})
	var secrets []string
	for i := range 5 {
		secrets = append(secrets, store.add(t, fmt.Sprint("user", i), nil))
	}
	for range 3 {
		for _, secret := range secrets {
			wantVerified(t, k, secret, nil)
		}
	}
	if store.looks < 5+2*3 {
		t.Errorf("%d looks: it remembers more than two of five keys", store.looks)
	}
}

func TestNewAPIKeyRefuses(t *testing.T) {
	t.Parallel()
	backend := []auth.Role{auth.RoleBackend}
	for name, k := range map[string]auth.APIKey{
		"nobody":       {Roles: backend},
		"a bad user":   {User: "a b", Roles: backend},
		"no role":      {User: "a"},
		"expired":      {User: "a", Roles: backend, ExpiresAt: new(time.Now().Add(-time.Second))},
		"a long name":  {User: "a", Roles: backend, Name: strings.Repeat("x", 101)},
		"a bad name":   {User: "a", Roles: backend, Name: "a\x1b[2J"},
		"all topics":   {User: "a", Roles: backend, Topics: []auth.Pattern{"*"}},
		"many topics":  {User: "a", Roles: backend, Topics: make([]auth.Pattern, 65)},
		"a star first": {User: "a", Roles: backend, Topics: []auth.Pattern{"job:*x"}},
	} {
		if _, secret, err := auth.NewAPIKey(k); err == nil {
			t.Errorf("%s: NewAPIKey() = %s, want an error", name, secret)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern auth.Pattern
		topic   string
		want    bool
	}{
		{"channel:team-1", "channel:team-1", true},
		{"channel:team-1", "channel:team-10", false},
		{"channel:team-*", "channel:team-10", true},
		{"job:*", "job:0193", true},
		{"job:*", "user:job:", false},
		{"user:*", "all", false},
	} {
		if got := tt.pattern.Match(tt.topic); got != tt.want {
			t.Errorf("%q.Match(%q) = %v, want %v", tt.pattern, tt.topic, got, tt.want)
		}
		p := auth.Principal{User: "alice", Topics: []auth.Pattern{tt.pattern}}
		if got := p.MayFollow(tt.topic); got != tt.want {
			t.Errorf("with %q, MayFollow(%q) = %v, want %v", tt.pattern, tt.topic, got, tt.want)
		}
	}
	for _, bad := range []string{"", "*", "all", "job", "job:", "team:x", "channel:a,b", "channel:a b", "channel:\n", "channel:a*b", "channel:**", "channel:\xff"} {
		var p auth.Pattern
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a pattern", bad)
		}
	}
}

// What a token's topics grant is to see, and nothing else.
func TestWhatTopicsGrant(t *testing.T) {
	t.Parallel()
	p := auth.Principal{User: "alice", Roles: []auth.Role{auth.RoleUser}, Topics: []auth.Pattern{"job:1", "user:bob"}}
	got := []bool{
		p.MaySeeJob("carol", "1"), p.MaySeeJob("bob", "2"), p.MaySeeJob("carol", "2"), p.MayFollow("user:bob"), p.MayFollow("user:carol"),
		p.MaySee("bob"), p.MayChange("bob"), p.MayWatch("bob"), p.MayDisconnect("bob"), p.MayLink("bob"),
	}
	if diff := cmp.Diff([]bool{true, true, false, true, false, false, false, false, false, false}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func BenchmarkKeyringVerify(b *testing.B) {
	store := &keyStore{keys: map[auth.Hash]auth.APIKey{}}
	secret := store.add(b, "shop", nil)
	k := keyring(store, auth.KeyringConfig{Trust: time.Hour})
	measure(b, func() error {
		_, err := k.Verify(b.Context(), secret)
		return err
	})
}
