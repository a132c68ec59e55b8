// Package heraldtest has a Herald server for the tests of programs that use
// package herald: jobs, reports, commands and streams, in memory, by the rules of
// the real one. It can be told to fail.
package heraldtest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"herald"
	"herald/internal/event"
	"herald/internal/job"
)

// Server is a Herald in memory. The token of a request is the name of its user,
// who may do everything. It is an http.Handler: Client and Transport reach it
// without a network, so that it can be used in a synctest bubble, and
// httptest.NewServer gives it an address. Its methods may be called from any
// goroutine.
type Server struct {
	mux *http.ServeMux

	keyed   sync.Mutex            // held while a request with a key is answered; guards answers
	answers map[string]remembered // by idempotency key

	mu      sync.Mutex // guards the fields below
	jobs    map[uuid.UUID]job.Job
	order   []uuid.UUID // of jobs, by their making
	reports map[uuid.UUID][]herald.Report
	log     []event.Event
	floor   event.Seq     // events up to it are not kept
	changed chan struct{} // closed when anything has changed
	cut     chan struct{} // closed to end all streams
	faults  []Fault

	messages []herald.Message // published over HTTP
}

// remembered is an answer under an idempotency key.
type remembered struct {
	request [sha256.Size]byte
	status  int
	body    []byte
}

// Fault is what becomes of one request.
type Fault struct {
	Status     int           // of the answer; 0 breaks the connection
	RetryAfter time.Duration // what the answer asks for
	After      bool          // the request takes effect first, as when an answer is lost
}

// New returns a Server without jobs. There is nothing to close.
func New() *Server {
	s := &Server{
		jobs: map[uuid.UUID]job.Job{}, reports: map[uuid.UUID][]herald.Report{}, answers: map[string]remembered{},
		changed: make(chan struct{}), cut: make(chan struct{}), mux: http.NewServeMux(),
	}
	s.routes()
	return s
}

// Client returns a client of the server for the user.
func (s *Server) Client(user string) *herald.Client {
	c, err := herald.New(s.Config(user))
	if err != nil {
		panic(err) // the Config is ours
	}
	return c
}

// Config is what Client uses; tests may change it.
func (s *Server) Config(user string) herald.Config {
	return herald.Config{URL: "http://herald.test", Token: user, HTTPClient: &http.Client{Transport: s.Transport()}}
}

// Job returns a job, and whether there is one.
func (s *Server) Job(id string) (herald.Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobs[parseID(id)]
	return public(j), ok
}

// Jobs returns all jobs, in the order of their making.
func (s *Server) Jobs() []herald.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []herald.Job
	for _, id := range s.order {
		list = append(list, public(s.jobs[id]))
	}
	return list
}

// Reports returns what was reported on a job, in order, without repeats.
func (s *Server) Reports(id string) []herald.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reports[parseID(id)])
}

// Cancel asks for a job's end, as its owner would.
func (s *Server) Cancel(id string) error {
	_, err := s.change(parseID(id), func(j job.Job, now time.Time) (job.Outcome, error) { return j.Cancel(j.Owner, now) })
	return err
}

// Publish puts an event of any type into the log.
func (s *Server) Publish(kind string, data any, topics ...string) error {
	payload, err := json.Marshal(data)
	if err != nil {
		return err
	}
	p := &event.Pending{ID: uuid.Must(uuid.NewV7()), Type: event.Type(kind), Actor: "test", CreatedAt: time.Now().UTC(), Payload: payload}
	for _, t := range topics {
		p.Topics = append(p.Topics, event.Topic(t))
	}
	if err := p.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(p)
	return nil
}

// Fail makes the next requests, other than for streams and commands, go wrong:
// one for each Fault.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Interrupt ends all streams, as a server that stops does.
func (s *Server) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// Forget lets go of the log so far: a stream that resumes before its end is
// reset.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floor = event.Seq(len(s.log))
}

// Herald's own answers to a job's id that is none are as to one that nobody has.
func parseID(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil
	}
	return id
}

// public is the job as a client sees it.
func public(j job.Job) herald.Job {
	var out herald.Job
	text, err := json.Marshal(j)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err) // one is the other's JSON
	}
	return out
}

// change lets decide say what becomes of a job.
func (s *Server) change(id uuid.UUID, decide func(j job.Job, now time.Time) (job.Outcome, error)) (job.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changeLocked(id, decide)
}

func (s *Server) changeLocked(id uuid.UUID, decide func(j job.Job, now time.Time) (job.Outcome, error)) (job.Outcome, error) {
	j, ok := s.jobs[id]
	if !ok {
		return job.Outcome{}, job.ErrNotFound
	}
	out, err := decide(j, time.Now().UTC())
	if err != nil {
		return out, err
	}
	if !out.Late {
		s.jobs[id] = out.Job
	}
	s.append(out.Event)
	return out, nil
}

// append puts an event at the end of the log. It is called with mu held.
func (s *Server) append(p *event.Pending) {
	if p != nil {
		s.log = append(s.log, event.Event{Pending: *p, Seq: event.Seq(len(s.log) + 1), RecordedAt: p.CreatedAt})
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// reportAll applies reports: all of them, or none.
func (s *Server) reportAll(id uuid.UUID, reports []job.Report, said []herald.Report) ([]job.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobs[id]
	switch {
	case !ok:
		return nil, job.ErrNotFound
	case !j.External:
		return nil, job.ErrNotExternal
	}
	outs := make([]job.Outcome, len(reports))
	for i, r := range reports {
		out, err := j.Apply(r, time.Now().UTC())
		if err != nil {
			return nil, err
		}
		outs[i], j = out, out.Job
	}
	s.jobs[id] = j
	s.reports[id] = append(s.reports[id], said...)
	answers := make([]job.Answer, len(outs))
	for i, out := range outs {
		s.append(out.Event)
		answers[i] = out.Answer()
	}
	return answers, nil
}

// problem is what the API answers to an error.
func problem(err error) herald.Error {
	var (
		already    *herald.Error
		invalid    *job.InvalidError
		transition *job.TransitionError
	)
	p := herald.Error{Status: http.StatusUnprocessableEntity, Type: "invalid", Title: "The request does not make sense", Detail: err.Error()}
	switch {
	case errors.As(err, &already):
		return *already
	case errors.As(err, &invalid):
	case errors.As(err, &transition):
		p.Status, p.Type, p.Title = http.StatusConflict, "wrong-state", "The job's state does not allow this"
	case errors.Is(err, job.ErrNotExternal):
		p.Status, p.Type, p.Title = http.StatusConflict, "not-external", "The job does not run elsewhere"
	case errors.Is(err, job.ErrNotEnded):
		p.Status, p.Type, p.Title = http.StatusConflict, "not-ended", "The job has not ended"
	case errors.Is(err, job.ErrNotFound):
		p.Status, p.Type, p.Title = http.StatusNotFound, "not-found", "There is no such job"
	case errors.Is(err, event.ErrKeyReused):
		p.Type = "idempotency-key-reused"
	case errors.Is(err, event.ErrType), errors.Is(err, event.ErrPayload):
		p.Type = "bad-message"
	case errors.Is(err, event.ErrTopic), errors.Is(err, event.ErrFilter), errors.Is(err, event.ErrBadCursor):
		p.Status, p.Type = http.StatusBadRequest, "bad-query"
	}
	p.Type = "/problems/" + strings.TrimPrefix(p.Type, "/problems/")
	return p
}
