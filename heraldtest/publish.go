package heraldtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"herald"
	"herald/internal/event"
	"herald/internal/job"
)

// maxMessages is how many messages one request may have.
const maxMessages = 1000

// message is a herald.Message with its JSON as it was written.
type message struct {
	herald.Message
	Data     json.RawMessage `json:"data"`
	Metadata json.RawMessage `json:"metadata"`
}

// Messages returns what was published over HTTP, in order, without repeats.
func (s *Server) Messages() []herald.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

func (s *Server) sendMessage(c call) (any, error) {
	var in message
	if err := c.read(&in); err != nil {
		return nil, err
	}
	dry := dryRun(c)
	out, err := s.publish(c, []message{in}, dry)
	if err != nil {
		return nil, err
	}
	if dry {
		return map[string]any{"event_id": nil, "addressed": 0, "dry_run": true, "repeated": false}, nil
	}
	return out[0], nil
}

func (s *Server) sendMessages(c call) (any, error) {
	var in struct {
		Messages []message `json:"messages"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if len(in.Messages) == 0 || len(in.Messages) > maxMessages {
		return nil, &job.InvalidError{Field: "messages", Reason: fmt.Sprintf("want 1 to %d", maxMessages)}
	}
	out, err := s.publish(c, in.Messages, dryRun(c))
	return map[string]any{"events": out, "repeated": false}, err
}

func dryRun(c call) bool { return c.URL.Query().Has("dry_run") }

// publish puts the messages into the log: all of them, or none. How many streams
// there are is not known here.
func (s *Server) publish(c call, messages []message, dry bool) ([]herald.Published, error) {
	p := event.Publication{Actor: c.user}
	for _, m := range messages {
		payload, err := event.Payload(m.Data, m.Metadata, time.Duration(m.TTLMS)*time.Millisecond)
		if err != nil {
			return nil, err
		}
		p.Notices = append(p.Notices, event.Notice{Type: event.Type(m.Event), Topics: topics(m.To), Payload: payload})
	}
	events, err := p.Events()
	if err != nil || dry {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]herald.Published, 0, len(events))
	for i, e := range events {
		e.CreatedAt = time.Now().UTC()
		s.append(&e)
		out = append(out, herald.Published{EventID: e.ID.String()})
		m := messages[i] //nolint:gosec // there is an event for each
		whole := m.Message
		whole.Data = m.Data
		if m.Metadata != nil {
			_ = json.Unmarshal(m.Metadata, &whole.Metadata) // it was checked
		}
		s.messages = append(s.messages, whole)
	}
	return out, nil
}

func topics(t herald.Target) []event.Topic {
	var list []event.Topic
	add := func(kind string, names ...string) {
		for _, name := range names {
			if topic := event.Topic(kind + name); name != "" && !slices.Contains(list, topic) {
				list = append(list, topic)
			}
		}
	}
	add("client:", t.Client)
	add("user:", append([]string{t.User}, t.Users...)...)
	add("channel:", append([]string{t.Channel}, t.Channels...)...)
	add("", t.Topics...)
	if t.All {
		add("", string(event.Everyone))
	}
	return list
}
