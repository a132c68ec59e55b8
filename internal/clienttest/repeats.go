package clienttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald"
)

// Concurrent requests under one key are one request.
func once(t *testing.T, target Target) {
	robot := target.client(t, "robot")
	n := build("once")
	n.Key, n.External = "tonight", true
	ids := make([]string, 8)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			if j, err := robot.CreateJob(t.Context(), n); err != nil {
				t.Error(err)
			} else {
				ids[i] = j.ID
			}
		})
	}
	group.Wait()
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 {
		t.Errorf("jobs %v, want one", ids)
	}
	n.Title = "twice"
	if _, err := robot.CreateJob(t.Context(), n); !errors.Is(err, herald.ErrInvalid) {
		t.Errorf("another job under the key: %v", err)
	}
}

// unreliable loses requests, answers, and sends requests twice at once, by chance.
type unreliable struct {
	http.RoundTripper
	mu   sync.Mutex
	rand *rand.Rand
}

var errLost = errors.New("lost on the way")

func (u *unreliable) RoundTrip(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	fate := u.rand.IntN(4)
	u.mu.Unlock()
	switch {
	case r.Method == http.MethodGet || fate == 0:
		return u.RoundTripper.RoundTrip(r)
	case fate == 1:
		return nil, errLost
	}
	twin := r.Clone(r.Context())
	if r.GetBody != nil {
		var err error
		if twin.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		if res, err := u.RoundTripper.RoundTrip(twin); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
	res, err := u.RoundTripper.RoundTrip(r)
	group.Wait()
	if err == nil && fate == 2 {
		_ = res.Body.Close()
		return nil, errLost
	}
	return res, err
}

// unreliably makes a client unreliable, and patient.
func unreliably(seed uint64) func(*herald.Config) {
	return func(c *herald.Config) {
		transport := http.DefaultTransport
		if c.HTTPClient != nil && c.HTTPClient.Transport != nil {
			transport = c.HTTPClient.Transport
		}
		c.HTTPClient = &http.Client{Transport: &unreliable{RoundTripper: transport, rand: rand.New(rand.NewPCG(seed, 0))}}
		c.Attempts, c.MaxWait = 50, 5*time.Millisecond
	}
}

// However many requests and answers are lost, each step is recorded once, in
// order, and there is one job.
func lostAnswers(t *testing.T, target Target) {
	seed := rand.Uint64()
	robot := target.client(t, "robot", unreliably(seed))
	r, _ := start(t, robot, build("unreliable"))
	var want []string
	for i := range 20 {
		step := fmt.Sprintf("step %d", i)
		want = append(want, step)
		r.Step(step)
	}
	if err := r.Succeed(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	wait(t, func() bool {
		got = nil
		ended := false
		for _, e := range must[[]herald.Event](t)(target.client(t, "alice").JobEvents(t.Context(), r.ID(), 0)) {
			var j herald.Job
			if err := json.Unmarshal(e.Data, &j); err != nil {
				t.Fatal(err)
			}
			if e.Type == herald.JobStep || e.Type == herald.JobSucceeded { // the last step may come with the end
				got = append(got, j.Step)
			}
			if e.Type == herald.JobProgress { // nobody has said so: a step was recorded twice
				t.Errorf("seed %d: %s at %d", seed, e.Type, j.Version)
			}
			ended = ended || e.Type == herald.JobSucceeded
		}
		return ended
	})
	if n := len(got); n > 1 && got[n-1] == got[n-2] {
		got = got[:n-1]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seed %d: steps: -want +got:\n%s", seed, diff)
	}
	jobs := 0
	for range target.client(t, "alice").Jobs(t.Context(), herald.JobFilter{}) {
		jobs++
	}
	if jobs != 1 {
		t.Errorf("seed %d: %d jobs, want 1", seed, jobs)
	}
}
