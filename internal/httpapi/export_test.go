package httpapi

import (
	"net/http"
	"net/netip"
)

// Limiter is limiter, for its test.
type Limiter struct{ l *limiter }

// NewLimiter is newLimiter.
func NewLimiter(limits Limits, metrics *StreamMetrics) Limiter {
	return Limiter{newLimiter(limits, metrics)}
}

// Acquire is limiter.acquire.
func (l Limiter) Acquire(user string, addr netip.Addr) (release func(), err error) {
	network, err := l.l.acquire(user, addr)
	return func() { l.l.release(user, network) }, err
}

// Remembered is of how many users and networks it knows.
func (l Limiter) Remembered() int {
	l.l.mu.Lock()
	defer l.l.mu.Unlock()
	return len(l.l.users) + len(l.l.networks)
}

// Refusals are the errors that acquire returns: by user, by address, in all.
func Refusals() (user, address, all error) { return errUserStreams, errAddressStreams, errNodeFull }

// ProblemOf is the problem that the error is to a client.
func ProblemOf(err error) *Problem { return classify(err) }

// SendProblem answers with the problem that the error is.
func SendProblem(w http.ResponseWriter, err error) { classify(err).send(w) }

// ClientOf is where the request comes from, when these proxies are trusted.
func ClientOf(trusted []netip.Prefix, r *http.Request) (addr netip.Addr, https bool) {
	c := proxies(trusted).client(r)
	return c.addr, c.https
}

// Near is this machine's address, when the request came from there and nobody says
// for whom; else it is not valid.
func Near(trusted []netip.Prefix, r *http.Request) netip.Addr { return proxies(trusted).client(r).near }

// MaxBuckets is of how many a limit remembers what they have used.
const MaxBuckets = maxBuckets

// Buckets are the buckets of a rate, for their test.
type Buckets struct{ b *buckets[string] }

// NewBuckets is newBuckets.
func NewBuckets(rate Rate) Buckets { return Buckets{newBuckets[string](rate)} }

// Take is buckets.take.
func (b Buckets) Take(who string) bool { return b.b.take(who) }

// Give is buckets.give.
func (b Buckets) Give(who string) { b.b.give(who) }

// Remembered is of how many it knows.
func (b Buckets) Remembered() int {
	b.b.mu.Lock()
	defer b.b.mu.Unlock()
	return len(b.b.of)
}

// Disposition is disposition.
func Disposition(name string) string { return disposition(name) }

// WithSignIn is api.withSignIn, where people sign in with a provider, or do not.
func WithSignIn(page []byte, provider bool) string {
	a := &api{}
	if provider {
		a.SignIn = struct{ SignIn }{}
	}
	return string(a.withSignIn(page))
}

// ProblemTypes are all types of problems, and with which statuses each comes.
func ProblemTypes() map[string][]int { return problemKinds() }

// UploadHead is an uploadHead that tests can look at.
type UploadHead struct {
	Size         int64
	Name, SHA256 string
}

// ParseUploadHead is parseUploadHead.
func ParseUploadHead(h http.Header) (UploadHead, error) {
	head, err := parseUploadHead(h)
	return UploadHead{head.size, head.name, head.sha256}, err
}
