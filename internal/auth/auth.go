// Package auth says who is asking and what they may do: tokens, roles, and the
// one policy.
package auth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Why somebody is turned away.
var (
	// ErrNoToken means that nothing says who is asking.
	ErrNoToken = errors.New("no token")
	// ErrBadToken means that a token is malformed or not signed by us.
	ErrBadToken = errors.New("the token is not valid")
	// ErrExpired means that a token was good once.
	ErrExpired = errors.New("the token has expired")
	// ErrUnavailable means that it cannot be found out at the moment who is asking.
	ErrUnavailable = errors.New("whose token it is cannot be found out at the moment")
	// ErrForbidden means that we know who is asking, and they may not.
	ErrForbidden = errors.New("not allowed")
)

// Role is what a principal is to Herald.
type Role string

// The roles. What each may do stands in policy.go.
const (
	RoleUser    Role = "user"
	RoleWorker  Role = "worker"
	RoleBackend Role = "backend"
	RoleSupport Role = "support"
	RoleAdmin   Role = "admin"

	// RoleGuest is that of who comes by a share. No token and no key has it.
	RoleGuest Role = "guest"
)

// Roles returns every role that a token or a key may have.
func Roles() []Role { return []Role{RoleUser, RoleWorker, RoleBackend, RoleSupport, RoleAdmin} }

// UnmarshalText reads a role.
func (r *Role) UnmarshalText(text []byte) error {
	if !slices.Contains(Roles(), Role(text)) {
		return fmt.Errorf("%q is not a role: want user, worker, backend, support or admin", text)
	}
	*r = Role(text)
	return nil
}

// Principal is who is asking and what they may do.
type Principal struct {
	User    string    `json:"user"`
	Roles   []Role    `json:"roles"`
	Topics  []Pattern `json:"topics"`  // what it may follow besides what its roles may
	Expires time.Time `json:"expires"` // when this stops being true; zero for never
	Key     uuid.UUID `json:"key"`     // the API key that it came by; zero for none
	Share   *Share    `json:"-"`       // the share that a guest came by; nil for others
}

// secret is the id of the key or the share that the principal came by; zero for none.
func (p Principal) secret() uuid.UUID {
	if p.Share != nil {
		return p.Share.ID
	}
	return p.Key
}

// IsGuest reports whether the principal came by a share, and so sees one job, and
// nothing else.
func (p Principal) IsGuest() bool { return p.Share != nil }

// CheckTime returns ErrExpired, or a guest's ErrShareExpired, when the principal's
// time is over.
func (p Principal) CheckTime() error {
	switch {
	case p.Expires.IsZero() || time.Now().Before(p.Expires):
		return nil
	case p.IsGuest():
		return ErrShareExpired
	}
	return ErrExpired
}

// Is reports whether the principal has any of the roles.
func (p Principal) Is(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(p.Roles, r) })
}
