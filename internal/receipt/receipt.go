// Package receipt says what became of an event: on which streams it was written,
// acknowledged and seen, who was away, and why somebody did not get it. All of it is
// derived from how far each stream has come; it does no I/O.
package receipt

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/presence"
)

// Stage is how far an event has come on a stream.
type Stage string

// The stages, each further than the one before.
const (
	Filtered     Stage = "filtered" // the stream's filter holds it back
	Missed       Stage = "missed"   // the stream ended before it was written
	Pending      Stage = "pending"  // it is still to be written
	Replaced     Stage = "replaced" // newer progress of the job was written, maybe in its place
	Written      Stage = "written"
	Acknowledged Stage = "acknowledged"
	Seen         Stage = "seen" // acknowledged on a visible page
)

// Way is how an event came to a stream.
type Way string

// The ways.
const (
	Live     Way = "live"     // the stream was open when it was recorded
	Replay   Way = "replay"   // the stream was opened later, and resumed from before it
	Snapshot Way = "snapshot" // the stream began afresh behind it, with the jobs as they stood
)

// Delivery is what became of an event on one stream. Times are bounds: what is
// written down is how far a stream has come, not when each event was.
type Delivery struct {
	Client        uuid.UUID       `json:"client_id"`
	User          string          `json:"user"`
	Node          string          `json:"node"`
	Session       string          `json:"session"`
	Way           Way             `json:"way"`
	Stage         Stage           `json:"stage"`
	OpenedAt      time.Time       `json:"opened_at"`
	ClosedAt      *time.Time      `json:"closed_at"`
	ClosedWhy     presence.Reason `json:"closed_why"`
	WrittenAfter  *time.Time      `json:"written_after"`  // nil when it was not written, as below
	WrittenBefore *time.Time      `json:"written_before"` // or then
	AckedBefore   *time.Time      `json:"acked_before"`   // or then
	SeenBefore    *time.Time      `json:"seen_before"`    // or then
}

// Event is an event and what is to be known of it to judge a stream.
type Event struct {
	event.Event
	// Newer is the next progress of the same job, which may have replaced this one
	// where it waited; 0 when there is none, or this is no progress.
	Newer event.Seq
}

// Concerns reports whether the event was to come to the stream: it follows one of
// its topics, read on from before it, and had not ended when it was recorded.
func (e Event) Concerns(c presence.Connection) bool {
	return e.followed(c) && c.OpenedSeq < e.Seq && (c.Written >= e.Seq || c.ClosedAt == nil || !c.ClosedAt.Before(e.RecordedAt))
}

func (e Event) followed(c presence.Connection) bool {
	return slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return slices.Contains(c.Topics, t) })
}

// On says what became of the event on a stream that it concerns.
func (e Event) On(c presence.Connection) Delivery {
	d := Delivery{
		Client: c.ID, User: c.User, Node: c.Node, Session: c.Session, Way: Live, Stage: e.stage(c),
		OpenedAt: c.OpenedAt, ClosedAt: c.ClosedAt, ClosedWhy: c.ClosedWhy,
	}
	from := e.RecordedAt
	if c.OpenedHead >= e.Seq {
		d.Way, from = Replay, c.OpenedAt
	}
	if d.Stage.Got() {
		d.WrittenAfter, d.WrittenBefore = &from, c.WrittenAt
	}
	if d.Stage == Acknowledged || d.Stage == Seen {
		d.AckedBefore = c.AckedAt
	}
	if d.Stage == Seen {
		d.SeenBefore = c.SeenAt
	}
	return d
}

// Got reports whether the event was written.
func (s Stage) Got() bool { return s == Written || s == Acknowledged || s == Seen }

func (e Event) stage(c presence.Connection) Stage {
	switch {
	case !c.Filter.Match(e.Type, event.MetadataOf(e.Payload)):
		return Filtered
	case c.Written < e.Seq && c.ClosedAt != nil:
		return Missed
	case c.Written < e.Seq:
		return Pending
	case e.Newer > 0 && !c.Whole && c.Written >= e.Newer:
		return Replaced
	case c.Seen >= e.Seq:
		return Seen
	case c.Acked >= e.Seq:
		return Acknowledged
	}
	return Written
}

// rank orders stages.
func (s Stage) rank() int {
	return slices.Index([]Stage{Filtered, Missed, Pending, Replaced, Written, Acknowledged, Seen}, s)
}

// Recipient is somebody whom an event names, and the best that became of it.
type Recipient struct {
	User   string `json:"user"`
	Online bool   `json:"online"` // a stream of theirs was open when it was recorded
	Way    Way    `json:"way"`    // empty when nothing came
	Stage  Stage  `json:"stage"`  // empty when no stream of theirs was to get it
}

// Recipients says of each user that the event names what became of it, from the
// streams of theirs that had not ended when it was recorded.
func (e Event) Recipients(streams []presence.Connection) []Recipient {
	list := []Recipient{}
	for _, topic := range e.Topics {
		if user, ok := topic.User(); ok {
			list = append(list, e.To(user, streams).Recipient)
		}
	}
	return list
}

// Told is what became of an event for one user.
type Told struct {
	Recipient
	Best *Delivery `json:"best"` // on the stream where it came furthest; nil when none was to get it
}

// To says what became of the event for a user, from the streams of theirs that had
// not ended when it was recorded.
func (e Event) To(user string, streams []presence.Connection) Told {
	r := Told{Recipient: Recipient{User: user}}
	for _, c := range streams {
		if c.User != user {
			continue
		}
		r.Online = r.Online || e.openThen(c)
		switch {
		case e.Concerns(c):
			if d := e.On(c); d.Stage.rank() > r.Stage.rank() {
				r.Best = &d
				if r.Stage = d.Stage; d.Stage.Got() {
					r.Way = d.Way
				}
			}
		case e.followed(c) && c.OpenedSeq >= e.Seq && r.Way == "":
			r.Way = Snapshot
		}
	}
	return r
}

// openThen reports whether the stream was open when the event was recorded.
func (e Event) openThen(c presence.Connection) bool {
	return c.OpenedHead < e.Seq && (c.ClosedAt == nil || c.ClosedAt.After(e.RecordedAt))
}
