package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/sse"
)

// guestRoutes are all that answer guests. Whatever else a route may do, to them it
// is closed unless it stands here.
func guestRoutes() []string {
	return []string{
		"GET /api/share", "GET /api/sse", "GET /api/jobs/{id}", "GET /api/jobs/{id}/events", "GET /api/jobs/{id}/curve",
		"GET /api/jobs/{id}/artifacts",
	}
}

// admit returns an error for a guest who asks for what no guest gets. Whoever is the
// first to come by a share is written down before there is an answer.
func (a *api) admit(r *http.Request, p auth.Principal) error {
	if !p.IsGuest() {
		return nil
	}
	if !slices.Contains(guestRoutes(), r.Method+" "+chi.RouteContext(r.Context()).RoutePattern()) {
		return fmt.Errorf("%w: a link shows one job, and changes nothing", auth.ErrForbidden)
	}
	// What is known of the share may be some seconds old, so the database decides who is the first.
	who := p.User
	if p.Share.OpenedAt != nil || !a.looks.take(who) {
		return nil
	}
	err := a.Shares.OpenShare(r.Context(), *p.Share)
	if err != nil {
		a.looks.give(who)
	}
	return err
}

// guestJob is the job as the principal may see it.
func (a *api) guestJob(p auth.Principal, j job.Job) (job.Job, error) {
	if !p.IsGuest() {
		return j, nil
	}
	data, err := json.Marshal(j)
	if err == nil {
		data, err = a.guestData(p, data)
	}
	var seen job.Job
	if err == nil {
		err = json.Unmarshal(data, &seen)
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("show job %s to a guest: %w", j.ID, err)
	}
	return seen, nil
}

// guestJobs is the same for several.
func (a *api) guestJobs(p auth.Principal, jobs []job.Job) ([]job.Job, error) {
	if !p.IsGuest() {
		return jobs, nil
	}
	seen := make([]job.Job, len(jobs))
	for i, j := range jobs {
		var err error
		if seen[i], err = a.guestJob(p, j); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// guestData is what is told of a job as a guest may see it.
func (a *api) guestData(p auth.Principal, data json.RawMessage) (json.RawMessage, error) {
	if !p.Share.Files {
		return job.ForGuest(data, nil)
	}
	return job.ForGuest(data, func(list json.RawMessage) (json.RawMessage, error) {
		var views []artifact.View
		if err := json.Unmarshal(list, &views); err != nil {
			return nil, err
		}
		for i := range views {
			views[i].URL = a.shareURL(*p.Share, views[i].ID, views[i].Name)
		}
		return json.Marshal(views)
	})
}

// guestRecords are a timeline's entries as a guest may see them.
func (a *api) guestRecords(p auth.Principal, records []record) ([]record, error) {
	if !p.IsGuest() {
		return records, nil
	}
	for i := range records {
		var err error
		records[i].Actor = ""
		if records[i].Data, err = a.guestData(p, records[i].Data); err != nil {
			return nil, fmt.Errorf("show event %d to a guest: %w", records[i].Seq, err)
		}
	}
	return records, nil
}

// guestTypes limits a query to what guests are told. No types at all would be
// everything, so to ask only for what they are not told is an error.
func guestTypes(p auth.Principal, asked []string) ([]string, error) {
	if !p.IsGuest() {
		return asked, nil
	}
	var told []string
	for _, t := range job.GuestTypes() {
		names := func(wanted string) bool {
			prefix, all := strings.CutSuffix(wanted, "*")
			return wanted == string(t) || all && strings.HasPrefix(string(t), prefix)
		}
		if len(asked) == 0 || slices.ContainsFunc(asked, names) {
			told = append(told, string(t))
		}
	}
	if len(told) == 0 {
		return nil, fmt.Errorf("%w: type: whoever has a link is told of none of these", event.ErrQuery)
	}
	return told, nil
}

// guestFrame is a frame as a guest may see it; nil when they are not told of it.
func (a *api) guestFrame(p auth.Principal, f *hub.Frame) []byte {
	if f.Seq == 0 { // the stream's own word
		return f.Bytes
	}
	if !slices.Contains(job.GuestTypes(), f.Type) {
		return nil
	}
	_, data, found := bytes.Cut(f.Bytes, []byte("\ndata: "))
	var e entry
	if !found || json.Unmarshal(data, &e) != nil {
		return nil
	}
	var err error
	if e.Data, err = a.guestData(p, e.Data); err != nil {
		return nil
	}
	encoded, err := json.Marshal(e)
	if err != nil {
		return nil
	}
	return sse.AppendEvent(nil, e.Seq.String(), string(e.Type), encoded)
}

// sharePath begins what stands before a file's name in the address that a guest
// gets. It is a part of the path, so that the files of a folder have it too, which
// name one another.
const sharePath = "~"

// shareURL is where who came by the share finds a file. It is of use for as long as
// the share is, and for files of its job.
func (a *api) shareURL(s auth.Share, file uuid.UUID, name string) string {
	at := artifact.Artifact{ID: file, Name: sharePath + s.ID.String() + "." + a.Links.SignLink(signedOf(s, file.String()), s.ExpiresAt)}
	return at.URL() + strings.TrimPrefix(artifact.Artifact{ID: file, Name: name}.URL(), "/api/artifacts/"+file.String())
}

// signedOf is what the signature of such an address is of.
func signedOf(s auth.Share, file string) string { return file + " of " + s.ID.String() }

// inShare cuts the part that begins with sharePath off a file's name.
func inShare(rest string) (key, name string, found bool) {
	key, name, _ = strings.Cut(rest, "/")
	if key, found = strings.CutPrefix(key, sharePath); !found {
		return "", rest, false
	}
	return key, name, true
}

// shareOfFile is the share whose address of the file this is, if it is good.
func (a *api) shareOfFile(ctx context.Context, file, key string) (auth.Share, error) {
	id, signature, _ := strings.Cut(key, ".")
	share, err := uuid.Parse(id)
	if err != nil {
		return auth.Share{}, auth.ErrBadLink
	}
	s, err := a.Shares.Share(ctx, share)
	if err != nil {
		return s, err
	}
	if err := s.Check(); err != nil {
		return s, err
	}
	if !s.Files {
		return s, auth.ErrBadLink
	}
	return s, a.Links.CheckLink(signedOf(s, file), s.ExpiresAt, signature)
}

// guestTopics are the topics that a stream follows when it does not say.
func guestTopics(p auth.Principal) []string {
	if p.IsGuest() {
		return []string{string(event.JobTopic(p.Share.Job))}
	}
	return []string{string(event.UserTopic(p.User)), string(event.Everyone)}
}
