package auth_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"herald/internal/auth"
)

// Whatever is asked for, and whichever keys are withdrawn meanwhile, a Verifier that
// remembers tokens says what checking each of them anew says.
func TestWhatIsRememberedIsWhatIsTrue(t *testing.T) {
	t.Parallel()
	withJWKS(t, func(t *testing.T, server *keyServer, i *auth.Issuer) {
		t.Helper()
		own, chance := key(t), rand.New(rand.NewPCG(1, 2))
		v := auth.NewVerifier(own, nil, nil, i)
		var tokens []string
		outcomes := map[string]int{}
		for range 4000 {
			switch n := chance.IntN(100); {
			case n < 5 || len(tokens) == 0:
				token, err := own.Issue(auth.Principal{User: fmt.Sprint("u", n), Roles: []auth.Role{auth.RoleUser}}, time.Duration(1+chance.IntN(600))*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				tokens = append(tokens, token, token[:len(token)-2]+"xx")
			case n < 10:
				kid := []string{"1", "ed", "3"}[chance.IntN(3)]
				life := time.Now().Add(time.Duration(1+chance.IntN(600)) * time.Second).Unix()
				tokens = append(tokens, sign(t, pairs()[map[string]string{"1": "RS256", "ed": "EdDSA", "3": "ES256"}[kid]], kid, jwt.MapClaims{"exp": life}))
			case n < 11:
				all := map[string]pair{"1": pairs()["RS256"], "ed": pairs()["EdDSA"], "3": pairs()["ES256"]}
				for kid := range all {
					if len(all) > 1 && chance.IntN(2) == 0 {
						delete(all, kid)
					}
				}
				server.show(t, all)
			case n < 12:
				time.Sleep(time.Duration(chance.IntN(120)) * time.Second)
			}
			token := tokens[len(tokens)-1-chance.IntN(min(len(tokens), 30))]
			got, gotErr := v.Verify(t.Context(), token)
			fresh := auth.NewVerifier(own, nil, nil, i)
			want, wantErr := fresh.Verify(t.Context(), token)
			if diff := cmp.Diff(want, got); diff != "" || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Fatalf("Verify() = %v, %v, want %v, %v", got, gotErr, want, wantErr)
			}
			switch {
			case wantErr == nil:
				outcomes["good"]++
			case errors.Is(wantErr, auth.ErrExpired):
				outcomes["expired"]++
			default:
				outcomes["bad"]++
			}
		}
		if outcomes["good"] < 500 || outcomes["expired"] < 50 || outcomes["bad"] < 500 {
			t.Errorf("the outcomes were %v, want many of each", outcomes)
		}
	})
}

// A token is no longer good when the keys without its own have been fetched,
// however fresh the memory of it is.
func TestARememberedTokenEndsWithItsKey(t *testing.T) {
	t.Parallel()
	withJWKS(t, func(t *testing.T, server *keyServer, i *auth.Issuer) {
		t.Helper()
		v := auth.NewVerifier(key(t), nil, nil, i)
		token := sign(t, pairs()["RS256"], "1", nil)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		server.show(t, map[string]pair{"2": pairs()["ES256"]})
		if _, err := v.Verify(t.Context(), sign(t, pairs()["ES256"], "2", nil)); err != nil { // which has the keys fetched
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrBadToken) {
			t.Errorf("Verify() of a token whose key is withdrawn = %v, want %v", err, auth.ErrBadToken)
		}
	})
}

// However many tokens there are, few are remembered; and bad ones push out none.
func TestMemoryOfTokensIsBounded(t *testing.T) {
	t.Parallel()
	v := auth.NewVerifier(key(t), nil, nil, nil)
	issue := func(user string) string {
		token, err := key(t).Issue(auth.Principal{User: user}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	kept := issue("kept")
	for n := range 2 * auth.MostRemembered {
		if _, err := v.Verify(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			_, _ = v.Verify(t.Context(), kept[:len(kept)-4]+fmt.Sprintf("%04d", n%10_000))
			continue
		}
		if _, err := v.Verify(t.Context(), issue(fmt.Sprint("user", n))); err != nil {
			t.Fatal(err)
		}
	}
	if n := v.Remembered(); n > auth.MostRemembered || n < auth.MostRemembered/2 {
		t.Errorf("%d tokens are remembered, want at most %d", n, auth.MostRemembered)
	}
	if !v.Remembers(kept) {
		t.Error("a token that is used all the time was forgotten")
	}
}
