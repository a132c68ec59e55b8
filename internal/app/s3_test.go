package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"herald"
	"herald/internal/app"
	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/config"
	"herald/internal/postgres/pgtest"
	"herald/internal/s3test"
)

// logText is a log that is read while it is written.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// node is a running node, and a user of it.
type node struct {
	*herald.Client

	url, token string
	log        *logText
}

// startNode starts a node that does everything and keeps its files at the URL.
func startNode(t *testing.T, blobURL string) *node {
	t.Helper()
	database, dir := pgtest.New(t), t.TempDir()
	c := config.Config{
		Addr: "127.0.0.1:0", DatabaseURL: database, DataDir: dir, BlobURL: blobURL, Workers: 2, MaxUploadSize: 1 << 30, LogLevel: "debug",
		RetainArchive: true, JWTAudience: "herald", JWTUserClaim: "sub", JWTRolesClaim: "roles", JWTTopicsClaim: "topics",
	}
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	n := &node{log: &logText{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan net.Addr, 1), make(chan error, 1)
	log := slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() {
		ended <- app.New(c, app.Roles{API: true, Worker: true}, log).Run(ctx, func(addr net.Addr) { ready <- addr })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case addr := <-ready:
		n.url = "http://" + addr.String()
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	key, err := auth.LoadOrCreateKey(filepath.Join(dir, "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	if n.token, err = key.Issue(auth.Principal{User: "demo", Roles: []auth.Role{auth.RoleAdmin, auth.RoleUser}}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if n.Client, err = herald.New(herald.Config{URL: n.url, Token: n.token}); err != nil {
		t.Fatal(err)
	}
	return n
}

// do sends a request, with headers ("Name: value"), and returns what comes back.
func (n *node) do(t *testing.T, method, path, body string, headers ...string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, n.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+n.token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// work starts a job and returns what it has made.
func (n *node) work(t *testing.T, kind, args string) []artifact.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	j, err := n.CreateJob(ctx, herald.NewJob{Kind: kind, Title: "a " + kind, Args: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range n.Events(ctx, "job:"+j.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == herald.StreamSnapshot { // it may have ended before the stream began
			j, err = n.Job(ctx, j.ID)
		} else {
			j, err = j.Apply(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		if j.State.Ended() {
			break
		}
	}
	var made struct{ Artifacts []artifact.View }
	if err := errors.Join(json.Unmarshal(j.Result, &made)); j.State != herald.Succeeded || err != nil || len(made.Artifacts) == 0 {
		t.Fatalf("the job is %s (%s) with %s, %v", j.State, j.Error, j.Result, err)
	}
	return made.Artifacts
}

// A node keeps all its files in a store of objects: uploads, what is made of them,
// with the segments of a stream, and exports. It never says with what credentials.
func TestNodeOnS3(t *testing.T) {
	t.Parallel()
	n := startNode(t, s3test.URL(t, false))
	film := n.work(t, "video", `{"source":{"test":{"seconds":1}},"preset":"mp4-720p"}`)[0]
	status, clip := n.do(t, http.MethodGet, film.URL, "")
	if status != http.StatusOK || int64(len(clip)) != film.Size {
		t.Fatalf("the film = %d with %d bytes, want %d", status, len(clip), film.Size)
	}
	var upload artifact.View
	status, answer := n.do(t, http.MethodPost, "/api/uploads?name=clip.mp4", clip, "Content-Type: video/mp4")
	if err := json.Unmarshal([]byte(answer), &upload); err != nil || status != http.StatusCreated {
		t.Fatalf("upload = %d %s, %v", status, answer, err)
	}
	if status, part := n.do(t, http.MethodGet, upload.URL, "", "Range: bytes=4-7"); status != http.StatusPartialContent || part != clip[4:8] {
		t.Errorf("a part of the upload = %d %q, want %q", status, part, clip[4:8])
	}
	playlist := n.work(t, "video", `{"source":{"upload":"`+upload.ID.String()+`"},"preset":"hls"}`)[0]
	status, list := n.do(t, http.MethodGet, playlist.URL, "")
	if status != http.StatusOK || !strings.HasPrefix(list, "#EXTM3U") {
		t.Fatalf("the playlist = %d %q", status, list)
	}
	segments := 0
	for line := range strings.Lines(list) {
		if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "#") {
			segments++
			if status, _ := n.do(t, http.MethodGet, strings.TrimSuffix(playlist.URL, playlist.Name)+name, ""); status != http.StatusOK {
				t.Errorf("%s = %d", name, status)
			}
		}
	}
	if segments == 0 {
		t.Errorf("the playlist has no segments: %s", list)
	}
	table := n.work(t, "export", `{"dataset":"jobs"}`)[0]
	if status, rows := n.do(t, http.MethodGet, table.URL, ""); status != http.StatusOK || strings.Count(rows, "\n") < 3 {
		t.Errorf("the export = %d %q, want three jobs at least", status, rows)
	}
	if text := n.log.String(); strings.Contains(text, accessKey) || strings.Contains(text, secretKey) || text == "" {
		t.Errorf("the log has the credentials in it, or nothing:\n%s", text)
	}
}
