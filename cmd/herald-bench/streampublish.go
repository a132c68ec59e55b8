package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/event"
)

// publishing says which events are published, and how.
type publishing struct {
	Events     int
	Users      int           // each event goes to one of so many users in turn; 0: all go to everyone
	Batch      int           // how many of a topic are published at once; 0: one
	Publishers int           // 0: one
	Gap        time.Duration // from a publisher's event to its next; 0: as fast as can be
	Stamps     bool          // tell when each was published
}

// published is what became of it.
type published struct {
	After, Last event.Seq // the events have the places after the one, up to the other
	Stamps      []stamp
}

// stamp is when an event was published or had arrived, in nanoseconds of the
// machine's clock, which both processes read.
type stamp struct {
	Seq event.Seq
	At  int64
}

// topicOf is the topic that the client of a number follows, beside everyone's.
func topicOf(user int) event.Topic { return event.UserTopic(userName(user)) }

func userName(user int) string { return fmt.Sprintf("u%d", user) }

// run publishes and returns when all is handed to the engine.
func (p publishing) run(e engine) (published, error) {
	after := e.head()
	publishers := max(p.Publishers, 1)
	stamps := make([][]stamp, publishers)
	var group errgroup.Group
	for publisher := range publishers {
		group.Go(func() (err error) {
			stamps[publisher], err = p.share(e, publisher, publishers)
			return err
		})
	}
	err := group.Wait()
	all := slices.Concat(stamps...)
	slices.SortFunc(all, func(a, b stamp) int { return cmp.Compare(a.Seq, b.Seq) })
	return published{After: after, Last: e.head(), Stamps: all}, err
}

// share publishes what is one publisher's. A user's events are all of one
// publisher, so that their order is known.
func (p publishing) share(e engine, publisher, publishers int) ([]stamp, error) {
	var stamps []stamp
	batch := max(p.Batch, 1)
	next := time.Now()
	for done := 0; done < p.Events; done += batch {
		topic := event.Everyone
		if p.Users > 0 {
			user := done / batch % p.Users
			if user%publishers != publisher {
				continue
			}
			topic = topicOf(user)
		}
		if p.Gap > 0 {
			time.Sleep(time.Until(next))
			next = next.Add(p.Gap)
		}
		at := time.Now().UnixNano()
		last, err := e.publish(topic, min(batch, p.Events-done))
		if err != nil {
			return nil, err
		}
		if p.Stamps {
			stamps = append(stamps, stamp{last, at})
		}
	}
	return stamps, nil
}

// of is how many of the events a client gets.
func (p publishing) of(user int) int {
	if p.Users == 0 {
		return p.Events
	}
	n, batch := 0, max(p.Batch, 1)
	for done := user * batch; user < p.Users && done < p.Events; done += p.Users * batch {
		n += min(batch, p.Events-done)
	}
	return n
}
