package httpapi

import (
	"context"
	"fmt"
	"strings"

	"herald/internal/auth"
	"herald/internal/event"
)

// Accesses writes down who has read what belongs to another.
type Accesses interface {
	// RecordAccess returns when it is durable.
	RecordAccess(ctx context.Context, a auth.Access) error
}

// note writes down that who asks is about to read what the owner has, if it does so
// as support or as an admin. It comes before the answer, and without it there is
// none: so whatever fails, nothing is read that is not written down. The price is
// one insert, paid by them alone.
func (a *api) note(ctx context.Context, owner string, what ...string) error {
	p := principalOf(ctx)
	if !p.Oversees(owner) || hasLink(ctx) {
		return nil
	}
	err := a.Accesses.RecordAccess(ctx, auth.Access{
		Reader: p.User, Roles: p.Roles, Key: p.Key, Whose: owner, What: what, RequestID: requestID(ctx),
	})
	if err != nil {
		return fmt.Errorf("write down who reads: %w", err)
	}
	return nil
}

// again is how often a look at the same thing is written down when it comes in
// pieces: as players ask for a file, and pages for who is there.
func again() Rate { return Rate{PerSecond: 1.0 / 60, Burst: 1} }

// noteOnce is note for what is read in pieces: those of the next minute, by the same
// reader on this node, are the same read.
func (a *api) noteOnce(ctx context.Context, owner, what string) error {
	who := principalOf(ctx).User + " " + what
	if !principalOf(ctx).Oversees(owner) || !a.looks.take(who) {
		return nil
	}
	err := a.note(ctx, owner, what)
	if err != nil {
		a.looks.give(who) // the next piece is not to pass for one that was written down
	}
	return err
}

// noteTopics writes down that a stream follows what is not its user's.
func (a *api) noteTopics(ctx context.Context, p auth.Principal, topics []event.Topic) error {
	var others []string
	whose := ""
	for _, t := range topics {
		if t != event.Everyone && t != event.UserTopic(p.User) {
			others = append(others, string(t))
			whose = strings.TrimPrefix(string(t), "user:")
		}
	}
	switch {
	case len(others) == 0:
		return nil
	case len(others) > 1 || whose == others[0]:
		whose = "" // several people's, or it is not known whose
	}
	return a.note(ctx, whose, others...)
}
