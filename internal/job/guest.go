package job

import (
	"encoding/json"

	"herald/internal/event"
)

// GuestTypes are the events of a job that guests are told of, who came by a link
// that shares it: how it is doing. Who was called, what was shared with whom, and
// the like is its owner's business.
func GuestTypes() []event.Type {
	return []event.Type{
		event.JobQueued, event.JobStarted, event.JobProgress, event.JobStep, event.JobMessage, event.JobRetrying, event.JobStalled,
		event.JobResumed, event.JobCancelling, event.JobCancelled, event.JobSucceeded, event.JobFailed, event.JobDeleted,
		event.JobArtifactsExpired,
	}
}

// guestSight is what guests get of a field of a job.
type guestSight uint8

const (
	hidden guestSight = iota
	shown
	blank   // it is there, and empty: readers count on it
	numbers // of an object, the fields that are numbers
	made    // the result: its numbers and, if the share has files, its artifacts
)

// guestSights says it of every field of a Job, a Moving and a Deleted in JSON. What
// is not in it is hidden. What is shown is what its page tells of how the job is
// doing, and what people and workers wrote for people to read.
func guestSights() map[string]guestSight {
	return map[string]guestSight{
		"id": shown, "kind": shown, "title": shown, "state": shown, "stalled": shown, "attempt": shown, "max_attempts": shown,
		"version": shown, "progress": shown, "step": shown, "steps": shown, "processed": shown, "total": shown, "unit": shown,
		"message": shown, "remaining_ms": shown, "error": shown, "retry_at": shown, "external": shown, "artifacts_expired_at": shown,
		"cancel_asked_at": shown, "estimate": shown, "created_at": shown, "started_at": shown, "heartbeat_at": shown,
		"updated_at": shown, "finished_at": shown, "attempt_started_at": shown,

		"owner": blank, "worker": blank, "args": blank,
		"details": numbers, "result": made,
		"metadata": hidden, "lease_ms": hidden,
	}
}

// ForGuest returns a job, or what an event tells of one, as a guest may see it. The
// artifacts of the result go through the function; without one, guests see no result.
func ForGuest(data json.RawMessage, artifacts func(json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	sights := guestSights()
	for name, value := range fields {
		var err error
		switch sights[name] {
		case hidden:
			delete(fields, name)
		case shown:
		case blank:
			fields[name] = blankOf(value)
		case numbers:
			fields[name], err = numbersOf(value, nil)
		case made:
			if artifacts == nil {
				fields[name] = json.RawMessage("null")
				continue
			}
			fields[name], err = numbersOf(value, artifacts)
		}
		if err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// blankOf is the empty value of the same kind.
func blankOf(value json.RawMessage) json.RawMessage {
	switch {
	case len(value) > 0 && value[0] == '"':
		return json.RawMessage(`""`)
	case len(value) > 0 && value[0] == '{':
		return json.RawMessage(`{}`)
	default:
		return json.RawMessage("null")
	}
}

// numbersOf are the fields of an object that are numbers, and its artifacts if there
// is a function for them; of any other value it is null.
func numbersOf(value json.RawMessage, artifacts func(json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	if len(value) == 0 || value[0] != '{' {
		return json.RawMessage("null"), nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(value, &fields); err != nil {
		return nil, err
	}
	for name, field := range fields {
		var n json.Number
		switch {
		case name == "artifacts" && artifacts != nil:
			var err error
			if fields[name], err = artifacts(field); err != nil {
				return nil, err
			}
		case len(field) == 0 || field[0] == '"' || json.Unmarshal(field, &n) != nil || n == "":
			delete(fields, name)
		}
	}
	return json.Marshal(fields)
}
