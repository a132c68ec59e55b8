package edgetest_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"herald/internal/config"
)

// refused asks for a stream that is refused, and returns the problem.
func (r reader) refused(t *testing.T, client *http.Client, token string) (status int, problem string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/api/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	if err != nil {
		t.Fatal(err)
	}
	if after, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || after < 1 {
		t.Errorf("Retry-After: %q, want seconds", res.Header.Get("Retry-After"))
	}
	return res.StatusCode, string(text)
}

// A stream beyond a limit is refused, and let in when another has ended,
// whoever wrote that: the hub its connection, or a handler.
func TestParity_23_LimitsOnStreams(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct {
		set    func(*config.Config)
		status int
		want   string
	}{
		"in all":     {func(c *config.Config) { c.MaxStreams = 2 }, http.StatusServiceUnavailable, "node-full"},
		"by user":    {func(c *config.Config) { c.MaxStreamsPerUser = 2 }, http.StatusTooManyRequests, "too-many-streams"},
		"by address": {func(c *config.Config) { c.MaxStreamsPerAddress = 2 }, http.StatusTooManyRequests, "too-many-streams"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := newHost()
			f, roots := newFiles(t, host)
			set := func(c *config.Config) {
				c.Heartbeat = minHeartbeat
				limit.set(c)
			}
			plain := newNode(t, set)
			secure := newNode(t, set, func(c *config.Config) { c.Addr, c.TLSCert, c.TLSKey = host+":0", f.cert, f.key })
			for _, r := range []reader{plain.direct(1, nil), secure.direct(1, roots), secure.direct(2, roots)} {
				n := plain
				if r.roots != nil {
					n = secure
				}
				client := r.client(t)
				first := r.open(t, client, n.token)
				second := r.open(t, client, n.token)
				first.opened()
				if status, problem := r.refused(t, client, n.token); status != limit.status || !strings.Contains(problem, limit.want) {
					t.Errorf("a third stream got %d %s, want %d %s", status, problem, limit.status, limit.want)
				}
				ended := n.log.count("stream ended")
				first.close()
				await(t, "the first stream's end", func() bool { return n.log.count("stream ended") > ended })
				third := r.open(t, client, n.token)
				second.close()
				third.close()
				await(t, "the end of all", func() bool { return n.log.count("stream ended") == ended+3 })
			}
		})
	}
}
