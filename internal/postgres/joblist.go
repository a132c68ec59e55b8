package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

// Job reads a job.
func (db *DB) Job(ctx context.Context, id uuid.UUID) (job.Job, error) {
	row, err := db.queries().JobGet(ctx, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("job %s: %w", id, notFound(err, job.ErrNotFound))
	}
	return jobOf(row.Job)
}

// Jobs lists jobs, newest first.
func (db *DB) Jobs(ctx context.Context, f job.Filter) ([]job.Job, error) {
	if f.Before == uuid.Nil {
		f.Before = uuid.Max
	}
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	rows, err := db.queries().JobList(ctx, dbsqlc.JobListParams{
		Owner: f.Owner, Before: f.Before, States: states, Kind: f.Kind, TitleLike: containing(f.Text), PageSize: int32(f.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return jobsOf(rows, func(row dbsqlc.JobListRow) dbsqlc.Job { return row.Job })
}

// containing is the pattern of texts that have the text in them; of no text, none.
func containing(text string) string {
	if text == "" {
		return ""
	}
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}

// maxActive bounds a snapshot.
const maxActive = 1000

// ActiveJobs lists the newest 1000 jobs that have not ended and that the topics
// concern as owner's or job's.
func (db *DB) ActiveJobs(ctx context.Context, topics []event.Topic) ([]job.Job, error) {
	owners, ids := []string{}, []uuid.UUID{}
	for _, t := range topics {
		if user, ok := t.User(); ok {
			owners = append(owners, user)
		} else if id, ok := t.Job(); ok {
			ids = append(ids, id)
		}
	}
	rows, err := db.queries().JobListActive(ctx, dbsqlc.JobListActiveParams{Owners: owners, Ids: ids, PageSize: maxActive})
	if err != nil {
		return nil, fmt.Errorf("list active jobs: %w", err)
	}
	return jobsOf(rows, func(row dbsqlc.JobListActiveRow) dbsqlc.Job { return row.Job })
}

// jobsOf reads the rows of a query. The list is never nil.
func jobsOf[Row any](rows []Row, of func(Row) dbsqlc.Job) ([]job.Job, error) {
	jobs := make([]job.Job, 0, len(rows))
	for _, row := range rows {
		j, err := jobOf(of(row))
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}
