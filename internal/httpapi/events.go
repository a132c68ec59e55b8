package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/job"
)

// History is the log as it is looked into.
type History interface {
	History(ctx context.Context, q event.Query) (event.Page, error)
	Event(ctx context.Context, seq event.Seq) (event.Event, error)
	Curve(ctx context.Context, id uuid.UUID, points int) ([]job.Point, error)
}

type (
	// Cursors are how a page of the log is asked for.
	Cursors struct {
		After  int64  `query:"after" minimum:"0" doc:"The events that follow that seq; with before, neither."`
		Before int64  `query:"before" minimum:"0" doc:"The events that come before that seq."`
		Order  string `query:"order" enum:"asc,desc" doc:"In which order the page is listed: by seq, from the smallest or from the largest. Without a cursor, also from which end of the log."`
	}

	historyIn struct {
		Topic  []string  `query:"topic,explode" maxItems:"50" doc:"Only what concerns any of these topics. By default, what your streams follow; to support and admins, all."`
		User   string    `query:"user" maxLength:"200" doc:"Only what concerns that user."`
		Job    string    `query:"job" maxLength:"40" doc:"Only that job's."`
		Kind   string    `query:"kind" maxLength:"80" doc:"Only of jobs of that kind."`
		Type   []string  `query:"type,explode" maxItems:"50" doc:"Only of any of these types; job.* means all that begin so. Likewise, metadata.KEY=VALUE: only what has that metadata."`
		State  []string  `query:"state,explode" maxItems:"10" doc:"Only what tells of a job in any of these states."`
		Actor  string    `query:"actor" maxLength:"200" doc:"Only what that user, worker or program caused."`
		Errors bool      `query:"errors" doc:"Only failures and the like: job.failed, job.retrying, job.stalled, job.late_report."`
		Since  time.Time `query:"since" doc:"Only what was recorded then or later."`
		Until  time.Time `query:"until" doc:"Only what was recorded before then."`
		Text   string    `query:"text" maxLength:"200" doc:"Only what has this in its message or error, in small letters or large. Wants since, or a topic, a user or a job."`
		Cursors
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"Of a page; ndjson and csv have all."`
		Format string `query:"format" enum:"json,ndjson,csv" default:"json" doc:"A page as JSON, or everything that matches, as it stands now, a line each."`

		path url.URL // set by Resolve
	}

	historyBody struct {
		Events []record `json:"events"`
		PageEnds
	}
	// PageEnds is what stands at the end of a page of the log.
	PageEnds struct {
		Next    string    `json:"next" doc:"Where the page after this one is, in the order of the list; empty when there is none."`
		Prev    string    `json:"prev" doc:"Where the page before this one is; empty when there is none."`
		Partial bool      `json:"partial,omitempty" doc:"Not all was looked at in time, so the page is short; next goes on."`
		Floor   event.Seq `json:"floor" doc:"The last seq that is no longer kept."`
	}

	seqIn struct {
		Seq int64 `path:"seq" minimum:"1"`
	}
	recordOut struct{ Body record }
)

// record is an entry with what is known of it besides.
type record struct {
	entry
	RecordedAt time.Time     `json:"recorded_at" doc:"When it was given its seq."`
	JobID      *uuid.UUID    `json:"job_id,omitempty"`
	JobVersion int64         `json:"job_version,omitempty"`
	Actor      string        `json:"actor" doc:"Who caused it."`
	Topics     []event.Topic `json:"topics,omitempty" doc:"Whom it concerns; for support and admins."`
}

// recordOf is the event as the principal may see it.
func recordOf(p auth.Principal, e event.Event) record {
	r := record{entry: entryOf(e), RecordedAt: e.RecordedAt, JobVersion: e.JobVersion, Actor: e.Actor}
	if e.JobID != uuid.Nil {
		r.JobID = &e.JobID
	}
	if p.MayReadLog() {
		r.Topics = e.Topics
	}
	return r
}

func recordsOf(p auth.Principal, events []event.Event) []record {
	list := make([]record, len(events))
	for i, e := range events {
		list[i] = recordOf(p, e)
	}
	return list
}

// Resolve keeps the address, which the links to other pages are made of.
func (in *historyIn) Resolve(ctx huma.Context) []error {
	in.path = ctx.URL()
	return nil
}

// pagePatience is how long a page is looked for.
const pagePatience = time.Second

// direct makes the query a page's: its cursor says from where and which way it is
// read, and without one the order does. It reports whether the list is the other way
// round.
func (c Cursors) direct(q *event.Query, order string) (turned bool) {
	if c.Order != "" {
		order = c.Order
	}
	q.After, q.Before = event.Seq(c.After), event.Seq(c.Before)
	q.Backward = q.Before > 0 || q.After == 0 && order == "desc"
	return q.Backward != (order == "desc")
}

// errorTypes are the events that errors=true means.
func errorTypes() []string {
	return []string{string(event.JobFailed), string(event.JobRetrying), string(event.JobStalled), string(event.JobLateReport)}
}

// typesOf are the types that are asked for; none means all.
func typesOf(asked []string, failures bool) ([]string, error) {
	switch {
	case failures && len(asked) > 0:
		return nil, fmt.Errorf("%w: errors and type: want one of them", event.ErrQuery)
	case failures:
		return errorTypes(), nil
	}
	types := slices.Clone(asked)
	for i, t := range types {
		if strings.HasSuffix(t, ".") {
			types[i] = t + "*"
		}
	}
	return types, nil
}

// query is what is asked for, as far as the principal may ask.
func (a *api) query(ctx context.Context, in *historyIn) (event.Query, error) {
	q := event.Query{
		User: in.User, Kind: in.Kind, States: in.State, Actor: in.Actor, Since: in.Since, Until: in.Until,
		Text: in.Text, Metadata: metadataOf(in.path.Query()), Limit: in.Limit, Patience: pagePatience,
	}
	var err error
	if q.Types, err = typesOf(in.Type, in.Errors); err != nil {
		return q, err
	}
	for _, text := range in.Topic {
		topic, err := event.ParseTopic(text)
		if err != nil {
			return q, err
		}
		q.Topics = append(q.Topics, topic)
	}
	if in.Job != "" {
		topic, err := event.ParseTopic("job:" + in.Job)
		if err != nil {
			return q, err
		}
		q.Job, _ = topic.Job()
	}
	return q, a.allow(ctx, &q)
}

// allow returns an error unless the principal may read what the query asks for.
// One that says of nobody what it asks for is made to ask for the principal's own.
func (a *api) allow(ctx context.Context, q *event.Query) error {
	p := principalOf(ctx)
	if p.MayReadLog() {
		return a.noteQuery(ctx, *q)
	}
	asked := slices.Clone(q.Topics)
	if q.User != "" {
		asked = append(asked, event.UserTopic(q.User))
	}
	if q.Job != uuid.Nil {
		asked = append(asked, event.JobTopic(q.Job))
	}
	if len(asked) == 0 {
		q.Topics = []event.Topic{event.UserTopic(p.User), event.Everyone}
		asked = q.Topics
	}
	for _, topic := range asked {
		if !a.mayFollow(ctx, p, topic) {
			return fmt.Errorf("%w: topic %s", auth.ErrForbidden, topic)
		}
	}
	return nil
}

// noteQuery writes down that history is looked into which is not the reader's own.
// Pages that follow one another are one look.
func (a *api) noteQuery(ctx context.Context, q event.Query) error {
	about := q.Topics
	switch {
	case q.Job != uuid.Nil:
		about = []event.Topic{event.JobTopic(q.Job)}
	case q.User != "":
		about = []event.Topic{event.UserTopic(q.User)}
	}
	whose, what := "", "events"
	if len(about) == 1 {
		whose, _ = about[0].User()
		what += " of " + string(about[0])
	}
	return a.noteOnce(ctx, whose, what)
}

// noteEvent writes down that an event is looked at which is not the reader's own.
func (a *api) noteEvent(ctx context.Context, e event.Event) error {
	whose := ""
	for _, t := range e.Topics {
		switch user, ok := t.User(); {
		case ok && user == principalOf(ctx).User:
			return nil
		case ok && whose == "":
			whose = user
		}
	}
	return a.noteOnce(ctx, whose, "event "+e.Seq.String())
}

// listEvents answers with a page, or with everything.
func (a *api) listEvents(ctx context.Context, in *historyIn) (*huma.StreamResponse, error) {
	q, err := a.query(ctx, in)
	if err != nil {
		return nil, err
	}
	if in.Format != "json" {
		return a.exportEvents(ctx, in, q)
	}
	turned := in.direct(&q, "desc")
	page, err := a.page(ctx, q)
	if err != nil {
		return nil, err
	}
	body := historyBody{Events: recordsOf(principalOf(ctx), page.Events), PageEnds: endsOf(in.path, q, page, turned)}
	if turned {
		slices.Reverse(body.Events)
	}
	return &huma.StreamResponse{Body: func(to huma.Context) {
		_, w := humachi.Unwrap(to)
		writeJSON(w, http.StatusOK, "application/json", body)
	}}, nil
}

// errBusy is returned when too many look into the log at once.
var errBusy = errors.New("too many are looking into the log at the moment")

const (
	// maxHistory bounds how many pages are read at once: each has a connection to the
	// database, of which there are few.
	maxHistory = 6
	// historyWait is how long a page waits for its turn.
	historyWait = 5 * time.Second
)

// page reads a page when it is its turn.
func (a *api) page(ctx context.Context, q event.Query) (event.Page, error) {
	if err := q.Check(); err != nil {
		return event.Page{}, err
	}
	return inTurn(ctx, a, func() (event.Page, error) { return a.History.History(ctx, q) })
}

// inTurn reads from the log when it is the caller's turn.
func inTurn[T any](ctx context.Context, a *api, read func() (T, error)) (T, error) {
	wait, cancel := context.WithTimeout(ctx, historyWait)
	defer cancel()
	select {
	case a.reading <- struct{}{}:
		defer func() { <-a.reading }()
		return read()
	case <-wait.Done():
		var none T
		return none, errBusy
	}
}

// endsOf links a page to those beside it. The one that reading came from is there
// when there was a cursor.
func endsOf(at url.URL, q event.Query, page event.Page, turned bool) PageEnds {
	ends := PageEnds{Partial: page.Partial, Floor: page.Floor}
	onward, back := "after", "before"
	if q.Backward {
		onward, back = back, onward
	}
	if page.More {
		ends.Next = link(at, onward, page.Reached)
	}
	if cursor := max(q.After, q.Before); cursor > 0 {
		ends.Prev = link(at, back, first(page, q.Backward, cursor))
	}
	if turned {
		ends.Next, ends.Prev = ends.Prev, ends.Next
	}
	return ends
}

// first is where the page begins: at its first event, or, without any, so that
// what is behind the cursor is the one next to it.
func first(page event.Page, backward bool, cursor event.Seq) event.Seq {
	switch {
	case len(page.Events) > 0:
		return page.Events[0].Seq
	case backward:
		return max(cursor-1, 0)
	default:
		return cursor + 1
	}
}

// link is the address with another cursor.
func link(at url.URL, name string, seq event.Seq) string {
	query := at.Query()
	query.Del("after")
	query.Del("before")
	query.Set(name, strconv.FormatInt(int64(seq), 10))
	return at.EscapedPath() + "?" + query.Encode()
}

// visibleEvent returns an event that the principal may see. One that it may not
// see does not exist for it.
func (a *api) visibleEvent(ctx context.Context, seq event.Seq) (event.Event, error) {
	e, err := a.History.Event(ctx, seq)
	p := principalOf(ctx)
	switch {
	case err != nil:
		return event.Event{}, err
	case p.MayReadLog():
		return e, a.noteEvent(ctx, e)
	case !slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return a.mayFollow(ctx, p, t) }):
		return event.Event{}, event.ErrNotFound
	}
	return e, nil
}

func (a *api) getEvent(ctx context.Context, in *seqIn) (*recordOut, error) {
	e, err := a.visibleEvent(ctx, event.Seq(in.Seq))
	if err != nil {
		return nil, err
	}
	return &recordOut{recordOf(principalOf(ctx), e)}, nil
}

// historyResponse describes the answers of listEvents.
func historyResponse(to huma.API) *huma.Response {
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	return &huma.Response{
		Description: "A page, or a line for each event", Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemaOf[historyBody](to, "History")}, ndjsonType: text, csvType: text,
		},
	}
}

// timelineIn asks for a page of a job's timeline.
type timelineIn struct {
	ID uuid.UUID `path:"id" format:"uuid"`
	Cursors
	Type   []string `query:"type,explode" maxItems:"50" doc:"Only of any of these types, as at /api/events."`
	Errors bool     `query:"errors" doc:"Only failures and the like, as at /api/events."`
	Limit  int      `query:"limit" minimum:"1" maximum:"1000" default:"1000"`

	path url.URL // set by Resolve
}

// Resolve keeps the address, which the links to other pages are made of.
func (in *timelineIn) Resolve(ctx huma.Context) []error {
	in.path = ctx.URL()
	return nil
}

type timelineOut struct{ Body historyBody }

func (a *api) jobEvents(ctx context.Context, in *timelineIn) (*timelineOut, error) {
	if _, err := a.visible(ctx, in.ID); err != nil {
		return nil, err
	}
	types, err := typesOf(in.Type, in.Errors)
	if err != nil {
		return nil, err
	}
	p := principalOf(ctx)
	if types, err = guestTypes(p, types); err != nil {
		return nil, err
	}
	q := event.Query{Job: in.ID, Types: types, Limit: in.Limit, Patience: pagePatience}
	turned := in.direct(&q, "asc")
	page, err := a.page(ctx, q)
	if err != nil {
		return nil, err
	}
	records, err := a.guestRecords(p, recordsOf(p, page.Events))
	if err != nil {
		return nil, err
	}
	out := &timelineOut{historyBody{Events: records, PageEnds: endsOf(in.path, q, page, turned)}}
	if turned {
		slices.Reverse(out.Body.Events)
	}
	return out, nil
}

type (
	curveIn struct {
		ID     uuid.UUID `path:"id" format:"uuid"`
		Points int       `query:"points" minimum:"2" maximum:"500" default:"200" doc:"At most so many."`
	}
	curveOut struct {
		Body struct {
			Points []job.Point `json:"points" doc:"In the order of the log."`
		}
	}
)

// jobCurve answers with how far the job was when.
func (a *api) jobCurve(ctx context.Context, in *curveIn) (*curveOut, error) {
	if _, err := a.visible(ctx, in.ID); err != nil {
		return nil, err
	}
	points, err := inTurn(ctx, a, func() ([]job.Point, error) { return a.History.Curve(ctx, in.ID, in.Points) })
	if err != nil {
		return nil, err
	}
	out := &curveOut{}
	out.Body.Points = append([]job.Point{}, points...)
	return out, nil
}

// encodeRecord is the record in JSON. What is in the log can be encoded.
func encodeRecord(r record) []byte {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return line
}
