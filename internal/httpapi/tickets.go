package httpapi

import (
	"context"
	"fmt"
	"time"

	"herald/internal/auth"
)

// ticketLife is how long a ticket is good: enough to open a stream with it, and
// too little to be of use to whoever finds it in a log.
const ticketLife = 30 * time.Second

type ticketOut struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Ticket    string    `json:"ticket" doc:"For GET /api/sse?ticket=, once."`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

// makeTicket makes a ticket that opens one stream in the name of who asks, for
// clients that cannot send headers, such as a browser's EventSource.
func (a *api) makeTicket(ctx context.Context, _ *struct{}) (*ticketOut, error) {
	ticket := auth.NewTicket()
	if err := a.Tickets.SaveTicket(ctx, auth.HashOf(ticket), principalOf(ctx), ticketLife); err != nil {
		return nil, err
	}
	out := &ticketOut{CacheControl: "no-store"}
	out.Body.Ticket, out.Body.ExpiresAt = ticket, time.Now().Add(ticketLife).UTC().Truncate(time.Second)
	return out, nil
}

// takeTicket uses a ticket up. Its token may have ended meanwhile; an API key that
// was revoked meanwhile ends the stream.
func (a *api) takeTicket(ctx context.Context, ticket string) (auth.Principal, error) {
	if !auth.IsTicket(ticket) {
		return auth.Principal{}, auth.ErrBadTicket
	}
	p, err := a.Tickets.TakeTicket(ctx, auth.HashOf(ticket))
	if err == nil {
		err = p.CheckTime()
	}
	if err != nil {
		return auth.Principal{}, fmt.Errorf("ticket: %w", err)
	}
	return p, nil
}
