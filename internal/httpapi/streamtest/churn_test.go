// Package streamtest tests streams as a whole: real connections to the API on a
// hub and a broker, over a log in memory, while clients come, stall, vanish and
// come back, and nodes stop and start.
package streamtest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/event"
)

// soak is for how long the long form of the test runs: HERALD_TEST_SOAK; zero
// for the short form.
func soak(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HERALD_TEST_SOAK")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("HERALD_TEST_SOAK: %v", err)
	}
	return d
}

// Clients connect, resume, stall and leave at random, over HTTP/1.1 and HTTP/2,
// at two nodes that restart. Each misses nothing and gets nothing twice; when
// all are gone, nothing of them is left.
func TestChurn(t *testing.T) { //nolint:paralleltest // it counts descriptors and goroutines
	clients, burst, length := 150, 20, 4*time.Second
	if d := soak(t); d > 0 {
		clients, burst, length = 5000, 5, d // what comes for each is less, and for all more
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d clients, %v", seed, clients, length)
	before := takeStock(t)
	w := newWorld(t, seed, clients)
	w.burst = burst
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	if err := w.run(ctx); err != nil {
		t.Fatal(err)
	}
	w.stop()
	connects, resumes, slow := 0, 0, 0
	for _, c := range w.clients {
		connects, resumes, slow = connects+c.connects, resumes+c.resumes, slow+c.cut
		if err := c.check(w.log); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d events, %d connections, %d of them resumed, %d cut off, %d restarts", w.head(t), connects, resumes, slow, w.restarts)
	if resumes == 0 || w.restarts == 0 {
		t.Error("nothing was put to the test")
	}
	w.clients, w.nodes, w.log = nil, nil, nil // the test's own: the whole log, and what stopped nodes remember of it
	before.compare(t, takeStock(t))
}

// stock is what a process holds.
type stock struct {
	descriptors, goroutines int
	heap                    uint64
}

func takeStock(t *testing.T) stock {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what a first one has freed of pools
	runtime.ReadMemStats(&m)
	return stock{len(list), runtime.NumGoroutine(), m.HeapAlloc}
}

func (s stock) compare(t *testing.T, after stock) {
	t.Helper()
	const (
		some   = 10       // of the test's own
		growth = 32 << 20 // bytes
	)
	t.Logf("before %+v, after %+v", s, after)
	if after.descriptors > s.descriptors+some || after.goroutines > s.goroutines+some {
		t.Errorf("before there were %+v, and after all were gone %+v", s, after)
	}
	if after.heap > s.heap+growth {
		t.Errorf("the heap was %d bytes before, and is %d after", s.heap, after.heap)
	}
}

// run lets the world go until ctx ends, and then everybody catch up.
func (w *world) run(ctx context.Context) error {
	group, working := errgroup.WithContext(ctx)
	for _, n := range w.nodes {
		group.Go(func() error { return w.restart(working, n) })
	}
	group.Go(func() error { return w.publish(working) })
	catchUp, fail := errgroup.WithContext(context.WithoutCancel(ctx))
	for _, c := range w.clients {
		catchUp.Go(func() error { return c.run(fail, working.Done()) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	ending, end := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return w.publishLast(ending) })
	err := catchUp.Wait()
	end()
	return errors.Join(err, group.Wait())
}

// publishLast appends last events until ctx ends: again and again, since a
// client that has come for the first time may have come behind one.
func (w *world) publishLast(ctx context.Context) error {
	for ctx.Err() == nil {
		w.log.Append(event.Event{Pending: event.Pending{Type: lastType, Topics: []event.Topic{event.Everyone}, Payload: []byte(`{}`)}})
		pause(ctx, time.Second)
	}
	return nil
}

// publish appends events until ctx ends.
func (w *world) publish(ctx context.Context) error {
	rng := w.rng(1)
	for ctx.Err() == nil {
		batch := make([]event.Event, 1+rng.IntN(w.burst))
		for i := range batch {
			batch[i] = w.anyEvent(rng)
		}
		w.log.Append(batch...)
		pause(ctx, time.Duration(rng.IntN(20))*time.Millisecond)
	}
	return nil
}

// restart stops the node now and then, and starts it again.
func (w *world) restart(ctx context.Context, n *node) error {
	rng := w.rng(uint64(2 + n.number))
	for pause(ctx, time.Duration(500+rng.IntN(2500))*time.Millisecond); ctx.Err() == nil; pause(ctx, time.Duration(500+rng.IntN(2500))*time.Millisecond) {
		if err := n.stop(); err != nil {
			return err
		}
		pause(ctx, time.Duration(rng.IntN(300))*time.Millisecond)
		if err := n.start(); err != nil { //nolint:contextcheck // a node outlives the storm that started it
			return err
		}
		w.mu.Lock()
		w.restarts++
		w.mu.Unlock()
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *world) rng(n uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, n)) }
