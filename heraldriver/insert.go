package heraldriver

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"herald/internal/event"
	"herald/internal/job"
)

// aboutKey is the member of a River job's metadata in which the triggers find
// what an About says.
const aboutKey = "herald"

// About is what people are to know of a job. All of it is optional.
type About struct {
	Owner    string         `json:"owner,omitempty"`    // whose it is; default as the Config has it
	Title    string         `json:"title,omitempty"`    // what people call it; default its kind, in words
	Watchers []string       `json:"watchers,omitempty"` // topics that get its events too, such as "channel:ops"; at most 62
	Metadata map[string]any `json:"metadata,omitempty"` // what streams are filtered by: at most 16 strings, numbers and booleans
}

// check says what is wrong with it, which the triggers would pass over.
func (a About) check(kind string) error {
	n := job.New{Kind: kind, Owner: cmp.Or(a.Owner, "river"), Title: cmp.Or(a.Title, kind)}
	if len(n.Kind) > 80 { // the triggers cut it
		n.Kind = n.Kind[:80]
	}
	for _, text := range a.Watchers {
		topic, err := event.ParseTopic(text)
		if err != nil {
			return fmt.Errorf("watchers: %w", err)
		}
		n.Watchers = append(n.Watchers, topic)
	}
	if a.Metadata != nil {
		var err error
		if n.Metadata, err = json.Marshal(a.Metadata); err != nil {
			return fmt.Errorf("metadata: %w", err)
		}
	}
	_, err := job.Create(n, time.Time{})
	return err
}

// Opts returns a copy of River's options, nil among them, that also says what the
// job is about, for calls such as client.Insert and client.InsertManyTx.
func (a About) Opts(kind string, opts *river.InsertOpts) (*river.InsertOpts, error) {
	if err := a.check(kind); err != nil {
		return nil, fmt.Errorf("describe a %s: %w", kind, err)
	}
	out := river.InsertOpts{}
	if opts != nil {
		out = *opts
	}
	metadata := map[string]json.RawMessage{}
	if len(out.Metadata) > 0 {
		if err := json.Unmarshal(out.Metadata, &metadata); err != nil {
			return nil, fmt.Errorf("describe a %s: the options' metadata: %w", kind, err)
		}
	}
	said, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("describe a %s: %w", kind, err)
	}
	metadata[aboutKey] = said
	if out.Metadata, err = json.Marshal(metadata); err != nil {
		return nil, fmt.Errorf("describe a %s: %w", kind, err)
	}
	return &out, nil
}

// InsertTx inserts a River job in the caller's transaction, and with it its row
// in Herald and its first event, if the River is watched: they are committed with
// the caller's own work, or not at all. JobID tells the job's id in Herald.
func InsertTx(
	ctx context.Context, client *river.Client[pgx.Tx], tx pgx.Tx, args river.JobArgs, opts *river.InsertOpts, about About,
) (*rivertype.JobInsertResult, error) {
	described, err := about.Opts(args.Kind(), opts)
	if err != nil {
		return nil, err
	}
	return client.InsertTx(ctx, tx, args, described)
}
