package job

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// How somebody who was absent is told.
const (
	ByWebhook = "webhook"
	ByMail    = "mail"
)

// CameBack is what became of a message to somebody who has acknowledged the event
// before it was sent: it was not.
const CameBack = "came_back"

// Absence is one try to tell a user, who was absent, how a job has ended.
type Absence struct {
	MessageID string     `json:"message_id"` // the same with each try
	User      string     `json:"user"`
	Seq       event.Seq  `json:"seq"`     // of the event that nobody acknowledged
	Told      event.Type `json:"told"`    // and its type
	Medium    string     `json:"medium"`  // ByWebhook or ByMail
	Try       int        `json:"try"`     // from 1 on
	Outcome   string     `json:"outcome"` // Delivered, Again, GivenUp or CameBack
	Status    int        `json:"status"`  // of the answer; 0 when there was none
	Duration  Millis     `json:"duration_ms"`
	Error     string     `json:"error"`
	NextAt    *time.Time `json:"next_at"` // with Again: when it is tried again, about
}

// Absent returns the event that tells of the try. It changes nothing of the job, and
// goes to those who follow the job itself.
func (j Job) Absent(a Absence, now time.Time) (*event.Pending, error) {
	a.NextAt = stored(a.NextAt)
	p, err := j.pending(event.JobAbsent, Herald, struct {
		ID uuid.UUID `json:"id"`
		Absence

		Metadata json.RawMessage `json:"metadata,omitempty"` // the job's, as on all of its events
	}{j.ID, a, j.Metadata}, now)
	if err == nil {
		p.Topics = []event.Topic{event.JobTopic(j.ID)}
	}
	return p, err
}
