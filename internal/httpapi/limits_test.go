package httpapi_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"herald/internal/httpapi"
	"herald/internal/telemetry"
)

// place is a stream that is open.
type place struct {
	user, network string
	release       func()
}

// someAddresses are addresses and the networks they count for.
func someAddresses() map[string]string {
	return map[string]string{
		"192.0.2.1": "a", "::ffff:192.0.2.1": "a", "192.0.2.2": "b",
		"2001:db8::1": "c", "2001:db8::ffff:1": "c", "2001:db8::1%eth0": "c", "2001:db8:0:1::1": "d", "": "",
	}
}

// Whatever comes and goes: a stream is let in exactly when all three limits have
// room for it, and nothing is remembered of those who are gone.
func TestLimitsAgainstAModel(t *testing.T) {
	t.Parallel()
	addresses := someAddresses()
	texts := make([]string, 0, len(addresses))
	for text := range addresses {
		texts = append(texts, text)
	}
	byUser, byAddress, inAll := httpapi.Refusals()
	rapid.Check(t, func(t *rapid.T) {
		limits := httpapi.Limits{
			Streams: rapid.IntRange(1, 8).Draw(t, "streams"), PerUser: rapid.IntRange(1, 4).Draw(t, "of a user"),
			PerAddress: rapid.IntRange(1, 4).Draw(t, "from an address"),
		}
		l := httpapi.NewLimiter(limits, httpapi.NewStreamMetrics(nil))
		var open []place
		count := func(of func(place) bool) (n int) {
			for _, p := range open {
				if of(p) {
					n++
				}
			}
			return n
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(open) > 0 && rapid.IntRange(0, 2).Draw(t, "act") == 0 {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				open[i].release()
				open = append(open[:i], open[i+1:]...)
				continue
			}
			text := rapid.SampledFrom(texts).Draw(t, "address")
			addr, _ := netip.ParseAddr(text) // none for the empty one
			p := place{user: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "user"), network: addresses[text]}
			var want error
			switch {
			case count(func(o place) bool { return o.user == p.user }) == limits.PerUser:
				want = byUser
			case p.network != "" && count(func(o place) bool { return o.network == p.network }) == limits.PerAddress:
				want = byAddress
			case len(open) == limits.Streams:
				want = inAll
			}
			release, err := l.Acquire(p.user, addr)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("Acquire(%q, %q) = %v with %v open, want %v", p.user, text, err, open, want)
			}
			if err == nil {
				p.release = release
				open = append(open, p)
			}
		}
		for _, p := range open {
			p.release()
		}
		if n := l.Remembered(); n != 0 {
			t.Fatalf("with no stream open it knows of %d users and networks", n)
		}
	})
}

func TestLimitsFromManyGoroutines(t *testing.T) {
	t.Parallel()
	const streams = 5
	l := httpapi.NewLimiter(httpapi.Limits{Streams: streams}, httpapi.NewStreamMetrics(nil))
	var clients sync.WaitGroup
	held := make(chan struct{}, streams) // a place in it for each that may be open
	for n := range 8 {
		clients.Go(func() {
			for range 200 {
				release, err := l.Acquire(strconv.Itoa(n), netip.MustParseAddr("192.0.2.1"))
				if err != nil {
					continue
				}
				select {
				case held <- struct{}{}:
					<-held
				default:
					t.Errorf("more than %d streams were open", streams)
				}
				release()
			}
		})
	}
	clients.Wait()
	if n := l.Remembered(); n != 0 {
		t.Errorf("with no stream open it knows of %d users and networks", n)
	}
}

// exposition is what the metrics say.
func exposition(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	telemetry.Metrics(registry).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	var text bytes.Buffer
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "herald_") {
			text.WriteString(line)
		}
	}
	return text.String()
}

func TestRefusalsAreToldApartAndCounted(t *testing.T) {
	t.Parallel()
	byUser, byAddress, inAll := httpapi.Refusals()
	registry := prometheus.NewRegistry()
	metrics := httpapi.NewStreamMetrics(registry)
	l := httpapi.NewLimiter(httpapi.Limits{Streams: 3, PerUser: 1, PerAddress: 1}, metrics)
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		user   string
		addr   netip.Addr
		want   error
		status int
	}{
		{user: "alice", addr: here},
		{user: "alice", addr: there, want: byUser, status: http.StatusTooManyRequests},
		{user: "bob", addr: here, want: byAddress, status: http.StatusTooManyRequests},
		{user: "bob", addr: there},
		{user: "carol"},
		{user: "dave", want: inAll, status: http.StatusServiceUnavailable},
	} {
		_, err := l.Acquire(tt.user, tt.addr)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Fatalf("Acquire(%q, %v) = %v, want %v", tt.user, tt.addr, err, tt.want)
		}
		if err == nil {
			continue
		}
		if p := httpapi.ProblemOf(err); p.Status != tt.status || p.Detail != err.Error() {
			t.Errorf("the problem is %+v, want %d with the error's text", p, tt.status)
		}
	}
	text := exposition(t, registry)
	for _, want := range []string{
		"herald_streams_limit 3\n", `herald_streams_refused_total{limit="user"} 1` + "\n",
		`herald_streams_refused_total{limit="address"} 1` + "\n", `herald_streams_refused_total{limit="node"} 1` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics have no %q:\n%s", want, text)
		}
	}
}

// Those who are refused come back, each after a time of its own.
func TestARefusalSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	byUser, _, inAll := httpapi.Refusals()
	for _, err := range []error{byUser, inAll} {
		seen := map[string]bool{}
		for range 200 {
			w := httptest.NewRecorder()
			httpapi.SendProblem(w, err)
			after := w.Header().Get("Retry-After")
			if seconds, convErr := strconv.Atoi(after); convErr != nil || seconds < 1 || seconds > 10 {
				t.Fatalf("Retry-After: %q, want a few seconds", after)
			}
			seen[after] = true
		}
		if len(seen) < 2 {
			t.Errorf("%v: all were told %v, want that they spread out", err, seen)
		}
	}
}
