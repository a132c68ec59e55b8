package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// KeyStore is where API keys are kept.
type KeyStore interface {
	// APIKeyByHash returns a key, whether it is good or not, or ErrNoAPIKey.
	APIKeyByHash(ctx context.Context, hash Hash) (APIKey, error)
	// APIKeysGone returns those of the keys that are revoked, or do not exist.
	APIKeysGone(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)
	// APIKeysUsed notes when keys were last used.
	APIKeysUsed(ctx context.Context, uses []KeyUse) error
}

// KeyUse is when a key was last used.
type KeyUse struct {
	ID  uuid.UUID
	Ago time.Duration
}

// secretStore is where secrets of one kind are kept.
type secretStore interface {
	// byHash returns whom the secret stands for, or why it is good for nothing, or
	// ErrUnavailable.
	byHash(ctx context.Context, hash Hash) (Principal, error)
	gone(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)
	used(ctx context.Context, uses []KeyUse) error
}

// keys are API keys as secrets.
type keys struct{ store KeyStore }

func (k keys) byHash(ctx context.Context, hash Hash) (Principal, error) {
	key, err := k.store.APIKeyByHash(ctx, hash)
	switch {
	case errors.Is(err, ErrNoAPIKey):
		return Principal{}, fmt.Errorf("%w: no such key", ErrBadToken)
	case err != nil:
		return Principal{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return key.Principal()
}

func (k keys) gone(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	return k.store.APIKeysGone(ctx, ids)
}

func (k keys) used(ctx context.Context, uses []KeyUse) error { return k.store.APIKeysUsed(ctx, uses) }

const (
	// statementTime bounds one look at the keys. With the Interval, it is less than
	// the five seconds within which a revoked key's streams end.
	statementTime = 2 * time.Second
	// lookTime bounds how long a caller waits to be known.
	lookTime = 5 * time.Second
)

// KeyringConfig is a Keyring's measures. The zero KeyringConfig is fit for use.
type KeyringConfig struct {
	Interval time.Duration // between two looks for revoked keys; default 2 s
	Trust    time.Duration // for how long what is known of a key counts without a look; default 4 s
	Record   time.Duration // how often the use of a key is written, at most; default 1 min
	MaxKnown int           // keys that are remembered; default 10,000
	Lookups  int           // keys that are looked up at once; default 4
}

func (c *KeyringConfig) setDefaults() {
	set := func(field *time.Duration, value time.Duration) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&c.Interval, 2*time.Second)
	set(&c.Trust, 4*time.Second)
	set(&c.Record, time.Minute)
	if c.MaxKnown <= 0 {
		c.MaxKnown = 10_000
	}
	if c.Lookups <= 0 {
		c.Lookups = 4
	}
}

// Keyring verifies API keys, or the secrets of shares. It remembers those that were
// used, and looks every few seconds which of them are revoked; while it cannot,
// what it remembers does not count, so that a revoked one is refused everywhere
// within five seconds.
type Keyring struct {
	prefix string // of the secrets
	store  secretStore
	log    *slog.Logger
	config KeyringConfig
	looks  chan struct{} // a place for each that is looked up

	mu    sync.RWMutex // guards the fields below; held for moments, never during I/O
	known map[Hash]*knownKey
	held  map[uuid.UUID]map[*hold]struct{}
}

// knownKey is a key that was good when it was last looked at.
type knownKey struct {
	principal Principal
	checked   atomic.Int64 // when, in Unix nanoseconds, as are the others
	used      atomic.Int64
	recorded  int64 // the use that was written last; guarded by the Keyring's mu
}

// hold is something that ends with a key.
type hold struct{ end func() }

// NewKeyring returns a Keyring of the keys in the store. Without Run it works, but
// remembers a key for no longer than the config's Trust, ends nothing, and writes
// no use.
func NewKeyring(store KeyStore, log *slog.Logger, c KeyringConfig) *Keyring {
	return newKeyring(APIKeyPrefix, keys{store}, log, c)
}

// NewShareKeyring returns a Keyring of the shares in the store, likewise.
func NewShareKeyring(store ShareStore, log *slog.Logger, c KeyringConfig) *Keyring {
	return newKeyring(SharePrefix, shares{store}, log, c)
}

func newKeyring(prefix string, store secretStore, log *slog.Logger, c KeyringConfig) *Keyring {
	c.setDefaults()
	return &Keyring{
		prefix: prefix, store: store, log: log, config: c, looks: make(chan struct{}, c.Lookups),
		known: map[Hash]*knownKey{}, held: map[uuid.UUID]map[*hold]struct{}{},
	}
}

// Verify returns whom the key stands for, or ErrBadToken, ErrExpired, or
// ErrUnavailable; of a share, one of its own errors instead of the first two.
func (k *Keyring) Verify(ctx context.Context, key string) (Principal, error) {
	if !isSecret(key, k.prefix) {
		return Principal{}, fmt.Errorf("%w: not one that begins with %s", ErrBadToken, k.prefix)
	}
	hash := HashOf(key)
	if p, ok := k.recall(hash); ok {
		return p, p.CheckTime()
	}
	return k.look(ctx, hash)
}

// recall returns the principal of a key that is known to be good.
func (k *Keyring) recall(hash Hash) (Principal, bool) {
	k.mu.RLock()
	e := k.known[hash]
	k.mu.RUnlock()
	if e == nil {
		return Principal{}, false
	}
	now := time.Now().UnixNano()
	if now-e.checked.Load() > int64(k.config.Trust) {
		return Principal{}, false
	}
	e.used.Store(now)
	return e.principal, true
}

// look asks the store. Only a few do at once: a flood of made-up keys waits for
// itself, and not the database for it.
func (k *Keyring) look(ctx context.Context, hash Hash) (Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	select {
	case k.looks <- struct{}{}:
		defer func() { <-k.looks }()
	case <-ctx.Done():
		return Principal{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	if p, ok := k.recall(hash); ok { // another has asked meanwhile
		return p, p.CheckTime()
	}
	now := time.Now().UnixNano() // what is revoked from here on may not be seen
	p, err := k.store.byHash(ctx, hash)
	if err != nil {
		if !errors.Is(err, ErrUnavailable) {
			k.forget(hash)
		}
		return Principal{}, err
	}
	k.remember(hash, p, now)
	return p, nil
}

func (k *Keyring) remember(hash Hash, p Principal, now int64) {
	e := &knownKey{principal: p}
	e.checked.Store(now)
	e.used.Store(now)
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.known[hash]; old != nil {
		e.recorded = old.recorded
	} else if len(k.known) >= k.config.MaxKnown {
		for other := range k.known { // any: it is looked up when it comes again
			delete(k.known, other)
			break
		}
	}
	k.known[hash] = e
}

func (k *Keyring) forget(hash Hash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, hash)
}

// Hold calls end, maybe again and again, from when it is known that the
// principal's key is revoked until release is called. For a principal without a
// key it does nothing. The end must not block, and may call release.
func (k *Keyring) Hold(p Principal, end func()) (release func()) {
	id := p.secret()
	if id == uuid.Nil {
		return func() {}
	}
	h := &hold{end}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held[id] == nil {
		k.held[id] = map[*hold]struct{}{}
	}
	k.held[id][h] = struct{}{}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.held[id], h)
		if len(k.held[id]) == 0 {
			delete(k.held, id)
		}
	}
}

// Run looks for keys that are revoked, and writes which were used, until ctx ends.
// What fails is tried again.
func (k *Keyring) Run(ctx context.Context) error {
	failing := false
	for {
		select {
		case <-ctx.Done():
			_ = k.recordUses(context.WithoutCancel(ctx)) // the last of them; no more than a hint
			return nil
		case <-time.After(k.config.Interval):
		}
		err := errors.Join(k.refresh(ctx), k.recordUses(ctx))
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			k.log.WarnContext(ctx, "revoked keys not looked for", "prefix", k.prefix, "error", err)
		case err == nil && failing:
			k.log.InfoContext(ctx, "revoked keys looked for again", "prefix", k.prefix)
		}
		failing = err != nil
	}
}

// refresh forgets the keys that are gone, and ends what is held by them.
func (k *Keyring) refresh(ctx context.Context) error {
	ids := k.ids()
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	asked := time.Now().UnixNano()
	gone, err := k.store.gone(ctx, ids)
	if err != nil {
		return err
	}
	for _, h := range k.settle(ids, gone, asked) {
		h.end()
	}
	return nil
}

// ids are the keys that are remembered, or by which something is held.
func (k *Keyring) ids() []uuid.UUID {
	k.mu.RLock()
	defer k.mu.RUnlock()
	ids := make([]uuid.UUID, 0, len(k.known)+len(k.held))
	for _, e := range k.known {
		ids = append(ids, e.principal.secret())
	}
	for id := range k.held {
		ids = append(ids, id)
	}
	return ids
}

// settle notes which of the keys are gone, the others being good, and forgets those
// that nobody uses. It returns what is to end.
func (k *Keyring) settle(asked, gone []uuid.UUID, at int64) (ending []*hold) {
	const unused = 10 * time.Minute
	k.mu.Lock()
	defer k.mu.Unlock()
	were := make(map[uuid.UUID]bool, len(asked)) // whether it is gone; of those that came meanwhile, nothing is known
	for _, id := range asked {
		were[id] = false
	}
	for _, id := range gone {
		were[id] = true
		for h := range k.held[id] {
			ending = append(ending, h)
		}
	}
	for hash, e := range k.known {
		isGone, known := were[e.principal.secret()]
		switch {
		case isGone, at-e.used.Load() > int64(unused) && e.used.Load() == e.recorded:
			delete(k.known, hash)
		case known:
			e.checked.Store(max(e.checked.Load(), at))
		}
	}
	return ending
}

// recordUses writes the keys that were used since that was last written, each not
// more often than the config's Record says.
func (k *Keyring) recordUses(ctx context.Context) error {
	now := time.Now().UnixNano()
	type written struct {
		key  *knownKey
		used int64
	}
	var taken []written
	var uses []KeyUse
	k.mu.RLock()
	for _, e := range k.known {
		used := e.used.Load()
		if used > e.recorded && (e.recorded == 0 || now-e.recorded >= int64(k.config.Record)) {
			taken = append(taken, written{e, used})
			uses = append(uses, KeyUse{e.principal.secret(), time.Duration(max(0, now-used))})
		}
	}
	k.mu.RUnlock()
	if len(uses) == 0 {
		return nil
	}
	slices.SortFunc(uses, func(a, b KeyUse) int { return slices.Compare(a.ID[:], b.ID[:]) })
	ctx, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	if err := k.store.used(ctx, uses); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range taken {
		w.key.recorded = w.used
	}
	return nil
}
