package app

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// part is something long-lived: it blocks until its context ends or it fails,
// and when it returns, all that it started has ended.
type part func(ctx context.Context) error

// runInOrder runs the parts until ctx ends or one of them fails. The front, what
// people and jobs touch, ends first; the back, which carries its last words,
// only when the front has returned.
func runInOrder(ctx context.Context, front, back []part) error {
	backCtx, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	backGroup, backCtx := errgroup.WithContext(backCtx)
	for _, p := range back {
		backGroup.Go(func() error { return p(backCtx) })
	}
	frontGroup, frontCtx := errgroup.WithContext(ctx)
	for _, p := range front {
		frontGroup.Go(func() error { return p(frontCtx) })
	}
	frontGroup.Go(func() error {
		select {
		case <-frontCtx.Done():
			return nil
		case <-backCtx.Done():
			return context.Cause(backCtx) // without its back, the front is of no use
		}
	})
	err := frontGroup.Wait()
	stopBack()
	if backErr := backGroup.Wait(); !errors.Is(err, backErr) {
		err = errors.Join(err, backErr)
	}
	return err
}
