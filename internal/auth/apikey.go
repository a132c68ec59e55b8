package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// APIKeyPrefix is what every API key begins with, so that people, and programs
// that look for secrets where there should be none, know one when they see it.
const APIKeyPrefix = "hk_"

const (
	secretSize = 32 // bytes of chance in a key or a ticket
	hintSize   = 5  // letters of the secret that its hint shows
	maxName    = 100
)

// ErrNoAPIKey means that there is no such API key.
var ErrNoAPIKey = errors.New("there is no such API key")

// Hash is the SHA-256 of a secret as it is sent: all that is kept of it.
type Hash [sha256.Size]byte

// HashOf returns the hash of a key or a ticket.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// APIKey is what is known of a key of a worker or a back end.
type APIKey struct {
	ID         uuid.UUID  `json:"id"`
	Hint       string     `json:"hint"` // the first letters of the key
	Name       string     `json:"name"` // what people call it
	User       string     `json:"user"` // in whose name it acts
	Roles      []Role     `json:"roles"`
	Topics     []Pattern  `json:"topics"` // what it may follow besides
	CreatedAt  time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by"`
	ExpiresAt  *time.Time `json:"expires_at"`   // nil: never
	LastUsedAt *time.Time `json:"last_used_at"` // to about a minute; nil: never
	RevokedAt  *time.Time `json:"revoked_at"`   // nil while it is good
	RevokedBy  string     `json:"revoked_by"`
}

// NewAPIKey completes the key, and returns the secret that it is used by. That is
// kept nowhere; its HashOf is.
func NewAPIKey(k APIKey) (APIKey, string, error) {
	if err := k.check(); err != nil {
		return APIKey{}, "", err
	}
	secret := newSecret(APIKeyPrefix)
	k.ID = uuid.Must(uuid.NewV7())
	k.Hint = secret[:len(APIKeyPrefix)+hintSize]
	return k, secret, nil
}

func (k APIKey) check() error {
	if err := checkUser(k.User); err != nil {
		return err
	}
	switch {
	case len(k.Roles) == 0:
		return errors.New("a key needs a role")
	case len(k.Name) > maxName || !utf8.ValidString(k.Name) || strings.ContainsFunc(k.Name, unicode.IsControl):
		return fmt.Errorf("a key's name has at most %d bytes, and no control characters", maxName)
	case k.ExpiresAt != nil && !k.ExpiresAt.After(time.Now()):
		return errors.New("a key that has expired is of no use")
	}
	return checkPatterns(k.Topics)
}

// Principal is whom the key stands for. The error is ErrBadToken for one that is
// revoked, or ErrExpired.
func (k APIKey) Principal() (Principal, error) {
	p := Principal{User: k.User, Roles: k.Roles, Topics: k.Topics, Key: k.ID}
	if k.ExpiresAt != nil {
		p.Expires = *k.ExpiresAt
	}
	if k.RevokedAt != nil {
		return p, fmt.Errorf("%w: the key is revoked", ErrBadToken)
	}
	return p, p.CheckTime()
}

// newSecret is 256 bits of chance, as text with the prefix.
func newSecret(prefix string) string {
	chance := make([]byte, secretSize)
	_, _ = rand.Read(chance) // it never fails
	return prefix + base64.RawURLEncoding.EncodeToString(chance)
}

// isSecret reports whether the text looks like such a secret.
func isSecret(text, prefix string) bool {
	rest, ok := strings.CutPrefix(text, prefix)
	return ok && len(rest) == base64.RawURLEncoding.EncodedLen(secretSize)
}
