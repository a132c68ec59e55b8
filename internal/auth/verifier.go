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
	known  remembered
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
	case len(token) > longestRemembered:
		p, _, err := v.check(ctx, token)
		return p, err
	}
	hash, fetched := HashOf(token), v.issuer.fetched() // before it is checked: later ones may not have it
	if p, ok := v.known.recall(hash, fetched); ok {
		return p, nil
	}
	p, own, err := v.check(ctx, token)
	switch {
	case err != nil:
	case own:
		v.known.enter(hash, goodToken{principal: p})
	default:
		v.known.enter(hash, goodToken{principal: p, keys: fetched})
	}
	return p, err
}

// check checks a token's signature, and says whether it is one of our own.
func (v *Verifier) check(ctx context.Context, token string) (p Principal, own bool, err error) {
	if v.issuer != nil && v.issuer.names(token) {
		p, err = v.issuer.Verify(ctx, token)
		return p, false, err
	}
	p, err = v.own.Verify(ctx, token)
	return p, true, err
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
