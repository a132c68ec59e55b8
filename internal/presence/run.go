package presence

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	// statementTime bounds one statement.
	statementTime = 5 * time.Second
	// lastWords bounds how long a Tracker that ends tries to write what it has.
	lastWords = 5 * time.Second
	// sweepTime is how often a node looks for lost ones.
	sweepTime = Silence / 2
)

// Run writes what changes until ctx ends; then what is left, and that the node's
// streams have ended. It never gives up: what fails is tried again.
func (t *Tracker) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			t.leave(context.WithoutCancel(ctx))
			return nil
		case <-time.After(t.config.Interval):
			t.tick(ctx)
		}
	}
}

// tick runs two statements at most.
func (t *Tracker) tick(ctx context.Context) {
	asked := t.questions(false)
	t.streams.Written(t.Wrote)
	asked = t.judge(asked)
	if err := t.flush(ctx); err != nil {
		t.answer(asked, ErrBusy)
		return
	}
	now := time.Now()
	switch {
	case now.Sub(t.steady) >= Silence && now.Sub(t.swept) >= sweepTime:
		// When the database has been away, nobody could say that they live: the
		// others got the time to speak.
		t.swept = now
		t.sweep(ctx, t.sessions.ended())
		t.answer(asked, ErrLater)
	case len(t.sessions.ended()) > 0:
		t.sweep(ctx, t.sessions.ended())
		t.answer(asked, ErrLater)
	case len(asked) > 0:
		t.writeAcks(ctx, asked)
	}
}

// leave writes what is left, and that nothing is open any more.
func (t *Tracker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	asked := t.questions(true)
	t.streams.Written(t.Wrote)
	t.answer(t.judge(asked), ErrBusy)
	for t.left() > 0 {
		if err := t.flush(ctx); err != nil {
			t.log.WarnContext(ctx, "ends of streams not written", "streams", t.left(), "error", err)
			return // without a word from here, the others end the streams
		}
	}
	_ = t.statement(ctx, func(ctx context.Context) error { return t.store.CloseNodeConnections(ctx, t.node, Closing, nil) })
}

// flush writes a page of what changed, and ends the streams that somebody wants
// to end. When the table may have streams for open that are unknown here, such as
// those of an earlier process of this name, it ends those instead.
func (t *Tracker) flush(ctx context.Context) error {
	if known, entered := t.present(); !entered {
		err := t.statement(ctx, func(ctx context.Context) error { return t.store.CloseNodeConnections(ctx, t.node, NodeLost, known) })
		t.setEntered(err == nil)
		return err
	}
	batch, taken := t.take()
	var answer Answer
	err := t.statement(ctx, func(ctx context.Context) (err error) {
		answer, err = t.store.WriteConnections(ctx, batch)
		return err
	})
	t.settle(taken, err == nil)
	// An answer that did not come may have said so.
	if err == nil && (answer.Lost || t.doubtful) {
		t.renew()
	}
	t.doubtful = err != nil
	if err == nil {
		t.sessions.note(t.node, answer.Connected)
	}
	for _, id := range answer.Close {
		t.streams.Disconnect(id)
	}
	return err
}

// take returns what is to be written, a page of it at most, and the streams that
// it is about. An ended stream is forgotten with that, so what is not written
// has to be given back.
func (t *Tracker) take() (Batch, []*stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := make([]*stream, 0, min(len(t.changed), t.config.Page))
	for s := range t.changed {
		if len(taken) == t.config.Page {
			break
		}
		taken = append(taken, s)
		delete(t.changed, s)
		if s.Closed != "" {
			delete(t.known, s.ID)
		}
	}
	// In one order on all nodes, so that no two wait for each other.
	slices.SortFunc(taken, func(a, b *stream) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	b := Batch{Node: t.node}
	for _, s := range taken {
		p := s.Progress
		if !s.spoken {
			p.AckedAt = 0 // another node may have newer word, and old word is not to pass for new
		}
		s.spoken = false
		b.Changed = append(b.Changed, p)
		if s.opening != nil {
			b.Opened = append(b.Opened, *s.opening)
		}
	}
	return b, taken
}

// settle takes note that the streams were written, or takes them back.
func (t *Tracker) settle(taken []*stream, written bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if written {
		for _, s := range taken {
			s.opening = nil
		}
		if len(t.changed) == 0 {
			t.brief = nil
		}
		return
	}
	var ended []*stream
	for _, s := range taken {
		if _, again := t.changed[s]; !again && s.Closed != "" && s.opening != nil {
			ended = append(ended, s)
		}
		s.spoken = s.AckedAt != 0
		t.known[s.ID] = s
		t.changed[s] = struct{}{}
	}
	t.brief = append(ended, t.brief...)
	t.trim()
}

// renew has all that is known written again: others may have taken it for ended.
func (t *Tracker) renew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.known {
		t.changed[s] = struct{}{}
	}
}

// present returns which streams are known, unless the table has no others.
func (t *Tracker) present() (known []uuid.UUID, entered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entered {
		return nil, true
	}
	return slices.Collect(maps.Keys(t.known)), false
}

func (t *Tracker) setEntered(entered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entered = entered
}

// left is how many streams are to be written.
func (t *Tracker) left() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.changed)
}

// sweep ends the streams of nodes that are lost.
func (t *Tracker) sweep(ctx context.Context, ended []string) {
	var lost int
	err := t.statement(ctx, func(ctx context.Context) (err error) {
		lost, err = t.store.CloseLostConnections(ctx, ended)
		return err
	})
	if err == nil && lost > 0 {
		t.log.InfoContext(ctx, "streams of lost nodes ended", "streams", lost)
	}
}

// statement runs one statement in bounded time, and tells of it. An outage is
// logged where it begins and where it ends.
func (t *Tracker) statement(ctx context.Context, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	began := time.Now()
	err := run(ctx)
	t.config.Metrics.statement(time.Since(began), err)
	switch {
	case err != nil && !t.failing:
		t.failing, t.steady = true, time.Time{}
		t.log.WarnContext(ctx, "streams not written", "error", err)
	case err == nil && t.steady.IsZero():
		if t.failing {
			t.log.InfoContext(ctx, "streams written again")
		}
		t.failing, t.steady = false, time.Now()
	}
	return err
}
