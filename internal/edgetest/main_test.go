package edgetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/internal/app"
	"herald/internal/auth"
	"herald/internal/config"
	"herald/internal/event"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds a wait for something that is sure to happen. It says nothing
// about how long that should take.
const patience = 2 * time.Minute

// minHeartbeat is the shortest that the settings allow.
const minHeartbeat = 100 * time.Millisecond

// topic is what all streams here follow.
const topic = event.Topic("user:demo")

// hosts counts the addresses that were given out.
var hosts atomic.Uint32 //nolint:gochecknoglobals // one count for all tests of a binary

// newHost is a loopback address that nobody else listens on, so that a port on
// it stays free while its server is restarted.
func newHost() string {
	n := hosts.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()%64, n/250, n%250+1)
}

// logText keeps what a node logs, of every level.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logText) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logText) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// node is a Herald node, started and stopped as often as a test likes, at the
// same address each time.
type node struct {
	t      *testing.T
	config config.Config
	roles  app.Roles
	log    *logText
	db     *postgres.DB
	token  string

	ended  chan error // of the life that it is in; nil while it is stopped
	cancel context.CancelFunc
}

// newNode starts a node that serves; change may alter its settings.
func newNode(t *testing.T, change ...func(*config.Config)) *node {
	t.Helper()
	return newNodeOf(t, app.Roles{API: true}, change...)
}

// newNodeOf starts a node with the roles.
func newNodeOf(t *testing.T, roles app.Roles, change ...func(*config.Config)) *node {
	t.Helper()
	c := config.Config{
		Addr: newHost() + ":0", DatabaseURL: pgtest.New(t), DataDir: t.TempDir(), Workers: 1, MaxUploadSize: 1,
	}
	for _, alter := range change {
		alter(&c)
	}
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	key, err := auth.LoadOrCreateKey(c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	token, err := key.Issue(auth.Principal{User: "demo", Roles: []auth.Role{auth.RoleUser, auth.RoleSupport}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), c.DatabaseURL, postgres.Config{MaxConns: 2, Direct: c.DirectURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	n := &node{t: t, config: c, roles: roles, log: &logText{}, db: db, token: token}
	n.start()
	t.Cleanup(n.stop)
	return n
}

func (n *node) start() {
	n.t.Helper()
	log := slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(n.t.Context()))
	ready, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- app.New(n.config, n.roles, log).Run(ctx, func(addr net.Addr) { ready <- addr })
	}()
	select {
	case addr := <-ready:
		n.config.Addr = addr.String()
	case err := <-ended:
		cancel()
		n.t.Fatal(err)
	}
	n.cancel, n.ended = cancel, ended
}

// stop stops the node as an operator would, and waits for its end.
func (n *node) stop() {
	n.t.Helper()
	if n.ended == nil {
		return
	}
	n.cancel()
	if err := <-n.ended; err != nil {
		n.t.Errorf("the node ended with %v", err)
	}
	n.ended = nil
}

// url is the address of a path at the node.
func (n *node) url(path string) string { return n.config.Scheme() + "://" + n.config.Addr + path }

// publish puts an event for each payload into the log.
func (n *node) publish(payloads ...string) {
	n.t.Helper()
	p := event.Publication{Actor: "test"}
	for _, payload := range payloads {
		encoded, err := json.Marshal(payload)
		if err != nil {
			n.t.Fatal(err)
		}
		p.Notices = append(p.Notices, event.Notice{Type: "notification.test", Topics: []event.Topic{topic}, Payload: encoded})
	}
	if _, err := n.db.Publish(n.t.Context(), p); err != nil {
		n.t.Fatal(err)
	}
}

// numbers are the payloads from the first up to the one before the end.
func numbers(first, end int) (payloads []string) {
	for i := first; i < end; i++ {
		payloads = append(payloads, strconv.Itoa(i))
	}
	return payloads
}

// await tries until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// repositoryFile reads a file of the repository.
func repositoryFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
