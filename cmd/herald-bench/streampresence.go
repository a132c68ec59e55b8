package main

import (
	"context"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/presence"
)

// present is the hub as a presence.Tracker knows it.
type present struct{ hub *hub.Hub }

func (p present) Written(yield func(uuid.UUID, event.Seq)) {
	positions, _ := p.hub.Written(context.Background()) // of a hub that has ended, none
	for _, at := range positions {
		yield(at.ID, at.Written)
	}
}

func (p present) Disconnect(id uuid.UUID) { p.hub.Disconnect(id, hub.ErrDisconnected) }

// unread takes what a presence.Tracker writes, and keeps nothing.
type unread struct{}

func (unread) WriteConnections(context.Context, presence.Batch) (presence.Answer, error) {
	return presence.Answer{}, nil
}

func (unread) WriteAcks(_ context.Context, acks []presence.Ack) ([]error, error) {
	return make([]error, len(acks)), nil
}

func (unread) CloseNodeConnections(context.Context, string, presence.Reason, []uuid.UUID) error {
	return nil
}

func (unread) CloseLostConnections(context.Context, []string) (int, error) { return 0, nil }
