package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/artifact"
	"herald/internal/postgres/dbsqlc"
)

// BeginUpload enters an upload that is to come in pieces. One of nothing is
// finished at once, with the artifact that whole is. It returns
// artifact.ErrManyUploads for one that its owner may not begin now.
func (db *DB) BeginUpload(ctx context.Context, i artifact.Incoming, limits artifact.IncomingLimits, whole artifact.Artifact) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		if err := q.IncomingLock(ctx, i.Owner); err != nil {
			return err
		}
		n, err := q.IncomingBegin(ctx, dbsqlc.IncomingBeginParams{
			ID: i.ID, Owner: i.Owner, Name: i.Name, ContentType: i.ContentType, Size: i.Size, Sha256: i.SHA256, Digest: i.Digest,
			CreatedAt: artifact.Began(i.ID), UploadTimeS: artifact.UploadTime.Seconds(), MostUploads: int64(limits.Uploads), MostBytes: limits.Bytes,
		})
		switch {
		case err != nil:
			return err
		case n == 0:
			return artifact.ErrManyUploads
		case i.Size > 0:
			return nil
		}
		if err := q.IncomingFinishEmpty(ctx, i.ID); err != nil {
			return err
		}
		return saveArtifact(ctx, q, whole)
	})
	if err != nil {
		return fmt.Errorf("begin upload %s: %w", i.ID, err)
	}
	return nil
}

// Upload reads an upload that comes, or came, in pieces. It returns
// artifact.ErrNoUpload when there is none.
func (db *DB) Upload(ctx context.Context, id uuid.UUID) (artifact.Incoming, error) {
	row, err := db.queries().IncomingGet(ctx, id)
	if err != nil {
		return artifact.Incoming{}, fmt.Errorf("upload %s: %w", id, notFound(err, artifact.ErrNoUpload))
	}
	return incomingOf(row.Upload), nil
}

// UploadsOf lists the uploads of an owner that are under way, the oldest first.
func (db *DB) UploadsOf(ctx context.Context, owner string, limit int) ([]artifact.Incoming, error) {
	rows, err := db.queries().IncomingListOfOwner(ctx, dbsqlc.IncomingListOfOwnerParams{
		Owner: owner, UploadTimeS: artifact.UploadTime.Seconds(), PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list the uploads of %s: %w", owner, err)
	}
	list := make([]artifact.Incoming, len(rows))
	for i, row := range rows {
		list[i] = incomingOf(row.Upload)
	}
	return list, nil
}

// ClaimUpload makes the writer the only one who may append to the upload, if it
// has come as far as start; else it returns an *artifact.OffsetError. A writer
// before, which may hang on a dead connection, is overtaken.
func (db *DB) ClaimUpload(ctx context.Context, id, writer uuid.UUID, start int64) (artifact.Incoming, error) {
	n, err := db.queries().IncomingClaim(ctx, dbsqlc.IncomingClaimParams{ID: id, Writer: &writer, Start: start})
	if err != nil {
		return artifact.Incoming{}, fmt.Errorf("claim upload %s: %w", id, err)
	}
	i, err := db.Upload(ctx, id)
	if err == nil && n == 0 {
		err = &artifact.OffsetError{Given: start, Received: i.Received}
	}
	return i, err
}

// AppendUpload enters a part that the writer has put into the blob store, and how
// far the digest has come with it. The last part has the artifact that the whole
// is, which is entered with it. It returns artifact.ErrOvertaken when another
// writer has claimed the upload, or it is gone.
func (db *DB) AppendUpload(ctx context.Context, id, writer uuid.UUID, p artifact.Part, digest []byte, whole *artifact.Artifact) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		n, err := q.IncomingAppend(ctx, dbsqlc.IncomingAppendParams{ID: id, Writer: &writer, Start: p.Start, PartSize: p.Size, Digest: digest})
		if err == nil && n == 0 {
			err = artifact.ErrOvertaken
		}
		if err != nil {
			return err
		}
		if err := q.IncomingPartInsert(ctx, dbsqlc.IncomingPartInsertParams{
			UploadID: id, Start: p.Start, Size: p.Size, BlobKey: p.Key,
		}); err != nil || whole == nil {
			return err
		}
		return saveArtifact(ctx, q, *whole)
	})
	if err != nil {
		return fmt.Errorf("append to upload %s: %w", id, err)
	}
	return nil
}

// DropUpload forgets an upload that is under way. Its parts are the caller's to
// remove. It returns artifact.ErrNoUpload when it is finished, or gone.
func (db *DB) DropUpload(ctx context.Context, id uuid.UUID) error {
	n, err := db.queries().IncomingDrop(ctx, id)
	if err == nil && n == 0 {
		err = artifact.ErrNoUpload
	}
	if err != nil {
		return fmt.Errorf("drop upload %s: %w", id, err)
	}
	return nil
}

// ForgetIncoming forgets uploads that were not finished in time, and those whose
// files are no longer kept. It waits a little longer than nobody may finish one,
// so that none is finished meanwhile. Their parts are orphans from then on.
func (db *DB) ForgetIncoming(ctx context.Context) error {
	const late = artifact.UploadTime + time.Hour
	return pages(1000, func(page int32) (int64, error) {
		return db.queries().IncomingForget(ctx, dbsqlc.IncomingForgetParams{AgeS: late.Seconds(), PageSize: page})
	})
}

// parts lists the parts that an upload came in, in their order.
func (db *DB) parts(ctx context.Context, id uuid.UUID) ([]artifact.Part, error) {
	rows, err := db.queries().IncomingPartList(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list the parts of upload %s: %w", id, err)
	}
	list := make([]artifact.Part, len(rows))
	for i, row := range rows {
		list[i] = artifact.Part{Key: row.BlobKey, Start: row.Start, Size: row.Size}
	}
	return list, nil
}

func incomingOf(row dbsqlc.Upload) artifact.Incoming {
	i := artifact.Incoming{
		ID: row.ID, Owner: row.Owner, Name: row.Name, ContentType: row.ContentType, Size: row.Size, SHA256: row.Sha256,
		Received: row.Received, Parts: int(row.Parts), Digest: row.Digest,
	}
	if row.FinishedAt != nil {
		i.FinishedAt = *row.FinishedAt
	}
	return i
}
