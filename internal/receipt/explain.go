package receipt

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/presence"
)

// Code names a finding for programs.
type Code string

// The findings.
const (
	CodeRetention    Code = "retention"        // the event is no longer kept
	CodeNotAddressed Code = "not_addressed"    // no topic of it is the user's own
	CodeNoGrant      Code = "no_grant"         // and no stream of theirs was granted one
	CodeNoConnection Code = "no_connection"    // none was open then
	CodeForgotten    Code = "forgotten"        // streams of that time are no longer remembered
	CodeNotFollowed  Code = "not_followed"     // the stream follows other topics
	CodeFiltered     Code = "filtered"         // its filter holds the event back
	CodeConflated    Code = "conflated"        // newer progress may have taken its place
	CodeMissed       Code = "ended_before"     // it ended before the event was written
	CodePending      Code = "not_written"      // the event is still to be written
	CodeWritten      Code = "not_acknowledged" // written, and the client has not said more
	CodeAcknowledged Code = "acknowledged"
	CodeSeen         Code = "seen"
	CodeSnapshot     Code = "snapshot" // it began afresh behind the event
)

// Finding is one thing that explains what a user got.
type Finding struct {
	Code   Code       `json:"code" doc:"What it is; stable."`
	Text   string     `json:"text" doc:"The same for people."`
	Client *uuid.UUID `json:"client_id,omitempty" doc:"The stream that it is about."`
}

// Explanation is why a user got an event, or did not.
type Explanation struct {
	User     string    `json:"user"`
	Received bool      `json:"received" doc:"It was written to a stream of theirs."`
	Findings []Finding `json:"findings"`
}

// Who is the user who is asked about.
type Who struct {
	User   string
	Theirs bool      // a topic of the event is their own, everyone's, or a job of theirs
	Known  time.Time // streams that ended before are no longer remembered
}

// mostFindings bounds an explanation.
const mostFindings = 50

// Explain says why the user got the event, or did not, from their streams that had
// not ended when it was recorded, oldest first.
func (e Event) Explain(who Who, streams []presence.Connection) Explanation {
	x := Explanation{User: who.User}
	then, followed := false, false
	var details []Finding
	for _, c := range streams {
		then = then || e.openThen(c)
		followed = followed || e.followed(c)
		f, got, ok := e.finding(c)
		x.Received = x.Received || got
		if ok && len(details) < mostFindings {
			f.Client = &c.ID
			details = append(details, f)
		}
	}
	x.Findings = append(e.general(who, then, followed), details...)
	return x
}

// general is what is to be said of no stream in particular.
func (e Event) general(who Who, then, followed bool) []Finding {
	list := []Finding{}
	add := func(code Code, text string) { list = append(list, Finding{Code: code, Text: text}) }
	if !who.Theirs {
		add(CodeNotAddressed, "None of its topics is "+string(event.UserTopic(who.User))+", all, or a job of theirs.")
		if !followed {
			add(CodeNoGrant, "No stream of theirs followed one of its topics, which their token would have had to grant.")
		}
	}
	switch {
	case !then && e.RecordedAt.Before(who.Known):
		add(CodeForgotten, "It was recorded at "+clock(e.RecordedAt)+", and streams that ended before "+clock(who.Known)+" are no longer remembered.")
	case !then:
		add(CodeNoConnection, "No stream of theirs was open when it was recorded, at "+clock(e.RecordedAt)+".")
	}
	return list
}

// finding is what is to be said of a stream, if anything is, and whether the event
// was written to it.
func (e Event) finding(c presence.Connection) (f Finding, got, ok bool) {
	switch {
	case !e.followed(c):
		return Finding{Code: CodeNotFollowed, Text: fmt.Sprintf("The stream of %s follows %v, and the event is of other topics.", clock(c.OpenedAt), c.Topics)},
			false, e.openThen(c)
	case c.OpenedSeq >= e.Seq:
		text := fmt.Sprintf("The stream of %s began at %d, behind the event: it got the active jobs as they stood instead.", clock(c.OpenedAt), c.OpenedSeq)
		return Finding{Code: CodeSnapshot, Text: text}, false, true
	case !e.Concerns(c):
		return Finding{}, false, false
	}
	d := e.On(c)
	code, text := e.words(c, d)
	return Finding{Code: code, Text: fmt.Sprintf("The stream of %s (%s) %s", clock(c.OpenedAt), d.Way, text)}, d.Stage.Got(), true
}

// words says what a stage means.
func (e Event) words(c presence.Connection, d Delivery) (Code, string) {
	switch d.Stage {
	case Filtered:
		return CodeFiltered, "has a filter that does not let it pass."
	case Missed:
		return CodeMissed, fmt.Sprintf("ended (%s) at %d, before it was written; it comes when the client resumes from there.", c.ClosedWhy, c.Written)
	case Pending:
		return CodePending, fmt.Sprintf("was written up to %d: it is still to come, or what was written in the last seconds is not known yet.", c.Written)
	case Replaced:
		return CodeConflated, fmt.Sprintf("was written up to %d: it, or in its place newer progress of the job, from %d on, for it takes the newest alone.", c.Written, e.Newer)
	case Acknowledged:
		return CodeAcknowledged, fmt.Sprintf("was acknowledged up to %d.", c.Acked)
	case Seen:
		return CodeSeen, fmt.Sprintf("was acknowledged up to %d on a visible page.", c.Seen)
	default:
		return CodeWritten, fmt.Sprintf("was written up to %d, and acknowledged up to %d only.", c.Written, c.Acked)
	}
}

// Retention explains an event that is no longer kept.
func Retention(user string, err error) Explanation {
	return Explanation{User: user, Findings: []Finding{{Code: CodeRetention, Text: "It is no longer kept: " + err.Error() + "."}}}
}

// clock is a time as people read it. The web app finds it in a text by its form, and
// tells it in the reader's zone.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }
