package job

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Sharing is what is told of a share of a job: that it was made, first opened, or
// revoked.
type Sharing struct {
	ID        uuid.UUID       `json:"id"`
	Share     uuid.UUID       `json:"share"`
	By        string          `json:"shared_by"`
	Files     bool            `json:"files"` // whether it shows what the job made, too
	ExpiresAt time.Time       `json:"expires_at"`
	Metadata  json.RawMessage `json:"metadata,omitempty"` // the job's, as on all of its events
}

// Shared returns the event that tells of a share. It changes nothing of the job,
// and goes to those who follow the job itself.
func (j Job) Shared(t event.Type, s Sharing, actor string, now time.Time) (*event.Pending, error) {
	s.ID, s.Metadata, s.ExpiresAt = j.ID, j.Metadata, s.ExpiresAt.UTC()
	p, err := j.pending(t, actor, s, now)
	if err == nil {
		p.Topics = []event.Topic{event.JobTopic(j.ID)}
	}
	return p, err
}
