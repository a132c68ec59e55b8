package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	keySize  = 32
	issuer   = "herald"
	audience = "herald"
	// leeway forgives clocks that differ a little.
	leeway = 5 * time.Second
	// maxToken bounds what is parsed at all, in bytes.
	maxToken = 8 << 10
	// maxUser is the longest name of a user, in bytes.
	maxUser = 190
)

// Key signs tokens and checks them, with HMAC and SHA-256 (RFC 7518, 3.2).
type Key struct{ secret []byte }

// LoadOrCreateKey reads the key in the file, or makes one when there is no such
// file, which only its owner can read. Of several that make one at once, all
// get the same.
func LoadOrCreateKey(path string) (*Key, error) {
	secret, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKey(path); err != nil {
			return nil, fmt.Errorf("make the signing key: %w", err)
		}
		secret, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	return NewKey(secret)
}

// NewKey returns a Key of the secret, which has at least 32 bytes.
func NewKey(secret []byte) (*Key, error) {
	if len(secret) < keySize {
		return nil, fmt.Errorf("the signing key has %d bytes, want at least %d: remove its file and a new one is made", len(secret), keySize)
	}
	return &Key{secret: secret}, nil
}

// createKey writes the key beside its place first and links it there, so that
// nobody ever reads half of it and a second one does not replace it.
func createKey(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	secret := make([]byte, keySize)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it is only a second name by then
	_, err = temp.Write(secret)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	Roles  []Role    `json:"roles"`
	Topics []Pattern `json:"topics,omitempty"`
}

// Issue signs a token that says who the principal is, for the time given.
func (k *Key) Issue(p Principal, life time.Duration) (string, error) {
	if err := errors.Join(checkUser(p.User), checkPatterns(p.Topics)); err != nil {
		return "", err
	}
	if life <= 0 {
		return "", fmt.Errorf("a token that is good for %v is of no use", life)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: p.User,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
		Roles: p.Roles, Topics: p.Topics,
	})
	signed, err := token.SignedString(k.secret)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}

// Verify returns whom the token names. It returns ErrNoToken, ErrExpired or
// ErrBadToken; only a token that this key has signed with HS256 is good.
func (k *Key) Verify(_ context.Context, token string) (Principal, error) {
	switch {
	case token == "":
		return Principal{}, ErrNoToken
	case len(token) > maxToken:
		return Principal{}, fmt.Errorf("%w: longer than %d bytes", ErrBadToken, maxToken)
	}
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return k.secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, ErrExpired
	case err != nil:
		return Principal{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	if err := errors.Join(checkUser(c.Subject), checkPatterns(c.Topics)); err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	return Principal{User: c.Subject, Roles: c.Roles, Topics: c.Topics, Expires: c.ExpiresAt.Time}, nil
}

// checkUser refuses a name that could not stand in a topic.
func checkUser(name string) error {
	if name == "" || len(name) > maxUser {
		return fmt.Errorf("a user's name has 1 to %d bytes, not %d", maxUser, len(name))
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f || r == ',' || r == '\uFFFD' {
			return errors.New("a user's name has no space, comma or control character")
		}
	}
	return nil
}
