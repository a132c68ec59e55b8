package callback

import "net/netip"

// Sign is sign.
var Sign = sign

// Public is public.
func Public(addr netip.Addr) bool { return public(addr) }
