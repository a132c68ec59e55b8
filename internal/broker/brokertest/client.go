// Package brokertest reads a broker as a stream's handler does, for tests.
package brokertest

import (
	"context"

	"github.com/google/uuid"

	"herald/internal/broker"
	"herald/internal/event"
	"herald/internal/hub"
)

// Client reads what it has missed, and then what is live. One goroutine may use
// it at a time.
type Client struct {
	hub    *hub.Hub
	topics []event.Topic
	replay *broker.Replay
	live   *hub.Subscription // nil until it has joined
}

// Subscribe returns a Client that reads the topics after the Seq. The caller
// closes it.
func Subscribe(ctx context.Context, b *broker.Broker, h *hub.Hub, topics []event.Topic, after event.Seq) (*Client, error) {
	replay, err := b.Subscribe(ctx, broker.Reading{Topics: topics, After: after})
	if err != nil {
		return nil, err
	}
	return &Client{hub: h, topics: topics, replay: replay}, nil
}

// Next waits for frames and returns them, in the order of Seq.
func (c *Client) Next(ctx context.Context) ([]*hub.Frame, error) {
	for c.live == nil {
		if c.replay.Join(c.join) {
			break
		}
		if frames, err := c.replay.Next(ctx); err != nil || len(frames) > 0 {
			return frames, err
		}
	}
	return c.live.Next(ctx)
}

func (c *Client) join(missing []*hub.Frame, after event.Seq) {
	c.live = c.hub.Subscribe(hub.Stream{ID: uuid.New(), Topics: c.topics}, missing, after)
}

// Close ends it.
func (c *Client) Close() {
	if c.live != nil {
		c.live.Close(nil)
	}
}
