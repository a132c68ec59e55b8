package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// SharePrefix is what the secret of every share begins with.
const SharePrefix = "hs_"

// How long a share is good.
const (
	DefaultShareLife = 7 * 24 * time.Hour
	MinShareLife     = time.Minute
	MaxShareLife     = 90 * 24 * time.Hour
)

// Why a share is good for nothing, or none is made.
var (
	ErrNoShare      = errors.New("there is no such link: it was made for another Herald, or its job has been deleted")
	ErrShareExpired = errors.New("the link has expired: ask who shared it for a new one")
	ErrShareRevoked = errors.New("the link was revoked: ask who shared it for a new one")
	ErrManyShares   = errors.New("the job has too many links: revoke some, or wait until some expire")
)

// Share is a link that shows one job to whoever has it. Its JSON is the API's.
type Share struct {
	ID        uuid.UUID  `json:"id"`
	Job       uuid.UUID  `json:"job_id"`
	Files     bool       `json:"files"` // whether it shows what the job made, too
	CreatedAt time.Time  `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	ExpiresAt time.Time  `json:"expires_at"`
	OpenedAt  *time.Time `json:"opened_at"`  // when somebody first came by it; nil: nobody has
	RevokedAt *time.Time `json:"revoked_at"` // nil while it is good
	RevokedBy string     `json:"revoked_by"`
}

// ShareStore is where shares are kept.
type ShareStore interface {
	// ShareByHash returns a share, whether it is good or not, or ErrNoShare.
	ShareByHash(ctx context.Context, hash Hash) (Share, error)
	// SharesGone returns those of the shares that are revoked, or do not exist.
	SharesGone(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)
}

// NewShare completes the share, and returns the secret that it is used by. That is
// kept nowhere; its HashOf is.
func NewShare(s Share) (Share, string) {
	s.ID = uuid.Must(uuid.NewV7())
	return s, newSecret(SharePrefix)
}

// Check returns ErrShareRevoked or ErrShareExpired unless the share is good now.
func (s Share) Check() error {
	switch {
	case s.RevokedAt != nil:
		return ErrShareRevoked
	case !time.Now().Before(s.ExpiresAt):
		return ErrShareExpired
	}
	return nil
}

// Guest is what users who came by the share are called where there has to be a
// name. It has a space in it, so that no user of that name can be.
func (s Share) Guest() string { return "guest " + s.ID.String() }

// Principal is who comes by the share.
func (s Share) Principal() (Principal, error) {
	return Principal{User: s.Guest(), Roles: []Role{RoleGuest}, Expires: s.ExpiresAt, Share: &s}, s.Check()
}

// shares are shares as secrets.
type shares struct{ store ShareStore }

func (s shares) byHash(ctx context.Context, hash Hash) (Principal, error) {
	share, err := s.store.ShareByHash(ctx, hash)
	switch {
	case errors.Is(err, ErrNoShare):
		return Principal{}, ErrNoShare
	case err != nil:
		return Principal{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return share.Principal()
}

func (s shares) gone(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	return s.store.SharesGone(ctx, ids)
}

// used writes nothing: the first use alone is told, and by whoever lets the guest in.
func (shares) used(context.Context, []KeyUse) error { return nil }
