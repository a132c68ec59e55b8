package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"herald/internal/event"
)

// DefaultStreams is how many streams a node has open at once unless its Limits
// say otherwise.
const DefaultStreams = 50_000

// Limits bounds the streams that a node has open at once, and each of them, and
// the requests that wait for something to happen. A field of 0 is its default.
type Limits struct {
	Streams    int // in all; default DefaultStreams
	PerUser    int // of one user; default 64
	PerAddress int // from one IPv4 address, or one IPv6 network of 64 bits; default 1,000
	Topics     int // that one may follow; default 100

	// OpeningRate is how many may be asked for a second from one address, once it
	// has asked for PerAddress at once. Default 100.
	OpeningRate int
	// ConnectionRate is how many connections may come a second from one address,
	// once twice PerAddress have come at once. Default 200.
	ConnectionRate int

	Waits        int // requests for commands or for a next job that wait at once; default 5,000
	WaitsPerUser int // of one user; default 1,000
}

func (l Limits) withDefaults() Limits {
	const perUser, perAddress, topics, openingRate, connectionRate, waits, waitsPerUser = 64, 1000, 100, 100, 200, 5000, 1000
	return Limits{
		Streams: cmp.Or(l.Streams, DefaultStreams), PerUser: cmp.Or(l.PerUser, perUser), PerAddress: cmp.Or(l.PerAddress, perAddress),
		Topics: cmp.Or(l.Topics, topics), OpeningRate: cmp.Or(l.OpeningRate, openingRate),
		ConnectionRate: cmp.Or(l.ConnectionRate, connectionRate), Waits: cmp.Or(l.Waits, waits),
		WaitsPerUser: cmp.Or(l.WaitsPerUser, waitsPerUser),
	}
}

// openings is how often one address may ask for a stream.
func (l Limits) openings() Rate {
	return Rate{PerSecond: float64(l.OpeningRate), Burst: max(l.PerAddress, l.OpeningRate)}
}

// connections is how often one address may connect. A page has other connections
// than its stream's.
func (l Limits) connections() Rate {
	return Rate{PerSecond: float64(l.ConnectionRate), Burst: max(2*l.PerAddress, l.ConnectionRate)}
}

// Why a stream is refused, or a request that would wait.
var (
	errNodeFull       = errors.New("this node has no room for another stream: try again, here or at another node")
	errUserStreams    = errors.New("you have as many streams open as one user may: close one, then try again")
	errAddressStreams = errors.New("your network has as many streams open as one address may: close one, then try again")
	errOpenings       = errors.New("your network opens streams faster than one address may: wait, then try again")
	errNodeWaits      = errors.New("as many requests wait at this node as may: ask without waiting, or at another node")
	errUserWaits      = errors.New("you have as many requests waiting as one user may: ask without waiting, or later")
)

// limiter counts the streams that are open, and refuses those beyond its Limits.
// What it remembers of a user or an address goes with their last stream.
type limiter struct {
	Limits
	metrics  *StreamMetrics
	openings *buckets[netip.Addr]

	mu       sync.Mutex // guards the fields below
	total    int
	users    map[string]int
	networks map[netip.Addr]int // by the first address of each
	waits    int
	waiting  map[string]int // by user
}

func newLimiter(limits Limits, metrics *StreamMetrics) *limiter {
	limits = limits.withDefaults()
	metrics.limit.Set(float64(limits.Streams))
	return &limiter{
		Limits: limits, metrics: metrics, openings: newBuckets[netip.Addr](limits.openings()),
		users: map[string]int{}, networks: map[netip.Addr]int{}, waiting: map[string]int{},
	}
}

// opening refuses to look at a stream that is asked for from an address that
// asks too fast. An address that is not valid is not known, and not counted.
func (l *limiter) opening(addr netip.Addr) error {
	if network := networkOf(addr); network.IsValid() && !l.openings.take(network) {
		return l.refuse("rate", errOpenings)
	}
	return nil
}

// limitOpenings refuses streams that are asked for faster than Limits say. It
// stands before all that an opening costs, the look at the token among it.
func (a *api) limitOpenings(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.limits.opening(clientOf(r.Context()).addr); err != nil {
			a.problems.write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// acquire takes a place for a stream of the user's. An address that is not valid
// is not known, and not counted. The caller calls release once, from any
// goroutine, when the stream has ended, with the user and the network that it is
// counted for. The error is one of those above.
func (l *limiter) acquire(user string, addr netip.Addr) (network netip.Addr, err error) {
	network = networkOf(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.users[user] >= l.PerUser:
		return network, l.refuse("user", errUserStreams)
	case network.IsValid() && l.networks[network] >= l.PerAddress:
		return network, l.refuse("address", errAddressStreams)
	case l.total >= l.Streams:
		return network, l.refuse("node", errNodeFull)
	}
	l.total++
	l.users[user]++
	if network.IsValid() {
		l.networks[network]++
	}
	return network, nil
}

// wait takes a place for a request of the user's that waits. The caller calls left
// once when it waits no more.
func (l *limiter) wait(user string) (left func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.waiting[user] >= l.WaitsPerUser:
		return nil, l.refuse("user waits", errUserWaits)
	case l.waits >= l.Waits:
		return nil, l.refuse("node waits", errNodeWaits)
	}
	l.waits++
	l.waiting[user]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waits--
		countDown(l.waiting, user)
	}, nil
}

// checkTopics refuses a stream that asks for more topics than one may follow.
// That does not pass with time, so it is said to be a bad request.
func (l *limiter) checkTopics(topics int) error {
	if topics > l.Topics {
		return l.refuse("topics", fmt.Errorf("%w: %d topics, at most %d: follow fewer, or open another stream", event.ErrTopic, topics, l.Topics))
	}
	return nil
}

func (l *limiter) refuse(limit string, err error) error {
	l.metrics.refused.WithLabelValues(limit).Inc()
	return err
}

func (l *limiter) release(user string, network netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	countDown(l.users, user)
	if network.IsValid() {
		countDown(l.networks, network)
	}
}

func countDown[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// networkOf is what counts as one address: who has an IPv6 address has all of
// its network's.
func networkOf(addr netip.Addr) netip.Addr {
	const bits = 64
	if addr = addr.Unmap(); !addr.Is6() {
		return addr
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Addr{} // cannot be: it is IPv6, without a zone
	}
	return prefix.Addr()
}
