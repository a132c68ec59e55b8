package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/job"
)

// share makes a link to a job, as its owner.
func (s *server) share(t *testing.T, id uuid.UUID, files bool) (auth.Share, string) {
	t.Helper()
	share, secret := auth.NewShare(auth.Share{Job: id, Files: files, CreatedBy: "demo"})
	share, err := s.db.CreateShare(t.Context(), share, auth.HashOf(secret), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return share, secret
}

// A link is made over HTTP, and listed without its secret.
func TestShare(t *testing.T) {
	t.Parallel()
	s := setup(t)
	owner, j := s.token(t, "demo"), s.startJob(t, "demo")
	path := "/api/jobs/" + j.ID.String()
	a := s.do(t, http.MethodPost, path+"/shares", owner, `{"expires_in":3600,"files":true}`)
	var made struct {
		auth.Share

		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != http.StatusCreated {
		t.Fatalf("share = %d %s", a.status, a.body)
	}
	page, secret, _ := strings.Cut(made.URL, "#")
	if page != "/shared/"+j.ID.String() || !strings.HasPrefix(secret, auth.SharePrefix) || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the link is %q (Cache-Control: %s)", made.URL, a.header.Get("Cache-Control"))
	}
	if life := made.ExpiresAt.Sub(made.CreatedAt); life != time.Hour || !made.Files || made.CreatedBy != "demo" {
		t.Errorf("made = %+v, good for %v", made.Share, life)
	}
	list := s.do(t, http.MethodGet, path+"/shares", owner, "")
	if !strings.Contains(list.body, made.ID.String()) || strings.Contains(list.body, secret) {
		t.Errorf("list = %s", list.body)
	}
	got := get[map[string]any](t, s, secret, "/api/share")
	if got["job_id"] != j.ID.String() || got["shared_by"] != "demo" || got["files"] != true {
		t.Errorf("what the link shows = %v", got)
	}
	for _, bad := range []string{`{"expires_in":59}`, `{"expires_in":7776001}`} {
		if a := s.do(t, http.MethodPost, path+"/shares", owner, bad); a.status != http.StatusUnprocessableEntity {
			t.Errorf("share %s = %d %s, want 422", bad, a.status, a.body)
		}
	}
	if a := s.do(t, http.MethodPost, path+"/shares", owner, `{}`); between(a.body, `"files":`, `,`) != "false" {
		t.Errorf("share by default = %s, want without files", a.body)
	}
}

// A job has so many links, and no more.
func TestTooManyShares(t *testing.T) {
	t.Parallel()
	s := setup(t)
	owner, j := s.token(t, "demo"), s.startJob(t, "demo")
	var last auth.Share
	for range 20 {
		last, _ = s.share(t, j.ID, false)
	}
	path := "/api/jobs/" + j.ID.String() + "/shares"
	if a := s.do(t, http.MethodPost, path, owner, `{}`); a.problem() != "too-many-shares" {
		t.Errorf("the 21st = %d %s", a.status, a.body)
	}
	if a := s.do(t, http.MethodDelete, path+"/"+last.ID.String(), owner, ""); a.status != http.StatusNoContent {
		t.Fatalf("revoke = %d %s", a.status, a.body)
	}
	if a := s.do(t, http.MethodPost, path, owner, `{}`); a.status != http.StatusCreated {
		t.Errorf("after one was revoked = %d %s", a.status, a.body)
	}
}

// What a guest gets of a job has nothing of its owner's: not in its row, not on its
// timeline, not on its stream.
func TestGuestSeesTheJobAlone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j, err := s.db.CreateJob(t.Context(), job.New{
		Kind: "test", Owner: "secret-owner", Title: "a job", Args: json.RawMessage(`{"x":"secret-args"}`),
		Metadata: json.RawMessage(`{"tenant":"secret-metadata"}`), External: true, CreatedBy: "secret-worker",
		Watchers: []event.Topic{"channel:secret-watcher"}, CallbackURL: "https://example.org/secret-callback",
		Begin: &job.Claim{By: "secret-worker", Worker: "secret-host"},
	}, noQueue{})
	if err != nil {
		t.Fatal(err)
	}
	_, guest := s.share(t, j.ID, false)
	stream := s.follow(t, guest, "")
	heard := stream.next("stream.open").Data + stream.next("stream.snapshot").Data

	say := func(r job.Report) {
		t.Helper()
		r.Attempt = 1
		if _, err := s.db.RecordReport(t.Context(), j.ID, r); err != nil {
			t.Fatal(err)
		}
	}
	say(job.Report{Progress: new(0.5), Details: json.RawMessage(`{"fps":25,"path":"secret-path"}`)})
	if _, err := s.db.Publish(t.Context(), event.Publication{Actor: "secret-shop", Notices: []event.Notice{
		{Type: "order.paid", Topics: []event.Topic{event.JobTopic(j.ID)}, Payload: json.RawMessage(`{"x":"secret-notification"}`)},
	}}); err != nil {
		t.Fatal(err)
	}
	say(job.Report{State: job.Succeeded, Result: json.RawMessage(`{"width":640,"url":"secret-url","artifacts":[]}`)})
	for last := ""; last != "job.succeeded"; {
		e, err := stream.r.Next()
		if err != nil || !strings.HasPrefix(e.Name, "job.") || strings.HasPrefix(e.Name, "job.share") {
			t.Fatalf("the stream told a guest of %+v, %v", e, err)
		}
		last, heard = e.Name, heard+e.Data
	}
	told := s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String()+"/events", guest, "").body
	row := s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String(), guest, "").body
	asked := s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String()+"/events?type=order.*&type=job.*", guest, "").body
	if a := s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String()+"/events?type=order.paid", guest, ""); a.status != http.StatusBadRequest {
		t.Errorf("a guest that asks for what it is not told = %d %s, want 400", a.status, a.body)
	}
	for what, text := range map[string]string{"the stream": heard, "the timeline": told, "some of it": asked, "the row": row} {
		if strings.Contains(text, "secret") {
			t.Errorf("%s tells a guest what it should not: %s", what, text)
		}
		if !strings.Contains(text, `"title":"a job"`) {
			t.Errorf("%s does not tell of the job: %s", what, text)
		}
	}
	if !strings.Contains(row, `"fps":25`) || !strings.Contains(row, `"result":null`) {
		t.Errorf("the row = %s", row)
	}
}

// A guest asks for another job, or for what is not of the job, in vain.
func TestGuestGetsNothingElse(t *testing.T) {
	t.Parallel()
	s := setup(t)
	mine, other := s.startJob(t, "demo"), s.startJob(t, "demo")
	_, guest := s.share(t, mine.ID, false)
	for path, want := range map[string]int{
		"/api/jobs/" + other.ID.String():                                   http.StatusNotFound,
		"/api/jobs/" + other.ID.String() + "/events":                       http.StatusNotFound,
		"/api/jobs/" + mine.ID.String() + "/artifacts":                     http.StatusForbidden,
		"/api/sse?topic=user:demo":                                         http.StatusForbidden,
		"/api/sse?topic=all":                                               http.StatusForbidden,
		"/api/sse?topic=job:" + other.ID.String():                          http.StatusForbidden,
		"/api/sse?topic=channel:audit":                                     http.StatusForbidden,
		"/api/sse?topic=job:" + mine.ID.String() + "&metadata.tenant=x":    http.StatusForbidden,
		"/api/sse?topic=job:" + mine.ID.String() + "&lastEventId=x":        http.StatusBadRequest,
		"/api/sse?topic=user:" + strings.ReplaceAll("guest x", " ", "%20"): http.StatusBadRequest,
		"/api/jobs":                           http.StatusForbidden,
		"/api/events?job=" + mine.ID.String(): http.StatusForbidden,
	} {
		if a := s.do(t, http.MethodGet, path, guest, ""); a.status != want {
			t.Errorf("GET %s = %d %s, want %d", path, a.status, a.body, want)
		}
	}
	if a := s.do(t, http.MethodPost, "/api/session", guest, ""); a.status != http.StatusForbidden {
		t.Errorf("sign in with a link = %d %s", a.status, a.body)
	}
}

// What a link has come to is told plainly, and a stream ends with it.
func TestShareEnds(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startJob(t, "demo")
	path := "/api/jobs/" + j.ID.String()
	revoked, guest := s.share(t, j.ID, false)
	stream := s.follow(t, guest, "")
	stream.begin()
	if a := s.do(t, http.MethodDelete, path+"/shares/"+revoked.ID.String(), s.token(t, "demo"), ""); a.status != http.StatusNoContent {
		t.Fatalf("revoke = %d %s", a.status, a.body)
	}
	stream.until("stream.expired")
	s.untilProblem(t, path, guest, "share-revoked")

	short, secret := auth.NewShare(auth.Share{Job: j.ID, CreatedBy: "demo"})
	if _, err := s.db.CreateShare(t.Context(), short, auth.HashOf(secret), time.Second); err != nil {
		t.Fatal(err)
	}
	stream = s.follow(t, secret, "")
	stream.until("stream.expired")
	s.untilProblem(t, path, secret, "share-expired")

	_, orphan := s.share(t, j.ID, false)
	if a := s.do(t, http.MethodPost, path+"/cancel", s.token(t, "demo"), ""); a.status != http.StatusAccepted {
		t.Fatalf("cancel = %d %s", a.status, a.body)
	}
	if a := s.do(t, http.MethodDelete, path, s.token(t, "demo"), ""); a.status != http.StatusNoContent {
		t.Fatalf("delete = %d %s", a.status, a.body)
	}
	s.untilProblem(t, path, orphan, "no-share")
}

// untilProblem asks until the answer is that problem.
func (s *server) untilProblem(t *testing.T, path, token, want string) {
	t.Helper()
	for s.do(t, http.MethodGet, path, token, "").problem() != want {
		if t.Context().Err() != nil {
			t.Fatalf("GET %s never was a %s", path, want)
		}
	}
}

// Making, first opening and revoking a link stand on the timeline, each once.
func TestSharesAreTold(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startJob(t, "demo")
	share, guest := s.share(t, j.ID, true)
	for range 3 {
		if a := s.do(t, http.MethodGet, "/api/jobs/"+j.ID.String(), guest, ""); a.status != http.StatusOK {
			t.Fatalf("the job = %d %s", a.status, a.body)
		}
	}
	for range 2 { // as from another node
		if err := s.db.OpenShare(t.Context(), share); err != nil {
			t.Fatal(err)
		}
		if err := s.db.RevokeShare(t.Context(), j.ID, share.ID, "demo"); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	for len(told) < 3 {
		told = nil
		for _, e := range get[page](t, s, s.token(t, "sam", auth.RoleSupport), "/api/jobs/"+j.ID.String()+"/events").Events {
			if strings.HasPrefix(e.Type, "job.share") {
				told = append(told, fmt.Sprintf("%s by %s", e.Type, e.Actor))
			}
		}
	}
	want := fmt.Sprintf("[job.shared by demo job.share_opened by guest %s job.share_revoked by demo]", share.ID)
	if fmt.Sprint(told) != want {
		t.Errorf("told = %v, want %s", told, want)
	}
}

// output makes a file of a job's: of a folder, one of a playlist and a segment.
func (s *server) output(t *testing.T, id uuid.UUID, name, folder string) uuid.UUID {
	t.Helper()
	a := artifact.Artifact{
		ID: uuid.Must(uuid.NewV7()), JobID: id, Owner: "demo", Kind: artifact.Video, Name: name, ContentType: "video/mp4", CreatedAt: time.Now(),
	}
	a.BlobKey = artifact.JobPrefix(id) + a.ID.String() + "/" + folder
	var content map[string]string
	if folder != "" {
		a.Kind = artifact.HLS
		content = map[string]string{a.BlobKey + name: "content of " + name, a.BlobKey + "s0.ts": "a segment"}
	}
	if folder == "" {
		a.BlobKey += name
		content = map[string]string{a.BlobKey: "content of " + name}
	}
	for key, text := range content {
		if err := s.blobs.WriteAll(t.Context(), key, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.SaveArtifact(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// Files come by addresses of the share's own, and are of its job alone.
func TestGuestFiles(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j, other := s.startJob(t, "demo"), s.startJob(t, "demo")
	file := s.output(t, j.ID, "out.mp4", "")
	folder := s.output(t, j.ID, "master.m3u8", "hls/")
	foreign := s.output(t, other.ID, "out.mp4", "")
	share, guest := s.share(t, j.ID, true)
	list := get[struct{ Artifacts []artifact.View }](t, s, guest, "/api/jobs/"+j.ID.String()+"/artifacts").Artifacts
	if len(list) != 2 {
		t.Fatalf("artifacts = %v", list)
	}
	urls := map[uuid.UUID]string{}
	for _, v := range list {
		urls[v.ID] = v.URL
		for _, query := range []string{"", "?download=1"} {
			if a := s.do(t, http.MethodGet, v.URL+query, "", ""); a.status != http.StatusOK || a.body != "content of "+v.Name {
				t.Errorf("GET %s = %d %s", v.URL+query, a.status, a.body)
			}
		}
	}
	segment := strings.TrimSuffix(urls[folder], "master.m3u8") + "s0.ts"
	if a := s.do(t, http.MethodGet, segment, "", ""); a.status != http.StatusOK || a.body != "a segment" {
		t.Errorf("a segment = %d %s", a.status, a.body)
	}
	moved := strings.Replace(urls[file], file.String(), foreign.String(), 1)
	forged := "/api/artifacts/" + foreign.String() + "/~" + share.ID.String() + "." +
		s.key.SignLink(foreign.String()+" of "+share.ID.String(), share.ExpiresAt) + "/out.mp4"
	for path, want := range map[string]string{
		moved:  "bad-link",
		forged: "not-found", // as if a worker had named it in its result
		"/api/artifacts/" + file.String() + "/~x.y/out.mp4":                         "bad-link",
		"/api/artifacts/" + file.String() + "/~" + uuid.NewString() + ".y/out.mp4":  "no-share",
		"/api/artifacts/" + file.String() + "/~" + share.ID.String() + ".y/out.mp4": "bad-link",
		"/api/artifacts/" + file.String() + "/out.mp4":                              "not-signed-in",
	} {
		if a := s.do(t, http.MethodGet, path, "", ""); a.problem() != want {
			t.Errorf("GET %s = %d %s, want %s", path, a.status, a.body, want)
		}
	}
	if err := s.db.RevokeShare(t.Context(), j.ID, share.ID, "demo"); err != nil {
		t.Fatal(err)
	}
	if a := s.do(t, http.MethodGet, urls[file], "", ""); a.problem() != "share-revoked" {
		t.Errorf("a file of a revoked link = %d %s", a.status, a.body)
	}
}
