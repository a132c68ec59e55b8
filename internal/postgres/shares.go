package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

const (
	// maxShares is how many good shares a job may have.
	maxShares = 20
	// keptShares is how many that have ended stay beside them, for those who come by them.
	keptShares = 100
)

// CreateShare enters a new share, good for the life given, which is used by the
// secret with the hash, and tells of it on the job's timeline, in one transaction.
// There may be job.ErrNotFound and auth.ErrManyShares.
func (db *DB) CreateShare(ctx context.Context, s auth.Share, hash auth.Hash, life time.Duration) (auth.Share, error) {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		return tellShareTx(ctx, tx, s.Job, event.JobShared, s.CreatedBy, func() (auth.Share, error) {
			q := dbsqlc.New(tx)
			if err := q.ShareForget(ctx, dbsqlc.ShareForgetParams{JobID: s.Job, Kept: keptShares}); err != nil {
				return s, err
			}
			n, err := q.ShareCount(ctx, s.Job)
			switch {
			case err != nil:
				return s, err
			case n >= maxShares:
				return s, auth.ErrManyShares
			}
			row, err := q.ShareInsert(ctx, dbsqlc.ShareInsertParams{
				ID: s.ID, JobID: s.Job, Hash: hash[:], Files: s.Files, CreatedBy: s.CreatedBy, LifeS: life.Seconds(),
			})
			s.CreatedAt, s.ExpiresAt = row.CreatedAt, row.ExpiresAt
			return s, err
		})
	})
	if err != nil {
		return auth.Share{}, fmt.Errorf("share job %s: %w", s.Job, err)
	}
	return s, nil
}

// OpenShare notes that somebody has come by the share. The first time is told on
// the job's timeline, in the same transaction.
func (db *DB) OpenShare(ctx context.Context, s auth.Share) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		return tellShareTx(ctx, tx, s.Job, event.JobShareOpened, s.Guest(), func() (auth.Share, error) {
			row, err := dbsqlc.New(tx).ShareOpen(ctx, s.ID)
			return shareOf(row.Share), err
		})
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) { // somebody has before
		return fmt.Errorf("open share %s: %w", s.ID, err)
	}
	return nil
}

// RevokeShare makes a job's share useless for good, on behalf of the actor, which is
// told on the job's timeline, in the same transaction; there may be job.ErrNotFound
// and auth.ErrNoShare. Every node hears of it within five seconds. One that is
// revoked already stays as it is.
func (db *DB) RevokeShare(ctx context.Context, id, share uuid.UUID, actor string) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		return tellShareTx(ctx, tx, id, event.JobShareRevoked, actor, func() (auth.Share, error) {
			row, err := dbsqlc.New(tx).ShareRevoke(ctx, dbsqlc.ShareRevokeParams{ID: share, JobID: id, Actor: actor})
			return shareOf(row.Share), err
		})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		s, other := db.Share(ctx, share)
		if err = other; err == nil && s.Job != id {
			err = auth.ErrNoShare
		}
	}
	if err != nil {
		return fmt.Errorf("revoke share %s: %w", share, err)
	}
	return nil
}

// tellShareTx locks the job, does something to a share of it, and tells of that.
func tellShareTx(
	ctx context.Context, tx pgx.Tx, id uuid.UUID, t event.Type, actor string, do func() (auth.Share, error),
) error {
	row, err := dbsqlc.New(tx).JobGetForUpdate(ctx, id)
	if err != nil {
		return notFound(err, job.ErrNotFound)
	}
	j, err := jobOf(row.Job)
	if err != nil {
		return err
	}
	s, err := do()
	if err != nil {
		return err
	}
	p, err := j.Shared(t, job.Sharing{Share: s.ID, By: s.CreatedBy, Files: s.Files, ExpiresAt: s.ExpiresAt}, actor, row.Now)
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		return err
	}
	return insertPending(ctx, tx, p)
}

// Share reads a share, whether it is good or not; there may be auth.ErrNoShare.
func (db *DB) Share(ctx context.Context, id uuid.UUID) (auth.Share, error) {
	row, err := db.queries().ShareGet(ctx, id)
	if err != nil {
		return auth.Share{}, fmt.Errorf("share %s: %w", id, notFound(err, auth.ErrNoShare))
	}
	return shareOf(row.Share), nil
}

// ShareByHash reads a share, whether it is good or not; there may be
// auth.ErrNoShare.
func (db *DB) ShareByHash(ctx context.Context, hash auth.Hash) (auth.Share, error) {
	row, err := db.queries().ShareGetByHash(ctx, hash[:])
	if err != nil {
		return auth.Share{}, fmt.Errorf("look a share up: %w", notFound(err, auth.ErrNoShare))
	}
	return shareOf(row.Share), nil
}

// SharesOfJob lists a job's shares, newest first, those that have ended among them.
func (db *DB) SharesOfJob(ctx context.Context, id uuid.UUID) ([]auth.Share, error) {
	rows, err := db.queries().ShareList(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list shares of job %s: %w", id, err)
	}
	list := make([]auth.Share, len(rows))
	for i, row := range rows {
		list[i] = shareOf(row.Share)
	}
	return list, nil
}

// SharesGone returns those of the shares that are revoked, or do not exist.
func (db *DB) SharesGone(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	gone, err := db.queries().ShareListGone(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look for revoked shares: %w", err)
	}
	return gone, nil
}

func shareOf(row dbsqlc.Share) auth.Share {
	s := auth.Share{
		ID: row.ID, Job: row.JobID, Files: row.Files, CreatedAt: row.CreatedAt, CreatedBy: row.CreatedBy, ExpiresAt: row.ExpiresAt,
		OpenedAt: row.OpenedAt, RevokedAt: row.RevokedAt,
	}
	if row.RevokedBy != nil {
		s.RevokedBy = *row.RevokedBy
	}
	return s
}
