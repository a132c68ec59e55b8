package httpapi_test

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"herald/internal/httpapi"
)

func trusted() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
	}
}

func TestTheClientsAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, peer string
		forwarded  []string // the headers
		want       string   // empty: not known
	}{
		{name: "no proxy", peer: "192.0.2.1:9", want: "192.0.2.1"},
		{name: "no proxy, IPv6", peer: "[2001:db8::1]:9", want: "2001:db8::1"},
		{name: "IPv4 on an IPv6 socket", peer: "[::ffff:192.0.2.1]:9", want: "192.0.2.1"},
		{name: "a zone", peer: "[fe80::1%eth0]:9", want: "fe80::1"},
		{name: "a stranger says that it forwards", peer: "192.0.2.1:9", forwarded: []string{"198.51.100.7"}, want: "192.0.2.1"},
		{name: "a proxy", peer: "127.0.0.1:9", forwarded: []string{"198.51.100.7"}, want: "198.51.100.7"},
		{name: "a proxy on an IPv6 socket", peer: "[::ffff:127.0.0.1]:9", forwarded: []string{"198.51.100.7"}, want: "198.51.100.7"},
		{name: "a proxy by IPv6", peer: "[::1]:9", forwarded: []string{"2001:db8::7"}, want: "2001:db8::7"},
		{name: "a proxy that says nothing", peer: "127.0.0.1:9"},
		{name: "two proxies", peer: "127.0.0.1:9", forwarded: []string{"198.51.100.7, 10.1.2.3"}, want: "198.51.100.7"},
		{name: "two headers", peer: "127.0.0.1:9", forwarded: []string{"198.51.100.7", "10.1.2.3"}, want: "198.51.100.7"},
		{name: "a proxy of somebody else's", peer: "127.0.0.1:9", forwarded: []string{"198.51.100.7, 203.0.113.5"}, want: "203.0.113.5"},
		{name: "made up by the client", peer: "127.0.0.1:9", forwarded: []string{"8.8.8.8, 127.0.0.1, 198.51.100.7"}, want: "198.51.100.7"},
		{name: "made up, in a header of its own", peer: "127.0.0.1:9", forwarded: []string{"8.8.8.8", "198.51.100.7"}, want: "198.51.100.7"},
		{name: "none but proxies", peer: "127.0.0.1:9", forwarded: []string{"10.1.2.3, 127.0.0.1"}},
		{name: "ports", peer: "127.0.0.1:9", forwarded: []string{"198.51.100.7:4711, 10.1.2.3:80"}, want: "198.51.100.7"},
		{name: "IPv6 with a port", peer: "127.0.0.1:9", forwarded: []string{"[2001:db8::7]:4711"}, want: "2001:db8::7"},
		{name: "IPv6 in brackets", peer: "127.0.0.1:9", forwarded: []string{"[2001:db8::7]"}, want: "2001:db8::7"},
		{name: "IPv4 as IPv6", peer: "127.0.0.1:9", forwarded: []string{"::ffff:198.51.100.7"}, want: "198.51.100.7"},
		{name: "spaces and empty places", peer: "127.0.0.1:9", forwarded: []string{" , 198.51.100.7 ,\t10.1.2.3,, "}, want: "198.51.100.7"},
		{name: "no address", peer: "127.0.0.1:9", forwarded: []string{"198.51.100.7, unknown"}},
		{name: "a name", peer: "127.0.0.1:9", forwarded: []string{"example.com"}},
		{name: "behind no address", peer: "127.0.0.1:9", forwarded: []string{"unknown, 198.51.100.7"}, want: "198.51.100.7"},
		{name: "a peer that is no address", peer: "pipe", forwarded: []string{"198.51.100.7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
			addr, _ := httpapi.ClientOf(trusted(), r)
			if want, _ := netip.ParseAddr(tt.want); addr != want {
				t.Errorf("the client is %v, want %v", addr, want)
			}
		})
	}
}

// A program on this machine is told from one that a proxy passes on, as far as that
// can be told.
func TestTheClientIsOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string // empty: it is not
	}{
		{name: "IPv4", peer: "127.0.0.1:9", want: "127.0.0.1"},
		{name: "IPv6", peer: "[::1]:9", want: "::1"},
		{name: "a proxy there", peer: "127.0.0.1:9", forwarded: []string{"198.51.100.7"}},
		{name: "a proxy there that does not know", peer: "127.0.0.1:9", forwarded: []string{"unknown"}},
		{name: "a proxy elsewhere", peer: "10.1.2.3:9"},
		{name: "no proxy", peer: "192.0.2.1:9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
			if want, _ := netip.ParseAddr(tt.want); httpapi.Near(trusted(), r) != want {
				t.Errorf("this machine's address is %v, want %v", httpapi.Near(trusted(), r), want)
			}
		})
	}
}

func TestWhetherTheClientCameByHTTPS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, peer, proto string
		tls               *tls.ConnectionState
		want              bool
	}{
		{name: "by TLS", peer: "192.0.2.1:9", tls: &tls.ConnectionState{}, want: true},
		{name: "without", peer: "192.0.2.1:9"},
		{name: "a stranger says so", peer: "192.0.2.1:9", proto: "https"},
		{name: "a proxy says so", peer: "127.0.0.1:9", proto: "https", want: true},
		{name: "the first of two proxies says so", peer: "127.0.0.1:9", proto: "HTTPS, http", want: true},
		{name: "a proxy says no", peer: "127.0.0.1:9", proto: "http"},
		{name: "a proxy by TLS", peer: "127.0.0.1:9", proto: "http", tls: &tls.ConnectionState{}, want: true},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-Proto": {tt.proto}}, TLS: tt.tls}
		if _, https := httpapi.ClientOf(trusted(), r); https != tt.want {
			t.Errorf("%s: https = %v, want %v", tt.name, https, tt.want)
		}
	}
}

// Whatever a client sends through a proxy that adds the address it sees, that
// address is what counts; and no text makes it a proxy's own.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{"", "8.8.8.8", "127.0.0.1", "[::1]:80, ,", "a,b", "::ffff:10.0.0.1", "fe80::1%eth0", "1.2.3.4:99999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, made string) {
		seen := netip.MustParseAddr("198.51.100.7")
		for _, headers := range [][]string{{made, seen.String()}, {made + ", " + seen.String()}, {made + "," + seen.String() + ":80, 10.0.0.1"}} {
			r := &http.Request{RemoteAddr: "127.0.0.1:9", Header: http.Header{"X-Forwarded-For": headers}}
			if addr, _ := httpapi.ClientOf(trusted(), r); addr != seen {
				t.Errorf("with %q the client is %v, want %v", headers, addr, seen)
			}
		}
		r := &http.Request{RemoteAddr: "127.0.0.1:9", Header: http.Header{"X-Forwarded-For": {made}}}
		addr, _ := httpapi.ClientOf(trusted(), r)
		for _, prefix := range trusted() {
			if prefix.Contains(addr) || addr.Is4In6() || addr.Zone() != "" {
				t.Errorf("with %q the client is %v", made, addr)
			}
		}
	})
}

// A browser that came to the proxy by HTTPS keeps the cookie to HTTPS.
func TestTheCookieIsSecureBehindAProxyWithTLS(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.TrustedProxies = trusted() })
	stranger := setup(t)
	for _, tt := range []struct {
		s     *server
		proto string
		want  bool
	}{{s, "https", true}, {s, "http", false}, {stranger, "https", false}} {
		a := tt.s.do(t, http.MethodPost, "/api/session", tt.s.token(t, "demo"), "", "X-Forwarded-Proto: "+tt.proto)
		if secure := strings.Contains(a.header.Get("Set-Cookie"), "; Secure"); secure != tt.want {
			t.Errorf("behind %s: Set-Cookie: %s, want Secure: %v", tt.proto, a.header.Get("Set-Cookie"), tt.want)
		}
	}
}

func TestTheLogHasTheClientsAddress(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	s := setup(t, log.capture, func(d *httpapi.Deps) { d.TrustedProxies = trusted() })
	s.do(t, http.MethodGet, "/healthz", "", "", "X-Forwarded-For: 8.8.8.8, 198.51.100.7")
	if lines := log.String(); !strings.Contains(lines, "client=198.51.100.7") || strings.Contains(lines, "8.8.8.8") {
		t.Errorf("the log does not have the client's address alone:\n%s", lines)
	}
}
