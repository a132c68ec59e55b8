package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"herald/internal/event"
)

// The longest texts that a job carries, in bytes. Together they stay below
// event.MaxPayload, so that what a job says always fits into its event.
const (
	MaxTitle   = 300
	MaxMessage = 1_000
	MaxError   = 3_000
	maxWord    = 80 // kind, step, unit
	maxArgs    = 8 << 10
	maxDetails = 4 << 10
	maxResult  = 16 << 10
	maxSmall   = 2 << 10 // metadata
	maxSteps   = 32
	maxKeys    = 16 // of metadata
)

// maxPromise is the longest silence that a worker may announce.
const maxPromise = 24 * time.Hour

// InvalidError says which field of a report or a new job is refused, and why.
type InvalidError struct{ Field, Reason string }

func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// Report is what a worker says about its job: a state, a share done, a
// message, or any of these. A field left at its zero value says nothing; a
// Report that says nothing at all is a heartbeat.
type Report struct {
	Attempt int    // the attempt it belongs to, as Job.Start numbered it
	State   State  // Retrying, Succeeded, Failed or Cancelled; zero for no change
	Key     string // idempotency key, the job's own: with one that was seen, the first answer comes again

	Progress     *float64 // share of the whole job, 0 to 1
	Step         string   // the step that is under way, one of the plan's when there is a plan
	StepProgress *float64 // share of that step, 0 to 1; with a plan, it sets Progress by the steps' weights

	Processed *int64 // how much is done, in Unit
	Total     *int64 // how much there is to do, in Unit
	Unit      string // such as "frames" or "rows"

	Message   string
	Details   json.RawMessage // numbers of the worker's own that a page may show; a JSON object
	Remaining *time.Duration  // the worker's estimate of the time left
	Metadata  json.RawMessage // replaces the job's: a JSON object of strings, numbers and booleans

	// NextWithin promises the next report within that time: a worker that does not
	// keep its word is stalled, and one that is silent by intent is not.
	NextWithin *time.Duration

	Error    string          // what went wrong; required with Retrying and Failed
	RetryAt  *time.Time      // with Retrying: when the next attempt may start
	Unblamed bool            // with Retrying: the attempt does not count as a failure, so there may be one more
	Result   json.RawMessage // with Succeeded: what came of it
}

// Heartbeat reports whether r says nothing but that its worker is alive, and
// when it will speak again.
func (r Report) Heartbeat() bool {
	return r.State == "" && r.Progress == nil && r.Step == "" && r.StepProgress == nil && r.Processed == nil &&
		r.Total == nil && r.Unit == "" && r.Message == "" && r.Details == nil && r.Remaining == nil &&
		r.Metadata == nil
}

// Urgent reports whether r tells of more than progress, so that it must not
// wait to be merged with the next report.
func (r Report) Urgent() bool { return r.State != "" || r.Step != "" || r.Message != "" }

// Merge returns r with all that a later report of the same attempt says. The
// result has no key: it is neither of the two requests that the keys belong to,
// so under either key it would pass for the reuse of it.
func (r Report) Merge(later Report) Report {
	r.Key = ""
	if later.Step != "" && later.Step != r.Step { // counts belong to a step, as in enter
		r.StepProgress, r.Processed, r.Total, r.Unit, r.Remaining, r.Details = nil, nil, nil, "", nil, nil
	}
	set(&r.Attempt, later.Attempt)
	set(&r.State, later.State)
	set(&r.Progress, later.Progress)
	set(&r.Step, later.Step)
	set(&r.StepProgress, later.StepProgress)
	set(&r.Processed, later.Processed)
	set(&r.Total, later.Total)
	set(&r.Unit, later.Unit)
	set(&r.Message, later.Message)
	set(&r.Remaining, later.Remaining)
	set(&r.Error, later.Error)
	set(&r.RetryAt, later.RetryAt)
	set(&r.Unblamed, later.Unblamed)
	r.NextWithin = later.NextWithin // a promise is of the last word
	if later.Details != nil {
		r.Details = later.Details
	}
	if later.Result != nil {
		r.Result = later.Result
	}
	if later.Metadata != nil {
		r.Metadata = later.Metadata
	}
	return r
}

// set writes value to target unless it says nothing.
func set[T comparable](target *T, value T) {
	var nothing T
	if value != nothing {
		*target = value
	}
}

// Check says what is wrong with the report by itself, as an *InvalidError.
func (r Report) Check() error {
	if err := firstError(
		checkText("step", r.Step, maxWord),
		checkText("unit", r.Unit, maxWord),
		checkText("message", r.Message, MaxMessage),
		checkText("error", r.Error, MaxError),
		checkShare("progress", r.Progress),
		checkShare("step_progress", r.StepProgress),
		checkCount("processed", r.Processed),
		checkCount("total", r.Total),
		checkObject("details", r.Details, maxDetails),
		checkObject("result", r.Result, maxResult),
		checkMetadata(r.Metadata),
	); err != nil {
		return err
	}
	switch {
	case r.Attempt < 1:
		return &InvalidError{"attempt", "a report names the attempt it belongs to, 1 or more"}
	case r.Remaining != nil && *r.Remaining < 0:
		return &InvalidError{"remaining_ms", "cannot be negative"}
	case (r.State == Retrying || r.State == Failed) && r.Error == "":
		return &InvalidError{"error", "a failure says what went wrong"}
	case r.Result != nil && r.State != Succeeded:
		return &InvalidError{"result", "only a report of success has a result"}
	case r.State != "" && r.State != Retrying && !r.State.Ended():
		return &InvalidError{"state", fmt.Sprintf("%q: a report may say retrying, succeeded, failed or cancelled", r.State)}
	case r.RetryAt != nil && (r.RetryAt.UTC().Year() < 1 || r.RetryAt.UTC().Year() > 9999):
		return &InvalidError{"retry_at", "the year is not one of 1 to 9999"}
	}
	if err := event.CheckKey(r.Key); err != nil {
		return &InvalidError{"idempotency_key", err.Error()}
	}
	if r.NextWithin != nil && (*r.NextWithin < time.Millisecond || *r.NextWithin > maxPromise) {
		return &InvalidError{"next_within_ms", fmt.Sprintf("%v is not between 1 ms and 24 h", *r.NextWithin)}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkText(field, text string, longest int) error {
	switch {
	case len(text) > longest:
		return &InvalidError{field, fmt.Sprintf("%d bytes, at most %d", len(text), longest)}
	case !utf8.ValidString(text):
		return &InvalidError{field, "not UTF-8"}
	case strings.ContainsRune(text, 0):
		return &InvalidError{field, "contains a NUL byte"}
	}
	return nil
}

func checkShare(field string, share *float64) error {
	if share != nil && (math.IsNaN(*share) || *share < 0 || *share > 1) {
		return &InvalidError{field, fmt.Sprintf("%v: a share is between 0 and 1", *share)}
	}
	return nil
}

func checkCount(field string, count *int64) error {
	if count != nil && *count < 0 {
		return &InvalidError{field, "cannot be negative"}
	}
	return nil
}

func checkObject(field string, object json.RawMessage, longest int) error {
	switch {
	case object == nil:
		return nil
	case len(object) > longest:
		return &InvalidError{field, fmt.Sprintf("%d bytes, at most %d", len(object), longest)}
	}
	if err := event.CheckJSON(object); err != nil {
		return &InvalidError{field, err.Error()}
	}
	if text := bytes.TrimLeft(object, " \t\r\n"); text[0] != '{' {
		return &InvalidError{field, "must be a JSON object"}
	}
	return nil
}

// checkMetadata wants what event.MetadataOf reads, so that nothing in it is
// passed over in silence.
func checkMetadata(metadata json.RawMessage) error {
	if err := checkObject("metadata", metadata, maxSmall); err != nil || metadata == nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(metadata, &members); err != nil {
		return &InvalidError{"metadata", err.Error()}
	}
	if len(members) > maxKeys {
		return &InvalidError{"metadata", fmt.Sprintf("%d members, at most %d", len(members), maxKeys)}
	}
	for _, value := range members {
		if strings.ContainsRune("{[n", rune(value[0])) {
			return &InvalidError{"metadata", "its values are strings, numbers and booleans"}
		}
	}
	return nil
}
