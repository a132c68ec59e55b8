package httpapi

import (
	"net/netip"
	"sync"
	"time"
)

// pace bounds how fast something comes from each address: a burst at once, as
// when a node was restarted, and then so many a second (the generic cell rate
// algorithm, ITU-T I.371). What it remembers of an address goes soon after its
// burst is whole again.
type pace struct {
	pause time.Duration // between those that come one after the other
	burst time.Duration // how far an address may be ahead of that

	mu      sync.Mutex // guards the fields below
	recent  map[netip.Addr]time.Time
	earlier map[netip.Addr]time.Time // before turned, and not since
	turned  time.Time
}

// mostNetworks is how many addresses are told apart at once. What comes from
// others then counts as from one.
const mostNetworks = 1 << 16

// newPace takes how many a second, and how many at once, which are as many if
// fewer are given.
func newPace(rate, burst int) *pace {
	pause := time.Second / time.Duration(rate)
	return &pace{pause: pause, burst: time.Duration(max(burst, rate)) * pause, recent: map[netip.Addr]time.Time{}}
}

// take reports whether there may be one more from the network. One that is not
// valid is not known, and not counted.
func (p *pace) take(network netip.Addr, now time.Time) bool {
	if !network.IsValid() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.turned) > p.burst { // who has not come since the turn before has a whole burst again
		p.recent, p.earlier, p.turned = map[netip.Addr]time.Time{}, p.recent, now
	}
	next, known := p.recent[network]
	switch {
	case known:
	case len(p.recent) < mostNetworks:
		next = p.earlier[network]
	default:
		network = netip.Addr{}
		next = p.recent[network]
	}
	if next.Before(now) {
		next = now
	}
	if next = next.Add(p.pause); next.Sub(now) > p.burst {
		return false
	}
	p.recent[network] = next
	return true
}
