package callback

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
)

// ErrRefused is returned for an address that callbacks may not go to.
var ErrRefused = errors.New("callbacks may not go there")

// Rules say where callbacks may go besides public addresses over HTTPS. The zero
// Rules allow nothing else.
type Rules struct {
	Allow []netip.Prefix // networks that are not public
	HTTP  bool           // also without TLS
}

// maxURL bounds an address, in bytes.
const maxURL = 2048

// CheckURL says what is wrong with an address, as an ErrRefused, as far as can be
// told without looking its name up. What the name leads to is checked on each
// connection.
func (r Rules) CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return fmt.Errorf("%w: the address has %d bytes, at most %d", ErrRefused, len(text), maxURL)
	case err != nil: // its text may hold what is secret
		return fmt.Errorf("%w: it is not a URL", ErrRefused)
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%w: want a URL such as https://example.org/herald", ErrRefused)
	case u.Scheme == "http" && !r.HTTP:
		return fmt.Errorf("%w: it is to be https", ErrRefused)
	case u.User != nil:
		return fmt.Errorf("%w: a name and a password have no place in it; the signature says who calls", ErrRefused)
	case !goodPort(u.Port()):
		return fmt.Errorf("%w: port %s is none", ErrRefused, u.Port())
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		return r.check(addr)
	}
	return nil
}

func goodPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && port > 0
}

// check says whether the address may be connected to.
func (r Rules) check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if public(addr) || slices.ContainsFunc(r.Allow, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return nil
	}
	return fmt.Errorf("%w: %v is not a public address", ErrRefused, addr)
}

// control checks the address of a connection that is about to be made: the one
// that the name has led to, so that it cannot be another one by then.
func (r Rules) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return r.check(addr)
}

// public reports whether the address is one of the internet at large. Of IPv6
// that is what has been given out so far; addresses that stand for one of IPv4,
// which a translator on the way would turn into it, are none.
func public(addr netip.Addr) bool {
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	if addr.Is6() && !netip.MustParsePrefix("2000::/3").Contains(addr) {
		return false
	}
	return !slices.ContainsFunc(reserved(), func(p netip.Prefix) bool { return p.Contains(addr) })
}

// reserved are the networks among unicast addresses that are not the internet's
// (RFC 6890), and what clouds serve their machines' secrets at.
func reserved() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32", // Azure's, though it looks public
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}
