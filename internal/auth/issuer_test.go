package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"herald/internal/auth"
)

// pair is a key that signs, and what checks that.
type pair struct {
	method  jwt.SigningMethod
	private any
	public  any
}

// pairs are keys of each algorithm, made once, since that takes long.
var pairs = sync.OnceValue(func() map[string]pair { //nolint:gochecknoglobals // see above
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	return map[string]pair{
		"HS256": {jwt.SigningMethodHS256, []byte("a secret of thirty-two bytes, yes"), []byte("a secret of thirty-two bytes, yes")},
		"RS256": {jwt.SigningMethodRS256, rsaKey, &rsaKey.PublicKey},
		"ES256": {jwt.SigningMethodES256, ecKey, &ecKey.PublicKey},
		"EdDSA": {jwt.SigningMethodEdDSA, edKey, edPublic},
	}
})

// publicPEM is a public key as PEM.
func publicPEM(tb testing.TB, public crypto.PublicKey) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// keyFile writes a key as it is configured.
func keyFile(tb testing.TB, algorithm string, content any) string {
	tb.Helper()
	text, ok := content.([]byte)
	if _, isPublic := content.(ed25519.PublicKey); !ok || isPublic {
		text = publicPEM(tb, content)
	}
	path := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return algorithm + ":" + path
}

func staticKey(tb testing.TB, algorithm string) auth.StaticKey {
	tb.Helper()
	k, err := auth.LoadStaticKey(keyFile(tb, algorithm, pairs()[algorithm].public))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func newIssuer(tb testing.TB, c auth.IssuerConfig) *auth.Issuer {
	tb.Helper()
	c.Issuer, c.Audience = "https://id.test", "herald"
	i, err := auth.NewIssuer(c)
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

// sign is a good token of the issuer's, with those claims instead.
func sign(tb testing.TB, p pair, kid string, change map[string]any) string {
	tb.Helper()
	claims := jwt.MapClaims{"iss": "https://id.test", "aud": []string{"other", "herald"}, "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(claims, change)
	for claim, v := range claims {
		if v == nil {
			delete(claims, claim)
		}
	}
	token := jwt.NewWithClaims(p.method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(p.private)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// Each algorithm's own key is good for it, and for nothing else: the public key of
// RS256 is no secret of HS256, though its text is known to all.
func TestIssuersTokensOfEachAlgorithm(t *testing.T) {
	t.Parallel()
	all := newIssuer(t, auth.IssuerConfig{Keys: []auth.StaticKey{
		staticKey(t, "HS256"), staticKey(t, "RS256"), staticKey(t, "ES256"), staticKey(t, "EdDSA"),
	}})
	own := key(t)
	verifier := auth.NewVerifier(own, nil, nil, all)
	for algorithm, p := range pairs() {
		token := sign(t, p, "", nil)
		if got, err := verifier.Verify(t.Context(), token); err != nil || got.User != "alice" {
			t.Errorf("%s: Verify() = %+v, %v, want alice", algorithm, got, err)
		}
		for other := range pairs() {
			alone := newIssuer(t, auth.IssuerConfig{Keys: []auth.StaticKey{staticKey(t, other)}})
			if _, err := alone.Verify(t.Context(), token); (err == nil) != (algorithm == other) {
				t.Errorf("a %s token with a %s key: %v", algorithm, other, err)
			}
		}
		if algorithm == "HS256" {
			continue
		}
		for name, secret := range map[string][]byte{"PEM": publicPEM(t, p.public), "PEM without its last line's end": publicPEM(t, p.public)[:len(publicPEM(t, p.public))-1]} {
			confused := sign(t, pair{method: jwt.SigningMethodHS256, private: secret}, "", nil)
			if _, err := verifier.Verify(t.Context(), confused); !errors.Is(err, auth.ErrBadToken) {
				t.Errorf("HS256 with the %s of the %s key: %v, want %v", name, algorithm, err, auth.ErrBadToken)
			}
		}
	}
	mine, err := own.Issue(auth.Principal{User: "bob"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := verifier.Verify(t.Context(), mine); err != nil || got.User != "bob" {
		t.Errorf("our own token: %+v, %v, want bob", got, err)
	}
}

func TestIssuersTokensRefused(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, auth.IssuerConfig{Keys: []auth.StaticKey{staticKey(t, "RS256")}})
	verifier := auth.NewVerifier(key(t), nil, nil, i)
	rs := pairs()["RS256"]
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	none := pair{method: jwt.SigningMethodNone, private: jwt.UnsafeAllowNoneSignatureType}
	for name, tt := range map[string]struct {
		token string
		want  error
	}{
		"another key":       {sign(t, pair{method: jwt.SigningMethodRS256, private: another}, "", nil), auth.ErrBadToken},
		"alg none":          {sign(t, none, "", nil), auth.ErrBadToken},
		"RS512":             {sign(t, pair{method: jwt.SigningMethodRS512, private: rs.private}, "", nil), auth.ErrBadToken},
		"PS256":             {sign(t, pair{method: jwt.SigningMethodPS256, private: rs.private}, "", nil), auth.ErrBadToken},
		"another issuer":    {sign(t, rs, "", map[string]any{"iss": "https://evil.test"}), auth.ErrBadToken},
		"our own name":      {sign(t, rs, "", map[string]any{"iss": "herald"}), auth.ErrBadToken},
		"another audience":  {sign(t, rs, "", map[string]any{"aud": "shop"}), auth.ErrBadToken},
		"no audience":       {sign(t, rs, "", map[string]any{"aud": nil}), auth.ErrBadToken},
		"expired":           {sign(t, rs, "", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), auth.ErrExpired},
		"never expires":     {sign(t, rs, "", map[string]any{"exp": nil}), auth.ErrBadToken},
		"not yet":           {sign(t, rs, "", map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}), auth.ErrBadToken},
		"nobody":            {sign(t, rs, "", map[string]any{"sub": nil}), auth.ErrBadToken},
		"a number":          {sign(t, rs, "", map[string]any{"sub": 7}), auth.ErrBadToken},
		"a bad name":        {sign(t, rs, "", map[string]any{"sub": "a b"}), auth.ErrBadToken},
		"roles of a number": {sign(t, rs, "", map[string]any{"roles": []any{1}}), auth.ErrBadToken},
		"topics of no kind": {sign(t, rs, "", map[string]any{"topics": []any{"*"}}), auth.ErrBadToken},
		"our key, its name": {sign(t, pair{method: jwt.SigningMethodHS256, private: secret()}, "", nil), auth.ErrBadToken},
	} {
		if p, err := verifier.Verify(t.Context(), tt.token); !errors.Is(err, tt.want) {
			t.Errorf("%s: Verify() = %+v, %v, want %v", name, p, err, tt.want)
		}
	}
}

func TestWhatAnIssuersClaimsSay(t *testing.T) {
	t.Parallel()
	rs := pairs()["RS256"]
	for name, tt := range map[string]struct {
		config auth.IssuerConfig
		claims map[string]any
		want   auth.Principal
	}{
		"nothing":       {want: auth.Principal{User: "alice", Roles: []auth.Role{"user"}}},
		"roles, topics": {claims: map[string]any{"roles": []string{"support", "offline_access", "support"}, "topics": []string{"channel:team-1", "job:*"}}, want: auth.Principal{User: "alice", Roles: []auth.Role{"support"}, Topics: []auth.Pattern{"channel:team-1", "job:*"}}},
		"in one text":   {claims: map[string]any{"roles": "worker backend", "topics": "job:*"}, want: auth.Principal{User: "alice", Roles: []auth.Role{"worker", "backend"}, Topics: []auth.Pattern{"job:*"}}},
		"no role":       {claims: map[string]any{"roles": []string{}}, want: auth.Principal{User: "alice", Roles: []auth.Role{}}},
		"other claims": {
			config: auth.IssuerConfig{Claims: auth.Claims{User: "email", Roles: "realm_access.roles", Topics: "https://herald.test/topics"}},
			claims: map[string]any{
				"email": "a@b.test", "realm_access": map[string]any{"roles": []string{"admin"}},
				"https://herald.test/topics": []string{"user:*"}, "roles": []string{"support"},
			},
			want: auth.Principal{User: "a@b.test", Roles: []auth.Role{"admin"}, Topics: []auth.Pattern{"user:*"}},
		},
	} {
		tt.config.Keys = []auth.StaticKey{staticKey(t, "RS256")}
		got, err := newIssuer(t, tt.config).Verify(t.Context(), sign(t, rs, "", tt.claims))
		if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(auth.Principal{}, "Expires")); diff != "" || err != nil {
			t.Errorf("%s: Verify(): %v, -want +got:\n%s", name, err, diff)
		}
	}
}

func TestLoadStaticKeyRefuses(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024) // weak on purpose
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(pairs()["RS256"].private.(*rsa.PrivateKey))})
	for name, spec := range map[string]string{
		"no algorithm":         "/etc/key.pem",
		"no file":              "RS256:",
		"a missing file":       "RS256:" + filepath.Join(t.TempDir(), "none"),
		"none":                 keyFile(t, "none", pairs()["RS256"].public),
		"a public key as HMAC": keyFile(t, "HS256", pairs()["RS256"].public),
		"a short secret":       keyFile(t, "HS256", []byte("short")),
		"the wrong kind":       keyFile(t, "ES256", pairs()["RS256"].public),
		"a weak key":           keyFile(t, "RS256", &weak.PublicKey),
		"another curve":        keyFile(t, "ES256", &p384.PublicKey),
		"a private key":        keyFile(t, "RS256", private),
		"no PEM":               keyFile(t, "RS256", []byte("hello")),
	} {
		if _, err := auth.LoadStaticKey(spec); err == nil {
			t.Errorf("%s: LoadStaticKey(%q) gave no error", name, spec)
		}
	}
}

func TestNewIssuerRefuses(t *testing.T) {
	t.Parallel()
	keys := []auth.StaticKey{staticKey(t, "EdDSA")}
	for name, c := range map[string]auth.IssuerConfig{
		"no name":      {Audience: "herald", Keys: keys},
		"no audience":  {Issuer: "https://id.test", Keys: keys},
		"no key":       {Issuer: "https://id.test", Audience: "herald"},
		"our own name": {Issuer: "herald", Audience: "herald", Keys: keys},
	} {
		if _, err := auth.NewIssuer(c); err == nil {
			t.Errorf("%s: NewIssuer() gave no error", name)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	own := key(b)
	mine, err := own.Issue(auth.Principal{User: "alice", Roles: []auth.Role{auth.RoleUser}}, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	tokens := map[string]string{"own": mine}
	var keys []auth.StaticKey
	for algorithm, p := range pairs() {
		keys = append(keys, staticKey(b, algorithm))
		tokens[algorithm] = sign(b, p, "", nil)
	}
	issuer := newIssuer(b, auth.IssuerConfig{Keys: keys})
	verifier := auth.NewVerifier(own, nil, nil, issuer)
	for name, token := range tokens {
		b.Run(name+"/anew", func(b *testing.B) {
			measure(b, func() error {
				_, err := auth.NewVerifier(own, nil, nil, issuer).Verify(context.Background(), token)
				return err
			})
		})
		b.Run(name+"/remembered", func(b *testing.B) {
			measure(b, func() error {
				_, err := verifier.Verify(context.Background(), token)
				return err
			})
		})
	}
}

// measure has the benchmark tell the processor time of an operation, too: that is
// much the same while others use the machine.
func measure(b *testing.B, do func() error) {
	b.Helper()
	before := processorTime(b)
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
