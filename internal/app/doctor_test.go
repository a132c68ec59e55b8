package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"herald/internal/app"
	"herald/internal/config"
	"herald/internal/doctor"
	"herald/internal/postgres/pgtest"
)

// found is what the doctor's check of that name finds.
func found(t *testing.T, c config.Config, name string) doctor.Finding {
	t.Helper()
	checks := app.Checks(c, nil)
	at := slices.IndexFunc(checks, func(c doctor.Check) bool { return c.Name == name })
	if at < 0 {
		t.Fatalf("there is no check of the %s", name)
	}
	return checks[at].Look(t.Context())
}

// issuer shows keys, none, and what a provider says of itself: its own address, or
// another's.
func issuer(t *testing.T) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	for path, text := range map[string]string{
		"/keys":                             `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		"/no-keys":                          `{"keys":[]}`,
		"/.well-known/openid-configuration": fmt.Sprintf(`{"issuer":%q,"jwks_uri":"%s/keys"}`, web.URL, web.URL),
		"/other/.well-known/openid-configuration": fmt.Sprintf(`{"issuer":%q,"jwks_uri":"%s/keys"}`, web.URL, web.URL),
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, text)
		})
	}
	return web.URL
}

// What others serve is asked for: the issuer's keys, the provider's addresses, and the
// database that exports are read from.
func TestTheDoctorAsksOthers(t *testing.T) {
	t.Parallel()
	const nobody = "http://127.0.0.1:1"
	at, database, datasets := issuer(t), pgtest.New(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(datasets, "odd.sql"), []byte("-- roles: user\nSELECT a FROM nowhere"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := func(url string) config.Config { return config.Config{JWTIssuer: "https://id.test", JWKSURL: url} }
	provider := func(url string) config.Config {
		return config.Config{OIDCIssuer: url, OIDCClientID: "herald", OIDCRedirectURL: "https://herald.test/api/signin/callback"}
	}
	for name, tt := range map[string]struct {
		config config.Config
		check  string
		want   string // of a problem; empty: all is well
	}{
		"no issuer":                  {config.Config{}, "token issuer", ""},
		"an issuer":                  {keys(at + "/keys"), "token issuer", ""},
		"an issuer without keys":     {keys(at + "/no-keys"), "token issuer", "has no RSA, P-256 or Ed25519 key"},
		"no such page":               {keys(at + "/none"), "token issuer", "answers with status 404"},
		"no answer of an issuer":     {keys(nobody), "token issuer", "refused"},
		"no provider":                {config.Config{}, "sign-in", ""},
		"a provider":                 {provider(at), "sign-in", ""},
		"a provider of another name": {provider(at + "/other"), "sign-in", "did not match"},
		"no answer of a provider":    {provider(nobody), "sign-in", "refused"},
		"no secret of a provider":    {config.Config{OIDCIssuer: at, OIDCSecretFile: datasets + "/none"}, "sign-in", "--oidc-secret-file"},
		"no database":                {config.Config{}, "exports", ""},
		"a database":                 {config.Config{ExportURL: database}, "exports", ""},
		"no answer of a database":    {config.Config{ExportURL: "postgres://127.0.0.1:1/herald"}, "exports", "refused"},
		"a bad dataset":              {config.Config{DirectURL: database, DatasetsDir: datasets}, "exports", "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := found(t, tt.config, tt.check)
			if well := f.Level == doctor.OK; well != (tt.want == "") || !strings.Contains(f.Found, tt.want) || well != (f.Advice == "") {
				t.Errorf("%+v, want %q", f, tt.want)
			}
		})
	}
}
