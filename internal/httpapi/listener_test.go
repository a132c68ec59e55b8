package httpapi_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"herald/internal/httpapi"
)

// arrivals is a listener to which connections come from the addresses in turn.
type arrivals struct {
	net.Listener
	from   []string
	closed []string
}

type arrival struct {
	net.Conn
	from *net.TCPAddr
	to   *arrivals
}

func (a *arrivals) Accept() (net.Conn, error) {
	if len(a.from) == 0 {
		return nil, net.ErrClosed
	}
	addr := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a.from[0]), 1))
	a.from = a.from[1:]
	return arrival{from: addr, to: a}, nil
}

func (a arrival) RemoteAddr() net.Addr { return a.from }

func (a arrival) Close() error {
	a.to.closed = append(a.to.closed, a.from.IP.String())
	return nil
}

// What one address is refused, others are not, and a trusted proxy never is.
func TestConnectionsThatComeTooFastAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes
		from := &arrivals{}
		for range 4 {
			from.from = append(from.from, "192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1")
		}
		from.from = append(from.from, "192.0.2.2")
		registry := prometheus.NewRegistry()
		metrics := httpapi.NewStreamMetrics(registry)
		limits := httpapi.Limits{PerAddress: 1, ConnectionRate: 1}
		l := httpapi.LimitConnections(from, limits, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, metrics)
		var accepted []string
		for {
			conn, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Fatal(err)
				}
				break
			}
			accepted = append(accepted, conn.RemoteAddr().(*net.TCPAddr).IP.String())
		}
		want := []string{"192.0.2.1", "10.0.0.1", "192.0.2.1", "10.0.0.1", "10.0.0.1", "10.0.0.1", "192.0.2.2"}
		if diff := cmp.Diff(want, accepted); diff != "" {
			t.Errorf("accepted: -want +got:\n%s", diff)
		}
		if len(from.closed) != 6 {
			t.Errorf("%d were closed, want 6: %v", len(from.closed), from.closed)
		}
		if text := exposition(t, registry); !strings.Contains(text, "herald_http_connections_refused_total 6\n") {
			t.Errorf("the metrics do not count 6:\n%s", text)
		}
	})
}
