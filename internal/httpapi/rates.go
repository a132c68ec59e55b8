package httpapi

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"herald/internal/auth"
)

// Rate is how often something may happen: so often a second in the long run, and so
// many at once. The zero Rate is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Rates bounds how often requests may come to a node. Streams have limits of their
// own.
type Rates struct {
	Strangers Rate // requests from one address by whom nobody knows: without a token, or with a bad one
	People    Rate // requests of one user
	Programs  Rate // requests of one API key, or of one worker or back end
	Publishes Rate // reports and publications of one user or key, a request each
	Uploads   Rate // uploads of one user or key
}

// Why a request is refused.
var (
	errAddressRate = errors.New("too many requests come from your network: wait, or sign in")
	errUserRate    = errors.New("you ask too often: wait a little")
	errPublishRate = errors.New("you publish or report too often: wait a little, or send several at once")
	errUploadRate  = errors.New("you upload too often: wait a little")
)

// rates is the limits on requests, and who has used how much of them.
type rates struct {
	metrics                              *RequestMetrics
	strangers                            *buckets[netip.Addr]
	people, programs, publishes, uploads *buckets[string]
}

func newRates(r Rates, metrics *RequestMetrics) *rates {
	return &rates{
		metrics: metrics, strangers: newBuckets[netip.Addr](r.Strangers), people: newBuckets[string](r.People),
		programs: newBuckets[string](r.Programs), publishes: newBuckets[string](r.Publishes), uploads: newBuckets[string](r.Uploads),
	}
}

// takeStranger counts a request by whom it is not known yet. When it is, it is given
// back: so nobody who is known is held up by how many there are behind an address,
// unless strangers there have used it up.
func (r *rates) takeStranger(addr netip.Addr) error {
	if network := networkOf(addr); network.IsValid() && !r.strangers.take(network) {
		return r.refuse("address", errAddressRate)
	}
	return nil
}

func (r *rates) giveStranger(addr netip.Addr) {
	if network := networkOf(addr); network.IsValid() {
		r.strangers.give(network)
	}
}

// take counts a request of the principal's to the route.
func (r *rates) take(p auth.Principal, method, route string) error {
	who, requests, limit := "user "+p.User, r.people, "user"
	if p.Key != uuid.Nil {
		who = "key " + p.Key.String()
	}
	if p.Key != uuid.Nil || p.Is(auth.RoleWorker, auth.RoleBackend) {
		requests, limit = r.programs, "program"
	}
	if !requests.take(who) {
		return r.refuse(limit, errUserRate)
	}
	switch {
	case method != http.MethodPost:
	case publishes(route) && !r.publishes.take(who):
		return r.refuse("publish", errPublishRate)
	case route == "/api/uploads" && !r.uploads.take(who):
		return r.refuse("upload", errUploadRate)
	}
	return nil
}

// takeWebhook counts a webhook of the source, whose signature is good: it is no
// stranger's.
func (r *rates) takeWebhook(addr netip.Addr, source string) error {
	r.giveStranger(addr)
	if !r.publishes.take("webhook " + source) {
		return r.refuse("publish", errPublishRate)
	}
	return nil
}

// publishes reports whether a POST to the route writes to the log what somebody has
// to say.
func publishes(route string) bool {
	return strings.HasPrefix(route, "/api/sse/message") || strings.HasSuffix(route, "/reports")
}

func (r *rates) refuse(limit string, err error) error {
	r.metrics.refused.WithLabelValues(limit).Inc()
	return err
}

// isStream reports whether the request opens a stream, which has limits of its own.
func isStream(r *http.Request) bool { return r.URL.Path == "/api/sse" }

// limitStrangers refuses requests from an address by whom nobody knows when there are
// too many of them, before it is looked who asks.
func (a *api) limitStrangers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isStream(r) {
			if err := a.rates.takeStranger(clientOf(r.Context()).addr); err != nil {
				a.problems.write(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// welcome counts a request of somebody who is known.
func (a *api) welcome(r *http.Request, p auth.Principal) error {
	if isStream(r) {
		return nil
	}
	a.rates.giveStranger(clientOf(r.Context()).addr)
	return a.rates.take(p, r.Method, chi.RouteContext(r.Context()).RoutePattern())
}

// maxBuckets bounds of how many is remembered what they have used.
const maxBuckets = 50_000

// buckets are the token buckets of those whom one Rate bounds, each by itself. One
// that is full again is as good as none, and is forgotten when there are many; when
// there are too many all the same, any may be.
type buckets[K comparable] struct {
	rate Rate

	mu sync.Mutex // guards the field below
	of map[K]bucket
}

// bucket is how much was left, and when.
type bucket struct {
	left float64
	at   time.Time
}

func newBuckets[K comparable](rate Rate) *buckets[K] {
	return &buckets[K]{rate: rate, of: map[K]bucket{}}
}

// take takes one, if there is one.
func (b *buckets[K]) take(who K) bool {
	if b.rate.PerSecond <= 0 {
		return true
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.left(who, now)
	if left < 1 {
		return false
	}
	b.set(who, bucket{left - 1, now})
	return true
}

// give gives one back.
func (b *buckets[K]) give(who K) {
	if b.rate.PerSecond <= 0 {
		return
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(who, bucket{b.left(who, now) + 1, now})
}

// left is how much there is by now. It is called with mu held, as is set.
func (b *buckets[K]) left(who K, now time.Time) float64 {
	e, ok := b.of[who]
	if !ok {
		return float64(b.rate.Burst)
	}
	return min(e.left+now.Sub(e.at).Seconds()*b.rate.PerSecond, float64(b.rate.Burst))
}

func (b *buckets[K]) set(who K, e bucket) {
	if e.left >= float64(b.rate.Burst) {
		delete(b.of, who)
		return
	}
	if _, known := b.of[who]; !known && len(b.of) >= maxBuckets {
		b.makeRoom(e.at)
	}
	b.of[who] = e
}

// makeRoom looks at some, in no order: those that are full again go, and one
// whatever it is.
func (b *buckets[K]) makeRoom(now time.Time) {
	const looks = 100
	n := 0
	for who := range b.of {
		if n == 0 || b.left(who, now) >= float64(b.rate.Burst) {
			delete(b.of, who)
		}
		if n++; n == looks {
			return
		}
	}
}
