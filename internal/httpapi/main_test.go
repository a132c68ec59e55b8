package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"golang.org/x/sync/errgroup"

	"herald/internal/auth"
	"herald/internal/broker"
	"herald/internal/bus/pgbus"
	"herald/internal/eventlog"
	"herald/internal/httpapi"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
	"herald/internal/presence"
)

// TestMain has rapid draw the same requests each time; HERALD_TEST_CONTRACT says how many,
// and -rapid.seed draws others.
func TestMain(m *testing.M) {
	settings := map[string]string{"rapid.seed": "1", "rapid.nofailfile": "true"}
	if often := os.Getenv("HERALD_TEST_CONTRACT"); often != "" {
		settings["rapid.checks"] = often
	}
	for name, value := range settings { // what the command line says counts more
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	pgtest.Main(m)
}

// noQueue is a queue that nobody works.
type noQueue struct{}

func (noQueue) EnqueueTx(context.Context, pgx.Tx, job.Job) (int64, error) { return 1, nil }
func (noQueue) CancelTx(context.Context, pgx.Tx, int64) error             { return nil }
func (noQueue) CancelRiverTx(context.Context, pgx.Tx, job.River) error    { return nil }
func (noQueue) RetryRiverTx(context.Context, pgx.Tx, job.River) error     { return nil }

// jobs gives the database's jobs that queue.
type jobs struct{ *postgres.DB }

func (j jobs) CreateJob(ctx context.Context, n job.New) (job.Job, error) {
	return j.DB.CreateJob(ctx, n, noQueue{})
}

func (j jobs) CancelJob(ctx context.Context, id uuid.UUID, actor string) (job.Job, error) {
	return j.DB.CancelJob(ctx, id, actor, noQueue{})
}

func (j jobs) RetryJob(ctx context.Context, id uuid.UUID, actor string) (job.Job, error) {
	return j.DB.RetryJob(ctx, id, actor, noQueue{})
}

// server is the API on a real database, with a sequencer and a broker.
type server struct {
	*httptest.Server
	db    *postgres.DB
	key   *auth.Key
	hub   *hub.Hub
	blobs *blob.Bucket

	handler      http.Handler
	client       *http.Client // that streams are opened with
	closeStreams func()       // ends the hub
	writes       *writes      // of the tracker
}

// heartbeat is short, so that a test of it does not take long.
const heartbeat = 100 * time.Millisecond

func signingKey(t *testing.T) *auth.Key {
	t.Helper()
	key, err := auth.NewKey(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// setup starts a server; change may alter what it stands on.
func setup(t *testing.T, change ...func(*httpapi.Deps)) *server {
	t.Helper()
	db, err := postgres.Open(t.Context(), pgtest.New(t), postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return start(t, db, change...)
}

// secondNode starts another server on the same database.
func (s *server) secondNode(t *testing.T) *server {
	t.Helper()
	return start(t, s.db, func(d *httpapi.Deps) { d.Node = "test-2" })
}

func start(t *testing.T, db *postgres.DB, change ...func(*httpapi.Deps)) *server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &server{db: db, key: signingKey(t), blobs: memblob.OpenBucket(nil)}
	s.hub = hub.New(hub.Config{Words: httpapi.StreamWords(), Heartbeat: heartbeat})
	follower := broker.New(db, pgbus.New(db.Session, postgres.LogChannel, log), s.hub, httpapi.EncodeEvent, log, broker.Config{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	streams, closeStreams := context.WithCancel(ctx)
	s.closeStreams = closeStreams
	var group errgroup.Group
	group.Go(func() error { return s.hub.Run(streams) })
	group.Go(func() error { return follower.Run(ctx) })
	group.Go(func() error { return eventlog.NewSequencer(db, log, eventlog.Config{}).Run(ctx) })
	keys := auth.NewKeyring(db, log, auth.KeyringConfig{Interval: 10 * time.Millisecond})
	group.Go(func() error { return keys.Run(ctx) })
	shares := auth.NewShareKeyring(db, log, auth.KeyringConfig{Interval: 10 * time.Millisecond})
	group.Go(func() error { return shares.Run(ctx) })
	tokens := auth.NewVerifier(s.key, keys, shares, nil)
	deps := httpapi.Deps{
		Node: "test", Log: log, Tokens: tokens, Keys: tokens, Tickets: db, Links: s.key, Shares: db, Jobs: jobs{db}, Artifacts: db, Uploads: db, Snapshots: db, History: db, Receipts: db, Broker: follower, Hub: s.hub, Blobs: s.blobs,
		App:     fstest.MapFS{"index.html": {Data: []byte("<p>the app</p>")}, "assets/a-1.js": {Data: []byte("1")}, "favicon.svg": {Data: []byte("<svg/>")}},
		Prepare: prepare, Ping: db.Ping, Kinds: []httpapi.Kind{{Name: "test", Schema: json.RawMessage(`{}`), Steps: []httpapi.KindStep{}}},
	}
	deps.Connections, deps.Accesses, deps.Queues = db, db, db
	// What is counted is looked at, and the machine may be busy.
	publisher := eventlog.NewPublisher(db, presence.NewAudience(db), eventlog.PublisherConfig{CountTime: 10 * time.Second})
	group.Go(func() error { return publisher.Run(ctx) })
	deps.Publisher, deps.Addressees = publisher, db
	for _, c := range change {
		c(&deps)
	}
	s.writes = newWrites(db)
	tracker := presence.NewTracker(deps.Node, hubStreams{s.hub}, s.writes, log, presence.Config{Interval: 10 * time.Millisecond})
	group.Go(func() error { return tracker.Run(ctx) })
	deps.Presence = tracker
	s.handler = httpapi.New(deps)
	s.Server = httptest.NewServer(s.handler)
	s.client = http.DefaultClient
	t.Cleanup(func() {
		closeStreams()
		s.Close()
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		if err := s.blobs.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func prepare(p auth.Principal, _, kind string, args json.RawMessage) (json.RawMessage, error) {
	switch {
	case !p.MayStart(false):
		return nil, auth.ErrForbidden
	case kind != "test":
		return nil, &job.InvalidError{Field: "kind", Reason: "not a kind"}
	}
	return args, nil
}

// token signs a token for the user.
func (s *server) token(t *testing.T, user string, roles ...auth.Role) string {
	t.Helper()
	if len(roles) == 0 {
		roles = []auth.Role{auth.RoleUser}
	}
	token, err := s.key.Issue(auth.Principal{User: user, Roles: roles}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// apiKey makes an API key, and returns its id and the secret.
func (s *server) apiKey(t *testing.T, k auth.APIKey) (uuid.UUID, string) {
	t.Helper()
	k, secret, err := auth.NewAPIKey(k)
	if err == nil {
		_, err = s.db.SaveAPIKey(t.Context(), k, auth.HashOf(secret))
	}
	if err != nil {
		t.Fatal(err)
	}
	return k.ID, secret
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	close  bool // the connection ends with it
}

// problem is the kind of problem that the answer is.
func (a answer) problem() string {
	var p httpapi.Problem
	if json.Unmarshal([]byte(a.body), &p) != nil || !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		return ""
	}
	return strings.TrimPrefix(p.Type, "/problems/")
}

// do sends a request with the token and headers ("Name: value").
func (s *server) do(t *testing.T, method, path, token, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text), res.Close}
}

// startJob starts a job of the user's and returns it.
func (s *server) startJob(t *testing.T, user string) job.Job {
	t.Helper()
	a := s.do(t, http.MethodPost, "/api/jobs", s.token(t, user), `{"kind":"test","title":"a job","args":{"x":1}}`)
	if a.status != http.StatusCreated {
		t.Fatalf("start a job: %d %s", a.status, a.body)
	}
	var j job.Job
	if err := json.Unmarshal([]byte(a.body), &j); err != nil {
		t.Fatal(err)
	}
	return j
}
