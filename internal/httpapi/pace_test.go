package httpapi_test

import (
	"encoding/binary"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald/internal/auth"
	"herald/internal/httpapi"
	"herald/internal/hub"
)

// Each network has a bucket of its own, which holds a burst and fills at the
// rate; which other networks come, and what is forgotten, changes nothing.
func TestOpeningsAgainstBuckets(t *testing.T) {
	t.Parallel()
	addresses := someAddresses()
	texts := make([]string, 0, len(addresses))
	for text := range addresses {
		texts = append(texts, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		const rate = 4 // so that all times below are whole pauses
		burst := rapid.IntRange(1, 10).Draw(t, "burst")
		l := httpapi.NewLimiter(httpapi.Limits{PerAddress: burst, OpeningRate: rate}, httpapi.NewStreamMetrics())
		burst = max(burst, rate)
		now, spent, pause := time.Unix(1_800_000_000, 0), map[string]int{}, time.Second/rate
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if pauses := rapid.SampledFrom([]int{0, 0, 0, 1, 2, burst, 5 * burst}).Draw(t, "pauses"); pauses > 0 {
				now = now.Add(time.Duration(pauses) * pause)
				for network := range spent {
					spent[network] = max(spent[network]-pauses, 0)
				}
			}
			text := rapid.SampledFrom(texts).Draw(t, "address")
			addr, _ := netip.ParseAddr(text) // none for the empty one
			network := addresses[text]
			want := network == "" || spent[network] < burst
			if got := l.Opening(addr, now); got != want {
				t.Fatalf("Opening(%q) = %v with %v spent of %d, want %v", text, got, spent, burst, want)
			}
			if want && network != "" {
				spent[network]++
			}
		}
		l.Opening(netip.MustParseAddr("198.51.100.1"), now.Add(time.Hour))
		l.Opening(netip.MustParseAddr("198.51.100.1"), now.Add(2*time.Hour))
		if n := l.RememberedOpenings(); n > 2 {
			t.Fatalf("hours later it knows of %d networks, want those of the last minutes", n)
		}
	})
}

// However many addresses there are, what is remembered is bounded, and those whose
// openings are known are not refused because of others.
func TestOpeningsFromVeryManyAddresses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	l := httpapi.NewLimiter(httpapi.Limits{PerAddress: 2, OpeningRate: 1}, httpapi.NewStreamMetrics())
	address := func(n uint32) netip.Addr { return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n))) }
	for n := range uint32(httpapi.MostNetworks) {
		if !l.Opening(address(n), now) {
			t.Fatalf("the first from address %d is refused", n)
		}
	}
	var others int
	for n := range uint32(10) {
		if l.Opening(address(httpapi.MostNetworks+n), now) {
			others++
		}
	}
	if others != 2 {
		t.Errorf("%d of 10 addresses beyond what is told apart were let in, want 2, as if from one", others)
	}
	if !l.Opening(address(0), now) || l.Opening(address(0), now) {
		t.Error("an address that is known has another burst than its own")
	}
	if n := l.RememberedOpenings(); n > httpapi.MostNetworks+1 {
		t.Errorf("%d networks are remembered", n)
	}
}

// Who asks too fast is refused before their token is looked at.
func TestOpeningsAreBoundedBeforeTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const burst, rate = 3, 2
		key, err := auth.NewKey(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		api := httpapi.New(httpapi.Deps{
			Tokens: key, Log: slog.New(slog.DiscardHandler), Hub: hub.New(hub.Config{Words: httpapi.StreamWords()}), App: fstest.MapFS{},
			Limits: httpapi.Limits{PerAddress: burst, OpeningRate: rate},
		})
		ask := func(from string) (int, string) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/sse", nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		for range burst {
			if status, problem := ask("192.0.2.1:1"); status != http.StatusUnauthorized {
				t.Fatalf("a stream without a token got %d %s, want 401", status, problem)
			}
		}
		if status, problem := ask("192.0.2.1:2"); status != http.StatusTooManyRequests || !strings.Contains(problem, "/problems/too-fast") {
			t.Errorf("one beyond the burst got %d %s, want 429", status, problem)
		}
		if status, problem := ask("192.0.2.2:1"); status != http.StatusUnauthorized {
			t.Errorf("one from another address got %d %s, want 401", status, problem)
		}
		time.Sleep(time.Second / rate)
		if status, problem := ask("192.0.2.1:1"); status != http.StatusUnauthorized {
			t.Errorf("one a pause later got %d %s, want 401", status, problem)
		}
	})
}
