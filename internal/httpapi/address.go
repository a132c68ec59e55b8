package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client is where a request comes from.
type client struct {
	addr  netip.Addr // not valid where no more than a trusted proxy's is known
	near  netip.Addr // this machine's, when the request came from there and is passed on for nobody; else not valid
	https bool       // it came to us, or to the proxy, by TLS
}

// clientOf is where the request comes from.
func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey).(client)
	return c
}

// withClient finds out where the request comes from. What it says of that itself
// counts only when a trusted proxy passed it on.
func (a *api) withClient(next http.Handler) http.Handler {
	trusted := proxies(a.TrustedProxies)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey, trusted.client(r))))
	})
}

// proxies are the addresses of those whose word about others we take.
type proxies []netip.Prefix

func (p proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

func (p proxies) client(r *http.Request) client {
	peer := parseHop(r.RemoteAddr)
	if !p.trust(peer) {
		return client{addr: peer, https: r.TLS != nil}
	}
	forwarded := r.Header.Values("X-Forwarded-For")
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	c := client{addr: p.forwardedFor(forwarded), https: r.TLS != nil || strings.EqualFold(strings.TrimSpace(proto), "https")}
	if len(forwarded) == 0 && peer.IsLoopback() {
		c.near = peer
	}
	return c
}

// forwardedFor is the last address that is no trusted proxy's: each proxy adds
// the one that it was asked from, so the last of them is what a trusted one saw,
// and all before it is hearsay. It is not valid where that place holds no
// address, or there is no such place.
func (p proxies) forwardedFor(values []string) netip.Addr {
	rest := strings.Join(values, ",")
	for rest != "" {
		cut := strings.LastIndexByte(rest, ',')
		hop := strings.TrimSpace(rest[cut+1:])
		rest = rest[:max(cut, 0)]
		if hop == "" {
			continue // an empty element of a list means nothing
		}
		if addr := parseHop(hop); !p.trust(addr) {
			return addr
		}
	}
	return netip.Addr{}
}

// parseHop reads an address, with or without a port; it is not valid where the
// text is none.
func parseHop(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		var withPort netip.AddrPort
		if withPort, err = netip.ParseAddrPort(text); err != nil {
			return netip.Addr{}
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}
