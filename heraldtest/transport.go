package heraldtest

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// Transport reaches the server without a network, for an http.Client.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

var errBroken = errors.New("the connection was broken")

// RoundTrip lets the server answer in a goroutine of its own, which ends with the
// request's context or when the body of the answer is closed.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in, out := io.Pipe()
	w := &answer{header: http.Header{}, body: out, begun: make(chan *http.Response, 1), closing: cancel, in: in, request: r}
	served := r.Clone(ctx)
	if served.Body == nil {
		served.Body = http.NoBody
	}
	served.RequestURI = r.URL.RequestURI()
	failed := make(chan struct{})
	go func() {
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				if v != http.ErrAbortHandler { //nolint:errorlint // the very value
					panic(v)
				}
				_ = out.CloseWithError(errBroken)
				close(failed)
				return
			}
			w.WriteHeader(http.StatusOK)
			_ = out.Close()
		}()
		t.server.ServeHTTP(w, served)
	}()
	stop := context.AfterFunc(r.Context(), func() { _ = out.CloseWithError(r.Context().Err()) })
	select {
	case res := <-w.begun:
		return res, nil
	case <-failed:
		stop()
		return nil, errBroken
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// answer is what the server writes, and what the client reads.
type answer struct {
	header  http.Header
	body    *io.PipeWriter
	in      *io.PipeReader
	begun   chan *http.Response
	written bool
	closing context.CancelFunc
	request *http.Request
}

// Header is for the handler.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader lets the client have the head.
func (a *answer) WriteHeader(status int) {
	if a.written {
		return
	}
	a.written = true
	a.begun <- &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header.Clone(), Body: body{a.in, a.closing}, ContentLength: -1, Request: a.request,
	}
}

// Write waits until the client has read.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// FlushError has nothing to do: nothing is buffered.
func (a *answer) FlushError() error { return nil }

// body is the answer's, as the client has it.
type body struct {
	io.Reader
	closing context.CancelFunc
}

// Close ends the handler.
func (b body) Close() error {
	b.closing()
	if c, ok := b.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
