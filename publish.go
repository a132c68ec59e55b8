package herald

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Target says whom a Message reaches: all of these together, which are 64 at
// most. ToUser and its kin make one.
type Target struct {
	Client   string   `json:"client,omitempty"` // the stream of that client id
	User     string   `json:"user,omitempty"`   // all streams of that user
	Users    []string `json:"users,omitempty"`
	Channel  string   `json:"channel,omitempty"` // all streams that follow that channel
	Channels []string `json:"channels,omitempty"`
	Topics   []string `json:"topics,omitempty"` // topics as streams follow them, such as "job:" and an id
	All      bool     `json:"all,omitempty"`    // everyone
}

// ToClient is the stream of that client id.
func ToClient(id string) Target { return Target{Client: id} }

// ToUser is all streams of that user.
func ToUser(id string) Target { return Target{User: id} }

// ToUsers is all streams of those users.
func ToUsers(ids ...string) Target { return Target{Users: ids} }

// ToChannel is all streams that follow that channel.
func ToChannel(name string) Target { return Target{Channel: name} }

// ToChannels is all streams that follow one of those channels.
func ToChannels(names ...string) Target { return Target{Channels: names} }

// ToTopics is all streams that follow one of those topics.
func ToTopics(topics ...string) Target { return Target{Topics: topics} }

// ToAll is everyone.
func ToAll() Target { return Target{All: true} }

// and is both targets together.
func (t Target) and(other Target) Target {
	var both Target
	for _, one := range []Target{t, other} {
		both.Users = append(both.Users, one.Users...)
		both.Channels = append(both.Channels, one.Channels...)
		both.Topics = append(both.Topics, one.Topics...)
		if one.User != "" {
			both.Users = append(both.Users, one.User)
		}
		if one.Channel != "" {
			both.Channels = append(both.Channels, one.Channel)
		}
		if one.Client != "" {
			both.Topics = append(both.Topics, "client:"+one.Client)
		}
		both.All = both.All || one.All
	}
	return both
}

// Message is an event in a back end's own words.
type Message struct {
	Event    string         `json:"event"`              // its type: words of a-z, 0-9, - and _, joined by dots; not job.… or stream.…
	Data     any            `json:"data,omitempty"`     // what it says; default an empty object
	Metadata map[string]any `json:"metadata,omitempty"` // what streams are filtered by: strings, numbers and booleans; Data is an object then
	TTLMS    int64          `json:"ttl_ms,omitempty"`   // for how long it is of use, in milliseconds; default for ever. Data is an object otherwise
	To       Target         `json:"to"`

	// Key makes the request one of a kind: the same event comes again for it, also
	// from another process. Default: a key for the one call.
	Key string `json:"-"`
}

// NewMessage is the notification as a Message, to be given metadata, a time to
// live or a key, and published.
func NewMessage(n Notification, to ...Target) Message {
	m := Message{Event: n.EventType(), Data: n}
	if len(to) > 0 {
		m.To = to[0]
		for _, t := range to[1:] {
			m.To = m.To.and(t)
		}
	}
	return m
}

// Published is what became of a Message.
type Published struct {
	EventID   string `json:"event_id"`
	Addressed *int   `json:"addressed"` // how many streams on all nodes follow one of its topics, as of about a second ago; nil when that is not known
	Repeated  bool   `json:"repeated"`  // the key was seen: it is the event of the first time
}

// Publish publishes an event, which is committed when it returns without an error.
// The token's owner must be a back end or an admin.
func (c *Client) Publish(ctx context.Context, m Message) (Published, error) {
	if m.Key == "" {
		m.Key = newKey()
	}
	var p Published
	return p, c.call(ctx, request{method: http.MethodPost, path: "/api/sse/message", key: m.Key, body: m}, &p)
}

// Notify publishes a notification.
func (c *Client) Notify(ctx context.Context, n Notification, to ...Target) (Published, error) {
	return c.Publish(ctx, NewMessage(n, to...))
}

// Batch is messages that are published together.
type Batch struct {
	Messages []Message // 1 to 1000; their Keys do not count
	Key      string    // as a Message's, for all of them
}

// PublishBatch publishes all of the messages, in their order, or none.
func (c *Client) PublishBatch(ctx context.Context, b Batch) ([]Published, error) {
	if b.Key == "" {
		b.Key = newKey()
	}
	body := struct {
		Messages []Message `json:"messages"`
	}{b.Messages}
	var out struct {
		Events   []Published `json:"events"`
		Repeated bool        `json:"repeated"`
	}
	if err := c.call(ctx, request{method: http.MethodPost, path: "/api/sse/messages", key: b.Key, body: body}, &out); err != nil {
		return nil, err
	}
	if len(out.Events) != len(b.Messages) {
		return nil, fmt.Errorf("herald: %d events of %d messages", len(out.Events), len(b.Messages))
	}
	for i := range out.Events {
		out.Events[i].Repeated = out.Repeated
	}
	return out.Events, nil
}

// Reach is whom a Message would reach.
type Reach struct {
	Addressed int      `json:"addressed"` // streams on all nodes
	Streams   []Stream `json:"reaches"`   // the newest 100 of them
}

// Stream is one client's connection.
type Stream struct {
	ClientID string `json:"client_id"`
	User     string `json:"user"`
	Node     string `json:"node"`
}

// TryPublish checks a message as Publish would, and says whom it would reach.
// Nothing is published.
func (c *Client) TryPublish(ctx context.Context, m Message) (Reach, error) {
	var r Reach
	return r, c.call(ctx, request{
		method: http.MethodPost, path: "/api/sse/message", query: url.Values{"dry_run": {"1"}}, body: m,
	}, &r)
}
