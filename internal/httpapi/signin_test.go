package httpapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/signin"
)

// provider is a small OpenID Connect provider, which signs everybody in as it is
// told, and is as strict as one is.
type provider struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex // guards the fields below
	claims jwt.MapClaims
	refuse bool                  // people do not consent
	codes  map[string]url.Values // what each was asked for with; gone when it is used
	scopes string
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.configuration)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /keys", p.keys)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *provider) configuration(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	jwk, err := jwkset.NewJWKFromKey(&p.key.PublicKey, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "1", ALG: jwkset.AlgRS256, USE: jwkset.UseSig}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answerJSON(w, http.StatusOK, jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{jwk.Marshal()}})
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	back := url.Values{"state": {q.Get("state")}}
	if p.refuse {
		back.Set("error", "access_denied")
	} else {
		code := rand.Text()
		p.codes[code] = q
		back.Set("code", code)
	}
	p.scopes = q.Get("scope")
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	asked, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || id != "herald" || secret != "shh" || asked.Get("redirect_uri") != r.FormValue("redirect_uri") ||
		asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	claims := jwt.MapClaims{"iss": p.URL, "aud": "herald", "sub": "alice", "nonce": asked.Get("nonce"), "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	maps.Copy(claims, p.claims)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = "1"
	signed, err := token.SignedString(p.key)
	if err != nil {
		answerJSON(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": signed})
}

// says makes it say that of people from now on.
func (p *provider) says(claims jwt.MapClaims, refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims, p.refuse = claims, refuse
}

// withProvider is a server where people sign in with the provider. The address that
// it is sent back to is only known when it runs.
func withProvider(t *testing.T, p *provider) *server {
	t.Helper()
	lazy := &lateSignIn{}
	s := setup(t, func(d *httpapi.Deps) { d.SignIn, d.Issue = lazy, signingKey(t).Issue })
	var err error
	lazy.Provider, err = signin.New(signin.Config{
		Issuer: p.URL, ClientID: "herald", ClientSecret: "shh", RedirectURL: s.URL + "/api/signin/callback", Client: p.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type lateSignIn struct{ *signin.Provider }

// browser keeps cookies and follows redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// visit opens a page, and returns where it ends and what is there.
func visit(t *testing.T, b *http.Client, address string) (at *url.URL, status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.Request.URL, res.StatusCode, string(text)
}

// Somebody signs in with a provider, and comes to the page that they wanted, as who
// the provider says they are.
func TestSigningInWithAProvider(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := withProvider(t, p)
	p.says(jwt.MapClaims{"roles": []string{"support", "offline_access"}, "topics": []string{"channel:team-1"}}, false)
	b := browser(t)
	if at, status, body := visit(t, b, s.URL+"/api/signin?to=/jobs/x%3Fa=b"); at.String() != s.URL+"/jobs/x?a=b" || status != http.StatusOK || !strings.Contains(body, "the app") {
		t.Fatalf("it ended at %s with %d %s, want the page", at, status, body)
	}
	_, _, body := visit(t, b, s.URL+"/api/session")
	var session struct {
		User    string
		Roles   []string
		Expires time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(body), &session); err != nil || session.User != "alice" || len(session.Roles) != 1 || session.Roles[0] != "support" {
		t.Errorf("the session is %s, want alice of support", body)
	}
	if left := time.Until(session.Expires); left > 12*time.Hour {
		t.Errorf("the session lasts %v", left)
	}
	if p.scopes != "openid profile email" {
		t.Errorf("it asked for %q", p.scopes)
	}
	for _, to := range []string{"https://evil.test", "//evil.test", `/\evil.test`, "javascript:alert(1)", "/a/../..//evil.test/%0d%0aX: y"} {
		if at, _, _ := visit(t, browser(t), s.URL+"/api/signin?to="+url.QueryEscape(to)); at.Host != strings.TrimPrefix(s.URL, "http://") {
			t.Errorf("to=%s led to %s", to, at)
		}
	}
}

func TestSigningInRefused(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := withProvider(t, p)
	for name, tt := range map[string]struct {
		claims jwt.MapClaims
		refuse bool
		want   int
	}{
		"no consent":         {nil, true, http.StatusForbidden},
		"another's nonce":    {jwt.MapClaims{"nonce": "x"}, false, http.StatusUnauthorized},
		"for another client": {jwt.MapClaims{"aud": "shop"}, false, http.StatusUnauthorized},
		"another provider":   {jwt.MapClaims{"iss": "https://evil.test"}, false, http.StatusUnauthorized},
		"expired":            {jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}, false, http.StatusUnauthorized},
		"a bad name":         {jwt.MapClaims{"sub": "two words"}, false, http.StatusUnauthorized},
	} {
		p.says(tt.claims, tt.refuse)
		b := browser(t)
		if _, status, body := visit(t, b, s.URL+"/api/signin"); status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, status, body, tt.want)
		}
		if _, status, _ := visit(t, b, s.URL+"/api/session"); status != http.StatusUnauthorized {
			t.Errorf("%s: signed in all the same", name)
		}
	}
	p.says(nil, false)
	b := browser(t)
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/signin", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	callback := res.Header.Get("Location")
	if _, status, _ := visit(t, browser(t), callback); status != http.StatusUnauthorized {
		t.Errorf("another browser with the code = %d, want 401", status)
	}
	if _, status, _ := visit(t, b, strings.Replace(callback, "state=", "state=x", 1)); status != http.StatusUnauthorized {
		t.Errorf("another state = %d, want 401", status)
	}
	if _, status, _ := visit(t, b, callback); status != http.StatusUnauthorized {
		t.Errorf("after one that failed = %d, want 401: the attempt is over", status)
	}
}

// While the provider is away, that is what people are told; and Herald starts
// without it.
func TestSigningInWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := withProvider(t, p)
	p.Close()
	if a := s.do(t, http.MethodGet, "/api/signin", "", ""); a.status != http.StatusServiceUnavailable || a.problem() != "not-ready" {
		t.Errorf("GET /api/signin = %d %s, want 503", a.status, a.body)
	}
}

var _ httpapi.SignIn = (*signin.Provider)(nil)

func TestThePageSaysWhereToSignIn(t *testing.T) {
	t.Parallel()
	page := httpapi.WithSignIn([]byte("<head><title>x</title></head>"), true)
	if want := `<meta name="herald-sign-in" content="/api/signin"></head>`; !strings.Contains(page, want) {
		t.Errorf("the page is %s, want %s in it", page, want)
	}
	if page := httpapi.WithSignIn([]byte("<head></head>"), false); page != "<head></head>" {
		t.Errorf("without a provider the page is %s", page)
	}
}

func TestNewProviderRefuses(t *testing.T) {
	t.Parallel()
	good := signin.Config{Issuer: "https://id.test", ClientID: "herald", RedirectURL: "https://herald.test/api/signin/callback", Claims: auth.Claims{}}
	for name, spoil := range map[string]func(c *signin.Config){
		"no issuer":  func(c *signin.Config) { c.Issuer = "" },
		"no client":  func(c *signin.Config) { c.ClientID = "" },
		"no address": func(c *signin.Config) { c.RedirectURL = "/api/signin/callback" },
	} {
		c := good
		spoil(&c)
		if _, err := signin.New(c); err == nil {
			t.Errorf("%s: New() gave no error", name)
		}
	}
}
