package httpapi

import (
	"context"
	"fmt"
	"strconv"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/queue"
)

// Queues is what stands in River's tables. Nothing is changed there but by way of a
// job, so that the log tells of it.
type Queues interface {
	QueueOverview(ctx context.Context) (queue.Overview, error)
	QueueEntries(ctx context.Context, f queue.Filter) (queue.Page, error)
	QueueEntry(ctx context.Context, id int64) (queue.EntryDetails, error)
}

type (
	queueOut struct{ Body queue.Overview }

	entriesIn struct {
		State  string `query:"state" enum:"pending,scheduled,available,running,retryable,completed,cancelled,discarded" doc:"Only entries in that state, in River's word for it."`
		Queue  string `query:"queue" maxLength:"200" doc:"Only entries of that queue."`
		Kind   string `query:"kind" maxLength:"200" doc:"Only entries of that kind."`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Before string `query:"before" doc:"The next of the page before."`
	}
	entriesOut struct {
		Body struct {
			Entries []queue.Entry `json:"entries"`
			Next    string        `json:"next" doc:"What to pass as before for the next page; empty when there is none."`
			Partial bool          `json:"partial,omitempty" doc:"Not all was looked at in time: the next page goes on from there."`
		}
	}

	entryIn struct {
		ID int64 `path:"id" minimum:"1"`
	}
	entryOut struct{ Body queue.EntryDetails }
)

// mayReadQueue returns an error unless the principal may look into the queue.
func mayReadQueue(ctx context.Context) error {
	if !principalOf(ctx).MayReadQueue() {
		return fmt.Errorf("%w: look into the queue", auth.ErrForbidden)
	}
	return nil
}

func (a *api) queueOverview(ctx context.Context, _ *struct{}) (*queueOut, error) {
	if err := mayReadQueue(ctx); err != nil {
		return nil, err
	}
	if err := a.noteOnce(ctx, "", "queue"); err != nil {
		return nil, err
	}
	o, err := inTurn(ctx, a, func() (queue.Overview, error) { return a.Queues.QueueOverview(ctx) })
	return &queueOut{o}, err
}

func (a *api) queueEntries(ctx context.Context, in *entriesIn) (*entriesOut, error) {
	if err := mayReadQueue(ctx); err != nil {
		return nil, err
	}
	f := queue.Filter{State: queue.State(in.State), Queue: in.Queue, Kind: in.Kind, Limit: in.Limit, Patience: pagePatience}
	if in.Before != "" {
		before, err := strconv.ParseInt(in.Before, 10, 64)
		if err != nil || before < 1 {
			return nil, fmt.Errorf("before: %w", event.ErrBadCursor)
		}
		f.Before = before
	}
	if err := a.noteOnce(ctx, "", "queue"); err != nil {
		return nil, err
	}
	page, err := inTurn(ctx, a, func() (queue.Page, error) { return a.Queues.QueueEntries(ctx, f) })
	if err != nil {
		return nil, err
	}
	out := &entriesOut{}
	out.Body.Entries, out.Body.Partial = page.Entries, page.Partial
	if page.More {
		out.Body.Next = strconv.FormatInt(page.Reached, 10)
	}
	return out, nil
}

// queueEntry shows an entry with the errors of its attempts, which tell of its job's
// owner's things.
func (a *api) queueEntry(ctx context.Context, in *entryIn) (*entryOut, error) {
	if err := mayReadQueue(ctx); err != nil {
		return nil, err
	}
	d, err := inTurn(ctx, a, func() (queue.EntryDetails, error) { return a.Queues.QueueEntry(ctx, in.ID) })
	if err != nil {
		return nil, err
	}
	return &entryOut{d}, a.noteOnce(ctx, d.Owner(), "queue:"+strconv.FormatInt(in.ID, 10))
}
