package heraldtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"herald"
	"herald/internal/event"
	"herald/internal/job"
)

const (
	maxBody    = 1 << 20
	maxReports = 100
)

func (s *Server) routes() {
	s.handle("POST /api/jobs", http.StatusCreated, s.createJob)
	s.handle("GET /api/jobs", http.StatusOK, s.listJobs)
	s.handle("GET /api/jobs/{id}", http.StatusOK, s.getJob)
	s.handle("DELETE /api/jobs/{id}", http.StatusNoContent, s.deleteJob)
	s.handle("POST /api/jobs/{id}/cancel", http.StatusAccepted, s.cancelJob)
	s.handle("POST /api/jobs/{id}/retry", http.StatusAccepted, s.retryJob)
	s.handle("POST /api/jobs/{id}/attempts", http.StatusCreated, s.claimJob)
	s.handle("POST /api/attempts", http.StatusOK, s.claimNext)
	s.handle("POST /api/jobs/{id}/reports", http.StatusOK, s.report)
	s.handle("GET /api/jobs/{id}/events", http.StatusOK, s.jobEvents)
	s.handle("GET /api/jobs/{id}/commands", http.StatusOK, s.commands)
	s.handle("POST /api/sse/message", http.StatusOK, s.sendMessage)
	s.handle("POST /api/sse/messages", http.StatusOK, s.sendMessages)
	s.mux.HandleFunc("GET /api/sse", s.stream)
}

// ServeHTTP answers as the API does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user(r) == "" {
		send(w, http.StatusUnauthorized, herald.Error{Status: http.StatusUnauthorized, Type: "/problems/not-signed-in", Title: "You are not signed in"})
		return
	}
	if f, ok := s.nextFault(r); ok {
		if f.After {
			s.mux.ServeHTTP(httptest.NewRecorder(), r)
		}
		if f.Status == 0 {
			panic(http.ErrAbortHandler)
		}
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
		}
		send(w, f.Status, herald.Error{Status: f.Status, Type: "/problems/test", Title: "It was told to fail"})
		return
	}
	s.mux.ServeHTTP(w, r)
}

// nextFault is what becomes of the request, if it is to go wrong.
func (s *Server) nextFault(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 || strings.HasSuffix(r.URL.Path, "/commands") || strings.HasSuffix(r.URL.Path, "/sse") {
		return Fault{}, false
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f, true
}

// user is who is asking.
func user(r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token
}

// call is a request whose body was read.
type call struct {
	*http.Request
	user string
	id   uuid.UUID
	body []byte
}

// read reads the body into v.
func (c call) read(v any) error {
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return &job.InvalidError{Field: "body", Reason: err.Error()}
	}
	return nil
}

func (s *Server) handle(pattern string, status int, do func(call) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			send(w, http.StatusRequestEntityTooLarge, herald.Error{Status: http.StatusRequestEntityTooLarge, Type: "/problems/too-large", Title: "The request is too large"})
			return
		}
		c := call{Request: r, user: user(r), id: parseID(r.PathValue("id")), body: body}
		if r.URL.Path == "/api/attempts" {
			s.awaitJob(c) // before it has a place among those with a key
		}
		code, answer := s.once(c, status, do)
		send(w, code, answer)
	})
}

// once does what is asked, unless that was done under the request's key.
func (s *Server) once(c call, status int, do func(call) (any, error)) (int, any) {
	key, sum := c.Header.Get("Idempotency-Key"), sha256.Sum256(c.body)
	scope := strings.Join([]string{c.user, c.URL.Path, key}, "\n")
	if key != "" {
		s.keyed.Lock()
		defer s.keyed.Unlock()
		seen, ok := s.answers[scope]
		switch {
		case ok && seen.request != sum:
			p := problem(event.ErrKeyReused)
			return p.Status, p
		case ok:
			return seen.status, json.RawMessage(bytes.Replace(seen.body, []byte(`"repeated":false`), []byte(`"repeated":true`), 1))
		}
	}
	answer, err := do(c)
	if err != nil {
		p := problem(err)
		return p.Status, p
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // answers are ours
	}
	if key != "" {
		s.answers[scope] = remembered{request: sum, status: status, body: body}
	}
	return status, json.RawMessage(body)
}

func send(w http.ResponseWriter, status int, answer any) {
	kind := "application/json"
	if status >= http.StatusBadRequest {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_ = json.NewEncoder(w).Encode(answer) // a client that is gone needs no answer
	}
}

func (s *Server) createJob(c call) (any, error) {
	var in struct {
		herald.NewJob
		Args     json.RawMessage `json:"args"` // as they were written
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	n := job.New{
		Kind: in.Kind, Title: in.Title, Args: in.Args, Metadata: in.Metadata, Owner: in.Owner, MaxAttempts: in.MaxAttempts,
		External: in.External, CreatedBy: c.user, CallbackURL: in.CallbackURL,
		Lease: time.Duration(in.LeaseMS) * time.Millisecond, Size: in.Size,
	}
	if n.Owner == "" {
		n.Owner = c.user
	}
	for _, w := range in.Watchers {
		t, err := event.ParseTopic(w)
		if err != nil {
			return nil, err
		}
		n.Watchers = append(n.Watchers, t)
	}
	if in.Start {
		n.Begin = &job.Claim{By: c.user, Worker: in.Worker, Plan: plan(in.Steps)}
	}
	return s.create(n)
}

func (s *Server) create(n job.New) (job.Job, error) {
	out, err := job.Create(n, time.Now().UTC())
	if err != nil {
		return job.Job{}, err
	}
	events := []*event.Pending{out.Event}
	if n.Begin != nil {
		if out, err = out.Job.Claim(*n.Begin, time.Now().UTC()); err != nil {
			return job.Job{}, err
		}
		events = append(events, out.Event)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[out.Job.ID] = out.Job
	s.order = append(s.order, out.Job.ID)
	for _, e := range events {
		s.append(e)
	}
	return out.Job, nil
}

func plan(steps []herald.Step) []job.Step {
	list := make([]job.Step, len(steps))
	for i, step := range steps {
		list[i] = job.Step{Name: step.Name, Weight: step.Weight}
	}
	return list
}

func (s *Server) listJobs(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := c.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		limit = 50
	}
	page := struct {
		Jobs []job.Job `json:"jobs"`
		Next string    `json:"next"`
	}{Jobs: []job.Job{}}
	if query.Get("claimable") == "true" {
		page.Jobs = append(page.Jobs, s.claimable([]string{query.Get("kind")})...)
		return page, nil
	}
	passed := query.Get("before") == ""
	for _, id := range slices.Backward(s.order) {
		j := s.jobs[id]
		if passed && j.Owner == c.user && hasState(j, query.Get("state")) && (query.Get("kind") == "" || query.Get("kind") == j.Kind) {
			if len(page.Jobs) == limit {
				page.Next = page.Jobs[limit-1].ID.String()
				break
			}
			page.Jobs = append(page.Jobs, j)
		}
		passed = passed || id.String() == query.Get("before")
	}
	return page, nil
}

func hasState(j job.Job, state string) bool {
	switch state {
	case "":
		return true
	case "active":
		return !j.State.Ended()
	case "ended":
		return j.State.Ended()
	}
	return string(j.State) == state
}

func (s *Server) getJob(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobs[c.id]
	if !ok {
		return nil, job.ErrNotFound
	}
	return j, nil
}

func (s *Server) deleteJob(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.changeLocked(c.id, func(j job.Job, now time.Time) (job.Outcome, error) { return j.Delete(c.user, now) })
	if err == nil {
		delete(s.jobs, c.id)
		s.order = slices.DeleteFunc(s.order, func(id uuid.UUID) bool { return id == c.id })
	}
	return nil, err
}

func (s *Server) cancelJob(c call) (any, error) {
	out, err := s.change(c.id, func(j job.Job, now time.Time) (job.Outcome, error) { return j.Cancel(c.user, now) })
	return out.Job, err
}

func (s *Server) retryJob(c call) (any, error) {
	out, err := s.change(c.id, func(j job.Job, now time.Time) (job.Outcome, error) {
		return j.Requeue(c.user, job.DefaultAttempts, now)
	})
	return out.Job, err
}

func (s *Server) claimJob(c call) (any, error) {
	var in struct {
		Worker string
		Steps  []herald.Step
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	out, err := s.change(c.id, func(j job.Job, now time.Time) (job.Outcome, error) {
		return j.Claim(job.Claim{By: c.user, Worker: in.Worker, Plan: plan(in.Steps)}, now)
	})
	return out.Answer(), err
}

// claimable are the jobs of the kinds that may begin now, oldest first. It is called
// with mu held.
func (s *Server) claimable(kinds []string) []job.Job {
	var list []job.Job
	for _, id := range s.order {
		j := s.jobs[id]
		waits := j.State == job.Queued || j.State == job.Retrying && (j.RetryAt == nil || !j.RetryAt.After(time.Now()))
		if j.External && waits && slices.Contains(kinds, j.Kind) {
			list = append(list, j)
		}
	}
	return list
}

// next is the answer to who asks for the next job.
type next struct {
	Attempt int      `json:"attempt"`
	Job     *job.Job `json:"job"`
}

// nextJob is what who asks for the next job says.
type nextJob struct {
	Kinds  []string
	Worker string
	Steps  []herald.Step
	Wait   int
}

// awaitJob waits until there is a job to claim, for as long as the request says.
func (s *Server) awaitJob(c call) {
	var in nextJob
	if c.read(&in) != nil {
		return // as the request will be told
	}
	const look = 10 * time.Millisecond // also for jobs whose time has come
	for deadline := time.Now().Add(time.Duration(in.Wait) * time.Second); time.Now().Before(deadline); {
		s.mu.Lock()
		found := len(s.claimable(in.Kinds)) > 0
		s.mu.Unlock()
		if found {
			return
		}
		select {
		case <-c.Context().Done():
			return
		case <-time.After(look):
		}
	}
}

func (s *Server) claimNext(c call) (any, error) {
	var in nextJob
	if err := c.read(&in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.claimable(in.Kinds)
	if len(list) == 0 {
		return next{}, nil
	}
	out, err := s.changeLocked(list[0].ID, func(j job.Job, now time.Time) (job.Outcome, error) {
		return j.Claim(job.Claim{By: c.user, Worker: in.Worker, Plan: plan(in.Steps)}, now)
	})
	return next{out.Job.Attempt, &out.Job}, err
}

// said is a report with its JSON as it was written.
type said struct {
	herald.Report
	Details  json.RawMessage `json:"details"`
	Result   json.RawMessage `json:"result"`
	Metadata json.RawMessage `json:"metadata"`
}

func (s *Server) report(c call) (any, error) {
	var in struct{ Reports []said }
	var plain struct{ Reports []herald.Report }
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if err := c.read(&plain); err != nil {
		return nil, err
	}
	if len(in.Reports) == 0 || len(in.Reports) > maxReports {
		return nil, &job.InvalidError{Field: "reports", Reason: fmt.Sprintf("want 1 to %d", maxReports)}
	}
	reports := make([]job.Report, len(in.Reports))
	for i, r := range in.Reports {
		reports[i] = r.report()
	}
	answers, err := s.reportAll(c.id, reports, plain.Reports)
	if err != nil {
		return nil, err
	}
	last := answers[len(answers)-1]
	receipt := herald.Receipt{JobID: c.id.String(), State: herald.State(last.State), Attempt: last.Attempt, Version: last.Version}
	for _, a := range answers {
		receipt.Reports = append(receipt.Reports, recorded(a))
	}
	return receipt, nil
}

func (r said) report() job.Report {
	out := job.Report{
		Attempt: r.Attempt, State: job.State(r.State), Progress: r.Progress, Step: r.Step, StepProgress: r.StepProgress,
		Processed: r.Processed, Total: r.Total, Unit: r.Unit, Message: r.Message, Details: r.Details, Error: r.Error,
		RetryAt: r.RetryAt, Unblamed: r.Unblamed, Result: r.Result, Metadata: r.Metadata,
	}
	if r.RemainingMS != nil {
		left := time.Duration(*r.RemainingMS) * time.Millisecond
		out.Remaining = &left
	}
	if r.NextWithinMS != nil {
		due := time.Duration(*r.NextWithinMS) * time.Millisecond
		out.NextWithin = &due
	}
	return out
}

func recorded(a job.Answer) herald.Recorded {
	r := herald.Recorded{Outcome: herald.Applied, Version: a.Version}
	switch {
	case a.Late:
		r.Outcome = herald.Late
	case a.EventID == nil:
		r.Outcome = herald.Unchanged
	}
	if a.EventID != nil {
		id := a.EventID.String()
		r.EventID = &id
	}
	return r
}

func (s *Server) jobEvents(c call) (any, error) {
	after, _ := strconv.ParseInt(c.URL.Query().Get("after"), 10, 64) // none is from the start
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []herald.Event{}
	for _, e := range s.log {
		if e.JobID == c.id && e.Seq > event.Seq(after) {
			list = append(list, entry(e))
		}
	}
	return map[string]any{"events": list}, nil
}

func entry(e event.Event) herald.Event {
	return herald.Event{Seq: int64(e.Seq), ID: e.ID.String(), Type: string(e.Type), Time: e.CreatedAt, Data: e.Payload}
}

func (s *Server) commands(c call) (any, error) {
	query := c.URL.Query()
	attempt, _ := strconv.Atoi(query.Get("attempt"))
	seconds, _ := strconv.Atoi(query.Get("wait"))
	timeout := time.NewTimer(time.Duration(min(seconds, 30)) * time.Second)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		j, ok := s.jobs[c.id]
		changed := s.changed
		s.mu.Unlock()
		if !ok {
			return nil, job.ErrNotFound
		}
		out := herald.Commands{Commands: commandsTo(j, attempt), State: herald.State(j.State), Attempt: j.Attempt}
		if len(out.Commands) > 0 {
			return out, nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return out, nil
		case <-c.Context().Done():
			return out, nil
		}
	}
}

func commandsTo(j job.Job, attempt int) []string {
	switch {
	case j.State.Ended(), attempt > 0 && (attempt != j.Attempt || !j.State.Working()):
		return []string{herald.CommandStop}
	case j.State == job.Cancelling:
		return []string{herald.CommandCancel}
	}
	return []string{}
}
