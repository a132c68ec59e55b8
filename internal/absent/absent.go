// Package absent looks for users who have not acknowledged in time how their jobs
// have ended, so that they are told in other ways: by a webhook of the operator's, and
// by mail. docs/absent.md has what they see.
package absent

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Message is what a user is told, in one way. It is kept in the queue until then.
type Message struct {
	ID     string     `json:"id"` // by which a receiver knows what it has had before
	Medium string     `json:"medium"`
	User   string     `json:"user"`
	JobID  uuid.UUID  `json:"job_id"`
	Seq    event.Seq  `json:"seq"` // of the event that nobody acknowledged
	Told   event.Type `json:"told"`
	Title  string     `json:"title"`
	Error  string     `json:"error"`
	At     time.Time  `json:"at"`   // when the job ended
	Body   string     `json:"body"` // of a webhook: a text, so that each try sends the same bytes
}

// Rule is who is absent, and how they are told.
type Rule struct {
	After time.Duration // for so long nobody has acknowledged the event
	Media []string      // job.ByWebhook, job.ByMail
}

// Store decides who was absent.
type Store interface {
	// Absences decides of some events, once for all nodes, and enqueues what is to be
	// told; more says that there may be others.
	Absences(ctx context.Context, r Rule) (told int, more bool, err error)
}

// interval is how often it is looked who is absent.
const interval = 5 * time.Second

// Watch looks who is absent, until ctx ends. Any number may at once; one is enough,
// so the log's leader does. With a Rule of no time, it does nothing.
func Watch(ctx context.Context, store Store, r Rule, log *slog.Logger) {
	if r.After <= 0 || len(r.Media) == 0 {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		for more := true; more && ctx.Err() == nil; {
			var told int
			var err error
			told, more, err = store.Absences(ctx, r)
			if told > 0 {
				log.InfoContext(ctx, "absent users are told", "messages", told)
			}
			if err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "absent users not looked for", "error", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}
