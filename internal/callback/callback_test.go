package callback_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/internal/callback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	other  = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func secrets(t *testing.T, text string) []callback.Secret {
	t.Helper()
	list, err := callback.ParseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The vector is the one that the authors of Standard Webhooks publish.
func TestSignature(t *testing.T) {
	t.Parallel()
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	at, body := time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)
	if got := callback.Sign(secrets(t, secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
	both := callback.Sign(secrets(t, other+","+secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
	if first, second, _ := strings.Cut(both, " "); second != want || first == want || !strings.HasPrefix(first, "v1,") {
		t.Errorf("two secrets sign %q, want one signature by each", both)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_????", secret + " " + secret + " " + secret} {
		_, err := callback.ParseSecrets(text)
		if err == nil || text != "" && strings.Contains(err.Error(), strings.TrimPrefix(text, "whsec_")) && len(text) > 6 {
			t.Errorf("ParseSecrets(%q) = %v, want an error that does not tell it", text, err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", secrets(t, secret), secrets(t, secret), secrets(t, secret)[0], secrets(t, secret)[0]); strings.Contains(shown, "MfKQ") {
		t.Errorf("a secret is shown: %s", shown)
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"1.1.1.1": true, "93.184.215.14": true, "2606:4700:4700::1111": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "0.0.0.0": false,
		"100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fd00:ec2::254": false, "ff02::1": false, "2002:7f00:1::": false, "64:ff9b::7f00:1": false,
		"2001:db8::1": false, "2001::1": false, "::127.0.0.1": false,
	} {
		if got := callback.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v, want %v", text, got, want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	loopback := callback.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, HTTP: true}
	for _, tt := range []struct {
		url           string
		strict, loose bool
	}{
		{"https://example.org/hook?token=x", true, true},
		{"https://example.org:8443/", true, true},
		{"http://example.org/", false, true},
		{"https://127.0.0.1/", false, true},
		{"https://[::ffff:127.0.0.1]/", false, true},
		{"https://[::1]/", false, false},
		{"https://169.254.169.254/latest/meta-data", false, false},
		{"https://user:password@example.org/", false, false},
		{"ftp://example.org/", false, false},
		{"https:example.org", false, false},
		{"https://example.org:0/", false, false},
		{"https:///path", false, false},
		{"://", false, false},
		{"https://example.org/" + strings.Repeat("x", 2048), false, false},
	} {
		for _, rules := range []struct {
			callback.Rules

			want bool
		}{{callback.Rules{}, tt.strict}, {loopback, tt.loose}} {
			err := rules.CheckURL(tt.url)
			if (err == nil) != rules.want || err != nil && (!errors.Is(err, callback.ErrRefused) || strings.Contains(err.Error(), "password@")) {
				t.Errorf("CheckURL(%q) by %+v = %v, want it allowed: %v", tt.url, rules.Rules, err, rules.want)
			}
		}
	}
}

// receiver is a server over TLS, and what sends to it.
func receiver(t *testing.T, handle http.HandlerFunc, change ...func(*callback.Config)) (*httptest.Server, *callback.Sender) {
	t.Helper()
	server := httptest.NewTLSServer(handle)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	config := callback.Config{
		Secrets: secrets(t, secret), Roots: roots, Timeout: 10 * time.Second,
		Rules: callback.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
	for _, c := range change {
		c(&config)
	}
	return server, callback.NewSender(config)
}

func TestSend(t *testing.T) {
	t.Parallel()
	const body = `{"type":"job.succeeded"}`
	server, sender := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), got)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if string(got) != body || r.Header.Get("Webhook-Signature") != want || r.Header.Get("Webhook-Id") != "msg_1" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %q with %v, want it signed %s", got, r.Header, want)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	r := sender.Send(t.Context(), callback.Message{ID: "msg_1", URL: server.URL + "/hook", Body: []byte(body)})
	if r.Status != http.StatusAccepted || r.Err != nil || r.Duration <= 0 {
		t.Errorf("Send() = %+v, want 202", r)
	}
}

// What a receiver answers decides whether it is tried again; nothing that it
// answers leads anywhere else, or is read without end.
func TestAnswers(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server, sender := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		case "/elsewhere":
			http.Redirect(w, r, "/200", http.StatusTemporaryRedirect)
		default:
			var status int
			_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
			w.WriteHeader(status)
		}
	})
	for _, tt := range []struct {
		path        string
		status      int
		good, final bool
	}{
		{"/200", 200, true, false},
		{"/204", 204, true, false},
		{"/endless", 200, true, false},
		{"/elsewhere", 307, false, false},
		{"/404", 404, false, false},
		{"/410", 410, false, true},
		{"/503", 503, false, false},
	} {
		r := sender.Send(t.Context(), callback.Message{ID: "msg_1", URL: server.URL + tt.path, Body: []byte(`{}`)})
		if r.Status != tt.status || (r.Err == nil) != tt.good || r.Final != tt.final {
			t.Errorf("%s: %+v, want %+v", tt.path, r, tt)
		}
	}
	if n := asked.Load(); n != 7 {
		t.Errorf("the receiver was asked %d times, want 7: no redirect is followed", n)
	}
}

// A name that leads to an address within is refused when it is connected to,
// whatever it led to before; so is a receiver whose certificate is a stranger's.
func TestWhereCallbacksDoNotGo(t *testing.T) {
	t.Parallel()
	asked := func(http.ResponseWriter, *http.Request) { t.Error("it was connected to") }
	server, sender := receiver(t, asked, func(c *callback.Config) { c.Rules = callback.Rules{} })
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := sender.Send(t.Context(), callback.Message{ID: "msg_1", URL: "https://localhost:" + port + "/secret-path", Body: []byte(`{}`)})
	if !errors.Is(r.Err, callback.ErrRefused) || !r.Final || strings.Contains(r.Err.Error(), "secret-path") {
		t.Errorf("to localhost: %+v, want it refused for good, without its path", r)
	}
	_, stranger := receiver(t, asked, func(c *callback.Config) { c.Roots = x509.NewCertPool() })
	if r := stranger.Send(t.Context(), callback.Message{ID: "msg_1", URL: server.URL, Body: []byte(`{}`)}); r.Err == nil || r.Final {
		t.Errorf("to a stranger: %+v, want an error, and another try", r)
	}
}

func TestSilentReceiver(t *testing.T) {
	t.Parallel()
	server, sender := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the sender is gone
		<-r.Context().Done()
	}, func(c *callback.Config) { c.Timeout = 50 * time.Millisecond })
	r := sender.Send(context.Background(), callback.Message{ID: "msg_1", URL: server.URL, Body: []byte(`{}`)})
	if r.Err == nil || r.Final || r.Status != 0 || !strings.Contains(r.Err.Error(), "no answer") {
		t.Errorf("Send() = %+v, want no answer, and another try", r)
	}
}
