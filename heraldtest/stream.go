package heraldtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/sse"
)

// heartbeat is how often a silent stream shows that it is alive.
const heartbeat = 15 * time.Second

// stream serves GET /api/sse.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	f, err := follow(r)
	if err != nil {
		p := problem(err)
		send(w, p.Status, p)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	s.mu.Lock()
	cut := s.cut
	frames := s.begin(f)
	s.mu.Unlock()
	for {
		if _, err := w.Write(frames); err != nil || control.Flush() != nil {
			return
		}
		s.mu.Lock()
		changed, closing := s.changed, s.cut != cut
		if frames = nil; !closing {
			frames = s.since(f)
		}
		s.mu.Unlock()
		if len(frames) > 0 {
			continue
		}
		timer := time.NewTimer(heartbeat)
		select {
		case <-r.Context().Done():
			return
		case <-cut:
			_, _ = w.Write(sse.AppendEvent(sse.AppendRetry(nil, 10*time.Millisecond), "", "stream.closing", []byte(`{}`)))
			return
		case <-changed:
		case <-timer.C:
			frames = sse.AppendHeartbeat(nil)
		}
		timer.Stop()
	}
}

// follower is what a stream reads, and how far it is.
type follower struct {
	topics []event.Topic
	filter *event.Filter
	cursor event.Seq
	resume bool
}

func follow(r *http.Request) (*follower, error) {
	query := r.URL.Query()
	f := &follower{filter: &event.Filter{Types: query["type"], Metadata: map[string][]string{}}}
	for name, values := range query {
		if key, ok := strings.CutPrefix(name, "metadata."); ok {
			f.filter.Metadata[key] = values
		}
	}
	if err := f.filter.Check(); err != nil {
		return nil, err
	}
	for _, text := range query["topic"] {
		t, err := event.ParseTopic(text)
		if err != nil {
			return nil, err
		}
		f.topics = append(f.topics, t)
	}
	if len(f.topics) == 0 {
		f.topics = []event.Topic{event.UserTopic(user(r)), event.Everyone}
	}
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		cursor, err := event.ParseCursor(text)
		if err != nil {
			return nil, err
		}
		f.cursor, f.resume = cursor, true
	}
	return f, nil
}

// begin is how the stream begins. It is called with mu held.
func (s *Server) begin(f *follower) []byte {
	head := event.Seq(len(s.log))
	b := sse.AppendRetry(nil, 10*time.Millisecond)
	b = appendJSON(b, "", "stream.open", map[string]any{"client_id": uuid.NewString(), "heartbeat_ms": heartbeat.Milliseconds(), "head": head})
	if f.resume && f.cursor >= s.floor && f.cursor <= head {
		return b
	}
	if f.resume {
		b = appendJSON(b, "", "stream.reset", map[string]string{"reason": "cursor_too_old"})
	}
	f.cursor = head
	return appendJSON(b, head.String(), "stream.snapshot", map[string][]job.Job{"jobs": s.active(f.topics)})
}

// active lists the jobs that a fresh stream begins with, newest first.
func (s *Server) active(topics []event.Topic) []job.Job {
	list := []job.Job{}
	for _, id := range slices.Backward(s.order) {
		j := s.jobs[id]
		if !j.State.Ended() && (slices.Contains(topics, event.UserTopic(j.Owner)) || slices.Contains(topics, event.JobTopic(id))) {
			list = append(list, j)
		}
	}
	return list
}

// since is what is new to the stream. It is called with mu held.
func (s *Server) since(f *follower) []byte {
	var b []byte
	for _, e := range s.log[f.cursor:] {
		f.cursor = e.Seq
		concerns := slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return slices.Contains(f.topics, t) })
		if concerns && f.filter.Match(e.Type, event.MetadataOf(e.Payload)) {
			b = appendJSON(b, e.Seq.String(), string(e.Type), entry(e))
		}
	}
	return b
}

func appendJSON(to []byte, id, name string, data any) []byte {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(err) // all that is passed here can be encoded
	}
	return sse.AppendEvent(to, id, name, encoded)
}
