package edgetest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"herald/internal/app"
	"herald/internal/config"
	"herald/internal/postgres/pgtest"
)

// newTLSNode starts a node that serves HTTPS.
func newTLSNode(t *testing.T) (*node, files, *x509.CertPool) {
	t.Helper()
	host := newHost()
	f, roots := newFiles(t, host)
	n := newNode(t, func(c *config.Config) { c.Addr, c.TLSCert, c.TLSKey = host+":0", f.cert, f.key })
	return n, f, roots
}

func (n *node) direct(proto int, roots *x509.CertPool) reader {
	return reader{base: n.config.Scheme() + "://" + n.config.Addr, proto: proto, roots: roots}
}

func TestAStreamOverTLS(t *testing.T) {
	t.Parallel()
	n, _, roots := newTLSNode(t)
	for _, proto := range []int{1, 2} {
		r := n.direct(proto, roots)
		s := r.open(t, r.client(t), n.token)
		s.opened()
		var last string
		for _, payload := range numbers(0, 20) {
			n.publish(payload) // seen before there is another
			last = s.expect(payload)
		}
		s.close()
		n.publish("missed")
		s = r.open(t, r.client(t), n.token, "Last-Event-ID: "+last)
		s.next("stream.open")
		s.expect("missed")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	n, _, roots := newTLSNode(t)
	c, err := tls.Dial("tcp", n.config.Addr, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 was taken")
	}
}

// Many streams share a connection, and each gets all that it follows.
func TestManyStreamsOnOneConnection(t *testing.T) {
	t.Parallel()
	n, _, roots := newTLSNode(t)
	r := n.direct(2, roots)
	client := r.client(t)
	var connections atomic.Int32
	transport := client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		connections.Add(1)
		return dial(ctx, network, addr)
	}
	first := r.open(t, client, n.token)
	first.opened()
	streams := []*stream{first}
	for len(streams) < 50 {
		s := r.open(t, client, n.token)
		s.opened()
		streams = append(streams, s)
	}
	n.publish(numbers(0, 20)...)
	for _, s := range streams {
		s.expect(numbers(0, 20)...)
	}
	if c := connections.Load(); c != 1 {
		t.Errorf("there were %d connections, want 1", c)
	}
}

// One whose reader stands still is cut off in the end; the others on its
// connection never wait for it.
func TestASlowStreamDoesNotHoldUpItsConnection(t *testing.T) {
	t.Parallel()
	n, _, roots := newTLSNode(t)
	r := n.direct(2, roots)
	const window, events = 64 << 10, 100
	r.h2 = &http.HTTP2Config{MaxReceiveBufferPerStream: window}
	client := r.client(t)
	quick := r.open(t, client, n.token)
	quick.opened()
	slow := r.open(t, client, n.token)
	payload := strings.Repeat("x", window/2)
	for range events {
		n.publish(payload)
		quick.expect(payload)
	}
	got := 0
	for {
		e, err := slow.r.Next()
		if err != nil {
			break
		}
		if e.Name == "notification.test" {
			got++
		}
	}
	if got >= events {
		t.Errorf("the slow reader got all %d events, want that it was cut off", got)
	}
	n.publish("after")
	quick.expect("after")
}

// Certbot writes new files; nobody restarts anything.
func TestTheCertificateIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	n, f, roots := newTLSNode(t)
	r := n.direct(2, roots)
	s := r.open(t, r.client(t), n.token)
	s.opened()
	serial := func() int64 {
		c, err := tls.Dial("tcp", n.config.Addr, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("the certificate is number %d, want 1", got)
	}
	if err := os.WriteFile(f.cert, []byte("half of a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "word of the broken file", func() bool {
		if got := serial(); got != 1 {
			t.Fatalf("with a broken file the certificate is number %d, want the last one", got)
		}
		return n.log.count("certificate not read") > 0
	})
	host, _, err := net.SplitHostPort(n.config.Addr)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(f.write(t, host, 2))
	await(t, "the new certificate", func() bool { return serial() == 2 })
	n.publish("still there")
	s.expect("still there")
}

func TestACertificateThatIsOfNoUseIsToldOfAtOnce(t *testing.T) {
	t.Parallel()
	f, _ := newFiles(t, "127.0.0.1")
	other, _ := newFiles(t, "127.0.0.1")
	missing := filepath.Join(t.TempDir(), "missing.pem")
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	database := pgtest.New(t)
	for _, tt := range []struct {
		name, cert, key string
		want            []string
	}{
		{"no certificate", missing, f.key, []string{missing, "--tls-cert"}},
		{"no key", f.cert, missing, []string{missing, "--tls-key"}},
		{"garbage", garbage, f.key, []string{garbage, "--tls-cert", "PEM"}},
		{"another's key", f.cert, other.key, []string{other.key, "--tls-key", "does not match"}},
	} {
		c := config.Config{
			Addr: "127.0.0.1:0", DatabaseURL: database, DataDir: t.TempDir(), Workers: 1, MaxUploadSize: 1, TLSCert: tt.cert, TLSKey: tt.key,
		}
		if err := c.Complete(); err != nil {
			t.Fatal(err)
		}
		err := app.New(c, app.Roles{API: true}, slog.New(slog.DiscardHandler)).Run(t.Context(), func(net.Addr) { t.Errorf("%s: it serves", tt.name) })
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Run() = %v, want an error with %q", tt.name, err, want)
			}
		}
	}
}
