package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/broker"
	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/job"
)

type (
	claimIn struct {
		ID   uuid.UUID `path:"id" format:"uuid"`
		Key  string    `header:"Idempotency-Key" maxLength:"200" doc:"With one that was seen, the first answer comes again."`
		Body struct {
			Worker string     `json:"worker,omitempty" maxLength:"200" doc:"What people call the worker; by default, who asks."`
			Steps  []planStep `json:"steps,omitempty" maxItems:"32" doc:"The attempt's plan."`
		}
	}
	claimOut struct{ Body job.Answer }

	planStep struct {
		Name   string  `json:"name" maxLength:"80"`
		Weight float64 `json:"weight,omitempty" minimum:"0" doc:"The step's share of the whole against the other steps' weights."`
	}

	// report is what a worker says, as herald.Report has it in Go.
	report struct {
		Attempt      int             `json:"attempt" minimum:"1" doc:"The attempt it belongs to."`
		State        job.State       `json:"state,omitempty" enum:"retrying,succeeded,failed,cancelled"`
		Progress     *float64        `json:"progress,omitempty" minimum:"0" maximum:"1" doc:"Share of the whole job."`
		Step         string          `json:"step,omitempty" maxLength:"80" doc:"The step under way: one of the plan's, when there is a plan."`
		StepProgress *float64        `json:"step_progress,omitempty" minimum:"0" maximum:"1" doc:"Share of that step."`
		Processed    *int64          `json:"processed,omitempty" minimum:"0"`
		Total        *int64          `json:"total,omitempty" minimum:"0"`
		Unit         string          `json:"unit,omitempty" maxLength:"80" example:"rows"`
		Message      string          `json:"message,omitempty" maxLength:"1000"`
		Details      json.RawMessage `json:"details,omitempty" doc:"A JSON object that a page may show."`
		RemainingMS  *int64          `json:"remaining_ms,omitempty" minimum:"0" maximum:"9000000000000" doc:"The worker's estimate of the time left."`
		Error        string          `json:"error,omitempty" maxLength:"3000" doc:"What went wrong; required with retrying and failed."`
		RetryAt      *time.Time      `json:"retry_at,omitempty" doc:"With retrying: when the next attempt may start."`
		Unblamed     bool            `json:"unblamed,omitempty" doc:"With retrying: the attempt does not count as a failure."`
		Result       json.RawMessage `json:"result,omitempty" doc:"With succeeded: what came of it, a JSON object."`
		Metadata     json.RawMessage `json:"metadata,omitempty" doc:"Replaces the job's metadata."`
		NextWithinMS *int64          `json:"next_within_ms,omitempty" minimum:"1" maximum:"86400000" doc:"Promises the next report within that time: a worker that keeps its word is not stalled."`
	}

	reportsIn struct {
		ID   uuid.UUID `path:"id" format:"uuid"`
		Key  string    `header:"Idempotency-Key" maxLength:"200" doc:"The key of the whole request: with one that was seen, the first answer comes again."`
		Body struct {
			Reports []report `json:"reports" minItems:"1" maxItems:"100" doc:"In their order; all are recorded, or none."`
		}
	}
	reportsOut struct {
		Body struct {
			JobID    uuid.UUID  `json:"job_id"`
			State    job.State  `json:"state" doc:"The job's, after the last report; cancelling asks the worker to stop."`
			Attempt  int        `json:"attempt" doc:"The job's; when it is not the worker's, that is to stop."`
			Version  int64      `json:"version"`
			Repeated bool       `json:"repeated" doc:"The key was seen: this is the first answer again."`
			Reports  []reported `json:"reports" doc:"What each became."`
		}
	}
	reported struct {
		Outcome string     `json:"outcome" enum:"applied,unchanged,late" doc:"Unchanged: a heartbeat. Late: the attempt is over, and nobody is shown it."`
		EventID *uuid.UUID `json:"event_id" doc:"The event that says so, if one does."`
		Version int64      `json:"version"`
	}

	commandsIn struct {
		ID      uuid.UUID `path:"id" format:"uuid"`
		Attempt int       `query:"attempt" minimum:"0" doc:"The worker's own; without it, the job's."`
		Wait    int       `query:"wait" minimum:"0" maximum:"30" default:"25" doc:"How many seconds to wait for a command."`
	}
	commandsOut struct {
		Body struct {
			Commands []string  `json:"commands" doc:"cancel: end the work, and report that it is cancelled. stop: the attempt is over, there is nothing to report. Empty: go on, and ask again."`
			State    job.State `json:"state"`
			Attempt  int       `json:"attempt"`
		}
	}
)

// What a worker is told to do.
const (
	commandCancel = "cancel"
	commandStop   = "stop"
)

// mayReport returns an error unless the job runs elsewhere, and the principal may
// report on it.
func (a *api) mayReport(ctx context.Context, id uuid.UUID) error {
	j, err := a.visible(ctx, id)
	switch {
	case err != nil:
		return err
	case !principalOf(ctx).MayReport(j.CreatedBy, j.ClaimedBy):
		return fmt.Errorf("%w: report on this job", auth.ErrForbidden)
	case !j.External:
		return job.ErrNotExternal
	}
	return nil
}

// claimJob begins an attempt of a job that waits for a worker elsewhere.
func (a *api) claimJob(ctx context.Context, in *claimIn) (*claimOut, error) {
	p := principalOf(ctx)
	if !p.MayClaim() {
		return nil, fmt.Errorf("%w: run jobs", auth.ErrForbidden)
	}
	out, err := a.Jobs.ClaimJob(ctx, in.ID, job.Claim{By: p.User, Worker: in.Body.Worker, Plan: planOf(in.Body.Steps), Key: in.Key})
	return &claimOut{out.Answer()}, err
}

func planOf(steps []planStep) []job.Step {
	plan := make([]job.Step, len(steps))
	for i, s := range steps {
		plan[i] = job.Step{Name: s.Name, Weight: s.Weight}
	}
	return plan
}

// errOthersJob says that the principal is not the worker of the job that they
// report on.
var errOthersJob = errors.New("somebody else's job")

func (a *api) report(ctx context.Context, in *reportsIn) (*reportsOut, error) {
	reports := make([]job.Report, len(in.Body.Reports))
	for i, r := range in.Body.Reports {
		reports[i] = r.report()
	}
	// Its own worker is known by the row that a report locks; who else it may be is a longer question.
	own := func(j job.Job) error {
		if isWorkerOf(principalOf(ctx), j) {
			return nil
		}
		return errOthersJob
	}
	outs, err := a.Jobs.RecordReports(ctx, in.ID, reports, in.Key, own)
	if errors.Is(err, errOthersJob) {
		if err := a.mayReport(ctx, in.ID); err != nil {
			return nil, err
		}
		outs, err = a.Jobs.RecordReports(ctx, in.ID, reports, in.Key, func(job.Job) error { return nil })
	}
	if err != nil {
		return nil, err
	}
	last := outs[len(outs)-1]
	out := &reportsOut{}
	out.Body.JobID, out.Body.State, out.Body.Attempt = in.ID, last.Job.State, last.Job.Attempt
	out.Body.Version, out.Body.Repeated = last.Job.Version, last.Repeated
	for _, o := range outs {
		out.Body.Reports = append(out.Body.Reports, reportedOf(o.Answer()))
	}
	return out, nil
}

func (r report) report() job.Report {
	out := job.Report{
		Attempt: r.Attempt, State: r.State, Progress: r.Progress, Step: r.Step, StepProgress: r.StepProgress,
		Processed: r.Processed, Total: r.Total, Unit: r.Unit, Message: r.Message, Details: r.Details, Error: r.Error,
		RetryAt: r.RetryAt, Unblamed: r.Unblamed, Result: r.Result, Metadata: r.Metadata,
	}
	if r.RemainingMS != nil {
		out.Remaining = new(time.Duration(*r.RemainingMS) * time.Millisecond)
	}
	if r.NextWithinMS != nil {
		out.NextWithin = new(time.Duration(*r.NextWithinMS) * time.Millisecond)
	}
	return out
}

func reportedOf(a job.Answer) reported {
	r := reported{Outcome: "applied", EventID: a.EventID, Version: a.Version}
	switch {
	case a.Late:
		r.Outcome = "late"
	case a.EventID == nil:
		r.Outcome = "unchanged"
	}
	return r
}

// commands answers once the worker has something to do, or after a while.
func (a *api) commands(ctx context.Context, in *commandsIn) (*commandsOut, error) {
	if err := a.mayReport(ctx, in.ID); err != nil {
		return nil, err
	}
	if in.Wait == 0 {
		j, err := a.Jobs.Job(ctx, in.ID)
		return commandsOf(j, in.Attempt), err
	}
	left, err := a.limits.wait(principalOf(ctx).User)
	if err != nil {
		return nil, err
	}
	defer left()
	waiting, cancel := context.WithTimeout(ctx, time.Duration(in.Wait)*time.Second)
	defer cancel()
	w, err := a.watch(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer w.close()
	for {
		j, err := a.Jobs.Job(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		out := commandsOf(j, in.Attempt)
		if len(out.Body.Commands) > 0 || !w.changed(waiting) {
			return out, nil
		}
	}
}

func commandsOf(j job.Job, attempt int) *commandsOut {
	out := &commandsOut{}
	out.Body.Commands, out.Body.State, out.Body.Attempt = commandsTo(j, attempt), j.State, j.Attempt
	return out
}

// commandsTo is what the worker of the attempt is to do; of whichever attempt, if
// it names none.
func commandsTo(j job.Job, attempt int) []string {
	switch {
	case j.State.Ended(), attempt > 0 && (attempt != j.Attempt || !j.State.Working()):
		return []string{commandStop}
	case j.State == job.Cancelling:
		return []string{commandCancel}
	}
	return []string{}
}

// watch is a look at one job's changes of state, from when it began on.
type watch struct {
	hub    *hub.Hub
	replay *broker.Replay
	stream hub.Stream
	live   *hub.Subscription // nil until it has joined
	opened func()
}

func (a *api) watch(ctx context.Context, id uuid.UUID) (*watch, error) {
	opened, err := a.Hub.Open()
	if err != nil {
		return nil, err
	}
	w := &watch{hub: a.Hub, opened: opened, stream: hub.Stream{
		ID: uuid.New(), Topics: []event.Topic{event.JobTopic(id)}, Expires: principalOf(ctx).Expires,
		Filter: &event.Filter{Types: []string{
			string(event.JobCancelling), string(event.JobCancelled), string(event.JobSucceeded), string(event.JobFailed),
			string(event.JobRetrying), string(event.JobStarted), string(event.JobDeleted),
		}},
	}}
	head, err := a.Broker.Head(ctx)
	if err == nil {
		w.replay, err = a.Broker.Subscribe(ctx, broker.Reading{Topics: w.stream.Topics, Filter: w.stream.Filter, After: head})
	}
	if err != nil {
		w.opened()
		return nil, err
	}
	return w, nil
}

// changed waits for a change of the job's state. It reports false when ctx has
// ended, or the node is to stop.
func (w *watch) changed(ctx context.Context) bool {
	for {
		frames, err := w.next(ctx)
		if err != nil {
			return false
		}
		for _, f := range frames {
			if f.Seq > 0 { // not a word of the stream itself
				return true
			}
		}
	}
}

func (w *watch) next(ctx context.Context) ([]*hub.Frame, error) {
	if w.live == nil {
		if !w.replay.Join(func(missing []*hub.Frame, after event.Seq) { w.live = w.hub.Subscribe(w.stream, missing, after) }) {
			return w.replay.Next(ctx)
		}
		w.opened()
	}
	return w.live.Next(ctx)
}

func (w *watch) close() {
	if w.live == nil {
		w.opened()
		return
	}
	w.live.Close(hub.ErrGone)
}
