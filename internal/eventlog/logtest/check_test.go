package logtest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"herald/internal/event"
)

// history is all that is known at the end: what was written, the log, and what
// each reader got.
type history struct {
	transactions []transaction
	log          []event.Event
	readers      []got // of the whole log
	subscribers  []got // of some topics
}

// got is what one reader received, in that order.
type got struct {
	name   string
	topics []event.Topic
	events []received
}

type received struct {
	seq   event.Seq
	token string
}

// faults says what is wrong: missed, twice, out of order, or where it should
// not be.
func (h history) faults() []string {
	var found faultList
	at := h.checkLog(&found)
	h.checkWritten(&found, at)
	for _, r := range h.readers {
		h.checkReader(&found, r)
	}
	for _, s := range h.subscribers {
		h.checkSubscriber(&found, s)
	}
	return found
}

type faultList []string

func (f *faultList) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// checkLog looks at the log by itself and returns where each token stands.
func (h history) checkLog(found *faultList) map[string]event.Event {
	at := make(map[string]event.Event, len(h.log))
	versions := make(map[uuid.UUID]int64)
	for i, e := range h.log {
		token := tokenOf(e)
		if want := event.Seq(i + 1); e.Seq != want {
			found.add("gap: seq %d where %d belongs", e.Seq, want)
		}
		if first, ok := at[token]; ok {
			found.add("twice: %s is seq %d and %d", token, first.Seq, e.Seq)
		}
		at[token] = e
		if versions[e.JobID]++; e.JobVersion != versions[e.JobID] {
			found.add("order: seq %d has version %d of job %s where %d belongs", e.Seq, e.JobVersion, e.JobID, versions[e.JobID])
			versions[e.JobID] = e.JobVersion
		}
	}
	return at
}

// checkWritten compares the log with what the writers say.
func (h history) checkWritten(found *faultList, at map[string]event.Event) {
	known := make(map[string]bool, len(at))
	for _, tx := range h.transactions {
		there := 0
		for _, w := range tx.events {
			known[w.token] = true
			e, ok := at[w.token]
			if !ok {
				continue
			}
			there++
			if e.JobID != w.job || w.version != 0 && e.JobVersion != w.version {
				found.add("altered: %s is version %d of job %s, was %d of %s", w.token, e.JobVersion, e.JobID, w.version, w.job)
			}
		}
		switch {
		case tx.fate == committed && there < len(tx.events):
			found.add("missed: %d of the events of a committed transaction (%s) are in the log, want %v", there, tx.kind, tx.events)
		case tx.fate == abandoned && there > 0:
			found.add("undead: %d of the events of a transaction that never committed (%s) are in the log: %v", there, tx.kind, tx.events)
		case tx.fate == unknown && there != 0 && there != len(tx.events):
			found.add("torn: %d of the events of a transaction (%s) are in the log, want all or none of %v", there, tx.kind, tx.events)
		}
	}
	for token, e := range at {
		if !known[token] {
			found.add("invented: nobody wrote %s, which is seq %d", token, e.Seq)
		}
	}
}

// checkReader compares a reader of the whole log with the log.
func (h history) checkReader(found *faultList, r got) {
	for i, e := range r.events {
		if i >= len(h.log) {
			found.add("%s read seq %d, beyond the log's end", r.name, e.seq)
			return
		}
		if want := h.log[i]; e.seq != want.Seq || e.token != tokenOf(want) {
			found.add("%s read seq %d, %s, where the log has %d, %s", r.name, e.seq, e.token, want.Seq, tokenOf(want))
			return
		}
	}
	if len(r.events) < len(h.log) {
		found.add("%s read %d events of %d", r.name, len(r.events), len(h.log))
	}
}

// checkSubscriber compares what a subscriber got with its topics' part of the
// log. Only progress may be missing, where a later one of the same job came.
func (h history) checkSubscriber(found *faultList, s got) {
	replaced := make(map[uuid.UUID]bool) // jobs of which a later progress came
	next := len(s.events) - 1
	for _, want := range slices.Backward(h.log) {
		if !concerns(want, s.topics) {
			continue
		}
		if next >= 0 && s.events[next].seq == want.Seq {
			if s.events[next].token != tokenOf(want) {
				found.add("%s got %s as seq %d, where the log has %s", s.name, s.events[next].token, want.Seq, tokenOf(want))
			}
			replaced[want.JobID] = replaced[want.JobID] || want.Type.Conflatable()
			next--
			continue
		}
		if !want.Type.Conflatable() || !replaced[want.JobID] {
			found.add("%s never got seq %d, %s, or not in its place", s.name, want.Seq, tokenOf(want))
		}
	}
	if next >= 0 {
		found.add("%s got seq %d, which is not its own, or out of order, or twice", s.name, s.events[next].seq)
	}
}

func concerns(e event.Event, topics []event.Topic) bool {
	return slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return slices.Contains(topics, t) })
}

// The checker itself is checked: it finds nothing wrong with a history that is
// right, and each fault in one that is not.
func TestCheckerSeesEachFault(t *testing.T) {
	t.Parallel()
	swap := func(events []received) { events[1], events[2] = events[2], events[1] }
	for _, tt := range []struct {
		name, want string
		spoil      func(*history)
	}{
		{"nothing", "", func(*history) {}},
		{"gap", "gap", func(h *history) { h.log[2].Seq++ }},
		{"missed", "missed", func(h *history) { h.log = h.log[:3] }},
		{"twice", "twice", func(h *history) { h.log[3].Payload = h.log[2].Payload }},
		{"order within a job", "order", func(h *history) {
			h.log[1].JobVersion, h.log[2].JobVersion = h.log[2].JobVersion, h.log[1].JobVersion
		}},
		{"undead", "undead", func(h *history) { h.transactions[3].fate = abandoned }},
		{"torn", "torn", func(h *history) {
			h.transactions[3].fate = unknown
			h.transactions[3].events = append(h.transactions[3].events, written{token: "e"})
		}},
		{"invented", "invented", func(h *history) { h.transactions = h.transactions[:3] }},
		{"altered", "altered", func(h *history) { h.log[0].JobID = uuid.New() }},
		{"a reader misses", "reader", func(h *history) { h.readers[0].events = h.readers[0].events[:2] }},
		{"a reader gets two the wrong way round", "reader", func(h *history) { swap(h.readers[0].events) }},
		{"a subscriber misses", "subscriber", func(h *history) { h.subscribers[0].events = h.subscribers[0].events[1:] }},
		{"a subscriber misses the last progress", "subscriber", func(h *history) {
			h.subscribers[0].events = h.subscribers[0].events[:2]
		}},
		{"a subscriber gets one twice", "subscriber", func(h *history) {
			h.subscribers[0].events = append(h.subscribers[0].events, h.subscribers[0].events[2])
		}},
		{"a subscriber gets two the wrong way round", "subscriber", func(h *history) { swap(h.subscribers[0].events) }},
		{"a subscriber gets what is not its own", "subscriber", func(h *history) { h.subscribers[0].topics = []event.Topic{"all"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := sound()
			tt.spoil(&h)
			found := h.faults()
			named := slices.ContainsFunc(found, func(f string) bool { return len(f) >= len(tt.want) && f[:len(tt.want)] == tt.want })
			if (tt.want == "") != (len(found) == 0) || tt.want != "" && !named {
				t.Errorf("faults() = %q, want one of %q", found, tt.want)
			}
		})
	}
}

// sound is a history with nothing wrong in it: four transactions of an event
// each on one job. The subscriber got no c, since d had replaced it.
func sound() history {
	var h history
	id := uuid.New()
	for i, token := range []string{"a", "b", "c", "d"} {
		kind := event.JobMessage
		if i >= 2 {
			kind = event.JobProgress
		}
		n := int64(i + 1)
		h.log = append(h.log, event.Event{Seq: event.Seq(n), Pending: event.Pending{
			Type: kind, Topics: []event.Topic{event.JobTopic(id)}, JobID: id, JobVersion: n,
			Payload: []byte(`{"details":` + string(tokened(token)) + `}`),
		}})
		h.transactions = append(h.transactions, transaction{kind: "test", events: []written{{token, id, n}}})
	}
	all := []received{{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}}
	h.readers = []got{{name: "reader", events: slices.Clone(all)}}
	h.subscribers = []got{{name: "subscriber", topics: []event.Topic{event.JobTopic(id)}, events: slices.Delete(all, 2, 3)}}
	return h
}
