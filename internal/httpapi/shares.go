package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
)

// Shares keeps links that show one job to whoever has them.
type Shares interface {
	CreateShare(ctx context.Context, s auth.Share, hash auth.Hash, life time.Duration) (auth.Share, error)
	// OpenShare notes that somebody has come by the share, and tells of the first time.
	OpenShare(ctx context.Context, s auth.Share) error
	RevokeShare(ctx context.Context, id, share uuid.UUID, actor string) error
	Share(ctx context.Context, id uuid.UUID) (auth.Share, error)
	SharesOfJob(ctx context.Context, id uuid.UUID) ([]auth.Share, error)
}

type (
	shareIn struct {
		ID   uuid.UUID `path:"id" format:"uuid"`
		Body struct {
			ExpiresIn int64 `json:"expires_in,omitempty" minimum:"60" maximum:"7776000" default:"604800" doc:"For how many seconds the link is good: a week unless it says otherwise."`
			Files     bool  `json:"files,omitempty" doc:"Whether it shows what the job made, too."`
		}
	}
	shareOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			auth.Share

			URL string `json:"url" doc:"The path of the page, for whoever has it. It is shown this once."`
		}
	}
	sharesOut struct {
		Body struct {
			Shares []auth.Share `json:"shares" doc:"Newest first, those that have ended among them."`
		}
	}
	revokeIn struct {
		ID    uuid.UUID `path:"id" format:"uuid"`
		Share uuid.UUID `path:"share" format:"uuid"`
	}
	sharedOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			JobID     uuid.UUID `json:"job_id"`
			SharedBy  string    `json:"shared_by"`
			Files     bool      `json:"files" doc:"Whether you may have what the job made."`
			ExpiresAt time.Time `json:"expires_at"`
		}
	}
)

// mayShare returns an error unless the principal may share the job.
func (a *api) mayShare(ctx context.Context, id uuid.UUID) error {
	j, err := a.visible(ctx, id)
	if err != nil {
		return err
	}
	if !principalOf(ctx).MayShare(j.Owner) {
		return fmt.Errorf("%w: share another's job", auth.ErrForbidden)
	}
	return nil
}

// shareJob makes a link that shows the job to whoever has it, for a while. Its
// secret stands behind a #, which no browser sends: so no log of a server, and no
// other site, ever has it.
func (a *api) shareJob(ctx context.Context, in *shareIn) (*shareOut, error) {
	if err := a.mayShare(ctx, in.ID); err != nil {
		return nil, err
	}
	s, secret := auth.NewShare(auth.Share{Job: in.ID, Files: in.Body.Files, CreatedBy: principalOf(ctx).User})
	s, err := a.Shares.CreateShare(ctx, s, auth.HashOf(secret), time.Duration(in.Body.ExpiresIn)*time.Second)
	if err != nil {
		return nil, err
	}
	out := &shareOut{CacheControl: "no-store"}
	out.Body.Share, out.Body.URL = s, "/shared/"+in.ID.String()+"#"+secret
	return out, nil
}

func (a *api) listShares(ctx context.Context, in *jobIn) (*sharesOut, error) {
	j, err := a.visible(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if p := principalOf(ctx); !p.MayShare(j.Owner) && !p.MaySee(j.Owner) {
		return nil, fmt.Errorf("%w: see the links to another's job", auth.ErrForbidden)
	}
	out := &sharesOut{}
	out.Body.Shares, err = a.Shares.SharesOfJob(ctx, in.ID)
	return out, err
}

func (a *api) revokeShare(ctx context.Context, in *revokeIn) (*struct{}, error) {
	if err := a.mayShare(ctx, in.ID); err != nil {
		return nil, err
	}
	return nil, a.Shares.RevokeShare(ctx, in.ID, in.Share, principalOf(ctx).User)
}

// shared tells a guest what they have come by.
func (a *api) shared(ctx context.Context, _ *struct{}) (*sharedOut, error) {
	p := principalOf(ctx)
	if !p.IsGuest() {
		return nil, fmt.Errorf("%w: this is for those who came by a link", auth.ErrForbidden)
	}
	out := &sharedOut{CacheControl: "no-store"}
	out.Body.JobID, out.Body.SharedBy, out.Body.Files, out.Body.ExpiresAt = p.Share.Job, p.Share.CreatedBy, p.Share.Files, p.Share.ExpiresAt
	return out, nil
}
