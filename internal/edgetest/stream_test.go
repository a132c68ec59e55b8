package edgetest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"herald/internal/sse"
)

// reader is how a test reaches a server.
type reader struct {
	name  string
	base  string // scheme and authority
	proto int    // the major version of HTTP to be spoken
	roots *x509.CertPool
	from  string // the address to ask from; empty: any
	h2    *http.HTTP2Config
}

// client is an HTTP client of its own, with connections of its own.
func (r reader) client(t *testing.T) *http.Client {
	t.Helper()
	var dialer net.Dialer
	if r.from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(r.from)}
	}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12},
		Protocols: new(http.Protocols), HTTP2: r.h2,
	}
	transport.Protocols.SetHTTP1(r.proto == 1)
	transport.Protocols.SetHTTP2(r.proto == 2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// stream is one that was opened.
type stream struct {
	t     *testing.T
	res   *http.Response
	r     *sse.Reader
	close func()
}

// open opens a stream with the client and headers ("Name: value").
func (r reader) open(t *testing.T, client *http.Client, token string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/api/sse?topic="+string(topic), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{t: t, res: res, r: sse.NewReader(res.Body, 1<<20), close: func() { cancel(); _ = res.Body.Close() }}
	t.Cleanup(s.close)
	if res.StatusCode != http.StatusOK || res.ProtoMajor != r.proto {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		t.Fatalf("GET /api/sse = %s %s %s, want HTTP/%d and 200", res.Proto, res.Status, text, r.proto)
	}
	return s
}

// next returns the next event, which must have the name.
func (s *stream) next(name string) sse.Event {
	s.t.Helper()
	e, err := s.r.Next()
	if err != nil || e.Name != name {
		s.t.Fatalf("Next() = %+v, %v, want %s", e, err, name)
	}
	return e
}

// opened reads how a fresh stream begins.
func (s *stream) opened() {
	s.t.Helper()
	s.next("stream.open")
	s.next("stream.snapshot")
}

// expect reads the events with those payloads and returns the last one's id.
func (s *stream) expect(payloads ...string) (id string) {
	s.t.Helper()
	for _, want := range payloads {
		e := s.next("notification.test")
		var got struct{ Data string }
		if err := json.Unmarshal([]byte(e.Data), &got); err != nil || got.Data != want {
			s.t.Fatalf("got the event %.200s, %v, want %.200q", e.Data, err, want)
		}
		id = e.ID
	}
	return id
}

// ends reads the stream's end.
func (s *stream) ends() {
	s.t.Helper()
	if e, err := s.r.Next(); !errors.Is(err, io.EOF) {
		s.t.Fatalf("Next() = %+v, %v, want the end", e, err)
	}
}
