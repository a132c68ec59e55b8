//go:build !linux

package hub

import (
	"errors"
	"net"
	"time"
)

// TakesConnections is whether the hub can write connections itself on this
// system.
const TakesConnections = false

// Takes reports whether the hub can write the connection itself.
func Takes(net.Conn) bool { return false }

func detach(conn net.Conn, _ time.Duration) (fd int, err error) {
	return -1, errors.Join(errors.ErrUnsupported, conn.Close())
}

func closeFD(int) {}

type readiness struct{}

type sockets struct{ ready chan []readiness }

func (*sockets) close() {}

func (*shard) watch(*conn) error  { return errors.ErrUnsupported }
func (*shard) handle([]readiness) {}
func (*shard) write(*conn) bool   { return false }
func (*shard) closeSocket(*conn)  {}
