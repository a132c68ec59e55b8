package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/presence"
)

type (
	ackIn struct {
		Body struct {
			Client  uuid.UUID `json:"client_id" format:"uuid" doc:"As in stream.open."`
			Seq     int64     `json:"seq" minimum:"0" doc:"The last seq that you have handled; 0 when there was none."`
			Visible bool      `json:"visible,omitempty" doc:"Whether the page is visible."`
		}
	}

	connectionIn struct {
		ID uuid.UUID `path:"id" format:"uuid"`
	}
	connectionOut struct{ Body presence.Connection }

	connectionsIn struct {
		User   string    `query:"user" maxLength:"200" doc:"Only streams of that user."`
		Node   string    `query:"node" maxLength:"200" doc:"Only open streams that the node holds."`
		Live   bool      `query:"live" doc:"Only open streams."`
		Ended  bool      `query:"ended" doc:"Only streams that have ended."`
		Since  time.Time `query:"since" doc:"Only streams that had not ended then."`
		Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Before string    `query:"before" doc:"The next of the page before."`
	}
	connectionsOut struct {
		Body struct {
			Connections []presence.Connection `json:"connections"`
			Next        string                `json:"next" doc:"What to pass as before for the next page; empty when there is none."`
			Statistics  *presence.Statistics  `json:"statistics,omitempty" doc:"What is open on all nodes; on the first page of everybody's streams."`
		}
	}

	userIn struct {
		ID string `path:"id" maxLength:"200"`
	}
	userOut  struct{ Body presence.User }
	askedOut struct {
		Body struct {
			Asked int `json:"asked" doc:"How many streams are to end, besides those that were to end already."`
		}
	}
)

// unwritten is the Presence of a node that does not write its streams down.
type unwritten struct{}

func (unwritten) Opened(presence.Connection)                   {}
func (unwritten) Wrote(uuid.UUID, event.Seq)                   {}
func (unwritten) Closed(uuid.UUID, presence.Reason, event.Seq) {}
func (unwritten) Acked(presence.Ack) error                     { return presence.ErrBusy }
func (unwritten) Await(context.Context, presence.Ack) error    { return presence.ErrBusy }

// ackTime bounds how long an ack waits for its answer.
const ackTime = 10 * time.Second

// ack takes a client's word at once where the stream is this node's and known to
// be so far, and else with the next batch.
func (a *api) ack(ctx context.Context, in *ackIn) (*struct{}, error) {
	if !principalOf(ctx).MayAcknowledge() {
		return nil, fmt.Errorf("%w: acknowledge streams", auth.ErrForbidden)
	}
	word := presence.Ack{
		Client: in.Body.Client, User: principalOf(ctx).User, Seq: event.Seq(in.Body.Seq), Visible: in.Body.Visible,
	}
	err := a.Presence.Acked(word)
	if errors.Is(err, presence.ErrLater) {
		ctx, cancel := context.WithTimeout(ctx, ackTime)
		defer cancel()
		err = a.Presence.Await(ctx, word)
	}
	return nil, err
}

// connectionOf is a stream that begins, as it is written down.
func connectionOf(r *http.Request, ask streamRequest, o opening) presence.Connection {
	c := presence.Connection{
		ID: ask.clientID, User: ask.principal.User, Session: ask.session, UserAgent: r.UserAgent(), Metadata: ask.about,
		Topics: append(slices.Clone(ask.topics), event.ClientTopic(ask.clientID)), OpenedSeq: o.from, OpenedHead: o.replay.Head(),
		Filter: ask.filter, Whole: ask.whole,
	}
	from := clientOf(r.Context())
	if addr := cmp.Or(from.addr, from.near); addr.IsValid() {
		c.Address = &addr
	}
	return c
}

// closedWhy is the reason for a stream's end. The hub has words for what it
// meets; what else ends a stream is what its handler met while it wrote.
func closedWhy(err error) presence.Reason {
	why := presence.Reason(hub.Reason(err))
	switch {
	case why != presence.Failed:
	case errors.Is(err, os.ErrDeadlineExceeded):
		why = presence.WriteTimeout
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, context.Canceled):
		why = presence.ClientGone
	}
	return why
}

func (a *api) listConnections(ctx context.Context, in *connectionsIn) (*connectionsOut, error) {
	if !principalOf(ctx).MayWatch(in.User) {
		return nil, fmt.Errorf("%w: see others' streams", auth.ErrForbidden)
	}
	f := presence.Filter{User: in.User, Node: in.Node, Live: in.Live, Ended: in.Ended, Since: in.Since, Limit: in.Limit + 1}
	if in.Before != "" {
		before, err := uuid.Parse(in.Before)
		if err != nil {
			return nil, fmt.Errorf("before: %w", event.ErrBadCursor)
		}
		f.Before = before
	}
	what := "connections"
	if in.User != "" {
		what = "user:" + in.User
	}
	if err := a.noteOnce(ctx, in.User, what); err != nil {
		return nil, err
	}
	list, err := a.Connections.Connections(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &connectionsOut{}
	out.Body.Connections = list
	if len(list) > in.Limit {
		out.Body.Connections = list[:in.Limit]
		out.Body.Next = list[in.Limit-1].ID.String()
	}
	if in.User != "" || in.Before != "" {
		return out, nil
	}
	statistics, err := a.Connections.ConnectionStatistics(ctx)
	out.Body.Statistics = &statistics
	return out, err
}

// connection returns a stream that the principal may see. One that it may not see
// does not exist for it.
func (a *api) connection(ctx context.Context, id uuid.UUID) (presence.Connection, error) {
	c, err := a.Connections.Connection(ctx, id)
	switch {
	case err != nil:
		return presence.Connection{}, err
	case !principalOf(ctx).MayWatch(c.User):
		return presence.Connection{}, presence.ErrNotFound
	}
	return c, a.noteOnce(ctx, c.User, "client:"+id.String())
}

func (a *api) getConnection(ctx context.Context, in *connectionIn) (*connectionOut, error) {
	c, err := a.connection(ctx, in.ID)
	return &connectionOut{c}, err
}

// endConnection asks the node that holds the stream to end it. A stream that has
// ended is answered with as it is.
func (a *api) endConnection(ctx context.Context, in *connectionIn) (*connectionOut, error) {
	c, err := a.connection(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	p := principalOf(ctx)
	if !p.MayDisconnect(c.User) {
		return nil, fmt.Errorf("%w: end another's stream", auth.ErrForbidden)
	}
	c, err = a.Connections.CloseConnection(ctx, in.ID, p.User)
	return &connectionOut{c}, err
}

func (a *api) userPresence(ctx context.Context, in *userIn) (*userOut, error) {
	if !principalOf(ctx).MayWatch(in.ID) {
		return nil, fmt.Errorf("%w: see whether others are there", auth.ErrForbidden)
	}
	if err := a.noteOnce(ctx, in.ID, "user:"+in.ID); err != nil {
		return nil, err
	}
	u, err := a.Connections.UserPresence(ctx, in.ID)
	return &userOut{u}, err
}

func (a *api) endUserConnections(ctx context.Context, in *userIn) (*askedOut, error) {
	p := principalOf(ctx)
	if !p.MayDisconnect(in.ID) {
		return nil, fmt.Errorf("%w: end others' streams", auth.ErrForbidden)
	}
	out := &askedOut{}
	var err error
	out.Body.Asked, err = a.Connections.CloseUserConnections(ctx, in.ID, p.User)
	return out, err
}
