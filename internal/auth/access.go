package auth

import "github.com/google/uuid"

// AuditTopic is where it is told who has read what belongs to another. A pattern
// with a star does not mean it.
const AuditTopic = "channel:audit"

// Access is that somebody has read what belongs to another, which they may because
// they are support or an admin.
type Access struct {
	Reader    string    `json:"reader"`
	Roles     []Role    `json:"roles"`
	Key       uuid.UUID `json:"key,omitzero"`         // the API key that they came by
	Whose     string    `json:"whose,omitempty"`      // empty: several people's
	What      []string  `json:"what"`                 // such as job:UUID, file:UUID or user:ID
	RequestID string    `json:"request_id,omitempty"` // as in the log and in problems
}

// Oversees reports whether the principal sees what the owner has only because it is
// support or an admin, so that each look is written down. Of the empty owner, it is
// what belongs to several people.
func (p Principal) Oversees(owner string) bool {
	return p.User != owner && p.Is(RoleSupport, RoleAdmin)
}
