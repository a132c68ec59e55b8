package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/postgres/dbsqlc"
)

// Head reads the Seq of the last event in the log.
func (db *DB) Head(ctx context.Context) (event.Seq, error) {
	_, head, err := db.Bounds(ctx)
	return head, err
}

// Bounds reads between which cursors the log can be read on: floor is the place
// before the oldest event kept, head that of the newest.
func (db *DB) Bounds(ctx context.Context) (floor, head event.Seq, err error) {
	row, err := db.queries().LogBounds(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("read the log's bounds: %w", err)
	}
	return event.Seq(row.Floor), event.Seq(row.Head), nil
}

// Events reads the log after the Seq given, in order.
func (db *DB) Events(ctx context.Context, after event.Seq, limit int) ([]event.Event, error) {
	rows, err := db.queries().EventListAfter(ctx, dbsqlc.EventListAfterParams{After: int64(after), PageSize: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	return eventsOf(rows), nil
}

// EventsOfTopics reads what concerns any of the topics, after one Seq and up to
// another, in order, each once.
func (db *DB) EventsOfTopics(
	ctx context.Context, of []event.Topic, after, upto event.Seq, limit int,
) ([]event.Event, error) {
	rows, err := db.queries().EventListOfTopics(ctx, dbsqlc.EventListOfTopicsParams{
		Topics: texts(of), After: int64(after), Upto: int64(upto), PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("replay the log after %d: %w", after, err)
	}
	return eventsOf(rows), nil
}

// EventsOfJob reads a job's timeline after the Seq given, in order.
func (db *DB) EventsOfJob(ctx context.Context, id uuid.UUID, after event.Seq, limit int) ([]event.Event, error) {
	rows, err := db.queries().EventListOfJob(ctx, dbsqlc.EventListOfJobParams{
		Topic: string(event.JobTopic(id)), JobID: &id, After: int64(after), PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("read the timeline of job %s: %w", id, err)
	}
	return eventsOf(rows), nil
}

// eventsOf reads the rows of a query.
func eventsOf(rows []dbsqlc.Event) []event.Event {
	events := make([]event.Event, len(rows))
	for i, row := range rows {
		events[i] = eventOf(row)
	}
	return events
}

func eventOf(row dbsqlc.Event) event.Event {
	e := event.Event{
		Seq: event.Seq(row.Seq), RecordedAt: row.RecordedAt,
		Pending: event.Pending{
			ID: row.ID, Type: event.Type(row.Type), Topics: topics(row.Topics), JobVersion: row.JobVersion,
			Actor: row.Actor, CreatedAt: row.CreatedAt, Payload: row.Payload,
		},
	}
	if row.JobID != nil {
		e.JobID = *row.JobID
	}
	return e
}

// Batches reads the audit chain after the Seq given, in order.
func (db *DB) Batches(ctx context.Context, after event.Seq, limit int) ([]chain.Batch, error) {
	rows, err := db.queries().BatchListAfter(ctx, dbsqlc.BatchListAfterParams{After: int64(after), PageSize: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("read the log's batches after %d: %w", after, err)
	}
	batches := make([]chain.Batch, len(rows))
	for i, row := range rows {
		batches[i] = chain.Batch{
			First: event.Seq(row.FirstSeq), Last: event.Seq(row.LastSeq), RecordedAt: row.RecordedAt, Leaves: row.Leaves,
			Digest: chain.Digest(row.Digest),
		}
	}
	return batches, nil
}
