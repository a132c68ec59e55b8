package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"

	"herald/internal/auth"
)

// keyServer shows keys, as a transport: there is no network in a bubble.
type keyServer struct {
	mu      sync.Mutex // guards the fields below
	body    string
	down    bool
	fetches []time.Time
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetches = append(s.fetches, time.Now())
	if s.down {
		return nil, errors.New("connection refused")
	}
	w := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r}
	w.Body = http.NoBody
	if s.body == "" {
		w.StatusCode = http.StatusInternalServerError
		return w, nil
	}
	w.Body = readCloser{strings.NewReader(s.body)}
	return w, nil
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// show makes it show those keys, by their ids, or nothing good.
func (s *keyServer) show(t *testing.T, keys map[string]pair) {
	t.Helper()
	set := jwkset.JWKSMarshal{}
	for kid, p := range keys {
		metadata := jwkset.JWKMetadataOptions{KID: kid, USE: jwkset.UseSig}
		jwk, err := jwkset.NewJWKFromKey(p.public, jwkset.JWKOptions{Marshal: jwkset.JWKMarshalOptions{Private: true}, Metadata: metadata})
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, jwk.Marshal())
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = string(body)
}

func (s *keyServer) set(body string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.down = body, down
}

// times are when its keys were fetched.
func (s *keyServer) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetches)
}

// withJWKS runs the test with an issuer whose keys the server shows.
func withJWKS(t *testing.T, test func(t *testing.T, server *keyServer, i *auth.Issuer)) {
	t.Helper()
	pairs() // made outside the bubble
	synctest.Test(t, func(t *testing.T) {
		server := &keyServer{}
		server.show(t, map[string]pair{"1": pairs()["RS256"], "ed": pairs()["EdDSA"]})
		jwks, err := auth.NewJWKS("https://id.test/keys", slog.New(slog.DiscardHandler), auth.JWKSConfig{Client: &http.Client{Transport: server}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- jwks.Run(ctx) }()
		test(t, server, newIssuer(t, auth.IssuerConfig{JWKS: jwks}))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func wantUser(t *testing.T, i *auth.Issuer, token string, want error) {
	t.Helper()
	if p, err := i.Verify(t.Context(), token); !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("Verify() = %+v, %v, want %v", p, err, want)
	}
}

// While many ask, the keys are rotated again and again: nobody with a good token is
// turned away, and the server is not asked more often than once a second.
func TestKeysAreRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	withJWKS(t, func(t *testing.T, server *keyServer, i *auth.Issuer) {
		t.Helper()
		var refused atomic.Int32
		for round := range 5 {
			kid := fmt.Sprint("round ", round)
			p := pairs()[[]string{"RS256", "ES256", "EdDSA"}[round%3]]
			server.show(t, map[string]pair{kid: p, "1": pairs()["RS256"]})
			token, old := sign(t, p, kid, nil), sign(t, pairs()["RS256"], "1", nil)
			var clients sync.WaitGroup
			for range 20 {
				clients.Go(func() {
					for _, token := range []string{token, old, token} {
						if _, err := i.Verify(t.Context(), token); err != nil {
							refused.Add(1)
						}
					}
				})
			}
			clients.Wait()
		}
		if n := refused.Load(); n != 0 {
			t.Errorf("%d good tokens were refused", n)
		}
		fetches := server.times()
		for n, at := range fetches[1:] {
			if gap := at.Sub(fetches[n]); gap < time.Second {
				t.Errorf("two fetches within %v", gap)
			}
		}
	})
}

// A key that is no longer shown is no longer good.
func TestAWithdrawnKeyIsNoLongerGood(t *testing.T) {
	t.Parallel()
	withJWKS(t, func(t *testing.T, server *keyServer, i *auth.Issuer) {
		t.Helper()
		token := sign(t, pairs()["RS256"], "1", nil)
		wantUser(t, i, token, nil)
		server.show(t, map[string]pair{"2": pairs()["ES256"]})
		wantUser(t, i, token, nil) // until the keys are fetched again
		time.Sleep(6 * time.Minute)
		wantUser(t, i, token, auth.ErrBadToken)
		wantUser(t, i, sign(t, pairs()["ES256"], "2", nil), nil)
	})
}

// While the server is down, or shows nonsense, the known keys go on; a flood of
// tokens with unknown keys does not become a flood of fetches.
func TestKnownKeysGoOnWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	withJWKS(t, func(t *testing.T, server *keyServer, i *auth.Issuer) {
		t.Helper()
		year := map[string]any{"exp": time.Now().Add(365 * 24 * time.Hour).Unix()}
		good, unknown, anyKey := sign(t, pairs()["RS256"], "1", year), sign(t, pairs()["RS256"], "2", year), sign(t, pairs()["EdDSA"], "", year)
		wantUser(t, i, good, nil)
		for name, body := range map[string]string{"down": "", "an error": "", "no JSON": "<html>", "no keys": `{"keys":[]}`, "a secret alone": `{"keys":[{"kty":"oct","k":"AAAA","kid":"2"}]}`} {
			server.set(body, name == "down")
			before, began := len(server.times()), time.Now()
			var clients sync.WaitGroup
			for range 20 {
				clients.Go(func() {
					wantUser(t, i, unknown, auth.ErrUnavailable)
					wantUser(t, i, good, nil)
					wantUser(t, i, anyKey, nil)
				})
			}
			clients.Wait()
			if n, most := len(server.times())-before, 1+int(time.Since(began)/time.Second); n > most {
				t.Errorf("%s: %d fetches in %v, want at most %d", name, n, time.Since(began), most)
			}
		}
		time.Sleep(time.Hour)
		wantUser(t, i, good, nil)
		server.set("", false)
		server.show(t, map[string]pair{"2": pairs()["RS256"]})
		wantUser(t, i, unknown, nil)
	})
}

// A key that is shown with one algorithm is not taken for another, nor is one that
// is for something else than signatures.
func TestKeysAreForWhatTheySay(t *testing.T) {
	t.Parallel()
	withJWKS(t, func(t *testing.T, server *keyServer, i *auth.Issuer) {
		t.Helper()
		server.show(t, map[string]pair{"1": pairs()["RS256"], "2": pairs()["ES256"]})
		body := strings.Replace(server.body, `"kid":"1"`, `"kid":"1","alg":"PS256"`, 1)
		server.set(body, false)
		wantUser(t, i, sign(t, pairs()["ES256"], "2", nil), nil)
		time.Sleep(6 * time.Minute)
		wantUser(t, i, sign(t, pairs()["RS256"], "1", nil), auth.ErrBadToken)
		wantUser(t, i, sign(t, pairs()["ES256"], "1", nil), auth.ErrBadToken)
		server.set(strings.ReplaceAll(body, `"use":"sig"`, `"use":"enc"`), false)
		time.Sleep(6 * time.Minute)
		wantUser(t, i, sign(t, pairs()["ES256"], "2", nil), nil) // the last good set stays
	})
}

func TestNewJWKSRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "id.test/keys", "ftp://id.test/keys", "https://"} {
		if _, err := auth.NewJWKS(bad, slog.New(slog.DiscardHandler), auth.JWKSConfig{}); err == nil {
			t.Errorf("NewJWKS(%q) gave no error", bad)
		}
	}
}
