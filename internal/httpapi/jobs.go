package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/job"
)

type (
	jobIn struct {
		ID uuid.UUID `path:"id" format:"uuid"`
	}
	jobOut struct{ Body job.Job }

	startIn struct {
		Key  string `header:"Idempotency-Key" maxLength:"200" doc:"With one that was seen, the job that it made comes again, as it stands now."`
		Body newJob
	}
	// newJob is what makes a job, as herald.NewJob has it in Go.
	newJob struct {
		Kind        string          `json:"kind" maxLength:"80" doc:"What is to be done; a word of your own when it runs elsewhere." example:"video"`
		Title       string          `json:"title" maxLength:"300" doc:"What people call it."`
		Args        json.RawMessage `json:"args,omitempty" doc:"What the kind needs to know: a JSON object."`
		Metadata    json.RawMessage `json:"metadata,omitempty" doc:"What streams are filtered by: an object of at most 16 strings, numbers and booleans."`
		Owner       string          `json:"owner,omitempty" maxLength:"190" doc:"Whose job it is, when that is not who asks."`
		Watchers    []string        `json:"watchers,omitempty" maxItems:"62" doc:"Topics that get its events too."`
		MaxAttempts int             `json:"max_attempts,omitempty" minimum:"1" maximum:"100" doc:"How often it may fail; 3 unless it says otherwise."`
		External    bool            `json:"external,omitempty" doc:"It runs elsewhere: its worker claims attempts and reports on them."`
		Start       bool            `json:"start,omitempty" doc:"With external: who asks runs it, and its attempt 1 begins now."`
		Worker      string          `json:"worker,omitempty" maxLength:"200" doc:"With start: what people call the worker; by default, who asks."`
		CallbackURL string          `json:"callback_url,omitempty" maxLength:"2048" doc:"Who is told of its end, by a signed POST. It is not shown to anybody." example:"https://example.org/herald"`
		Steps       []planStep      `json:"steps,omitempty" maxItems:"32" doc:"With start: the attempt's plan."`
		LeaseMS     int64           `json:"lease_ms,omitempty" minimum:"1000" maximum:"604800000" doc:"How long its worker may be silent before it loses its attempt; the server's --worker-lease unless it says otherwise."`
		Size        int64           `json:"size,omitempty" minimum:"0" doc:"How much there is to do, in a unit of the kind's own: jobs of about the same size are expected to take about as long."`
	}

	listIn struct {
		State  string `query:"state" enum:"active,ended,queued,running,retrying,cancelling,succeeded,failed,cancelled" doc:"Only jobs in that state; active and ended are several."`
		Kind   string `query:"kind" maxLength:"80" doc:"Only jobs of that kind."`
		Text   string `query:"text" maxLength:"200" doc:"Only jobs with this in their title, in small letters or large."`
		Owner  string `query:"owner" maxLength:"190" doc:"Whose jobs, for those who may see them; default yours. Herald's own are those of herald."`
		Free   bool   `query:"claimable" doc:"Instead of yours, the jobs of the kind that wait for a worker elsewhere and may begin now, oldest first. For those who may claim them."`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Before string `query:"before" doc:"The next of the page before, also with claimable."`
	}
	listOut struct {
		Body struct {
			Jobs []job.Job `json:"jobs"`
			Next string    `json:"next" doc:"What to pass as before for the next page; empty when there is none."`
		}
	}

	artifactsOut struct {
		Body struct {
			Artifacts []artifact.View `json:"artifacts"`
		}
	}
)

func (a *api) listJobs(ctx context.Context, in *listIn) (*listOut, error) {
	p := principalOf(ctx)
	if in.Owner == "" {
		in.Owner = p.User
	}
	if in.Owner != p.User && !p.MaySee(in.Owner) {
		return nil, fmt.Errorf("%w: list another's jobs", auth.ErrForbidden)
	}
	if err := a.note(ctx, in.Owner, "jobs:"+in.Owner); err != nil {
		return nil, err
	}
	f := job.Filter{Owner: in.Owner, Kind: in.Kind, Text: in.Text, Limit: in.Limit + 1, States: statesOf(in.State)}
	if in.Before != "" {
		before, err := uuid.Parse(in.Before)
		if err != nil {
			return nil, fmt.Errorf("before: %w", event.ErrBadCursor)
		}
		f.Before = before
	}
	list := a.Jobs.Jobs
	if in.Free {
		list = a.claimable
	}
	jobs, err := list(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &listOut{}
	out.Body.Jobs = jobs
	if len(jobs) > in.Limit {
		out.Body.Jobs = jobs[:in.Limit]
		out.Body.Next = jobs[in.Limit-1].ID.String()
	}
	return out, nil
}

// statesOf are the states that a filter means; none means all.
func statesOf(filter string) []job.State {
	if filter == "" {
		return nil
	}
	var states []job.State
	for _, s := range job.States() {
		if string(s) == filter || filter == "active" && !s.Ended() || filter == "ended" && s.Ended() {
			states = append(states, s)
		}
	}
	return states
}

func (a *api) startJob(ctx context.Context, in *startIn) (*jobOut, error) {
	p := principalOf(ctx)
	n, err := in.Body.job(p.User)
	if err != nil {
		return nil, err
	}
	n.Key = in.Key
	switch {
	case n.External && !p.MayStart(true): // of the others, Prepare says who may
		return nil, fmt.Errorf("%w: start such a job", auth.ErrForbidden)
	case (n.Owner != p.User || len(n.Watchers) > 0) && !p.MayStartForOthers():
		return nil, fmt.Errorf("%w: start jobs that concern others", auth.ErrForbidden)
	}
	if err := a.checkCallback(n.CallbackURL); err != nil {
		return nil, err
	}
	if !n.External {
		if n.Args, err = a.Prepare(p, n.Owner, n.Kind, n.Args); err != nil {
			return nil, err
		}
	}
	j, err := a.Jobs.CreateJob(ctx, n)
	return &jobOut{j}, err
}

// checkCallback says what is wrong with a callback address; none is right.
func (a *api) checkCallback(url string) error {
	switch {
	case url == "":
		return nil
	case a.CheckCallback == nil:
		return &job.InvalidError{Field: "callback_url", Reason: "this Herald calls nobody back: it has no --callback-secret"}
	}
	return a.CheckCallback(url)
}

// job is the new job that the user asks for.
func (b newJob) job(user string) (job.New, error) {
	n := job.New{
		Kind: b.Kind, Owner: b.Owner, Title: b.Title, Args: b.Args, Metadata: b.Metadata, MaxAttempts: b.MaxAttempts,
		External: b.External, CreatedBy: user, CallbackURL: b.CallbackURL,
		Lease: time.Duration(b.LeaseMS) * time.Millisecond, Size: b.Size,
	}
	if n.Owner == "" {
		n.Owner = user
	}
	if b.Start {
		n.Begin = &job.Claim{By: user, Worker: b.Worker, Plan: planOf(b.Steps)}
	} else if b.Worker != "" || len(b.Steps) > 0 {
		return n, &job.InvalidError{Field: "start", Reason: "worker and steps are those of an attempt that begins"}
	}
	for _, text := range b.Watchers {
		topic, err := event.ParseTopic(text)
		if err != nil {
			return n, fmt.Errorf("watchers: %w", err)
		}
		n.Watchers = append(n.Watchers, topic)
	}
	return n, nil
}

// visible returns a job that the principal may see. One that it may not see
// does not exist for it.
func (a *api) visible(ctx context.Context, id uuid.UUID) (job.Job, error) {
	j, err := a.Jobs.Job(ctx, id)
	p := principalOf(ctx)
	works := runs(p, j)
	switch {
	case err != nil:
		return job.Job{}, err
	case !works && !p.MaySeeJob(j.Owner, id.String()):
		return job.Job{}, job.ErrNotFound
	case isWorkerOf(p, j):
		return j, nil // its own worker does not pry
	}
	return j, a.note(ctx, j.Owner, "job:"+id.String())
}

// isWorkerOf reports whether the principal is the worker of the job, which runs
// elsewhere.
func isWorkerOf(p auth.Principal, j job.Job) bool {
	return runs(p, j) && (p.User == j.CreatedBy || p.User == j.ClaimedBy)
}

// runs reports whether the principal may report on the job, which runs elsewhere.
func runs(p auth.Principal, j job.Job) bool {
	return j.External && p.MayReport(j.CreatedBy, j.ClaimedBy)
}

// mayChange returns an error unless the principal may change the job, and who
// it is.
func (a *api) mayChange(ctx context.Context, id uuid.UUID) (actor string, err error) {
	j, err := a.visible(ctx, id)
	if err != nil {
		return "", err
	}
	p := principalOf(ctx)
	if !p.MayChange(j.Owner) {
		return "", fmt.Errorf("%w: change another's job", auth.ErrForbidden)
	}
	return p.User, nil
}

func (a *api) getJob(ctx context.Context, in *jobIn) (*jobOut, error) {
	j, err := a.visible(ctx, in.ID)
	if err == nil {
		j, err = a.guestJob(principalOf(ctx), j)
	}
	return &jobOut{j}, err
}

func (a *api) cancelJob(ctx context.Context, in *jobIn) (*jobOut, error) {
	actor, err := a.mayChange(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	j, err := a.Jobs.CancelJob(ctx, in.ID, actor)
	return &jobOut{j}, err
}

func (a *api) retryJob(ctx context.Context, in *jobIn) (*jobOut, error) {
	actor, err := a.mayChange(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	j, err := a.Jobs.Job(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if j.Ours() { // who asks may see less than who started it, or than they did then
		if _, err := a.Prepare(principalOf(ctx), j.Owner, j.Kind, j.Args); err != nil {
			return nil, err
		}
	}
	j, err = a.Jobs.RetryJob(ctx, in.ID, actor)
	return &jobOut{j}, err
}

// deleteJob removes a job, and then all files that it has made, those of attempts
// that were lost among them. Files that cannot be removed are no reason to keep
// the job.
func (a *api) deleteJob(ctx context.Context, in *jobIn) (*struct{}, error) {
	actor, err := a.mayChange(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.Jobs.DeleteJob(ctx, in.ID, actor); err != nil {
		return nil, err
	}
	if err := a.removeBlobs(ctx, artifact.JobPrefix(in.ID)); err != nil {
		a.Log.WarnContext(ctx, "blobs left behind", "job", in.ID, "error", err)
	}
	return nil, nil //nolint:nilnil // the answer has no body
}

func (a *api) jobArtifacts(ctx context.Context, in *jobIn) (*artifactsOut, error) {
	if _, err := a.visible(ctx, in.ID); err != nil {
		return nil, err
	}
	p := principalOf(ctx)
	if p.IsGuest() && !p.Share.Files {
		return nil, fmt.Errorf("%w: the link does not show what the job made", auth.ErrForbidden)
	}
	list, err := a.Artifacts.ArtifactsOfJob(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &artifactsOut{}
	out.Body.Artifacts = make([]artifact.View, len(list))
	for i, file := range list {
		out.Body.Artifacts[i] = file.View()
		if p.IsGuest() {
			out.Body.Artifacts[i].URL = a.shareURL(*p.Share, file.ID, file.Name)
		}
	}
	return out, nil
}
