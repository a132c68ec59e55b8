package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/presence"
)

// Publisher publishes what a back end says, durably: an eventlog.Publisher.
type Publisher interface {
	Publish(ctx context.Context, p event.Publication) (event.Published, error)
}

// Addressees says which streams topics address, on all nodes.
type Addressees interface {
	CountAddressed(ctx context.Context, sets [][]event.Topic) ([]int, error)
	ListAddressed(ctx context.Context, topics []event.Topic, limit int) ([]presence.Connection, error)
}

type (
	messageIn struct {
		Key    string `header:"Idempotency-Key" maxLength:"200" doc:"With one that was seen, the event of the first time comes again."`
		DryRun bool   `query:"dry_run" doc:"Tell whom it would reach, and publish nothing."`
		Body   message
	}
	// message is an event in a back end's own words, as herald.Message has it in Go.
	message struct {
		Event    string          `json:"event" maxLength:"100" example:"order.paid" doc:"The event's type: a notification's, or words of your own."`
		Data     json.RawMessage `json:"data,omitempty" doc:"What it says; an empty object by default. Of a notification, what its type asks for."`
		Metadata json.RawMessage `json:"metadata,omitempty" doc:"What streams are filtered by: an object of at most 16 strings, numbers and booleans. Data is an object then."`
		TTL      int64           `json:"ttl_ms,omitempty" minimum:"1" maximum:"31536000000" doc:"For how long it is of use: streams do not get it after that. Data is an object then."`
		To       target          `json:"to" doc:"Whom it reaches: all of these together, which are 64 at most."`
	}
	target struct {
		Client   string   `json:"client,omitempty" maxLength:"200" doc:"The stream of that client id."`
		User     string   `json:"user,omitempty" maxLength:"200" doc:"All streams of that user."`
		Users    []string `json:"users,omitempty" maxItems:"64"`
		Channel  string   `json:"channel,omitempty" maxLength:"200" doc:"All streams that follow that channel."`
		Channels []string `json:"channels,omitempty" maxItems:"64"`
		Topics   []string `json:"topics,omitempty" maxItems:"64" doc:"Topics as streams follow them, such as job:UUID."`
		All      bool     `json:"all,omitempty" doc:"Everyone."`
	}
	messageOut struct {
		Body struct {
			sent
			Repeated bool        `json:"repeated" doc:"The key was seen: the event is that of the first time."`
			DryRun   bool        `json:"dry_run,omitempty" doc:"Nothing was published."`
			Reaches  []addressee `json:"reaches,omitempty" doc:"Of a dry run: the streams, at most 100, the newest first."`
		}
	}
	// sent is what became of a message.
	sent struct {
		EventID   *uuid.UUID `json:"event_id" doc:"The event's; null of a dry run."`
		Addressed *int       `json:"addressed" doc:"How many streams on all nodes follow one of its topics now, as of about a second ago; null when they could not be counted."`
	}
	addressee struct {
		Client uuid.UUID `json:"client_id"`
		User   string    `json:"user"`
		Node   string    `json:"node"`
	}

	messagesIn struct {
		Key    string `header:"Idempotency-Key" maxLength:"200" doc:"The key of the whole request: with one that was seen, the events of the first time come again."`
		DryRun bool   `query:"dry_run" doc:"Tell how many it would reach, and publish nothing."`
		Body   struct {
			Messages []message `json:"messages" minItems:"1" maxItems:"1000" doc:"In their order; all are published, or none."`
		}
	}
	messagesOut struct {
		Body struct {
			Events   []sent `json:"events" doc:"What became of each."`
			Repeated bool   `json:"repeated" doc:"The key was seen: the events are those of the first time."`
			DryRun   bool   `json:"dry_run,omitempty" doc:"Nothing was published."`
		}
	}
)

// mostAddressees is how many streams a dry run lists.
const mostAddressees = 100

// errTarget is of a message that is for nobody.
var errTarget = errors.New("a message is for somebody: a client, user, users, channel, channels, topics, or all")

func (a *api) sendMessage(ctx context.Context, in *messageIn) (*messageOut, error) {
	p, err := publicationOf(principalOf(ctx), in.Key, []message{in.Body})
	if err != nil {
		return nil, err
	}
	out := &messageOut{}
	if in.DryRun {
		sets, counts, err := a.tryOut(ctx, p)
		if err != nil {
			return nil, err
		}
		out.Body.DryRun, out.Body.Addressed = true, &counts[0]
		out.Body.Reaches, err = a.addressees(ctx, sets[0])
		return out, err
	}
	published, err := a.Publisher.Publish(ctx, p)
	if err != nil {
		return nil, err
	}
	out.Body.sent, out.Body.Repeated = sentOf(published)[0], published.Repeated
	return out, nil
}

func (a *api) sendMessages(ctx context.Context, in *messagesIn) (*messagesOut, error) {
	p, err := publicationOf(principalOf(ctx), in.Key, in.Body.Messages)
	if err != nil {
		return nil, err
	}
	out := &messagesOut{}
	if in.DryRun {
		_, counts, err := a.tryOut(ctx, p)
		out.Body.DryRun, out.Body.Events = true, make([]sent, len(counts))
		for i := range counts {
			out.Body.Events[i].Addressed = &counts[i]
		}
		return out, err
	}
	published, err := a.Publisher.Publish(ctx, p)
	if err != nil {
		return nil, err
	}
	out.Body.Events, out.Body.Repeated = sentOf(published), published.Repeated
	return out, nil
}

// publicationOf is what the principal asks to publish.
func publicationOf(who auth.Principal, key string, messages []message) (event.Publication, error) {
	if !who.MayPublish() {
		return event.Publication{}, fmt.Errorf("%w: publish", auth.ErrForbidden)
	}
	p := event.Publication{Actor: who.User, Key: key, Notices: make([]event.Notice, len(messages))}
	for i, m := range messages {
		payload, err := event.Payload(m.Data, m.Metadata, time.Duration(m.TTL)*time.Millisecond)
		topics := m.To.topics()
		if err == nil && len(topics) == 0 {
			err = errTarget
		}
		if err == nil && slices.ContainsFunc(topics, func(t event.Topic) bool { return !who.MayPublishTo(string(t)) }) {
			err = fmt.Errorf("%w: publish to what the key has no topic for", auth.ErrForbidden)
		}
		if err != nil {
			return p, fmt.Errorf("message %d of %d: %w", i+1, len(messages), err)
		}
		p.Notices[i] = event.Notice{Type: event.Type(m.Event), Topics: topics, Payload: payload}
	}
	return p, nil
}

// topics are the target's, each once.
func (t target) topics() []event.Topic {
	var list []event.Topic
	seen := map[event.Topic]bool{}
	add := func(kind string, names ...string) {
		for _, name := range names {
			topic := event.Topic(kind + name)
			if name != "" && !seen[topic] {
				seen[topic] = true
				list = append(list, topic)
			}
		}
	}
	add("client:", t.Client)
	add("user:", t.User)
	add("user:", t.Users...)
	add("channel:", t.Channel)
	add("channel:", t.Channels...)
	add("", t.Topics...)
	if t.All {
		add("", string(event.Everyone))
	}
	return list
}

func sentOf(p event.Published) []sent {
	list := make([]sent, len(p.IDs))
	for i := range p.IDs {
		list[i].EventID = &p.IDs[i]
		if p.Addressed != nil {
			list[i].Addressed = &p.Addressed[i]
		}
	}
	return list
}

// tryOut checks the publication, publishes nothing, and returns each event's
// topics, and how many streams they address.
func (a *api) tryOut(ctx context.Context, p event.Publication) (sets [][]event.Topic, counts []int, err error) {
	events, err := p.Events()
	if err != nil {
		return nil, nil, err
	}
	for _, e := range events {
		sets = append(sets, e.Topics)
	}
	counts, err = a.Addressees.CountAddressed(ctx, sets)
	return sets, counts, err
}

func (a *api) addressees(ctx context.Context, topics []event.Topic) ([]addressee, error) {
	streams, err := a.Addressees.ListAddressed(ctx, topics, mostAddressees)
	list := make([]addressee, len(streams))
	for i, c := range streams {
		list[i] = addressee{Client: c.ID, User: c.User, Node: c.Node}
	}
	return list, err
}
