package auth

import (
	"context"
	"strings"
)

// Verifier finds out whom a token names, whatever kind of token it is.
type Verifier struct {
	own    *Key
	keys   *Keyring
	shares *Keyring
	issuer *Issuer
}

// NewVerifier returns a Verifier of the tokens that our own key has signed, of API
// keys, of shares, and of another issuer's tokens. The keyrings and the issuer may
// be nil: then there are no such tokens.
func NewVerifier(own *Key, keys, shares *Keyring, issuer *Issuer) *Verifier {
	return &Verifier{own: own, keys: keys, shares: shares, issuer: issuer}
}

// Verify returns whom the token names, or ErrNoToken, ErrBadToken, ErrExpired, or
// ErrUnavailable. Which of its kinds a token is, it says itself; whether it is
// good, the keys of that kind alone decide.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	switch {
	case v.keys != nil && strings.HasPrefix(token, APIKeyPrefix):
		return v.keys.Verify(ctx, token)
	case v.shares != nil && strings.HasPrefix(token, SharePrefix):
		return v.shares.Verify(ctx, token)
	case v.issuer != nil && v.issuer.names(token):
		return v.issuer.Verify(ctx, token)
	default:
		return v.own.Verify(ctx, token)
	}
}

// Hold is Keyring.Hold.
func (v *Verifier) Hold(p Principal, end func()) (release func()) {
	ring := v.keys
	if p.IsGuest() {
		ring = v.shares
	}
	if ring == nil {
		return func() {}
	}
	return ring.Hold(p, end)
}
