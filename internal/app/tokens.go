package app

import (
	"bytes"
	"fmt"
	"os"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/signin"
)

// tokens is what finds out whom a token names. What looks for revoked keys, and
// fetches those of another issuer, is added to the back.
func (b *build) tokens(own *auth.Key) (*auth.Verifier, error) {
	keys := auth.NewKeyring(b.db, b.log, auth.KeyringConfig{})
	shares := auth.NewShareKeyring(b.db, b.log, auth.KeyringConfig{})
	b.back = append(b.back, keys.Run, shares.Run)
	issuer, err := b.issuer()
	if err != nil {
		return nil, err
	}
	return auth.NewVerifier(own, keys, shares, issuer), nil
}

// issuer is the other one whose tokens are good; nil when none is set.
func (b *build) issuer() (*auth.Issuer, error) {
	if b.config.JWTIssuer == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	c := auth.IssuerConfig{
		Issuer: b.config.JWTIssuer, Audience: b.config.JWTAudience, Claims: b.claims(),
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

func (b *build) claims() auth.Claims {
	return auth.Claims{User: b.config.JWTUserClaim, Roles: b.config.JWTRolesClaim, Topics: b.config.JWTTopicsClaim}
}

// signIn is how people sign in to the web app with a provider; nil when none is
// set.
func (b *build) signIn() (httpapi.SignIn, error) {
	provider, err := b.provider()
	if provider == nil {
		return nil, err // no interface with nothing in it
	}
	return provider, nil
}

// provider is the one that people sign in with; nil when none is set.
func (b *build) provider() (*signin.Provider, error) {
	c := signin.Config{
		Issuer: b.config.OIDCIssuer, ClientID: b.config.OIDCClientID, RedirectURL: b.config.OIDCRedirectURL, Claims: b.claims(),
	}
	if c.Issuer == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	if file := b.config.OIDCSecretFile; file != "" {
		secret, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--oidc-secret-file: %w", err)
		}
		c.ClientSecret = string(bytes.TrimSpace(secret))
	}
	provider, err := signin.New(c)
	if err != nil {
		return nil, fmt.Errorf("--oidc-issuer, --oidc-client-id, --oidc-redirect-url: %w", err)
	}
	return provider, nil
}
