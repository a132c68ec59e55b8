package presence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// waiter is who waits for the answer to a question.
type waiter struct {
	client uuid.UUID
	user   string
}

// question is an ack that cannot be judged at once.
type question struct {
	ack  Ack
	done chan struct{} // closed when err is the answer
	err  error
}

// Acked takes a client's word of how far it has come. It does not wait: it
// returns ErrLater when the stream is not known here, or is not known to be so
// far, and Await has the answer.
func (t *Tracker) Acked(a Ack) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acked(a)
}

// pingGrain is how often pings that say nothing new are written.
const pingGrain = 10 * time.Second

func (t *Tracker) acked(a Ack) error {
	s := t.known[a.Client]
	switch {
	case s == nil:
		return ErrLater
	case s.user != a.User:
		return ErrNotFound
	case a.Seq > s.Written:
		return ErrLater
	}
	news := a.Seq > s.Acked || a.Visible != s.Visible || a.Visible && a.Seq > s.Seen
	if !news && s.AckedAt != 0 && s.AckedAt.Passed() < pingGrain {
		return nil
	}
	s.Acked, s.AckedAt, s.Visible = max(s.Acked, a.Seq), now(), a.Visible
	if a.Visible {
		s.Seen, s.SeenAt = max(s.Seen, a.Seq), now()
	}
	s.spoken = true
	t.changed[s] = struct{}{}
	return nil
}

// Await is Acked for an ack to which that returned ErrLater. It waits for what is
// written next, which is about a second, or two when lost nodes are looked for in
// between, and for ctx.
func (t *Tracker) Await(ctx context.Context, a Ack) error {
	q, err := t.ask(a)
	if err != nil {
		return err
	}
	select {
	case <-q.done:
		return q.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

func (t *Tracker) ask(a Ack) (*question, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	who := waiter{a.Client, a.User}
	if q := t.waiting[who]; q != nil {
		q.ack.Seq, q.ack.Visible = max(q.ack.Seq, a.Seq), a.Visible
		return q, nil
	}
	if t.waiting == nil || len(t.waiting) >= t.config.MaxWait {
		return nil, ErrBusy
	}
	q := &question{ack: a, done: make(chan struct{})}
	t.waiting[who] = q
	return q, nil
}

// questions takes those that wait. After the last, nobody can wait any more.
func (t *Tracker) questions(last bool) []*question {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := slices.Collect(maps.Values(t.waiting))
	clear(t.waiting)
	if last {
		t.waiting = nil
	}
	return asked
}

// judge answers the questions about streams that are known here, after a look at
// the hub that began after they were asked, and returns the others.
func (t *Tracker) judge(asked []*question) (others []*question) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range asked {
		if t.known[q.ack.Client] == nil {
			others = append(others, q)
			continue
		}
		if q.err = t.acked(q.ack); errors.Is(q.err, ErrLater) {
			q.err = ErrAhead
		}
		close(q.done)
	}
	return others
}

// writeAcks writes acks of streams that other nodes hold, and answers them.
func (t *Tracker) writeAcks(ctx context.Context, asked []*question) {
	slices.SortFunc(asked, func(a, b *question) int { return bytes.Compare(a.ack.Client[:], b.ack.Client[:]) })
	acks := make([]Ack, len(asked))
	for i, q := range asked {
		acks[i] = q.ack
	}
	var answers []error
	err := t.statement(ctx, func(ctx context.Context) (err error) {
		answers, err = t.store.WriteAcks(ctx, acks)
		return err
	})
	if err != nil {
		t.answer(asked, ErrBusy)
		return
	}
	for i, q := range asked {
		t.answer([]*question{q}, answers[i])
	}
}

// answer ends the wait for the questions' answer. After ErrLater, they wait on,
// unless a newer one of the same client does.
func (t *Tracker) answer(asked []*question, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range asked {
		q.err = err
		if errors.Is(err, ErrLater) {
			who := waiter{q.ack.Client, q.ack.User}
			if t.waiting[who] == nil {
				t.waiting[who] = q
				continue
			}
			q.err = ErrBusy
		}
		close(q.done)
	}
}
