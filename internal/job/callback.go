package job

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// What became of a try to call back.
const (
	Delivered = "delivered"
	Again     = "retrying"
	GivenUp   = "given_up"
)

// Callback is one try to tell a job's callback address how it has ended.
type Callback struct {
	MessageID string     `json:"message_id"` // the same with each try
	Told      event.Type `json:"told"`       // what it tells of, such as job.succeeded
	Host      string     `json:"host"`       // of the address; the rest of it may be secret
	Try       int        `json:"try"`        // from 1 on
	Outcome   string     `json:"outcome"`    // Delivered, Again or GivenUp
	Status    int        `json:"status"`     // of the answer; 0 when there was none
	Duration  Millis     `json:"duration_ms"`
	Error     string     `json:"error"`
	NextAt    *time.Time `json:"next_at"` // with Again: when it is tried again, about
}

// CalledBack returns the event that tells of the try. It changes nothing of the
// job, and goes to those who follow the job itself.
func (j Job) CalledBack(c Callback, now time.Time) (*event.Pending, error) {
	c.NextAt = stored(c.NextAt)
	p, err := j.pending(event.JobCallback, Herald, struct {
		ID uuid.UUID `json:"id"`
		Callback

		Metadata json.RawMessage `json:"metadata,omitempty"` // the job's, as on all of its events
	}{j.ID, c, j.Metadata}, now)
	if err == nil {
		p.Topics = []event.Topic{event.JobTopic(j.ID)}
	}
	return p, err
}
