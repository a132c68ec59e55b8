package auth

import (
	"context"
	"strings"
)

// Verifier finds out whom a token names, whatever kind of token it is.
type Verifier struct {
	own    *Key
	keys   *Keyring
	issuer *Issuer
}

// NewVerifier returns a Verifier of the tokens that our own key has signed, of API
// keys, and of another issuer's tokens. The keyring and the issuer may be nil:
// then there are no such tokens.
func NewVerifier(own *Key, keys *Keyring, issuer *Issuer) *Verifier {
	return &Verifier{own: own, keys: keys, issuer: issuer}
}

// Verify returns whom the token names, or ErrNoToken, ErrBadToken, ErrExpired, or
// ErrUnavailable. Which of its kinds a token is, it says itself; whether it is
// good, the keys of that kind alone decide.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	switch {
	case v.keys != nil && strings.HasPrefix(token, APIKeyPrefix):
		return v.keys.Verify(ctx, token)
	case v.issuer != nil && v.issuer.names(token):
		return v.issuer.Verify(ctx, token)
	default:
		return v.own.Verify(ctx, token)
	}
}

// Hold is Keyring.Hold.
func (v *Verifier) Hold(p Principal, end func()) (release func()) {
	if v.keys == nil {
		return func() {}
	}
	return v.keys.Hold(p, end)
}
