package herald_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald"
	"herald/heraldtest"
)

// counted counts requests with reports.
type counted struct {
	http.RoundTripper
	n atomic.Int64
}

func (tr *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/reports") {
		tr.n.Add(1)
	}
	return tr.RoundTripper.RoundTrip(r)
}

// Whatever is said, however fast, and whatever the server does: no more requests
// than the pace allows for progress, none that makes a step or the end wait, every
// step in order and once, and the last of each thing said.
func TestPacing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) { checkPacing(t, rt) })
	})
}

func checkPacing(t *testing.T, rt *rapid.T) {
	t.Helper()
	const pace = 250 * time.Millisecond
	s := heraldtest.New()
	config := s.Config("robot")
	tr := &counted{RoundTripper: s.Transport()}
	config.HTTPClient = &http.Client{Transport: tr}
	client, err := herald.New(config)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := client.StartJob(t.Context(), herald.NewJob{Kind: "test", Title: "paced"})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var steps []string
	var progress float64
	message, urgent := "", 0
	for i := range rapid.IntRange(1, 60).Draw(rt, "says") {
		switch rapid.IntRange(0, 9).Draw(rt, "what") {
		case 0:
			step := fmt.Sprint("step ", i)
			before := tr.n.Load()
			steps = append(steps, step)
			r.Step(step)
			urgent++
			if synctest.Wait(); tr.n.Load() == before {
				rt.Fatal("a step was made to wait")
			}
		case 1:
			message = fmt.Sprint("message ", i)
			r.Message(message)
		default:
			progress += 0.01
			r.Progress(progress)
		}
		time.Sleep(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 20, 260, 6000}).Draw(rt, "ms")) * time.Millisecond)
	}
	before := time.Now()
	if rapid.Bool().Draw(rt, "ends") {
		if err := r.Succeed(t.Context(), nil); err != nil {
			rt.Fatal(err)
		}
		urgent++
		progress = 1
	}
	if err := r.Close(); err != nil {
		rt.Fatal(err)
	}
	if took := time.Since(before); took > 0 {
		rt.Fatalf("the end waited for %v", took)
	}
	if most := int64(time.Since(began)/pace) + int64(urgent) + 2; tr.n.Load() > most {
		rt.Fatalf("%d requests in %v, want at most %d", tr.n.Load(), time.Since(began), most)
	}
	j, _ := s.Job(r.ID())
	if j.Message != message || j.Progress < progress-1e-9 {
		rt.Fatalf("the job says %q, %v, want %q, %v", j.Message, j.Progress, message, progress)
	}
	var got []string
	for _, report := range s.Reports(r.ID()) {
		if report.Step != "" {
			got = append(got, report.Step)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(steps) {
		rt.Fatalf("steps %v, want %v", got, steps)
	}
}

// A silent worker is heard of.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := heraldtest.New()
		r, _, err := s.Client("robot").StartJob(t.Context(), herald.NewJob{Kind: "test", Title: "silent"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.Reports(r.ID())); n < 11 || n > 13 {
			t.Errorf("%d heartbeats in a minute, want one each 5 s", n)
		}
	})
}

// A server that is away for a while costs nothing but time.
func TestReportsSurviveAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := heraldtest.New()
		r, work, err := s.Client("robot").StartJob(t.Context(), herald.NewJob{Kind: "test", Title: "patient"})
		if err != nil {
			t.Fatal(err)
		}
		s.Fail(heraldtest.Fault{}, heraldtest.Fault{After: true}, heraldtest.Fault{Status: 503, RetryAfter: 7 * time.Second}, heraldtest.Fault{Status: 502})
		began := time.Now()
		r.Step("one")
		time.Sleep(time.Second)
		r.Step("two")
		r.Progress(0.5)
		if err := r.Succeed(work, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 7*time.Second {
			t.Errorf("it took %v, want Retry-After honoured", took)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		var steps []string
		for _, e := range timeline(t, s, r.ID()) {
			if e.Type == herald.JobProgress { // nothing but steps and an end was said
				t.Error("a report was recorded twice")
			}
			if j, err := (herald.Job{}).Apply(e); e.Type == herald.JobStep || e.Type == herald.JobSucceeded {
				steps = append(steps, j.Step)
				if err != nil {
					t.Error(err)
				}
			}
		}
		if fmt.Sprint(steps) != "[one two]" {
			t.Errorf("steps %v, want each once", steps)
		}
	})
}

func timeline(t *testing.T, s *heraldtest.Server, id string) []herald.Event {
	t.Helper()
	events, err := s.Client("robot").JobEvents(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// Close does not wait for ever, and says what is lost.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := heraldtest.New()
		r, work, err := s.Client("robot").StartJob(t.Context(), herald.NewJob{Kind: "test", Title: "alone"})
		if err != nil {
			t.Fatal(err)
		}
		s.Fail(make([]heraldtest.Fault, 10_000)...)
		began := time.Now()
		r.Message("hello?")
		if err := r.Close(); err == nil {
			t.Error("Close() = nil, want to hear of what was lost")
		}
		if took := time.Since(began); took > 31*time.Second {
			t.Errorf("Close took %v", took)
		}
		if !errors.Is(context.Cause(work), context.Canceled) {
			t.Errorf("the work's context: %v", context.Cause(work))
		}
	})
}

func TestCallsAreRepeatedWithinBounds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		faults []heraldtest.Fault
		wanted error
		took   [2]time.Duration // at least, at most
	}{
		"at once":             {nil, nil, [2]time.Duration{0, 0}},
		"after some":          {[]heraldtest.Fault{{}, {Status: 500}, {Status: 429}}, nil, [2]time.Duration{700 * time.Millisecond, 1400 * time.Millisecond}},
		"when the server may": {[]heraldtest.Fault{{Status: 429, RetryAfter: 20 * time.Second}}, nil, [2]time.Duration{20 * time.Second, 20 * time.Second}},
		"not for an hour":     {[]heraldtest.Fault{{Status: 503, RetryAfter: time.Hour}}, herald.ErrUnavailable, [2]time.Duration{0, 0}},
		"not when refused":    {[]heraldtest.Fault{{Status: 403}, {}}, herald.ErrForbidden, [2]time.Duration{0, 0}},
		"five times":          {make([]heraldtest.Fault, 9), nil, [2]time.Duration{1500 * time.Millisecond, 3 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := heraldtest.New()
				s.Fail(tt.faults...)
				began := time.Now()
				_, err := s.Client("robot").CreateJob(t.Context(), herald.NewJob{Kind: "test", Title: "x", External: true})
				if took := time.Since(began); took < tt.took[0] || took > tt.took[1] {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if name == "five times" && err == nil || tt.wanted != nil && !errors.Is(err, tt.wanted) {
					t.Errorf("CreateJob() = %v, want %v", err, tt.wanted)
				}
			})
		})
	}
}

// Of a job's second life, it is not known whether it was asked for.
func TestRetryJobIsNotRepeatedBlindly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := heraldtest.New()
		c := s.Client("robot")
		j, err := c.CreateJob(t.Context(), herald.NewJob{Kind: "test", Title: "x", External: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Cancel(j.ID); err != nil {
			t.Fatal(err)
		}
		s.Fail(heraldtest.Fault{After: true})
		if _, err := c.RetryJob(t.Context(), j.ID); err == nil || errors.Is(err, herald.ErrConflict) {
			t.Errorf("RetryJob() = %v, want that the connection broke", err)
		}
	})
}

func TestStreamSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := heraldtest.New()
		publish := func(n int) {
			if err := s.Publish("order.paid", map[string]int{"n": n}, "user:alice"); err != nil {
				t.Error(err)
			}
		}
		var got []string
		for e, err := range s.Client("alice").Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			switch got = append(got, fmt.Sprint(e.Type, " ", e.Seq)); len(got) {
			case 1:
				publish(1)
			case 2: // the caller is slow, and the log is let go of while it is away
				s.Interrupt()
				publish(2)
				s.Forget()
			case 4:
				publish(3)
			}
			if len(got) == 5 {
				break
			}
		}
		want := "[stream.snapshot 0 order.paid 1 stream.reset 0 stream.snapshot 2 order.paid 3]"
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
}

func TestStreamEndsWithWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := heraldtest.New()
	for _, err := range s.Client("alice").Events(t.Context(), "nonsense") {
		if !errors.Is(err, herald.ErrInvalid) {
			t.Errorf("the stream says %v, want %v", err, herald.ErrInvalid)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "herald.example", "ftp://herald.example", "http://", "http://a b"} {
		if _, err := herald.New(herald.Config{URL: url}); err == nil {
			t.Errorf("New(%q) takes it", url)
		}
	}
	if _, err := herald.New(herald.Config{URL: "http://x", Token: "a\nb"}); err == nil {
		t.Error("a token with a line break is taken")
	}
}

// A million calls are some hundred reports.
func BenchmarkReporterProgress(b *testing.B) {
	s := heraldtest.New()
	r, _, err := s.Client("robot").StartJob(b.Context(), herald.NewJob{Kind: "bench", Title: "busy"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r.Progress(float64(n) / float64(b.N+1))
		n++
	}
	b.StopTimer()
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(s.Reports(r.ID()))), "reports")
}
