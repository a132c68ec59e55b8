package auth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// IssuerConfig says whose tokens are good besides our own, and how to read them.
// Issuer and Audience are required, and Keys, JWKS or both.
type IssuerConfig struct {
	Issuer   string // what they name in iss
	Audience string // what they name in aud, among others
	Keys     []StaticKey
	JWKS     *JWKS // keys that are fetched; nil for none

	Claims Claims
}

// Claims are the claims that say who somebody is, in which roles, and which topics
// they may follow. A dot leads into an object: "realm_access.roles".
type Claims struct {
	User   string // default "sub"
	Roles  string // default "roles"; who has none is a user; roles that are not Herald's mean nothing
	Topics string // default "topics"
}

func (c Claims) withDefaults() Claims {
	return Claims{User: cmp.Or(c.User, "sub"), Roles: cmp.Or(c.Roles, "roles"), Topics: cmp.Or(c.Topics, "topics")}
}

// Issuer checks the tokens of somebody else, such as a company's sign-in.
type Issuer struct {
	config IssuerConfig
	parser *jwt.Parser
}

// NewIssuer returns an Issuer.
func NewIssuer(c IssuerConfig) (*Issuer, error) {
	switch {
	case c.Issuer == "" || c.Audience == "":
		return nil, errors.New("tokens of another issuer want the issuer's name and an audience")
	case c.Issuer == issuer:
		return nil, fmt.Errorf("%q is what Herald's own tokens name as their issuer", issuer)
	case len(c.Keys) == 0 && c.JWKS == nil:
		return nil, errors.New("tokens of another issuer want a key to check them with")
	}
	parser := jwt.NewParser(jwt.WithValidMethods(algorithms()), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
		jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audience))
	return &Issuer{config: c, parser: parser}, nil
}

// fetched are the keys that are known of those that are fetched: others, whenever
// they have been fetched anew. Nil for none that are.
func (i *Issuer) fetched() *[]fetchedKey {
	if i == nil || i.config.JWKS == nil {
		return nil
	}
	return i.config.JWKS.known.Load()
}

// names reports whether the token says that it is this issuer's.
func (i *Issuer) names(token string) bool {
	if len(token) > maxToken {
		return false
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(payload, &said) == nil && said.Issuer == i.config.Issuer
}

// Verify returns whom the token names, or ErrBadToken, ErrExpired, or
// ErrUnavailable when it names a key that cannot be fetched at the moment.
func (i *Issuer) Verify(ctx context.Context, token string) (Principal, error) {
	if len(token) > maxToken {
		return Principal{}, fmt.Errorf("%w: longer than %d bytes", ErrBadToken, maxToken)
	}
	claims := jwt.MapClaims{}
	_, err := i.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return i.keysOf(ctx, t) })
	switch {
	case errors.Is(err, ErrUnavailable):
		return Principal{}, err
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, ErrExpired
	case err != nil:
		return Principal{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	p, err := i.principal(claims)
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	return p, nil
}

// keysOf are the keys that the token may be signed with. A key is good for its own
// algorithm alone, whatever the token says: so a public key is never taken for the
// secret of an HMAC.
func (i *Issuer) keysOf(ctx context.Context, t *jwt.Token) (any, error) {
	algorithm := t.Method.Alg()
	kid, _ := t.Header["kid"].(string)
	var set jwt.VerificationKeySet
	for _, k := range i.config.Keys {
		if k.algorithm == algorithm {
			set.Keys = append(set.Keys, k.key)
		}
	}
	if i.config.JWKS != nil && algorithm != hs256 {
		fetched, err := i.config.JWKS.find(ctx, kid, algorithm)
		if err != nil && len(set.Keys) == 0 {
			return nil, err
		}
		set.Keys = append(set.Keys, fetched...)
	}
	if len(set.Keys) == 0 {
		return nil, fmt.Errorf("there is no %s key for it", algorithm)
	}
	return set, nil
}

func (i *Issuer) principal(claims jwt.MapClaims) (Principal, error) {
	p, err := i.config.Claims.Principal(claims)
	if err != nil {
		return Principal{}, err
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return Principal{}, errors.New("it does not say when it expires") // cannot be: the parser wants it
	}
	p.Expires = expires.Time
	return p, nil
}

// Principal is whom the claims name. When that ends, they do not say here.
func (c Claims) Principal(claims map[string]any) (Principal, error) {
	c = c.withDefaults()
	user, _ := claimAt(claims, c.User).(string)
	if err := checkUser(user); err != nil {
		return Principal{}, fmt.Errorf("claim %s: %w", c.User, err)
	}
	roles, err := wordsAt(claims, c.Roles)
	if err != nil {
		return Principal{}, err
	}
	topics, err := wordsAt(claims, c.Topics)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{User: user, Roles: knownRoles(roles)}
	for _, topic := range topics {
		p.Topics = append(p.Topics, Pattern(topic))
	}
	if err := checkPatterns(p.Topics); err != nil {
		return Principal{}, fmt.Errorf("claim %s: %w", c.Topics, err)
	}
	return p, nil
}

// knownRoles are those of the words that are roles of Herald's; nil is not said.
func knownRoles(words []string) []Role {
	if words == nil {
		return []Role{RoleUser}
	}
	roles := []Role{}
	for _, word := range words {
		if role := Role(word); slices.Contains(Roles(), role) && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// claimAt is the claim at the path; nil when there is none.
func claimAt(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok { // a name may have dots in it, as those that are URLs do
		return v
	}
	first, rest, deeper := strings.Cut(path, ".")
	object, ok := claims[first].(map[string]any)
	if !deeper || !ok {
		return nil
	}
	return claimAt(object, rest)
}

// wordsAt are the words of a claim: a list of them, or a text with spaces between;
// nil when there is none.
func wordsAt(claims map[string]any, path string) ([]string, error) {
	switch v := claimAt(claims, path).(type) {
	case nil:
		return nil, nil
	case string:
		return append([]string{}, strings.Fields(v)...), nil
	case []any:
		words := []string{}
		for _, item := range v {
			word, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("claim %s: not a list of texts", path)
			}
			words = append(words, word)
		}
		return words, nil
	default:
		return nil, fmt.Errorf("claim %s: not a list of texts", path)
	}
}
