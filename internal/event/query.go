package event

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Query says which events of the log are read: those that meet all that is set.
type Query struct {
	Topics []Topic   // that concern any of these
	User   string    // that concern the user
	Job    uuid.UUID // of the job
	Kind   string    // of jobs of the kind
	Types  []string  // of any of these types, or of those that begin so: "job.*"
	States []string  // that tell of a job in one of these states
	Actor  string    // that the actor caused
	Since  time.Time // recorded then or later
	Until  time.Time // recorded before then
	Text   string    // whose message or error contains it, in small letters or large

	// Metadata has, for each key, the values of which the event's must be one.
	Metadata map[string][]string

	After, Before Seq  // only what lies between; 0: no such bound
	Backward      bool // from the newest on, and not from the oldest
	Limit         int  // at most so many

	// Patience is about how long events are looked for that no index finds; then
	// what was found is the page. 0: until it is full.
	Patience time.Duration
}

// Page is what a Query found.
type Page struct {
	Events []Event // in the order of reading
	// Reached is the seq up to which there is nothing else, the last event's or one
	// beyond it; More says that there may be something behind it.
	Reached Seq
	More    bool
	Partial bool // patience ended before the page was full
	Floor   Seq  // the last seq that is no longer kept
	Head    Seq  // the last seq of the log, when the reading began
}

// ErrQuery is returned for a Query that is malformed or would cost too much.
var ErrQuery = errors.New("not a query of the log")

const (
	maxQueryTopics = 50
	minQueryText   = 2
	maxQueryText   = 200 // bytes
)

// Check says what is wrong with the query, as an ErrQuery, an ErrTopic or an
// ErrFilter.
func (q Query) Check() error {
	filter := Filter{Types: q.Types, Metadata: q.Metadata}
	if err := filter.Check(); err != nil {
		return err
	}
	switch {
	case len(q.Topics) > maxQueryTopics:
		return fmt.Errorf("%w: %d topics, at most %d", ErrQuery, len(q.Topics), maxQueryTopics)
	case q.After > 0 && q.Before > 0:
		return fmt.Errorf("%w: after and before: a page begins at one of the two; since and until are a range", ErrQuery)
	case !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until):
		return fmt.Errorf("%w: since: must be earlier than until", ErrQuery)
	}
	for _, text := range append([]string{q.User, q.Kind, q.Actor}, q.States...) {
		if err := checkPlain(text, maxTopic); err != nil {
			return fmt.Errorf("%w: %q: %w", ErrQuery, clip(text), err)
		}
	}
	return q.checkText()
}

// checkText keeps a search from reading all of the log: no index helps it.
func (q Query) checkText() error {
	bounded := len(q.Topics) > 0 || q.User != "" || q.Job != uuid.Nil || !q.Since.IsZero()
	switch {
	case q.Text == "":
		return nil
	case len(q.Text) < minQueryText || len(q.Text) > maxQueryText || !utf8.ValidString(q.Text) || strings.ContainsRune(q.Text, 0):
		return fmt.Errorf("%w: text: want %d to %d bytes of UTF-8", ErrQuery, minQueryText, maxQueryText)
	case !bounded:
		return fmt.Errorf("%w: text: a search reads every event that it covers, so say where: since=, or a topic, a user or a job", ErrQuery)
	}
	return nil
}
