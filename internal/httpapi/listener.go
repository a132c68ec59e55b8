package httpapi

import (
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
)

// LimitConnections returns a listener that resets connections which come from one
// address faster than Limits say, before a goroutine or a handshake is spent on
// them. Trusted proxies may come as fast as they like, since their connections
// are those of many.
func LimitConnections(l net.Listener, limits Limits, trusted []netip.Prefix, metrics *StreamMetrics) net.Listener {
	rate := limits.withDefaults().connections()
	return &listener{Listener: l, trusted: trusted, from: newBuckets[netip.Addr](rate), refused: metrics.connections}
}

type listener struct {
	net.Listener
	trusted proxies
	from    *buckets[netip.Addr]
	refused prometheus.Counter
}

// Accept waits for a connection that does not come too fast.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.take(conn.RemoteAddr()) {
			return conn, err
		}
		l.refused.Inc()
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // else it would be remembered for a minute
		}
		_ = conn.Close() // who is refused needs no more
	}
}

func (l *listener) take(from net.Addr) bool {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return true
	}
	addr := tcp.AddrPort().Addr().Unmap()
	return l.trusted.trust(addr) || l.from.take(networkOf(addr))
}
