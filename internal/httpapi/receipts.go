package httpapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/presence"
	"herald/internal/receipt"
)

// Receipts is what is known of the streams that an event was to come to.
type Receipts interface {
	StreamsOf(ctx context.Context, e event.Event, user string, before uuid.UUID, limit int) ([]presence.Connection, error)
	StreamsSince(ctx context.Context, users []string, moment time.Time, limit int) ([]presence.Connection, error)
	ConnectionAge() time.Duration
}

type (
	deliveriesIn struct {
		Seq    int64  `path:"seq" minimum:"1"`
		User   string `query:"user" maxLength:"200" doc:"Only streams of that user."`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Before string `query:"before" doc:"The next of the page before."`
	}
	deliveriesOut struct {
		Body struct {
			Event      record              `json:"event"`
			Recipients []receipt.Recipient `json:"recipients" doc:"The users whom it names, and the best that became of it."`
			Deliveries []receipt.Delivery  `json:"deliveries" doc:"The streams that it was to come to, newest first."`
			Next       string              `json:"next" doc:"What to pass as before for the next page; empty when there is none."`
		}
	}

	explainIn struct {
		Seq  int64  `path:"seq" minimum:"1"`
		User string `query:"user" maxLength:"200" doc:"Who is asked about; by default, who asks."`
	}
	explainOut struct{ Body receipt.Explanation }
)

// receiptStreams bounds how many streams of users are looked at.
const receiptStreams = 1000

// deliveries says what became of an event. Who may not read the log sees its own
// streams alone.
func (a *api) deliveries(ctx context.Context, in *deliveriesIn) (*deliveriesOut, error) {
	p := principalOf(ctx)
	user, err := askedAbout(p, in.User)
	if err != nil {
		return nil, err
	}
	if in.User == "" && p.MayReadLog() {
		user = ""
	}
	var before uuid.UUID
	if in.Before != "" {
		if before, err = uuid.Parse(in.Before); err != nil {
			return nil, fmt.Errorf("before: %w", event.ErrBadCursor)
		}
	}
	e, err := a.receiptOf(ctx, event.Seq(in.Seq))
	if err != nil {
		return nil, err
	}
	streams, err := a.Receipts.StreamsOf(ctx, e.Event, user, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &deliveriesOut{}
	out.Body.Event, out.Body.Deliveries = recordOf(p, e.Event), []receipt.Delivery{}
	if len(streams) > in.Limit {
		streams = streams[:in.Limit]
		out.Body.Next = streams[in.Limit-1].ID.String()
	}
	for _, c := range streams {
		out.Body.Deliveries = append(out.Body.Deliveries, e.On(c))
	}
	out.Body.Recipients, err = a.recipients(ctx, e, user)
	return out, err
}

// recipients says of the users whom the event names what became of it; of one alone
// when that is not empty.
func (a *api) recipients(ctx context.Context, e receipt.Event, user string) ([]receipt.Recipient, error) {
	var users []string
	for _, topic := range e.Topics {
		if named, ok := topic.User(); ok && (user == "" || named == user) {
			users = append(users, named)
		}
	}
	if len(users) == 0 {
		return []receipt.Recipient{}, nil
	}
	streams, err := a.Receipts.StreamsSince(ctx, users, e.RecordedAt, receiptStreams)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(e.Recipients(streams), func(r receipt.Recipient) bool { return !slices.Contains(users, r.User) }), nil
}

// askedAbout is whose streams are asked about: one's own, unless one may read the log.
func askedAbout(p auth.Principal, user string) (string, error) {
	switch {
	case user == "" || user == p.User:
		return p.User, nil
	case !p.MayReadLog():
		return "", fmt.Errorf("%w: see what others got", auth.ErrForbidden)
	}
	return user, nil
}

// receiptOf reads an event that the principal may see, and what may have replaced
// it.
func (a *api) receiptOf(ctx context.Context, seq event.Seq) (receipt.Event, error) {
	e, err := a.visibleEvent(ctx, seq)
	if err != nil || !e.Type.Conflatable() || e.JobID == uuid.Nil {
		return receipt.Event{Event: e}, err
	}
	page, err := a.page(ctx, event.Query{Job: e.JobID, Types: []string{string(e.Type)}, After: seq, Limit: 1, Patience: pagePatience})
	if err != nil || len(page.Events) == 0 {
		return receipt.Event{Event: e}, err
	}
	return receipt.Event{Event: e, Newer: page.Events[0].Seq}, nil
}

// explain says why a user got an event, or did not.
func (a *api) explain(ctx context.Context, in *explainIn) (*explainOut, error) {
	user, err := askedAbout(principalOf(ctx), in.User)
	if err != nil {
		return nil, err
	}
	e, err := a.receiptOf(ctx, event.Seq(in.Seq))
	if errors.Is(err, event.ErrTooOld) {
		return &explainOut{receipt.Retention(user, err)}, nil
	}
	if err != nil {
		return nil, err
	}
	streams, err := a.Receipts.StreamsSince(ctx, []string{user}, e.RecordedAt, receiptStreams)
	if err != nil {
		return nil, err
	}
	who := receipt.Who{User: user, Theirs: a.theirs(ctx, e.Event, user), Known: time.Now().Add(-a.Receipts.ConnectionAge())}
	return &explainOut{e.Explain(who, streams)}, nil
}

// theirs reports whether a topic of the event is the user's without a grant.
func (a *api) theirs(ctx context.Context, e event.Event, user string) bool {
	return slices.ContainsFunc(e.Topics, func(t event.Topic) bool {
		if t == event.Everyone || t == event.UserTopic(user) {
			return true
		}
		id, ok := t.Job()
		if !ok {
			return false
		}
		j, err := a.Jobs.Job(ctx, id)
		return err == nil && j.Owner == user
	})
}
