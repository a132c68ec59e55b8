package callback

import (
	"net/netip"
	"time"
)

// Sign is sign.
func Sign(secrets []Secret, id string, at time.Time, body []byte) string {
	return sign(secrets, id, at, body)
}

// Public is public.
func Public(addr netip.Addr) bool { return public(addr) }
