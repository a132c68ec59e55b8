// Package pgbus is the bus over LISTEN and NOTIFY. The announcing is done by
// the statement that appends to the log, so that it costs no round trip of its
// own and cannot be forgotten.
package pgbus

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/event"
)

// The bounds of the wait before a reconnect; each is up to half of it longer.
const (
	firstBackoff   = 50 * time.Millisecond
	longestBackoff = 5 * time.Second
)

// silence is how long the connection may say nothing before it is asked
// whether it is still there.
const silence = 30 * time.Second

// Bus listens on one channel. It satisfies bus.Bus.
type Bus struct {
	connect func(context.Context) (*pgx.Conn, error)
	channel string
	log     *slog.Logger
}

// New returns a Bus that listens on the channel, over connections of its own
// that connect opens.
func New(connect func(context.Context) (*pgx.Conn, error), channel string, log *slog.Logger) *Bus {
	return &Bus{connect: connect, channel: channel, log: log}
}

// Follow listens until ctx ends; see bus.Bus.
func (b *Bus) Follow(ctx context.Context, grown func(head event.Seq)) error {
	backoff := firstBackoff
	for ctx.Err() == nil {
		err := b.listen(ctx, func(head event.Seq) {
			backoff = firstBackoff
			grown(head)
		})
		if ctx.Err() != nil {
			continue
		}
		b.log.WarnContext(ctx, "bus lost its connection", "error", err, "retry_in", backoff)
		select {
		case <-ctx.Done():
		case <-time.After(backoff + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, longestBackoff)
	}
	return nil
}

// listen follows one connection until it fails.
func (b *Bus) listen(ctx context.Context, grown func(head event.Seq)) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{b.channel}.Sanitize()); err != nil {
		return fmt.Errorf("listen on %s: %w", b.channel, err)
	}
	grown(0)
	for {
		head, err := wait(ctx, conn)
		if err != nil {
			return err
		}
		if head > 0 {
			grown(head)
		}
	}
}

// wait returns the next head announced, or 0 after a silence that turned out to
// be harmless.
func wait(ctx context.Context, conn *pgx.Conn) (event.Seq, error) {
	short, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	note, err := conn.WaitForNotification(short)
	switch {
	case err == nil:
		return event.ParseCursor(note.Payload)
	case short.Err() != nil && ctx.Err() == nil:
		ping, cancel := context.WithTimeout(ctx, silence/6)
		defer cancel()
		return 0, conn.Ping(ping)
	default:
		return 0, fmt.Errorf("wait for an announcement: %w", err)
	}
}
