package app_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"herald/internal/app"
)

// trace remembers what ended, in order.
type trace struct {
	mu    sync.Mutex
	ended []string
}

func (tr *trace) part(name string, fails error, trigger <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		defer func() {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			tr.ended = append(tr.ended, name)
		}()
		select {
		case <-ctx.Done():
			return nil
		case <-trigger:
			return fails
		}
	}
}

func TestRunInOrderEndsTheFrontFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- app.RunInOrder(ctx, tr.part("front", nil, nil), tr.part("back", nil, nil)) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("RunInOrder() = %v", err)
		}
		if want := []string{"front", "back"}; !slices.Equal(tr.ended, want) {
			t.Errorf("ended %v, want %v", tr.ended, want)
		}
	})
}

func TestRunInOrderEndsAllWhenOneFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, which := range []string{"front", "back"} {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tr trace
				triggers := map[string]chan struct{}{which: make(chan struct{})}
				done := make(chan error)
				go func() {
					done <- app.RunInOrder(t.Context(),
						tr.part("front", broken, triggers["front"]), tr.part("back", broken, triggers["back"]))
				}()
				synctest.Wait()
				close(triggers[which])
				if err := <-done; !errors.Is(err, broken) {
					t.Errorf("RunInOrder() = %v, want %v", err, broken)
				}
				if len(tr.ended) != 2 {
					t.Errorf("ended %v, want both", tr.ended)
				}
			})
		})
	}
}
