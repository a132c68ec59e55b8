package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/artifact"
	"herald/internal/postgres/dbsqlc"
)

// SaveArtifact enters an artifact whose bytes are all in the blob store. It
// returns artifact.ErrTooLate for an upload that has taken too long.
func (db *DB) SaveArtifact(ctx context.Context, a artifact.Artifact) error {
	return saveArtifact(ctx, db.queries(), a)
}

// SaveArtifactTx is SaveArtifact in the caller's transaction.
func (db *DB) SaveArtifactTx(ctx context.Context, tx pgx.Tx, a artifact.Artifact) error {
	return saveArtifact(ctx, dbsqlc.New(tx), a)
}

func saveArtifact(ctx context.Context, q *dbsqlc.Queries, a artifact.Artifact) error {
	params := dbsqlc.ArtifactInsertParams{
		ID: a.ID, Owner: a.Owner, Kind: a.Kind, Name: a.Name, ContentType: a.ContentType, Size: a.Size,
		Sha256: a.SHA256, BlobKey: a.BlobKey, Details: a.Details, CreatedAt: a.CreatedAt,
		UploadTimeS: artifact.UploadTime.Seconds(),
	}
	if a.JobID != uuid.Nil {
		params.JobID = &a.JobID
	}
	n, err := q.ArtifactInsert(ctx, params)
	if err == nil && n == 0 {
		err = artifact.ErrTooLate
	}
	if err != nil {
		return fmt.Errorf("insert artifact %s: %w", a.ID, err)
	}
	return nil
}

// Artifact reads an artifact.
func (db *DB) Artifact(ctx context.Context, id uuid.UUID) (artifact.Artifact, error) {
	row, err := db.queries().ArtifactGet(ctx, id)
	if err != nil {
		return artifact.Artifact{}, fmt.Errorf("artifact %s: %w", id, notFound(err, artifact.ErrNotFound))
	}
	a := artifactOf(row.Artifact)
	if a.InParts() {
		a.Parts, err = db.parts(ctx, id)
	}
	return a, err
}

// ArtifactsOfJob lists a job's artifacts in the order in which they were made.
func (db *DB) ArtifactsOfJob(ctx context.Context, id uuid.UUID) ([]artifact.Artifact, error) {
	rows, err := db.queries().ArtifactListOfJob(ctx, &id)
	if err != nil {
		return nil, fmt.Errorf("list the artifacts of job %s: %w", id, err)
	}
	list := make([]artifact.Artifact, len(rows))
	for i, row := range rows {
		list[i] = artifactOf(row.Artifact)
	}
	return list, nil
}

func artifactOf(row dbsqlc.Artifact) artifact.Artifact {
	a := artifact.Artifact{
		ID: row.ID, Owner: row.Owner, Kind: row.Kind, Name: row.Name, ContentType: row.ContentType, Size: row.Size,
		SHA256: row.Sha256, BlobKey: row.BlobKey, Details: row.Details, CreatedAt: row.CreatedAt,
	}
	if row.JobID != nil {
		a.JobID = *row.JobID
	}
	if row.ExpiredAt != nil {
		a.ExpiredAt = *row.ExpiredAt
	}
	return a
}
