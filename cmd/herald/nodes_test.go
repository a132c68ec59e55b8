package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/auth"
	"herald/internal/postgres/pgtest"
	"herald/internal/presence"
)

// asProgram makes the test binary the program.
const asProgram = "HERALD_TEST_PROGRAM"

// cluster is nodes in processes of their own, on one database.
type cluster struct {
	database string
	key      *auth.Key
	nodes    []*clusterNode
}

type clusterNode struct {
	*exec.Cmd
	url string
}

func startCluster(t *testing.T, n int) *cluster {
	t.Helper()
	dir := t.TempDir()
	key, err := auth.LoadOrCreateKey(filepath.Join(dir, "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{database: pgtest.New(t), key: key}
	for range n {
		c.nodes = append(c.nodes, startNode(t, []string{"HERALD_DATABASE_URL=" + c.database},
			"serve", "--addr", "127.0.0.1:0", "--data-dir", dir, "--user-rate", "0", "--log-level", "error"))
	}
	return c
}

// startNode starts the program as a process of its own, which ends with the test,
// and returns when it serves.
func startNode(t *testing.T, env []string, args ...string) *clusterNode {
	t.Helper()
	program := exec.CommandContext(t.Context(), os.Args[0], args...)
	program.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	program.Stderr = os.Stderr
	said, err := program.StdoutPipe()
	if err == nil {
		err = program.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Wait() }) // its context kills it
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &clusterNode{program, strings.TrimSpace(strings.TrimPrefix(line, "Herald serves on "))}
}

func (c *cluster) do(ctx context.Context, t *testing.T, node int, method, path, user string, role auth.Role) *http.Response {
	t.Helper()
	token, err := c.key.Issue(auth.Principal{User: user, Roles: []auth.Role{role}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.nodes[node].url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode/100 != 2 {
		t.Fatalf("%s %s = %d", method, path, res.StatusCode)
	}
	return res
}

// follow opens a stream of the user's; the returned function waits for its end.
func (c *cluster) follow(t *testing.T, node int, user string) (ended func()) {
	t.Helper()
	res := c.do(t.Context(), t, node, http.MethodGet, "/api/sse", user, auth.RoleUser)
	t.Cleanup(func() { _ = res.Body.Close() })
	return func() { _, _ = io.Copy(io.Discard, res.Body) }
}

// online waits until the node says of the user that they are there, or are not.
func (c *cluster) online(t *testing.T, node int, user string, want bool) {
	t.Helper()
	for {
		res := c.do(t.Context(), t, node, http.MethodGet, "/api/users/"+user+"/presence", "sue", auth.RoleSupport)
		var u presence.User
		err := json.NewDecoder(res.Body).Decode(&u)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if u.Online == want {
			return
		}
	}
}

// Of three nodes, the one that dies without a word is missed by the others at once,
// and not when it has been silent for long; the streams of the others stay.
func TestParity_10_12_26_ANodeIsKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	c.follow(t, 0, "alice")
	c.follow(t, 1, "bob")
	c.online(t, 2, "alice", true)
	c.online(t, 2, "bob", true)
	conn, err := pgx.Connect(t.Context(), c.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := c.nodes[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.nodes[0].Wait() // it was killed
	killed := time.Now()
	c.online(t, 2, "alice", false)
	t.Logf("missed after %v", time.Since(killed))
	c.online(t, 2, "bob", true)
	var why string
	var waited bool
	err = conn.QueryRow(t.Context(), `SELECT closed_why, closed_at - $1 > make_interval(secs => $2)
		FROM herald.connections WHERE user_id = 'alice'`, killed, presence.Silence.Seconds()/2).Scan(&why, &waited)
	if err != nil || why != string(presence.NodeLost) || waited {
		t.Errorf("alice's stream ended because of %q, %v, want %q, and nobody to wait for the node to have been silent for long: %v", why, err, presence.NodeLost, waited)
	}
}

// A user's streams end on whichever node they are, those too that were opened a
// moment ago and that the database does not know of.
func TestParity_13_StreamsOpenedAMomentAgoEndToo(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2)
	for n, user := range []string{"alice", "bob"} { // both nodes have begun to write
		c.follow(t, n, user)
		c.online(t, 0, user, true)
	}
	var ends []func()
	for n := range 6 {
		ends = append(ends, c.follow(t, n%2, "carol"))
	}
	res := c.do(t.Context(), t, 1, http.MethodDelete, "/api/users/carol/connections", "root", auth.RoleAdmin)
	var out struct{ Asked int }
	err := json.NewDecoder(res.Body).Decode(&out)
	_ = res.Body.Close()
	if err != nil || out.Asked != len(ends) {
		t.Errorf("%d streams are to end, %v, want %d", out.Asked, err, len(ends))
	}
	for _, ended := range ends {
		ended()
	}
}
