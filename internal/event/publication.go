package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// MaxNotices is how many events one Publication may have.
const MaxNotices = 1000

// ErrPublication is returned for a Publication of no events, or of too many.
var ErrPublication = errors.New("nothing published")

// Notice is an event in a back end's own words: any Type that is not Reserved.
type Notice struct {
	Type    Type
	Topics  []Topic // in any spelling that ParseTopic reads
	Payload json.RawMessage
}

// Publication is what a back end asks to publish: all of its notices become
// events, or none does.
type Publication struct {
	Actor   string // who asks; not empty
	Key     string // idempotency key, the actor's own; empty for none
	Notices []Notice

	KeyLife time.Duration // how long the key is remembered; default the database's
	Request []byte        // what tells the request from others under its key; default its notices
}

// Submission is a Publication that was checked: the log takes its events.
type Submission struct {
	Actor       string
	Key         string // empty for none
	KeyLife     time.Duration
	Fingerprint []byte // of a request with a key
	Events      []Pending
}

// Published is what became of a Publication.
type Published struct {
	IDs       []uuid.UUID // of its events, in their order
	Repeated  bool        // the key was seen, and the events are those of the first time
	Addressed []int       // how many streams follow a topic of each event; nil when that is not known
}

// Submission checks the publication. Its error is one of Events.
func (p Publication) Submission() (Submission, error) {
	events, err := p.Events()
	if err != nil {
		return Submission{}, err
	}
	s := Submission{Actor: p.Actor, Key: p.Key, KeyLife: p.KeyLife, Events: events}
	switch {
	case p.Key == "":
	case p.Request != nil:
		s.Fingerprint = Fingerprint(new("request"), new(string(p.Request)))
	default:
		s.Fingerprint = FingerprintOf(events)
	}
	return s, nil
}

// IDs are those of the events.
func (s Submission) IDs() []uuid.UUID {
	ids := make([]uuid.UUID, len(s.Events))
	for i, e := range s.Events {
		ids[i] = e.ID
	}
	return ids
}

// Events returns the publication's events, each with a new id, or what the log
// would refuse: ErrPublication, ErrKey, or an error of Pending.Check. When they
// were created is left to the database.
func (p Publication) Events() ([]Pending, error) {
	switch {
	case len(p.Notices) == 0:
		return nil, fmt.Errorf("%w: it needs an event", ErrPublication)
	case len(p.Notices) > MaxNotices:
		return nil, fmt.Errorf("%w: %d events, at most %d", ErrPublication, len(p.Notices), MaxNotices)
	case p.Actor == "":
		return nil, fmt.Errorf("%w: somebody publishes", ErrActor)
	}
	if err := CheckKey(p.Key); err != nil {
		return nil, err
	}
	events := make([]Pending, len(p.Notices))
	for i, n := range p.Notices {
		var err error
		if events[i], err = n.event(p.Actor); err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(p.Notices), err)
		}
	}
	return events, nil
}

func (n Notice) event(actor string) (Pending, error) {
	if n.Type.Reserved() {
		return Pending{}, fmt.Errorf("%w: %q is Herald's own word", ErrType, clip(string(n.Type)))
	}
	if len(n.Topics) > MaxTopics {
		return Pending{}, checkTopics(n.Topics)
	}
	p := Pending{ID: uuid.Must(uuid.NewV7()), Type: n.Type, Actor: actor, Payload: n.Payload}
	for _, t := range n.Topics {
		parsed, err := ParseTopic(string(t))
		if err != nil {
			return Pending{}, err
		}
		p.Topics = append(p.Topics, parsed)
	}
	if err := p.Check(); err != nil {
		return p, err
	}
	return p, checkNotification(p.Type, p.Payload)
}

// FingerprintOf identifies a request to publish the events, whatever their ids.
// The actor is not in it, since each has keys of their own.
func FingerprintOf(events []Pending) []byte {
	parts := []*string{new("publish")}
	for _, e := range events {
		parts = append(parts, new(string(e.Type)), new(strconv.Itoa(len(e.Topics))))
		for _, t := range e.Topics {
			parts = append(parts, new(string(t)))
		}
		parts = append(parts, new(string(e.Payload)))
	}
	return Fingerprint(parts...)
}
