package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"
)

// certificate is the one that a node shows, read again when its files change.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex // guards the fields below
	current *tls.Certificate
	stamp   [2]fileStamp // of the files as they were last read, well or not
	looked  time.Time
}

// fileStamp tells one content of a file from the next.
type fileStamp struct {
	changed time.Time
	size    int64
}

// loadCertificate reads the files.
func loadCertificate(ctx context.Context, certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	stamp, err := c.stampNow()
	if err != nil {
		return nil, err
	}
	c.stamp, c.looked = stamp, time.Now()
	if c.current, err = c.read(); err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "certificate read", "names", c.current.Leaf.DNSNames, "until", c.current.Leaf.NotAfter)
	if time.Now().After(c.current.Leaf.NotAfter) {
		log.WarnContext(ctx, "certificate has expired", "until", c.current.Leaf.NotAfter)
	}
	return c, nil
}

func (c *certificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("read --tls-cert %s with --tls-key %s: %w", c.certFile, c.keyFile, err)
	}
	return &pair, nil
}

func (c *certificate) stampNow() (stamp [2]fileStamp, err error) {
	for i, file := range [2]string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return stamp, fmt.Errorf("look at %s: %w; it is set by --tls-cert or --tls-key", file, err)
		}
		stamp[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamp, nil
}

// forHandshake is the certificate to show now. Once a second at most it looks
// whether the files have changed. While they are not whole, as between the
// writing of one and of the other, the certificate stays what it was.
func (c *certificate) forHandshake(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= time.Second {
		c.looked = time.Now()
		c.refresh(hello.Context())
	}
	return c.current, nil
}

// refresh reads the files if they have changed. The caller holds mu.
func (c *certificate) refresh(ctx context.Context) {
	stamp, err := c.stampNow()
	if err == nil && stamp == c.stamp {
		return
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.read()
	}
	if err != nil {
		if stamp != c.stamp {
			c.log.WarnContext(ctx, "certificate not read, the last one stays", "error", err)
		}
		c.stamp = stamp
		return
	}
	c.stamp, c.current = stamp, pair
	c.log.InfoContext(ctx, "certificate read", "names", pair.Leaf.DNSNames, "until", pair.Leaf.NotAfter)
}

// overTLS makes the server serve HTTPS, HTTP/2 for those who know it.
func (c *certificate) overTLS(server *http.Server) {
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.forHandshake}
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: 250,              // a browser's tabs share a connection, streams and requests
		SendPingTimeout:      30 * time.Second, // a stream's client is silent; whether it is there says the answer
		PingTimeout:          15 * time.Second,
		WriteByteTimeout:     10 * time.Second, // a connection that takes nothing holds up all that is on it
	}
}
