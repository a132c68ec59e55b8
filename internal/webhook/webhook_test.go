package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
	"herald/internal/webhook"
)

const (
	oldSecret = "an old secret of the shop's"
	newSecret = "the shop's new secret, and longer"
)

// sources are set up by the text, with the secrets in files that it names OLD and
// NEW.
func sources(t *testing.T, text string) (webhook.Sources, error) {
	t.Helper()
	for name, secret := range map[string]string{"OLD": oldSecret, "NEW": newSecret, "SHORT": "short", "BROKEN": "whsec_?"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "file:"+name, "file:"+path)
	}
	return webhook.Parse([]byte(text))
}

func source(t *testing.T, text string) *webhook.Source {
	t.Helper()
	all, err := sources(t, "sources:\n  shop:\n"+text)
	if err != nil {
		t.Fatal(err)
	}
	return all["shop"]
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func seconds(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

const everything = `
    secrets: [file:NEW, file:OLD]
    events:
      - type: '"shop." + body.kind'
        to: '["user:" + body.user]'
`

func TestSignatures(t *testing.T) {
	t.Parallel()
	const body = `{"id":"evt_1","kind":"paid","user":"alice"}`
	schemes := map[string]struct {
		config string
		sign   func(secret string, at time.Time, body string) http.Header
		key    string
		timed  bool
	}{
		"standard": {"    scheme: standard", func(secret string, at time.Time, body string) http.Header {
			h := http.Header{}
			h.Set("webhook-id", "msg_1")
			h.Set("webhook-timestamp", seconds(at))
			h.Set("webhook-signature", "v1a,x v1,"+base64.StdEncoding.EncodeToString(mac("another", body))+" v1,"+
				base64.StdEncoding.EncodeToString(mac(secret, "msg_1."+seconds(at)+"."+body)))
			return h
		}, "msg_1", true},
		"stripe": {"    scheme: stripe", func(secret string, at time.Time, body string) http.Header {
			return http.Header{"Stripe-Signature": {"t=" + seconds(at) + ",v1=00,v1=" + hex.EncodeToString(mac(secret, seconds(at)+"."+body)) + ",v0=zz"}}
		}, "evt_1", true},
		"github": {"    scheme: hmac\n    header: X-Hub-Signature-256\n    prefix: sha256=", func(secret string, _ time.Time, body string) http.Header {
			return http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac(secret, body))}, "X-Github-Delivery": {"anything"}}
		}, "sha256:" + hex.EncodeToString(sum(body)), false},
		"base64": {"    scheme: hmac\n    header: X-Shop-Hmac\n    encoding: base64\n    id: body.id", func(secret string, _ time.Time, body string) http.Header {
			return http.Header{"X-Shop-Hmac": {base64.StdEncoding.EncodeToString(mac(secret, body))}}
		}, "evt_1", false},
	}
	for name, tt := range schemes {
		s := source(t, tt.config+everything)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				try := func(what string, header http.Header, body string, want error) {
					t.Helper()
					p, err := s.Publication(t.Context(), header, []byte(body))
					if !errors.Is(err, want) {
						t.Errorf("%s: %v, want %v", what, err, want)
					}
					if err == nil && p.Key != tt.key {
						t.Errorf("%s: key %q, want %q", what, p.Key, tt.key)
					}
				}
				stale := error(nil)
				if tt.timed {
					stale = webhook.ErrStale
				}
				try("new secret", tt.sign(newSecret, now, body), body, nil)
				try("old secret", tt.sign(oldSecret, now, body), body, nil)
				try("4 minutes ago", tt.sign(newSecret, now.Add(-4*time.Minute), body), body, nil)
				try("6 minutes ago", tt.sign(newSecret, now.Add(-6*time.Minute), body), body, stale)
				try("in 6 minutes", tt.sign(newSecret, now.Add(6*time.Minute), body), body, stale)
				try("another secret", tt.sign("somebody else's secret", now, body), body, webhook.ErrSignature)
				try("another body", tt.sign(newSecret, now, body), strings.Replace(body, "alice", "mallory", 1), webhook.ErrSignature)
				try("no signature", http.Header{}, body, webhook.ErrSignature)
				for header := range tt.sign(newSecret, now, body) {
					for _, value := range []string{"", "x", "v1,", "t=,v1=", "t=1,v1=zz", "sha256=", "9999999999999999999999"} {
						h := tt.sign(newSecret, now, body)
						if h.Set(header, value); header != "X-Github-Delivery" {
							try(header+" is "+value, h, body, webhook.ErrSignature)
						}
					}
				}
			})
		})
	}
}

func sum(text string) []byte {
	s := sha256.Sum256([]byte(text))
	return s[:]
}

// What Sign makes is a Standard Webhook, by the example of its specification.
func TestSign(t *testing.T) {
	t.Parallel()
	got, err := webhook.Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got.Get("webhook-signature") != want {
		t.Errorf("Sign() = %v, %v, want %s", got, err, want)
	}
}

// signed is a body with the headers of the scheme that mapping tests use.
func signed(body string) http.Header {
	return http.Header{"X-Sig": {hex.EncodeToString(mac(newSecret, body))}, "X-Kind": {"push"}, "Authorization": {"Bearer secret"}}
}

func TestMapping(t *testing.T) {
	t.Parallel()
	const bare = "    scheme: hmac\n    header: X-Sig\n    secrets: [file:NEW]\n    events:\n"
	for name, tt := range map[string]struct {
		rules, body string
		want        []event.Notice
		says        string // of the error
	}{
		"the body as it is": {
			`      - {type: '"a.b"', to: '"all"'}`, ` {"n": 12345678901234567890, "f": 1.50} `,
			[]event.Notice{{Type: "a.b", Topics: []event.Topic{"all"}, Payload: []byte(` {"n": 12345678901234567890, "f": 1.50} `)}},
			"",
		},
		"several, and some not": {
			`
      - {when: 'headers["x-kind"] == "push"', type: '"git." + headers["x-kind"]', to: 'body.users.map(u, "user:" + u)', data: '{"n": body.n, "half": body.n / 2, "b": [true, null, 1.5], "at": timestamp("2026-01-02T03:04:05Z")}'}
      - {when: 'headers["x-kind"] == "pull"', type: '"git.pull"', to: '"all"'}
      - {when: 'has(body.n)', type: '"git.n"', to: '["channel:git"]', data: '{"a": body.?missing.orValue("none")}', metadata: '{"repo": body.repo, "n": body.n}', ttl: 90s}`,
			`{"n":3,"users":["bob","eve"],"repo":"é<"}`,
			[]event.Notice{
				{Type: "git.push", Topics: []event.Topic{"user:bob", "user:eve"}, Payload: []byte(`{"at":"2026-01-02T03:04:05Z","b":[true,null,1.5],"half":1,"n":3}`)},
				{Type: "git.n", Topics: []event.Topic{"channel:git"}, Payload: []byte(`{"a":"none","metadata":{"n":3,"repo":"é\u003c"},"ttl_ms":90000}`)},
			},
			"",
		},
		"nothing of interest": {`      - {when: 'false', type: '"a.b"', to: '"all"'}`, `{}`, nil, ""},
		"no such member":      {`      - {type: 'body.kind', to: '"all"'}`, `{}`, nil, "event 1: type: no such key"},
		"another type":        {`      - {type: 'body.kind', to: '"all"'}`, `{"kind":[]}`, nil, "not a string"},
		"no truth":            {`      - {when: 'body.a', type: '"a.b"', to: '"all"'}`, `{"a":1}`, nil, "neither true nor false"},
		"no topics":           {`      - {type: '"a.b"', to: 'body.a'}`, `{"a":1}`, nil, "neither a topic nor"},
		"topics of numbers":   {`      - {type: '"a.b"', to: 'body.a'}`, `{"a":[1]}`, nil, "strings"},
		"what JSON has not":   {`      - {type: '"a.b"', to: '"all"', data: '{1: 2}'}`, `{}`, nil, "names are strings"},
		"no number":           {`      - {type: '"a.b"', to: '"all"', data: '0.0 / 0.0'}`, `{}`, nil, "JSON does not have"},
		"no JSON":             {`      - {type: '"a.b"', to: '"all"'}`, `a=b`, nil, "not JSON"},
		"too dear": {
			`      - {type: '"a.b"', to: '"all"', when: 'body.a.all(x, body.a.all(y, body.a.all(z, x + y + z >= 0)))'}`,
			`{"a":[` + strings.Repeat("1,", 999) + `1]}`, nil, "cost limit",
		},
	} {
		s := source(t, bare+tt.rules)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := s.Publication(t.Context(), signed(tt.body), []byte(tt.body))
			if (err != nil) != (tt.says != "") || err != nil && (!errors.Is(err, webhook.ErrMapping) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("Publication() = %v, want an error that says %q", err, tt.says)
			}
			if diff := cmp.Diff(tt.want, p.Notices); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err == nil && (p.Actor != "webhook:shop" || p.KeyLife != 30*24*time.Hour || string(p.Request) != tt.body) {
				t.Errorf("Publication() = %+v", p)
			}
		})
	}
}

// A file that makes no sense is refused at the start, and no secret is in the
// error.
func TestWhatIsWrongWithAFile(t *testing.T) {
	t.Parallel()
	const good = `{scheme: standard, secrets: ["file:NEW"], events: [{type: '"a.b"', to: '"all"'}]}`
	with := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(good) }
	if _, err := sources(t, "sources: {shop: "+good+"}"); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		with("standard", "md5"):                              "scheme",
		with(`["file:NEW"]`, `[]`):                           "secrets: want one",
		with(`["file:NEW"]`, `["`+newSecret+`"]`):            "say where one is",
		with("file:NEW", "env:HERALD_TEST_NO_SUCH_SECRET"):   "not set",
		with("file:NEW", "file:/no/such/file"):               "no such file",
		with("file:NEW", "file:SHORT"):                       "at least 16",
		with("file:NEW", "file:BROKEN"):                      "base64",
		with("scheme:", "schema: x, scheme:"):                "schema",
		with("scheme:", "header: X, scheme:"):                "hmac alone",
		with("standard", "hmac"):                             "needs a header",
		with("scheme:", "tolerance: 2h, scheme:"):            "tolerance",
		with("scheme:", "max_body: 999999999, scheme:"):      "max_body",
		with("scheme:", "remember: 1m, scheme:"):             "remember",
		with("scheme:", "id: '1.5', scheme:"):                "id: it is of type",
		with(`[{type: '"a.b"', to: '"all"'}]`, `[]`):         "events: want 1",
		with(`to: '"all"'`, ``):                              "event 1: to: there is none",
		with(`'"a.b"'`, `'1 +'`):                             "type: ERROR",
		with(`'"a.b"'`, `'1'`):                               "it is of type int, want string",
		with(`'"a.b"'`, `'nobody.knows'`):                    "undeclared reference",
		with(`type:`, `when: '"yes"', type:`):                "it is of type string, want bool",
		with(`type:`, `ttl: -1s, type:`):                     "ttl",
		with(`'"a.b"'`, `'"`+strings.Repeat("x", 5000)+`"'`): "at most 4096",
	} {
		_, err := sources(t, "sources: {shop: "+text+"}")
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), newSecret) {
			t.Errorf("%.150s: %v, want an error that says %q", text, err, says)
		}
	}
	for _, text := range []string{"", "sources: [1]", "sources: {Shop: " + good + "}", "sauces: {}", "sources: {shop: " + good + ", shop: " + good + "}"} {
		if _, err := sources(t, text); err == nil {
			t.Errorf("%.50q is taken", text)
		}
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	file := webhook.ExampleSecretFile(filepath.Join(t.TempDir(), "data"))
	secret, err := webhook.LoadOrCreateSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := webhook.LoadOrCreateSecret(file); err != nil || again != secret {
		t.Errorf("the secret is not kept: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret's file: %v, %v", info, err)
	}
	s, err := webhook.Example(file)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"user":"demo","message":"hello"}`)
	header, err := webhook.Sign(secret, "msg_1", time.Now(), body)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Publication(t.Context(), header, body)
	want := []event.Notice{{Type: webhook.ExampleType, Topics: []event.Topic{"user:demo"}, Payload: []byte(`{"message":"hello"}`)}}
	if diff := cmp.Diff(want, p.Notices); diff != "" || err != nil || p.Key != "msg_1" {
		t.Errorf("Publication() = %+v, %v, -want +got:\n%s", p, err, diff)
	}
}

// Whatever the headers are, what nobody has signed is not taken.
func FuzzNobodySigned(f *testing.F) {
	f.Add("standard", "msg_1", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	f.Add("stripe", "t=1,v1=00", "", "")
	path := filepath.Join(f.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(newSecret), 0o600); err != nil {
		f.Fatal(err)
	}
	all, err := webhook.Parse(fmt.Appendf(nil, `
sources:
  standard: {scheme: standard, secrets: ["file:%[1]s"], events: [{type: '"a.b"', to: '"all"'}]}
  stripe: {scheme: stripe, secrets: ["file:%[1]s"], events: [{type: '"a.b"', to: '"all"'}]}
  hmac: {scheme: hmac, header: Webhook-Signature, secrets: ["file:%[1]s"], events: [{type: '"a.b"', to: '"all"'}]}`, path))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, id, stamp, signature string) {
		s, err := all.Source(name)
		if err != nil {
			return
		}
		header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}, "Stripe-Signature": {id}}
		if _, err := s.Publication(t.Context(), header, []byte(`{}`)); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("%s with %q, %q, %q: %v", name, id, stamp, signature, err)
		}
	})
}

// The file that the docs show is taken, and makes of a payment what they say.
func TestTheFileOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks-in.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	text = regexp.MustCompile(`secrets: \[.*\]`).ReplaceAllString(text, "secrets: [file:NEW, file:OLD]")
	all, err := sources(t, text)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","amount":1205,"currency":"eur","metadata":{"user":"alice"}}}}`
	at := seconds(time.Now())
	p, err := all["stripe"].Publication(t.Context(), http.Header{"Stripe-Signature": {"t=" + at + ",v1=" + hex.EncodeToString(mac(newSecret, at+"."+body))}}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Submission() // it fits the notification's schema
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"amount":"12.05","currency":"EUR","payment_id":"pi_1","status":"succeeded"}`
	if got := string(s.Events[0].Payload); got != want || p.Key != "evt_1" {
		t.Errorf("under key %s: %s, want %s", p.Key, got, want)
	}
}
