package app

import (
	"fmt"

	"herald/internal/auth"
)

// tokens is what finds out whom a token names. What looks for revoked keys, and
// fetches those of another issuer, is added to the back.
func (b *build) tokens(own *auth.Key) (*auth.Verifier, error) {
	keys := auth.NewKeyring(b.db, b.log, auth.KeyringConfig{})
	b.back = append(b.back, keys.Run)
	issuer, err := b.issuer()
	if err != nil {
		return nil, err
	}
	return auth.NewVerifier(own, keys, issuer), nil
}

// issuer is the other one whose tokens are good; nil when none is set.
func (b *build) issuer() (*auth.Issuer, error) {
	if b.config.JWTIssuer == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	c := auth.IssuerConfig{
		Issuer: b.config.JWTIssuer, Audience: b.config.JWTAudience, UserClaim: b.config.JWTUserClaim,
		RolesClaim: b.config.JWTRolesClaim, TopicsClaim: b.config.JWTTopicsClaim,
	}
	for _, spec := range b.config.JWTKeys {
		key, err := auth.LoadStaticKey(spec)
		if err != nil {
			return nil, fmt.Errorf("--jwt-keys: %w", err)
		}
		c.Keys = append(c.Keys, key)
	}
	if b.config.JWKSURL != "" {
		jwks, err := auth.NewJWKS(b.config.JWKSURL, b.log, auth.JWKSConfig{})
		if err != nil {
			return nil, fmt.Errorf("--jwks-url: %w", err)
		}
		c.JWKS = jwks
		b.back = append(b.back, jwks.Run)
	}
	issuer, err := auth.NewIssuer(c)
	if err != nil {
		return nil, fmt.Errorf("--jwt-issuer: %w", err)
	}
	return issuer, nil
}
