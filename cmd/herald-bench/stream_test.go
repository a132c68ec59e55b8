package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
)

// TestMain lets the test binary be the processes that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && (os.Args[1] == "stream-server" || os.Args[1] == "http-load") {
		main()
		return
	}
	// A process with the race detector sleeps for a second before it ends, and many
	// end here; those that are started from now on do not.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func smallBench() *streamBench {
	return &streamBench{
		output: output{PostgresBin: os.Getenv("HERALD_POSTGRES_BIN")},
		plan: streamPlan{
			rounds: 1, connections: 20, few: 5, fanouts: 2, singles: 2, bursts: 2, latencies: 7,
			missed: 250, resumes: 2, restarts: 2, drains: 2, stalled: 3, steadies: 20,
			leftover: 1 << 30, // the race detector's memory is not given back
		},
		secret: bytes.Repeat([]byte("k"), 32), taken: make(samples),
	}
}

func TestStreamMeasuresEverything(t *testing.T) {
	t.Parallel()
	b := smallBench()
	if err := b.measure(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, f := range b.figures() {
		got[f.Key] = true
	}
	for _, key := range []string{
		"idle_bytes_per_conn", "fanout_cpu_ratio", "fanout_5_cpu_ratio", "one_to_one_ratio", "burst_cpu_us", "allocs_per_delivery",
		"resume_memory_ms", "resume_log_ms", "storm_queries", "storm_s", "drain_s", "drain_retry_spread_ms", "stalled_bytes_per_conn", "bare_burst_cpu_us",
		"ordinary_fanout_latency_p99_ms", "calm_latency_p99_ms", "hostile_latency_p99_ms", "hostile_cost_ms", "hostile_connects_per_s",
		"hostile_goroutines_left", "hostile_descriptors_left", "hostile_memory_left_mib",
	} {
		if !got[key] {
			t.Errorf("there is no figure %s", key)
		}
	}
	var table bytes.Buffer
	if err := b.table(&table); err != nil || strings.Count(table.String(), "\n") != len(b.plan.quantities())+1 {
		t.Errorf("table() = %v, want a line for each quantity:\n%s", err, &table)
	}
}

func TestStreamMeasuresWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	b := smallBench()
	b.profile = filepath.Join(t.TempDir(), "cpu.prof")
	if err := b.measure(t.Context(), []string{"burst"}); err != nil {
		t.Fatal(err)
	}
	if written, err := os.Stat(b.profile); err != nil || written.Size() == 0 {
		t.Errorf("the CPU profile: %v, %v", written, err)
	}
	var keys []string
	for _, f := range b.figures() {
		keys = append(keys, f.Key)
	}
	want := []string{
		"burst_cpu_us", "bare_burst_cpu_us", "ordinary_burst_cpu_us", "burst_cpu_ratio",
		"burst_per_s", "bare_burst_per_s", "ordinary_burst_per_s", "burst_ratio",
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

// connectThree starts the engine and connects three clients.
func connectThree(t *testing.T, engine string) *session {
	t.Helper()
	s, err := smallBench().session(t.Context(), setup{Engine: engine}, 3, userName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.stop() // it may have been before
		if err := s.fleet.close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.fleet.connect(t.Context(), s.address, false); err != nil {
		t.Fatal(err)
	}
	return s
}

// A run in which a client does not get exactly what is meant for it gives no
// figures.
func TestWrongDeliveriesFailTheRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after event.Seq // what the clients have
		each  int       // events that each expects
		want  string
	}{
		"one too many": {after: 0, each: 1, want: "has 2 events, want 1"},
		"a repeat":     {after: 1, each: 2, want: "repeated or out of order"},
		"none":         {after: 0, each: 3, want: "has 2 events, want 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := connectThree(t, bare)
			e := s.fleet.expect(test.after, false, func(int) int { return test.each })
			if _, err := s.ask(order{Publish: &publishing{Events: 2, Batch: 2}}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if test.each > 2 { // it would wait in vain
				if err := s.fleet.wait(ctx, "both", func() bool { return s.fleet.got == 2*3 }); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
			defer cancel()
			if _, err := e.await(ctx, 2, 0); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("await() = %v, want %q", err, test.want)
			}
		})
	}
}

func TestALostConnectionFailsTheRun(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{ours, bare, ordinary} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := connectThree(t, engine)
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			err := s.fleet.wait(t.Context(), "the end", func() bool { return false })
			if err == nil || !strings.Contains(err.Error(), "lost its connection") {
				t.Errorf("wait() = %v, want that a connection was lost", err)
			}
		})
	}
}

// What a chunked answer, cut anywhere, has in it.
func TestScanner(t *testing.T) {
	t.Parallel()
	const text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"2b\r\nevent: stream.open\ndata: {\"client_id\":\"x\"}\n\n\r\n" +
		"25\r\nid: 4\nevent: stream.snapshot\ndata: {}\n\n\r\n" +
		"3\r\n:\n\n\r\n" +
		"40\r\nid: 5\nevent: job.step\ndata: {}\n\nid: 17\nevent: job.step\ndata: {}\n\n\r\n" +
		"20\r\nid: 18\nevent: job.step\ndata: {}\n\n\r\n"
	for cut := range len(text) {
		var s scanner
		var got []event.Seq
		for _, part := range []string{text[:cut], text[cut:]} {
			if err := s.feed([]byte(part), func(seq event.Seq) { got = append(got, seq) }); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
		if diff := cmp.Diff([]event.Seq{5, 17, 18}, got); diff != "" || !s.open || s.got != 3 || s.last != 18 {
			t.Fatalf("cut at %d: %+v (-want +got):\n%s", cut, s, diff)
		}
	}
}

func TestScannerRefuses(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\n\r\n"
	for text, want := range map[string]string{
		"HTTP/1.1 401 Unauthorized\r\n\r\n{}":       "401",
		head + "id: 2\ndata: 1\n\nid: 2\ndata:\n\n": "repeated",
		head + "id: 2\ndata: 1\n\nid: 1\ndata:\n\n": "out of order",
		head + "id: x\ndata: 1\n\n":                 `id "x"`,
		head + "retry: soon\n\n":                    `"soon"`,
	} {
		var s scanner
		if err := s.feed([]byte(text), func(event.Seq) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("feed(%q) = %v, want %q", text, err, want)
		}
	}
}

// How a stream may end, and how it may not.
func TestScannerEnd(t *testing.T) {
	t.Parallel()
	const (
		head    = "HTTP/1.1 200 OK\r\n\r\nretry: 900\n\nevent: stream.open\ndata: {}\n\nid: 4\nevent: job.step\ndata: {}\n\n"
		closing = "event: stream.closing\ndata: {\"retry_ms\":250}\n\n"
	)
	for text, want := range map[string]string{
		head + "retry: 250\n\n" + closing: "",
		head:                              "last words",
		head + closing:                    "last words",
		head + "retry: 250\n\n" + closing + ":\n\n":                "last words",
		head + "retry: 250\n\n" + closing + "id: 5\ndata: {}\n\n":  "last words",
		head + "retry: 250\n\n:\n\n" + closing:                     "last words",
		head + "retry: 250\n\n" + closing[:len(closing)-1]:         "within a frame",
		head + "retry: 250\n\n" + closing + "id: 5\nevent: job.st": "within a frame",
	} {
		for cut := range len(text) {
			var s scanner
			for _, part := range []string{text[:cut], text[cut:]} {
				if err := s.feed([]byte(part), func(event.Seq) {}); err != nil {
					t.Fatalf("feed(%q), cut at %d: %v", text, cut, err)
				}
			}
			err := s.end()
			if want == "" && (err != nil || s.closing != 250*time.Millisecond) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Fatalf("end() after %q, cut at %d = %v, to come back after %v; want %q", text, cut, err, s.closing, want)
			}
		}
	}
}

// A node that ends without a word to its streams fails the run, also where they
// may end.
func TestAnEndWithoutLastWordsFailsTheRun(t *testing.T) {
	t.Parallel()
	s := connectThree(t, bare)
	s.fleet.mayEnd(true)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	err := s.fleet.wait(t.Context(), "the end", func() bool { return false })
	if err == nil || !strings.Contains(err.Error(), "without stream.closing") {
		t.Errorf("wait() = %v, want that stream.closing is missing", err)
	}
}

// A stream that ends in order, but lacks an event, fails the run too.
func TestEndedWithAGap(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		got  int
		last event.Seq
		ok   bool
	}{
		"whole": {got: 3, last: 10, ok: true},
		"a gap": {got: 2, last: 10},
		"none":  {got: 0, last: 7, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fleet{clients: []client{{scanner: scanner{got: test.got, last: test.last, closing: time.Second}}}}
			retries, err := f.ended(7)
			if (err == nil) != test.ok || test.ok && !cmp.Equal(retries, []float64{1000}) {
				t.Errorf("ended(7) = %v, %v", retries, err)
			}
		})
	}
}

// What a crowd leaves behind fails the run.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	const some, many = 1000, 1000 + 4096
	before := answer{Usage: usage{Goroutines: some}, Descriptors: some, Resident: some << 20}
	for name, test := range map[string]struct {
		now  answer
		want bool
	}{
		"nothing":     {now: before, want: true},
		"less":        {now: answer{}, want: true},
		"a little":    {now: answer{Usage: usage{Goroutines: some + 1}, Descriptors: some + 1, Resident: some<<20 + 1}, want: true},
		"goroutines":  {now: answer{Usage: usage{Goroutines: many}}},
		"descriptors": {now: answer{Descriptors: many}},
		"memory":      {now: answer{Resident: many << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := leftOver(before, test.now).check(1 << 20); (err == nil) != test.want {
				t.Errorf("check() = %v, want that it passes: %v", err, test.want)
			}
		})
	}
}

// fakeEngine counts what is published.
type fakeEngine struct {
	mu   sync.Mutex
	last event.Seq
	got  map[event.Topic]int
}

func (f *fakeEngine) publish(topic event.Topic, events int) (event.Seq, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got[topic] += events
	f.last += event.Seq(events)
	return f.last, nil
}
func (f *fakeEngine) head() event.Seq               { return f.last }
func (*fakeEngine) address() string                 { return "" }
func (*fakeEngine) queries() int64                  { return 0 }
func (*fakeEngine) restart() (time.Duration, error) { return 0, nil }
func (*fakeEngine) close() error                    { return nil }

func TestPublishing(t *testing.T) {
	t.Parallel()
	for _, p := range []publishing{
		{Events: 7},
		{Events: 7, Batch: 3},
		{Events: 20, Users: 20, Publishers: 16, Stamps: true},
		{Events: 3, Users: 20, Publishers: 16},
		{Events: 47, Users: 20, Publishers: 3, Gap: time.Microsecond},
		{Events: 250, Users: 1, Batch: 100},
		{Events: 95, Users: 4, Batch: 10, Publishers: 3},
	} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			t.Parallel()
			e := &fakeEngine{last: 5, got: make(map[event.Topic]int)}
			done, err := p.run(e)
			if err != nil || done.After != 5 || done.Last != event.Seq(5+p.Events) {
				t.Fatalf("run() = %+v, %v", done, err)
			}
			if want := p.Events; p.Stamps && len(done.Stamps) != want {
				t.Errorf("%d stamps, want %d", len(done.Stamps), want)
			}
			want := map[event.Topic]int{}
			for user := range p.Users {
				if n := p.of(user); n > 0 {
					want[topicOf(user)] = n
				}
			}
			if p.Users == 0 {
				want[event.Everyone] = p.of(0)
			}
			if diff := cmp.Diff(want, e.got); diff != "" {
				t.Errorf("events by topic (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSumOf(t *testing.T) {
	t.Parallel()
	if got := sumOf(3, 6); got != 4+5+6 {
		t.Errorf("sumOf(3, 6) = %d, want 15", got)
	}
}
