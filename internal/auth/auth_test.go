package auth_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"herald/internal/auth"
)

func secret() []byte { return bytes.Repeat([]byte("k"), 32) }

func key(tb testing.TB) *auth.Key {
	tb.Helper()
	k, err := auth.NewKey(secret())
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestIssueAndVerify(t *testing.T) {
	t.Parallel()
	k := key(t)
	token, err := k.Issue(auth.Principal{User: "alice", Roles: []auth.Role{auth.RoleUser, auth.RoleSupport}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p, err := k.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(p.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("it expires in %v, want an hour", left)
	}
	p.Expires = time.Time{}
	if diff := cmp.Diff(auth.Principal{User: "alice", Roles: []auth.Role{auth.RoleUser, auth.RoleSupport}}, p); diff != "" {
		t.Errorf("Verify(): -want +got:\n%s", diff)
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"", "two words", "a\nb", "a,b", "\xff", strings.Repeat("x", 191)} {
		if _, err := key(t).Issue(auth.Principal{User: user}, time.Hour); err == nil {
			t.Errorf("Issue(%q) gave no error", user)
		}
	}
	if _, err := key(t).Issue(auth.Principal{User: "alice"}, 0); err == nil {
		t.Error("Issue() for no time gave no error")
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	good := func() jwt.MapClaims {
		return jwt.MapClaims{
			"iss": "herald", "aud": "herald", "sub": "alice", "roles": []string{"user"}, "exp": time.Now().Add(time.Hour).Unix(),
		}
	}
	sign := func(method jwt.SigningMethod, key any, mend func(jwt.MapClaims)) string {
		c := good()
		mend(c)
		token, err := jwt.NewWithClaims(method, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	same := func(jwt.MapClaims) {}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key(t).Verify(t.Context(), sign(jwt.SigningMethodHS256, secret(), same)); err != nil {
		t.Fatalf("the good token is refused: %v", err)
	}
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"nothing", "", auth.ErrNoToken},
		{"no token", "hello", auth.ErrBadToken},
		{"another key", sign(jwt.SigningMethodHS256, []byte("another"), same), auth.ErrBadToken},
		{"alg none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same), auth.ErrBadToken},
		{"another algorithm of the family", sign(jwt.SigningMethodHS512, secret(), same), auth.ErrBadToken},
		{"RS256", sign(jwt.SigningMethodRS256, rsaKey, same), auth.ErrBadToken},
		{"expired", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }), auth.ErrExpired},
		{"never expires", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { delete(c, "exp") }), auth.ErrBadToken},
		{"not yet", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Minute).Unix() }), auth.ErrBadToken},
		{"nobody", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { delete(c, "sub") }), auth.ErrBadToken},
		{"a bad name", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { c["sub"] = "a b" }), auth.ErrBadToken},
		{"another issuer", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { c["iss"] = "other" }), auth.ErrBadToken},
		{"for another", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { c["aud"] = "other" }), auth.ErrBadToken},
		{"an unknown role", sign(jwt.SigningMethodHS256, secret(), func(c jwt.MapClaims) { c["roles"] = []string{"root"} }), auth.ErrBadToken},
		{"too long", strings.Repeat("x", 9000), auth.ErrBadToken},
	} {
		if p, err := key(t).Verify(t.Context(), tt.token); !errors.Is(err, tt.want) {
			t.Errorf("%s: Verify() = %+v, %v, want %v", tt.name, p, err, tt.want)
		}
	}
}

func TestLoadOrCreateKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "signing.key")
	tokens := make([]string, 8)
	var group sync.WaitGroup
	for i := range tokens {
		group.Go(func() {
			k, err := auth.LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			if tokens[i], err = k.Issue(auth.Principal{User: "alice"}, time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	k, err := auth.LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if _, err := k.Verify(t.Context(), token); err != nil {
			t.Errorf("a token signed by one that raced for the key is refused: %v", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v, want 0600", info.Mode().Perm(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files beside the key, %v, want none", len(entries)-1, err)
	}
}

func TestLoadOrCreateKeyRefusesAShortKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "signing.key")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadOrCreateKey(path); err == nil {
		t.Error("LoadOrCreateKey(a short key) gave no error")
	}
}

// The table of policy.go, cell by cell.
func TestPolicy(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		may  func(auth.Principal) bool
		who  string // the first letters of the roles that may
	}{
		{"follow self", func(p auth.Principal) bool { return p.MayFollow("user:alice") }, "uwbsa"},
		{"follow all", func(p auth.Principal) bool { return p.MayFollow("all") }, "uwbsa"},
		{"follow another", func(p auth.Principal) bool { return p.MayFollow("user:bob") }, "sa"},
		{"follow a job", func(p auth.Principal) bool { return p.MayFollow("job:x") }, "sa"},
		{"follow the log", func(p auth.Principal) bool { return p.MayFollow("log") }, "sa"},
		{"follow a namesake", func(p auth.Principal) bool { return p.MayFollow("client:alice") }, "sa"},
		{"acknowledge", auth.Principal.MayAcknowledge, "uwbsa"},
		{"read the whole log", auth.Principal.MayReadLog, "sa"},
		{"look into the queue", auth.Principal.MayReadQueue, "a"},
		{"see own job", func(p auth.Principal) bool { return p.MaySeeJob("alice", "x") }, "ubsa"},
		{"see another's job", func(p auth.Principal) bool { return p.MaySeeJob("bob", "x") }, "sa"},
		{"upload", auth.Principal.MayUpload, "uba"},
		{"start", func(p auth.Principal) bool { return p.MayStart(false) }, "uba"},
		{"start elsewhere", func(p auth.Principal) bool { return p.MayStart(true) }, "wba"},
		{"start for others", auth.Principal.MayStartForOthers, "wba"},
		{"claim", auth.Principal.MayClaim, "wba"},
		{"report on what it started", func(p auth.Principal) bool { return p.MayReport("alice", "bob") }, "wba"},
		{"report on what it claimed", func(p auth.Principal) bool { return p.MayReport("bob", "alice") }, "wba"},
		{"report on another's", func(p auth.Principal) bool { return p.MayReport("bob", "") }, "a"},
		{"see own", func(p auth.Principal) bool { return p.MaySee("alice") }, "ubsa"},
		{"see another's", func(p auth.Principal) bool { return p.MaySee("bob") }, "sa"},
		{"change own", func(p auth.Principal) bool { return p.MayChange("alice") }, "ubsa"},
		{"link to own", func(p auth.Principal) bool { return p.MayLink("alice") }, "ubsa"},
		{"link to another's", func(p auth.Principal) bool { return p.MayLink("bob") }, "a"},
		{"export", auth.Principal.MayExport, "ubsa"},
		{"export everybody's", auth.Principal.MayExportAll, "sa"},
		{"change another's", func(p auth.Principal) bool { return p.MayChange("bob") }, "a"},
		{"watch self", func(p auth.Principal) bool { return p.MayWatch("alice") }, "ubsa"},
		{"watch another", func(p auth.Principal) bool { return p.MayWatch("bob") }, "bsa"},
		{"watch all", func(p auth.Principal) bool { return p.MayWatch("") }, "bsa"},
		{"disconnect self", func(p auth.Principal) bool { return p.MayDisconnect("alice") }, "uba"},
		{"disconnect another", func(p auth.Principal) bool { return p.MayDisconnect("bob") }, "ba"},
	}
	for _, row := range rows {
		for _, role := range auth.Roles() {
			want := strings.Contains(row.who, string(role[:1]))
			if got := row.may(auth.Principal{User: "alice", Roles: []auth.Role{role}}); got != want {
				t.Errorf("%s as %s = %v, want %v", row.name, role, got, want)
			}
		}
	}
	nobody := auth.Principal{User: "alice"}
	if nobody.MayFollow("user:alice") || nobody.MayAcknowledge() || nobody.MayStart(true) || nobody.MayReport("", "") || nobody.MayClaim() || nobody.MaySee("alice") || nobody.MayChange("alice") ||
		nobody.MayWatch("alice") || nobody.MayDisconnect("alice") {
		t.Error("a principal without a role may do something")
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	k, soon := key(t), time.Now().Add(time.Hour)
	signature := k.SignLink("a", soon)
	other, err := auth.NewKey(bytes.Repeat([]byte("o"), 32))
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Second)
	for _, tt := range []struct {
		name, artifact, signature string
		expires                   time.Time
		want                      error
	}{
		{"good", "a", signature, soon, nil},
		{"another artifact", "b", signature, soon, auth.ErrBadLink},
		{"a longer time", "a", signature, soon.Add(time.Second), auth.ErrBadLink},
		{"another key", "a", other.SignLink("a", soon), soon, auth.ErrBadLink},
		{"no signature", "a", "", soon, auth.ErrBadLink},
		{"half a signature", "a", signature[:20], soon, auth.ErrBadLink},
		{"not base64", "a", "?" + signature, soon, auth.ErrBadLink},
		{"expired", "a", k.SignLink("a", past), past, auth.ErrLinkExpired},
	} {
		if err := k.CheckLink(tt.artifact, tt.expires, tt.signature); !errors.Is(err, tt.want) {
			t.Errorf("%s: CheckLink() = %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	k := key(f)
	token, err := k.Issue(auth.Principal{User: "alice"}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := k.Verify(t.Context(), text); err == nil && text != token && p.User != "alice" {
			t.Errorf("Verify(%q) = %+v", text, p)
		}
	})
}

func TestTheDocsHaveThePolicy(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "auth.md"))
	if err != nil {
		t.Fatal(err)
	}
	if table := auth.PolicyTable(); !strings.Contains(string(text), table) {
		t.Errorf("docs/auth.md has another table than policy.go:\n%s", table)
	}
}
