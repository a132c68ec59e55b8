// Package signin signs people in with an OpenID Connect provider: the
// authorization code flow with PKCE (RFC 7636).
package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"herald/internal/auth"
)

// Config says with whom people sign in. Client and Scopes may be left out.
type Config struct {
	Issuer       string // the provider, as it calls itself; it is asked for its addresses and keys
	ClientID     string // what it calls Herald
	ClientSecret string // empty for a client without one
	RedirectURL  string // where it sends people back to: this node's /api/signin/callback, as browsers know it
	Scopes       []string
	Claims       auth.Claims // what its ID tokens say of people
	Client       *http.Client
}

// Provider signs people in. It is asked for its addresses when the first one comes,
// so that Herald starts without it.
type Provider struct {
	config Config

	mu    sync.Mutex // guards the field below
	found *found
}

// found is what the provider says of itself.
type found struct {
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// askTime bounds what is asked of the provider.
const askTime = 10 * time.Second

// New returns a Provider.
func New(c Config) (*Provider, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" {
		return nil, fmt.Errorf("%.100q is not the address of a provider", c.Issuer)
	}
	back, err := url.Parse(c.RedirectURL)
	if err != nil || back.Host == "" || (back.Scheme != "https" && back.Scheme != "http") {
		return nil, fmt.Errorf("%.100q is not where a provider could send people back to", c.RedirectURL)
	}
	if c.ClientID == "" {
		return nil, errors.New("a provider wants to be told who asks: the client's id")
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: askTime}
	}
	return &Provider{config: c}, nil
}

// find asks the provider for its addresses, once it answers.
func (p *Provider) find(ctx context.Context) (*found, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	provider, err := oidc.NewProvider(p.with(ctx), p.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: ask the provider: %w", auth.ErrUnavailable, err)
	}
	p.found = &found{
		oauth: oauth2.Config{
			ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, RedirectURL: p.config.RedirectURL,
			Endpoint: provider.Endpoint(), Scopes: p.config.Scopes,
		},
		verifier: provider.Verifier(&oidc.Config{
			ClientID: p.config.ClientID, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256, oidc.EdDSA},
		}),
	}
	return p.found, nil
}

// Try asks the provider for its addresses, as the first sign-in does.
func (p *Provider) Try(ctx context.Context) error {
	defer p.config.Client.CloseIdleConnections()
	_, err := p.find(ctx)
	return err
}

// with has the libraries use our client, also after ctx has ended.
func (p *Provider) with(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.config.Client)
}

// Attempt is one try to sign in, which the browser keeps to itself meanwhile: who
// comes back without it is somebody else.
type Attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // PKCE's
	To       string `json:"to"`       // where the browser goes then
}

// Begin returns an attempt, and the provider's address to send the browser to; there
// may be auth.ErrUnavailable.
func (p *Provider) Begin(ctx context.Context, to string) (Attempt, string, error) {
	f, err := p.find(ctx)
	if err != nil {
		return Attempt{}, "", err
	}
	a := Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: to}
	return a, f.oauth.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// Finish returns who has signed in, by what the provider sent the browser back with.
// It returns auth.ErrForbidden when the provider has refused, auth.ErrBadToken when
// this is not the attempt that was begun or what the provider says is not true, and
// auth.ErrUnavailable when it does not answer.
func (p *Provider) Finish(ctx context.Context, a Attempt, back url.Values) (auth.Principal, error) {
	if a.State == "" || subtle.ConstantTimeCompare([]byte(a.State), []byte(back.Get("state"))) != 1 {
		return auth.Principal{}, fmt.Errorf("%w: another attempt to sign in", auth.ErrBadToken)
	}
	if refused := back.Get("error"); refused != "" {
		return auth.Principal{}, fmt.Errorf("%w: the provider says %.100q", auth.ErrForbidden, refused)
	}
	f, err := p.find(ctx)
	if err != nil {
		return auth.Principal{}, err
	}
	ctx, cancel := context.WithTimeout(p.with(ctx), askTime)
	defer cancel()
	tokens, err := f.oauth.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return auth.Principal{}, kindOf(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := f.verifier.Verify(ctx, raw)
	if err != nil {
		return auth.Principal{}, fmt.Errorf("%w: %w", auth.ErrBadToken, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return auth.Principal{}, fmt.Errorf("%w: of another attempt to sign in", auth.ErrBadToken)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return auth.Principal{}, fmt.Errorf("%w: %w", auth.ErrBadToken, err)
	}
	who, err := p.config.Claims.Principal(claims)
	if err != nil {
		return auth.Principal{}, fmt.Errorf("%w: %w", auth.ErrBadToken, err)
	}
	return who, nil
}

// kindOf tells a provider that refuses a code from one that does not answer.
func kindOf(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", auth.ErrBadToken, err)
	}
	return fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
}
