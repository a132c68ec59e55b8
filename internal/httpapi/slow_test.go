package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/httpapi"
)

// pipes is a listener whose connections are in memory, so that a bubble's clock
// drives their deadlines.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// files knows the artifacts that were saved, and no jobs.
type files struct {
	httpapi.Artifacts
	saved map[uuid.UUID]artifact.Artifact
}

func (f files) SaveArtifact(_ context.Context, a artifact.Artifact) error {
	f.saved[a.ID] = a
	return nil
}

func (f files) Artifact(_ context.Context, id uuid.UUID) (artifact.Artifact, error) {
	return f.saved[id], nil
}

// slow is a server in a bubble, for clients that take their time.
type slow struct {
	dial  func() net.Conn
	token string
	blobs *blob.Bucket
	files files
}

// slowServer starts a server on the clock of the bubble that the test runs in.
func slowServer(t *testing.T) slow {
	t.Helper()
	key := signingKey(t)
	token, err := key.Issue(auth.Principal{User: "demo", Roles: []auth.Role{auth.RoleUser}}, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s := slow{token: token, blobs: memblob.OpenBucket(nil), files: files{saved: map[uuid.UUID]artifact.Artifact{}}}
	listener := make(pipes)
	server := &http.Server{Handler: httpapi.New(httpapi.Deps{
		Log: slog.New(slog.DiscardHandler), Tokens: key, Artifacts: s.files, Blobs: s.blobs, App: fstest.MapFS{},
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	s.dial = func() net.Conn {
		here, there := net.Pipe()
		t.Cleanup(func() { _ = here.Close() })
		listener <- there
		return here
	}
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		if err := s.blobs.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// send writes the head of a request, and what else is to be said.
func (s slow) send(t *testing.T, c net.Conn, line string, rest ...string) {
	t.Helper()
	_, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: herald\r\nAuthorization: Bearer %s\r\n%s", line, s.token, strings.Join(rest, ""))
	if err != nil {
		t.Fatal(err)
	}
}

// status reads the answer.
func status(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestABodyThatNeverComesDoesNotHoldTheServer(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{"signed in": "Bearer", "not signed in": "Basic"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := slowServer(t)
				began, c := time.Now(), s.dial()
				_, err := fmt.Fprintf(c, "POST /api/session HTTP/1.1\r\nHost: herald\r\nAuthorization: %s %s\r\nContent-Length: 10\r\n\r\n", token, s.token)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, c); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 2*time.Minute {
					t.Errorf("the connection was held for %v, want a minute", took)
				}
			})
		})
	}
}

func TestAnAnswerThatNobodyReadsDoesNotHoldTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slowServer(t)
		c := s.dial()
		s.send(t, c, "GET /healthz", "\r\n")
		time.Sleep(2 * time.Minute)
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("after two minutes %d bytes were still waiting, want the connection to be closed", n)
		}
	})
}

func TestAnUploadMayTakeLongButNotStandStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slowServer(t)
		c := s.dial()
		s.send(t, c, "POST /api/uploads?name=x", "Content-Length: 10\r\n\r\n")
		for range 10 {
			time.Sleep(50 * time.Second)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if code, body := status(t, c); code != http.StatusCreated {
			t.Errorf("an upload that moves = %d %s, want 201", code, body)
		}

		c = s.dial()
		s.send(t, c, "POST /api/uploads?name=x", "Content-Length: 10\r\n\r\n", "xxx")
		if code, body := status(t, c); code != http.StatusRequestTimeout || !strings.Contains(body, "too-slow") {
			t.Errorf("an upload that stands still = %d %s, want 408", code, body)
		}
		if len(s.files.saved) != 1 {
			t.Errorf("%d uploads are known, want that which came whole", len(s.files.saved))
		}
	})
}

func TestADownloadMayTakeLongButNotStandStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slowServer(t)
		const size = 1 << 20
		file := artifact.Artifact{ID: uuid.New(), Owner: "demo", Kind: artifact.Video, Name: "a.mp4", ContentType: "video/mp4", BlobKey: "a"}
		s.files.saved[file.ID] = file
		if err := s.blobs.WriteAll(t.Context(), "a", make([]byte, size), nil); err != nil {
			t.Fatal(err)
		}
		// Each read is a piece that the server has to wait for in full.
		read := func(c net.Conn, pause time.Duration) (n int) {
			s.send(t, c, "GET "+file.URL(), "Connection: close\r\n\r\n")
			piece := make([]byte, 16<<10)
			for {
				got, err := c.Read(piece)
				if n += got; err != nil {
					return n
				}
				time.Sleep(pause)
			}
		}
		if n := read(s.dial(), 10*time.Second); n < size {
			t.Errorf("a slow reader got %d bytes of %d", n, size)
		}
		if n := read(s.dial(), 5*time.Minute); n >= size {
			t.Errorf("a reader that stands still got %d bytes, want that it is cut off", n)
		}
	})
}
