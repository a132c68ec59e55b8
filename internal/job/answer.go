package job

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Answer is what a report is answered with, and what is kept under its key. Its
// JSON is the answer of herald.report in SQL.
type Answer struct {
	EventID *uuid.UUID `json:"event_id"` // nil after a bare heartbeat
	JobID   uuid.UUID  `json:"job_id"`
	Version int64      `json:"version"`
	Attempt int        `json:"attempt"`
	State   State      `json:"state"`
	Late    bool       `json:"late"`
}

// Answer is what the report that led to the outcome is answered with.
func (o Outcome) Answer() Answer {
	a := Answer{JobID: o.Job.ID, Version: o.Job.Version, Attempt: o.Job.Attempt, State: o.Job.State, Late: o.Late}
	if o.Event != nil {
		a.EventID = &o.Event.ID
	}
	return a
}

// Outcome is that of a report that was answered so before. Of the job it has the
// id, version, attempt and state of that time, of the event the id.
func (a Answer) Outcome() Outcome {
	o := Outcome{
		Job:  Job{ID: a.JobID, Version: a.Version, Attempt: a.Attempt, State: a.State},
		Late: a.Late, Repeated: true,
	}
	if a.EventID != nil {
		o.Event = &event.Pending{ID: *a.EventID, JobID: a.JobID, JobVersion: a.Version}
	}
	return o
}

// Fingerprint tells the report from others under the same key. It is made of all
// that the report says, to the precision of the database: herald.report in SQL
// makes the same of its arguments.
func (r Report) Fingerprint() []byte {
	part := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	var remaining, retryAt *int64
	if r.Remaining != nil {
		remaining = new(r.Remaining.Milliseconds())
	}
	if r.RetryAt != nil {
		retryAt = new(r.RetryAt.UnixMicro())
	}
	mark := event.Fingerprint(
		new("report"), new(strconv.Itoa(r.Attempt)), part(string(r.State)), bits(r.Progress), part(r.Step), bits(r.StepProgress),
		digits(r.Processed), digits(r.Total), part(r.Unit), part(r.Message), part(string(r.Details)), digits(remaining),
		part(r.Error), digits(retryAt), new(strconv.FormatBool(r.Unblamed)), part(string(r.Result)), part(string(r.Metadata)),
	)
	if r.NextWithin == nil {
		return mark
	}
	return event.Fingerprint(new(hex.EncodeToString(mark)), digits(new(r.NextWithin.Milliseconds())))
}

// Fingerprint tells the new job from others under the same key.
func (n New) Fingerprint() []byte {
	parts := []*string{
		new("create"), &n.Kind, &n.Owner, &n.Title, new(string(n.Args)), new(string(n.Metadata)),
		new(strconv.Itoa(n.MaxAttempts)), new(strconv.FormatBool(n.External)), new(strconv.FormatBool(n.Begin != nil)),
	}
	for _, topic := range n.Watchers {
		parts = append(parts, new(string(topic)))
	}
	if n.Lease != 0 || n.Size != 0 {
		parts = append(parts, new("lease and size"), digits(new(n.Lease.Milliseconds())), digits(&n.Size))
	}
	if n.Begin != nil {
		parts = append(parts, n.Begin.parts()...)
	}
	if n.CallbackURL != "" {
		parts = append(parts, new("callback"), &n.CallbackURL)
	}
	return event.Fingerprint(parts...)
}

// Fingerprint tells the claim from other requests about its job under the same key.
func (c Claim) Fingerprint() []byte {
	return event.Fingerprint(append([]*string{new("claim")}, c.parts()...)...)
}

// FingerprintOfNext tells the claim of the next job of one of the kinds from other
// requests under the same key.
func (c Claim) FingerprintOfNext(kinds []string) []byte {
	parts := []*string{new("claim next"), new(strconv.Itoa(len(kinds)))}
	for _, kind := range kinds {
		parts = append(parts, &kind)
	}
	return event.Fingerprint(append(parts, c.parts()...)...)
}

func (c Claim) parts() []*string {
	parts := []*string{&c.By, &c.Worker}
	for _, s := range c.Plan {
		parts = append(parts, &s.Name, bits(&s.Weight))
	}
	return parts
}

// FingerprintOf tells several reports that are one request from others under the
// same key.
func FingerprintOf(reports []Report) []byte {
	parts := []*string{new("reports")}
	for _, r := range reports {
		parts = append(parts, new(string(r.Fingerprint())))
	}
	return event.Fingerprint(parts...)
}

// bits is the number's IEEE 754 form in hex: no two programs differ in it.
func bits(number *float64) *string {
	if number == nil {
		return nil
	}
	return new(fmt.Sprintf("%016x", math.Float64bits(*number)))
}

func digits(number *int64) *string {
	if number == nil {
		return nil
	}
	return new(strconv.FormatInt(*number, 10))
}
