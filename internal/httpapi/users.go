package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/receipt"
)

type (
	userEventsIn struct {
		ID     string    `path:"id" maxLength:"190"`
		Type   []string  `query:"type,explode" maxItems:"50" doc:"Only of any of these types; job.* means all that begin so."`
		Errors bool      `query:"errors" doc:"Only failures and the like, as at /api/events."`
		Since  time.Time `query:"since" doc:"Only what was recorded then or later."`
		Until  time.Time `query:"until" doc:"Only what was recorded before then."`
		Cursors
		Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`

		path url.URL // set by Resolve
	}
	userEventsOut struct {
		Body struct {
			Events []toldRecord `json:"events"`
			PageEnds
		}
	}
	// toldRecord is an event that a user was to get.
	toldRecord struct {
		record
		Receipt receipt.Told `json:"receipt" doc:"What became of it for the user."`
	}

	jobsThenIn struct {
		ID  string `path:"id" maxLength:"190"`
		Seq int64  `query:"seq" required:"true" minimum:"1" doc:"As of which event of the log."`
	}
	jobsThenOut struct {
		Body struct {
			Jobs    []job.Job `json:"jobs" doc:"The newest of them, newest first."`
			Partial bool      `json:"partial,omitempty" doc:"There were more, or not all was looked at in time, or some of it is no longer kept."`
			Floor   event.Seq `json:"floor" doc:"The last seq that is no longer kept."`
		}
	}
)

// Resolve keeps the address, which the links to other pages are made of.
func (in *userEventsIn) Resolve(ctx huma.Context) []error {
	in.path = ctx.URL()
	return nil
}

// mayLookBack returns an error unless the principal may see what the user was told,
// and notes that it looks.
func (a *api) mayLookBack(ctx context.Context, user, what string) error {
	if p := principalOf(ctx); p.User != user && !p.MayReadLog() {
		return fmt.Errorf("%w: see what others were told", auth.ErrForbidden)
	}
	return a.noteOnce(ctx, user, what+" of user:"+user)
}

// userEvents lists what a user was to be told, and says of each event whether it
// arrived.
func (a *api) userEvents(ctx context.Context, in *userEventsIn) (*userEventsOut, error) {
	if err := a.mayLookBack(ctx, in.ID, "events"); err != nil {
		return nil, err
	}
	q := event.Query{
		Types: slices.Clone(in.Type), Since: in.Since, Until: in.Until, Limit: in.Limit, Patience: pagePatience,
		Topics: []event.Topic{event.UserTopic(in.ID), event.Everyone},
	}
	if in.Errors {
		if len(q.Types) > 0 {
			return nil, fmt.Errorf("%w: errors and type: want one of them", event.ErrQuery)
		}
		q.Types = errorTypes()
	}
	turned := in.direct(&q, "desc")
	page, err := a.page(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &userEventsOut{}
	out.Body.PageEnds = endsOf(in.path, q, page, turned)
	if out.Body.Events, err = a.told(ctx, in.ID, page.Events); turned {
		slices.Reverse(out.Body.Events)
	}
	return out, err
}

// told says of each event, which are in the order of the log or in the opposite one,
// what became of it for the user.
func (a *api) told(ctx context.Context, user string, events []event.Event) ([]toldRecord, error) {
	list := make([]toldRecord, len(events))
	if len(events) == 0 {
		return list, nil
	}
	oldest := slices.MinFunc(events, func(x, y event.Event) int { return x.RecordedAt.Compare(y.RecordedAt) }).RecordedAt
	streams, err := a.Receipts.StreamsSince(ctx, []string{user}, oldest, receiptStreams)
	if err != nil {
		return nil, err
	}
	newer, err := a.newer(ctx, events)
	if err != nil {
		return nil, err
	}
	for i, e := range events {
		list[i] = toldRecord{recordOf(principalOf(ctx), e), receipt.Event{Event: e, Newer: newer[e.Seq]}.To(user, streams)}
	}
	return list, nil
}

// newer is the next progress of the same job for each progress that has one: from
// among the events where it is there, else from the log, by one look for each job.
func (a *api) newer(ctx context.Context, events []event.Event) (map[event.Seq]event.Seq, error) {
	bySeq := slices.SortedFunc(slices.Values(events), func(x, y event.Event) int { return int(y.Seq - x.Seq) })
	next, newer := map[uuid.UUID]event.Seq{}, map[event.Seq]event.Seq{}
	for _, e := range bySeq { // the newest first
		if !e.Type.Conflatable() || e.JobID == uuid.Nil {
			continue
		}
		if _, ok := next[e.JobID]; !ok {
			page, err := a.page(ctx, event.Query{Job: e.JobID, Types: []string{string(e.Type)}, After: e.Seq, Limit: 1, Patience: pagePatience})
			if err != nil {
				return nil, err
			}
			if len(page.Events) > 0 {
				next[e.JobID] = page.Events[0].Seq
			}
		}
		newer[e.Seq] = next[e.JobID]
		next[e.JobID] = e.Seq
	}
	return newer, nil
}

// jobsThen are the newest of a user's jobs as they stood at an event: each is put
// together from the last event that has all of it, and the last that moved it.
func (a *api) jobsThen(ctx context.Context, in *jobsThenIn) (*jobsThenOut, error) {
	if err := a.mayLookBack(ctx, in.ID, "jobs"); err != nil {
		return nil, err
	}
	const most = 50 // as many as the web app lists at first
	page, err := a.page(ctx, event.Query{
		User: in.ID, Types: []string{string(event.JobQueued)}, Before: event.Seq(in.Seq) + 1, Backward: true, Limit: 2 * most, Patience: pagePatience,
	})
	if err != nil {
		return nil, err
	}
	out := &jobsThenOut{}
	out.Body.Jobs, out.Body.Floor = []job.Job{}, page.Floor
	out.Body.Partial = page.Partial || page.More || page.Floor > 0
	for _, id := range jobsOf(page.Events) {
		if len(out.Body.Jobs) == most {
			out.Body.Partial = true
			break
		}
		j, err := a.jobThen(ctx, id, event.Seq(in.Seq))
		if err != nil {
			return nil, err
		}
		if j.Owner == in.ID { // and it is there; else it is another's, which they watch
			out.Body.Jobs = append(out.Body.Jobs, j)
		}
	}
	return out, nil
}

// jobsOf are the jobs of the events, each once, newest first.
func jobsOf(events []event.Event) []uuid.UUID {
	var ids []uuid.UUID
	for _, e := range events {
		ids = append(ids, e.JobID)
	}
	slices.SortFunc(ids, func(x, y uuid.UUID) int { return slices.Compare(y[:], x[:]) })
	return slices.Compact(ids)
}

// jobThen is a job as it stood at an event; the zero Job when it was not there.
func (a *api) jobThen(ctx context.Context, id uuid.UUID, seq event.Seq) (job.Job, error) {
	var j job.Job
	for _, types := range [][]string{wholeTypes(), {string(event.JobProgress), string(event.JobMessage)}} {
		page, err := a.page(ctx, event.Query{Job: id, Types: types, Before: seq + 1, Backward: true, Limit: 1, Patience: pagePatience})
		if err != nil {
			return job.Job{}, err
		}
		for _, e := range page.Events {
			switch {
			case e.Type == event.JobDeleted:
				return job.Job{}, nil
			case e.JobVersion <= j.Version, j.ID != id && event.Type(types[0]).Conflatable():
				continue // what moved it is older than the rest, or the rest is no longer kept
			}
			j.Metadata = nil // the one that may be left out
			if err := json.Unmarshal(e.Payload, &j); err != nil {
				return job.Job{}, fmt.Errorf("read the job of event %d: %w", e.Seq, err)
			}
		}
	}
	return j, nil
}

// wholeTypes are the events that carry all of a job, and that of its end.
func wholeTypes() []string {
	list := []string{string(event.JobArtifactsExpired), string(event.JobDeleted)}
	for _, t := range []event.Type{
		event.JobQueued, event.JobStarted, event.JobStep, event.JobRetrying, event.JobStalled, event.JobResumed, event.JobCancelling,
		event.JobCancelled, event.JobSucceeded, event.JobFailed,
	} {
		list = append(list, string(t))
	}
	return list
}
