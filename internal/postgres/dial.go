package postgres

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// userTimeout is how long what was sent may go unanswered by the other side's
// kernel.
const userTimeout = 5 * time.Second

// newDialer returns what opens connections. A server that the network no longer
// leads to says nothing, so a connection is given up when it has been silent for
// some six seconds: by keepalives while we wait for the server's next word, and
// by the user timeout, in place of a quarter of an hour, when it owes us an
// answer.
func newDialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 3},
		Control: func(network, _ string, conn syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") || runtime.GOOS != "linux" {
				return nil
			}
			const option = 0x12 // TCP_USER_TIMEOUT, which package syscall has no name for
			var err error
			controlErr := conn.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, option, int(userTimeout.Milliseconds()))
			})
			return errors.Join(controlErr, err)
		},
	}
}
