package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/hub"
	"herald/internal/presence"
)

// streamRequest is what a client asks for.
type streamRequest struct {
	principal auth.Principal
	clientID  uuid.UUID
	topics    []event.Topic
	filter    *event.Filter
	cursor    event.Seq
	resume    bool // from the cursor
	whole     bool // without conflation

	session string          // what the client calls its session
	about   json.RawMessage // what it says of itself, as a JSON object
}

func (a *api) streamRequest(r *http.Request) (ask streamRequest, err error) {
	ask.principal, ask.clientID = principalOf(r.Context()), uuid.Must(uuid.NewV7())
	if ask.topics, err = a.streamTopics(r, ask.principal); err != nil {
		return ask, err
	}
	if ask.cursor, ask.resume, err = streamCursor(r); err != nil {
		return ask, err
	}
	query := r.URL.Query()
	if ask.filter, err = streamFilter(query); err != nil {
		return ask, err
	}
	if ask.filter != nil && ask.principal.IsGuest() { // which events pass would tell what they do not show
		return ask, fmt.Errorf("%w: filter the stream of a shared job", auth.ErrForbidden)
	}
	ask.session = query.Get("session")
	if about := query.Get("about"); about != "" {
		ask.about = json.RawMessage(about)
	} else if query.Has("username") && a.Development.identity(r) != "" {
		ask.about, _ = json.Marshal(map[string]string{"username": query.Get("username")}) // a text can be encoded
	}
	if err = presence.CheckMetadata(ask.about); err != nil {
		return ask, fmt.Errorf("about: %w", err)
	}
	switch conflate := query.Get("conflate"); conflate {
	case "", "on":
	case "off":
		ask.whole = true
	default:
		return ask, fmt.Errorf("%w: conflate=%.20q: want on or off", errBadQuery, conflate)
	}
	return ask, nil
}

// streamFilter reads type= and metadata.KEY=, each of which may stand there
// several times; nil when there is none.
func streamFilter(query url.Values) (*event.Filter, error) {
	f := &event.Filter{Types: query["type"], Metadata: metadataOf(query)}
	if len(f.Types) == 0 && len(f.Metadata) == 0 {
		return nil, nil //nolint:nilnil // the nil Filter lets everything pass
	}
	return f, f.Check()
}

// metadataOf reads metadata.KEY=; nil when there is none.
func metadataOf(query url.Values) map[string][]string {
	var m map[string][]string
	for name, values := range query {
		if key, ok := strings.CutPrefix(name, "metadata."); ok {
			if m == nil {
				m = make(map[string][]string)
			}
			m[key] = values
		}
	}
	return m
}

// hubStream is the stream as the hub gets it. When it has ended, it gives its
// place among the limited ones back. It keeps nothing of the request alive.
func (a *api) hubStream(ask streamRequest, network netip.Addr) hub.Stream {
	id, user := ask.clientID, ask.principal.User
	release := a.Keys.Hold(ask.principal, func() { a.Hub.Disconnect(id, hub.ErrExpired) })
	return hub.Stream{
		ID: id, Topics: ask.topics, Filter: ask.filter, Whole: ask.whole, Expires: ask.principal.Expires,
		Ended: func(why error, written event.Seq) {
			release()
			a.limits.release(user, network)
			a.Presence.Closed(id, closedWhy(why), written)
			a.Log.DebugContext(context.Background(), "stream ended", "client_id", id, "user", user, "reason", why, "written", written)
		},
	}
}

// streamTopics reads which topics the client asks for and whether it may follow
// them.
func (a *api) streamTopics(r *http.Request, principal auth.Principal) ([]event.Topic, error) {
	asked := r.URL.Query()["topic"]
	if err := a.limits.checkTopics(len(asked)); err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		asked = guestTopics(principal)
	}
	topics := make([]event.Topic, 0, len(asked))
	for _, text := range asked {
		topic, err := streamTopic(text)
		if err != nil {
			return nil, err
		}
		if !a.mayFollow(r.Context(), principal, topic) {
			return nil, fmt.Errorf("%w: topic %s", auth.ErrForbidden, topic)
		}
		if !slices.Contains(topics, topic) {
			topics = append(topics, event.Topic(strings.Clone(string(topic)))) // the text is the whole request's
		}
	}
	return topics, nil
}

// streamTopic reads what a stream may follow: a topic, or the whole log.
func streamTopic(text string) (event.Topic, error) {
	if text == string(event.WholeLog) {
		return event.WholeLog, nil
	}
	return event.ParseTopic(text)
}

// mayFollow reports whether the principal may follow the topic: by the policy,
// or because the topic is a job that it may see, as its worker may.
func (a *api) mayFollow(ctx context.Context, principal auth.Principal, topic event.Topic) bool {
	if principal.MayFollow(string(topic)) {
		return true
	}
	id, ok := topic.Job()
	if !ok {
		return false
	}
	j, err := a.Jobs.Job(ctx, id)
	return err == nil && (principal.MaySeeJob(j.Owner, id.String()) || runs(principal, j))
}

// streamCursor reads from where the client wants to resume, if it does.
func streamCursor(r *http.Request) (cursor event.Seq, resume bool, err error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("lastEventId")
	}
	if text == "" {
		return 0, false, nil
	}
	cursor, err = event.ParseCursor(text)
	return cursor, true, err
}
