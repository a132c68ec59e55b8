package logtest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"testing"
	"time"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// takeover measures how long the log stands still when its leader is killed:
// from the kill to the first event that a standby appends.
func takeover(ctx context.Context, db *postgres.DB, kill func() error, write func(context.Context) error) (time.Duration, error) {
	before, err := db.Head(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := errors.Join(kill(), write(ctx)); err != nil {
		return 0, err
	}
	err = awaitHead(ctx, db, before+1)
	return time.Since(began), err
}

// awaitHead waits until the log has got so far.
func awaitHead(ctx context.Context, db *postgres.DB, want event.Seq) error {
	var head event.Seq
	err := await(ctx, func(ctx context.Context) (bool, error) {
		var err error
		head, err = db.Head(ctx)
		return head >= want, err
	})
	if err != nil {
		return fmt.Errorf("the log is at %d, want %d: %w", head, want, err)
	}
	return nil
}

// The leader dies in one of the ways in which leaders die, and the standby
// takes over: it holds the lead, and appends what comes after the last event.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		kill func(ctx context.Context, db *postgres.DB, leader *process) error
	}{
		{"its process is killed", func(_ context.Context, _ *postgres.DB, leader *process) error {
			leader.kill()
			return nil
		}},
		{"its connection is ended", func(ctx context.Context, db *postgres.DB, _ *process) error {
			return endLead(ctx, db)
		}},
		{"it is stopped, and taken for dead", func(ctx context.Context, db *postgres.DB, leader *process) error {
			return errors.Join(leader.signal(syscall.SIGSTOP), endLead(ctx, db))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			runs := 3
			if soak(t) > 0 {
				runs = 20
			}
			var times []time.Duration
			for range runs {
				times = append(times, takeOver(t, tt.kill))
			}
			slices.Sort(times)
			t.Logf("the log stood still for %v, %v at the median, at most %v, in %d takeovers",
				times[0].Round(time.Millisecond), times[runs/2].Round(time.Millisecond), times[runs-1].Round(time.Millisecond), runs)
		})
	}
}

// endLead ends the leader's session.
func endLead(ctx context.Context, db *postgres.DB) error {
	_, err := db.Pool().Exec(ctx, "SELECT pg_terminate_backend(pid) FROM ("+leaders+") l")
	return err
}

// takeOver has a leader killed once, on a database of its own.
func takeOver(t *testing.T, kill func(context.Context, *postgres.DB, *process) error) time.Duration {
	t.Helper()
	ctx := t.Context()
	url := pgtest.New(t)
	db := open(t, url, 4)
	leader, err := spawnSequencer(newTail(t), url, eventlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer leader.kill()
	j, err := started(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitHead(ctx, db, 2); err != nil {
		t.Fatal(err)
	}
	old, err := ask(ctx, url, leaders)
	if err != nil || len(old) != 1 {
		t.Fatalf("the sessions that lead: %v, %v, want one", old, err)
	}
	standing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = eventlog.NewSequencer(db, slog.New(slog.DiscardHandler), eventlog.Config{}).Run(standing)
	}()
	defer func() {
		stop()
		<-done
	}()
	if err := rest(ctx, 200*time.Millisecond); err != nil { // the leader sleeps, the standby tries
		t.Fatal(err)
	}

	took, err := takeover(ctx, db, func() error { return kill(ctx, db, leader) }, func(ctx context.Context) error {
		_, err := db.RecordReport(ctx, j.ID, job.Report{Attempt: 1, Message: "after the kill"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	successor, err := ask(ctx, url, leaders)
	if err != nil || len(successor) != 1 || successor[0] == old[0] {
		t.Errorf("the sessions that lead: %v, %v, want one that is not %d", successor, err, old[0])
	}
	_ = leader.signal(syscall.SIGCONT) // an error means that it is dead
	if _, err := db.RecordReport(ctx, j.ID, job.Report{Attempt: 1, Message: "after all"}); err != nil {
		t.Fatal(err)
	}
	if err := awaitHead(ctx, db, 4); err != nil {
		t.Fatal(err)
	}
	wantWholeLog(t, db, 4)
	return took
}

// wantWholeLog checks that the log has so many events, without a gap.
func wantWholeLog(t *testing.T, db *postgres.DB, n int) {
	t.Helper()
	events, err := db.Events(t.Context(), 0, n+1)
	if err != nil || len(events) != n {
		t.Fatalf("Events() = %d events, %v, want %d", len(events), err, n)
	}
	for i, e := range events {
		if want := event.Seq(i + 1); e.Seq != want {
			t.Errorf("the log has seq %d where %d belongs", e.Seq, want)
		}
	}
}
