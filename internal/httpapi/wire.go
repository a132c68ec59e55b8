package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"herald/internal/hub"
)

// wire is a stream's connection as its handler writes it.
type wire interface {
	// head is what stands before the stream, and is still to be written.
	head() []byte
	// write writes the parts, one after the other, in bounded time.
	write(parts ...[]byte) error
	// conn is the connection for the hub to take, or nil where it cannot.
	conn() net.Conn
	close() error
}

// newWire answers the request with the head of a stream. A connection of plain
// HTTP/1.1 is taken from the server, so that the hub can have it, if it is to.
func newWire(w http.ResponseWriter, r *http.Request, forHub bool) (wire, error) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform") // also: no proxy compresses it, and so holds it back
	header.Set("X-Accel-Buffering", "no")                 // nginx passes each write on at once
	control := http.NewResponseController(w)
	if forHub && r.ProtoMajor == 1 && r.TLS == nil && hub.TakesConnections {
		conn, _, err := control.Hijack()
		if err == nil {
			return beginPlain(conn, header)
		}
		// A writer that something has wrapped: its own error, not always
		// http.ErrNotSupported. The server still has the connection.
	}
	w.WriteHeader(http.StatusOK)
	return &served{w: w, control: control}, nil
}

// plain is a connection of plain HTTP/1.1, taken from the server.
type plain struct {
	net.Conn
	answer []byte // the answer's head
}

// beginPlain makes the head of the answer, which no one else does any more. The
// stream ends with the connection, so it needs no chunks; HTTP/1.0 clients,
// which nginx is one of, read it too.
func beginPlain(conn net.Conn, header http.Header) (wire, error) {
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 200 OK\r\nConnection: close\r\nDate: %s\r\n", time.Now().UTC().Format(http.TimeFormat))
	err := header.Write(&head)
	head.WriteString("\r\n")
	if err == nil {
		err = conn.SetDeadline(time.Time{}) // those of the request do not hold for the stream
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return plain{conn, head.Bytes()}, nil
}

func (p plain) head() []byte { return p.answer }

func (p plain) write(parts ...[]byte) error {
	if err := p.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	buffers := net.Buffers(parts) // all in one write, as far as the kernel takes it
	_, err := buffers.WriteTo(p.Conn)
	return err
}

func (p plain) conn() net.Conn {
	if hub.Takes(p.Conn) {
		return p.Conn
	}
	return nil
}

func (p plain) close() error { return p.Close() }

// served is a stream within the server's own connection: HTTP/2 and TLS.
type served struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *served) write(parts ...[]byte) error {
	err := ignoreUnsupported(s.control.SetWriteDeadline(time.Now().Add(writeTimeout)))
	for i := 0; i < len(parts) && err == nil; i++ {
		_, err = s.w.Write(parts[i])
	}
	if err == nil {
		err = s.control.Flush()
	}
	// A deadline that stays would end an HTTP/2 stream while it is idle.
	return errors.Join(err, ignoreUnsupported(s.control.SetWriteDeadline(time.Time{})))
}

func (*served) head() []byte { return nil }

func (*served) conn() net.Conn { return nil }

func (*served) close() error { return nil }

// ignoreUnsupported passes over a writer that has no deadlines.
func ignoreUnsupported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
