package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// Proxies are the addresses of proxies whose word is taken for where a request
// comes from. Its text is a list of networks and addresses, such as
// 10.0.0.0/8,::1, or none.
type Proxies []netip.Prefix

// String is the list's text.
func (p Proxies) String() string {
	if len(p) == 0 {
		return "none"
	}
	var text []string
	for _, prefix := range p {
		text = append(text, prefix.String())
	}
	return strings.Join(text, ",")
}

// UnmarshalText reads a list.
func (p *Proxies) UnmarshalText(text []byte) error {
	*p = Proxies{}
	if string(text) == "none" {
		return nil
	}
	for entry := range strings.SplitSeq(string(text), ",") {
		prefix, err := parseNetwork(strings.TrimSpace(entry))
		if err != nil {
			return err
		}
		*p = append(*p, prefix)
	}
	return nil
}

// Networks are networks, such as those that callbacks may go to. Its text is a
// list as that of Proxies.
type Networks []netip.Prefix

// String is the list's text.
func (n Networks) String() string { return Proxies(n).String() }

// UnmarshalText reads a list.
func (n *Networks) UnmarshalText(text []byte) error { return (*Proxies)(n).UnmarshalText(text) }

// parseNetwork reads a network, or an address as a network of its own.
func parseNetwork(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
		prefix, err = addr.Prefix(addr.BitLen())
	}
	switch {
	case err != nil:
		return prefix, fmt.Errorf("%q is neither a network nor an address: want a list such as 10.0.0.0/8,::1, or none", text)
	case prefix.Addr().Is4In6():
		return prefix, fmt.Errorf("%q is IPv4 written as IPv6: write it as IPv4", text)
	case prefix.Bits() == 0:
		return prefix, fmt.Errorf("%q trusts everybody: then no address could be told from one that was made up", text)
	}
	return prefix.Masked(), nil
}
