package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// JWKSConfig is the measures of a JWKS. The zero JWKSConfig is fit for use.
type JWKSConfig struct {
	Client  *http.Client  // default one of its own, with a timeout of 5 s
	Refresh time.Duration // how often the keys are fetched; default 5 min
	Gap     time.Duration // between two fetches, however many tokens name keys that are not known; default 1 s
}

// JWKS is the public keys that an issuer shows at a URL (RFC 7517). They are fetched
// now and then, and when a token names one that is not known. While they cannot
// be fetched, those that are known go on to count.
type JWKS struct {
	url    string
	log    *slog.Logger
	config JWKSConfig
	wake   chan struct{} // a fetch is wanted
	known  atomic.Pointer[[]fetchedKey]

	mu     sync.Mutex // guards the fields below
	next   *fetch     // the one that has not begun
	during *fetch     // the one under way; nil when there is none
}

// fetch is one try to fetch the keys.
type fetch struct {
	done chan struct{} // closed when it is over
	err  error         // not changed after that
}

func newFetch() *fetch { return &fetch{done: make(chan struct{})} }

type fetchedKey struct {
	kid, algorithm string
	key            jwt.VerificationKey
}

// NewJWKS returns the keys at the URL. It fetches nothing until Run does, for which
// those wait who ask.
func NewJWKS(address string, log *slog.Logger, c JWKSConfig) (*JWKS, error) {
	if u, err := url.Parse(address); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("%.100q is not the URL of a key set", address)
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}}
	}
	if c.Refresh <= 0 {
		c.Refresh = 5 * time.Minute
	}
	if c.Gap <= 0 {
		c.Gap = time.Second
	}
	s := &JWKS{url: address, log: log, config: c, wake: make(chan struct{}, 1), next: newFetch()}
	s.known.Store(&[]fetchedKey{})
	return s, nil
}

// find returns the keys of the algorithm with that id; without an id, all of the
// algorithm. For one that is not known, it waits until the keys have been fetched
// once more: all who wait share one fetch.
func (s *JWKS) find(ctx context.Context, kid, algorithm string) ([]jwt.VerificationKey, error) {
	if found := s.among(kid, algorithm); len(found) > 0 {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	under, next := s.fetches()
	for _, f := range []*fetch{under, next} {
		if f == nil {
			continue // none is under way
		}
		if f == next {
			s.ask()
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
		if found := s.among(kid, algorithm); len(found) > 0 {
			return found, nil
		}
	}
	if next.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, next.err)
	}
	return nil, errors.New("the issuer has no such key")
}

func (s *JWKS) among(kid, algorithm string) []jwt.VerificationKey {
	var found []jwt.VerificationKey
	for _, k := range *s.known.Load() {
		if k.algorithm == algorithm && (kid == "" || k.kid == kid) {
			found = append(found, k.key)
		}
	}
	return found
}

func (s *JWKS) fetches() (under, next *fetch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.during, s.next
}

func (s *JWKS) ask() {
	select {
	case s.wake <- struct{}{}:
	default: // somebody has
	}
}

// Run fetches the keys at once, and again when that is due or wanted, until ctx
// ends. What fails is tried again.
func (s *JWKS) Run(ctx context.Context) error {
	defer s.config.Client.CloseIdleConnections()
	failing := false
	for {
		err := s.refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			s.log.WarnContext(ctx, "issuer's keys not fetched, those that are known stay", "error", err)
		case err == nil && failing:
			s.log.InfoContext(ctx, "issuer's keys fetched again")
		}
		failing = err != nil
		if !s.pause(ctx) {
			return nil
		}
	}
}

// Try fetches the keys once, and returns how many of them check signatures. It is for
// who wants to know whether Run would.
func (s *JWKS) Try(ctx context.Context) (keys int, err error) {
	defer s.config.Client.CloseIdleConnections()
	fetched, err := s.get(ctx)
	return len(fetched), err
}

// pause waits until the next fetch may begin, and is due or wanted. It reports
// false when ctx has ended.
func (s *JWKS) pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(s.config.Gap):
	}
	select {
	case <-ctx.Done():
		return false
	case <-s.wake:
	case <-time.After(s.config.Refresh):
	}
	return true
}

func (s *JWKS) refresh(ctx context.Context) error {
	s.mu.Lock()
	now := s.next
	s.during, s.next = now, newFetch()
	s.mu.Unlock()
	keys, err := s.get(ctx)
	if err == nil {
		s.known.Store(&keys)
	}
	now.err = err
	s.mu.Lock()
	s.during = nil
	s.mu.Unlock()
	close(now.done)
	return err
}

// get fetches the keys. A set without one that is of use is an error: it is more
// likely that somebody has made a mistake than that nobody is to sign in.
func (s *JWKS) get(ctx context.Context) ([]fetchedKey, error) {
	const most = 1 << 20 // bytes
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.config.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", s.url, answer.StatusCode)
	}
	var set jwkset.JWKSMarshal
	if err := json.NewDecoder(io.LimitReader(answer.Body, most)).Decode(&set); err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", s.url, err)
	}
	keys := usable(set.Keys)
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no RSA, P-256 or Ed25519 key that checks signatures", s.url)
	}
	return keys, nil
}

// usable are those of the keys that check signatures of tokens. Others are passed
// over, secrets among them, which nobody should show.
func usable(set []jwkset.JWKMarshal) []fetchedKey {
	const most = 100
	keys := []fetchedKey{}
	for _, shown := range set[:min(len(set), most)] {
		if shown.USE != "" && shown.USE != jwkset.UseSig {
			continue
		}
		jwk, err := jwkset.NewJWKFromMarshal(shown, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		algorithm, err := algorithmOf(jwk.Key())
		if err != nil || shown.ALG != "" && shown.ALG.String() != algorithm {
			continue
		}
		keys = append(keys, fetchedKey{shown.KID, algorithm, jwk.Key()})
	}
	return keys
}
