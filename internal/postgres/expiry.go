package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/artifact"
	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

// expiryPage bounds how much one call expires.
const expiryPage = 100

// ExpireUploads marks uploads that are older than given and that no job uses as
// no longer kept, and returns them: some of them, and none when there are no
// more. A job that has ended uses its upload for as long as its own files are
// kept, which is that of results; 0 is for ever. Their blobs are the caller's to
// remove.
func (db *DB) ExpireUploads(ctx context.Context, uploads, results time.Duration) ([]artifact.Artifact, error) {
	rows, err := db.queries().UploadExpire(ctx, dbsqlc.UploadExpireParams{
		UploadS: uploads.Seconds(), ResultS: results.Seconds(), PageSize: expiryPage,
	})
	if err != nil {
		return nil, fmt.Errorf("expire uploads: %w", err)
	}
	list := make([]artifact.Artifact, len(rows))
	for i, row := range rows {
		list[i] = artifactOf(row.Artifact)
	}
	return list, nil
}

// ExpireResults marks the files of jobs that ended longer ago than given as no
// longer kept, tells of it, and returns them: some of them, and none when there
// are no more. Their blobs are the caller's to remove.
func (db *DB) ExpireResults(ctx context.Context, age time.Duration) ([]artifact.Artifact, error) {
	due, err := db.queries().ArtifactListDueJobs(ctx, dbsqlc.ArtifactListDueJobsParams{ResultS: age.Seconds(), PageSize: expiryPage})
	if err != nil {
		return nil, fmt.Errorf("list files that are due: %w", err)
	}
	var list []artifact.Artifact
	seen := map[uuid.UUID]bool{}
	for _, id := range due {
		if seen[id] {
			continue
		}
		seen[id] = true
		gone, err := db.expireResults(ctx, id, age)
		if err != nil && !errors.Is(err, job.ErrNotFound) {
			return list, fmt.Errorf("expire the files of job %s: %w", id, err)
		}
		list = append(list, gone...)
	}
	return list, nil
}

// expireResults looks at the job again when its row is locked: it may have been
// given another life.
func (db *DB) expireResults(ctx context.Context, id uuid.UUID, age time.Duration) ([]artifact.Artifact, error) {
	var list []artifact.Artifact
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		due := false
		if _, err := changeJobTx(ctx, tx, id, func(j job.Job, now time.Time) (job.Outcome, error) {
			if due = j.FinishedAt != nil && j.FinishedAt.Before(now.Add(-age)); !due {
				return job.Outcome{Job: j}, nil
			}
			return j.Expire(now)
		}); err != nil || !due {
			return err
		}
		rows, err := dbsqlc.New(tx).ArtifactExpireOfJob(ctx, &id)
		for _, row := range rows {
			list = append(list, artifactOf(row.Artifact))
		}
		return err
	})
	return list, err
}

// ForgetUploads removes what is still known of uploads that have not been kept
// for longer than given.
func (db *DB) ForgetUploads(ctx context.Context, age time.Duration) error {
	return pages(1000, func(page int32) (int64, error) {
		return db.queries().UploadForget(ctx, dbsqlc.UploadForgetParams{AgeS: age.Seconds(), PageSize: page})
	})
}

// uploadOrphans finds those of the uploads that began too long ago to be entered
// and that are not kept.
const uploadOrphans = `
SELECT u.id FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, began)
WHERE u.began <= clock_timestamp() - make_interval(secs => $3)
    AND NOT EXISTS (SELECT FROM herald.artifacts a WHERE a.id = u.id AND a.expired_at IS NULL)`

// UploadOrphans returns those of the uploads whose blobs are nobody's: they have
// no row, or an expired one, and will never have another. An upload has to be
// entered within artifact.UploadTime of its beginning, which its id tells, by
// the database's clock as it is when the insert has the table's lock. Here the
// clock is read when no insert is under way: what began earlier and is not there
// is refused from now on.
func (db *DB) UploadOrphans(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	began := make([]time.Time, len(ids))
	for i, id := range ids {
		began[i] = artifact.Began(id)
	}
	var orphans []uuid.UUID
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'; LOCK TABLE herald.artifacts IN SHARE MODE"); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, uploadOrphans, ids, began, artifact.UploadTime.Seconds())
		if err != nil {
			return err
		}
		orphans, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for uploads that nobody has: %w", err)
	}
	return orphans, nil
}

// attemptOrphans finds those of the attempts that are over and have left no file
// that is kept.
const attemptOrphans = `
SELECT t.job, t.number FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS t (job, number, prefix)
LEFT JOIN herald.jobs j ON j.id = t.job
WHERE (j.id IS NULL OR j.finished_at IS NOT NULL OR j.attempt > t.number)
    AND NOT EXISTS (
        SELECT FROM herald.artifacts a
        WHERE a.job_id = t.job AND a.expired_at IS NULL AND starts_with(a.blob_key, t.prefix))`

// AttemptOrphans returns those of the attempts whose blobs are nobody's. An
// attempt enters what it has made in the transaction that ends it, and none does
// that twice, so one snapshot is enough: what it shows as over stays so.
func (db *DB) AttemptOrphans(ctx context.Context, attempts []artifact.Attempt) ([]artifact.Attempt, error) {
	var (
		jobs     []uuid.UUID
		numbers  []int
		prefixes []string
	)
	for _, a := range attempts {
		jobs, numbers, prefixes = append(jobs, a.Job), append(numbers, a.Number), append(prefixes, a.Prefix())
	}
	rows, err := db.pool.Query(ctx, attemptOrphans, jobs, numbers, prefixes)
	if err != nil {
		return nil, fmt.Errorf("look for attempts that left files: %w", err)
	}
	orphans, err := pgx.CollectRows(rows, pgx.RowToStructByPos[artifact.Attempt])
	if err != nil {
		return nil, fmt.Errorf("look for attempts that left files: %w", err)
	}
	return orphans, nil
}
