package hub_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var jobs = []uuid.UUID{uuid.MustParse("00000000-0000-7000-8000-000000000001"), uuid.MustParse("00000000-0000-7000-8000-000000000002")} //nolint:gochecknoglobals // test data

func frame(seq event.Seq, t event.Type, j int, topics ...event.Topic) *hub.Frame {
	return &hub.Frame{Seq: seq, Type: t, JobID: jobs[j], Topics: topics, Bytes: []byte("frame " + strconv.Itoa(int(seq)))}
}

func seqs(frames []*hub.Frame) []event.Seq {
	var list []event.Seq
	for _, f := range frames {
		list = append(list, f.Seq)
	}
	return list
}

func TestPublishReachesThoseWhoFollowATopicOnce(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{})
	both := h.Subscribe([]event.Topic{"user:a", "all"}, 0)
	one := h.Subscribe([]event.Topic{"user:b"}, 0)
	defer both.Close()
	defer one.Close()

	h.Publish([]*hub.Frame{
		frame(1, event.JobStep, 0, "user:a", "all"),
		frame(2, event.JobStep, 0, "user:b"),
		frame(3, event.JobStep, 0, "user:c"),
		frame(4, event.JobStep, 0, "all"),
	})

	for _, tt := range []struct {
		name string
		sub  *hub.Subscription
		want []event.Seq
	}{{"both", both, []event.Seq{1, 4}}, {"one", one, []event.Seq{2}}} {
		frames, err := tt.sub.Next(t.Context())
		if diff := cmp.Diff(tt.want, seqs(frames)); diff != "" || err != nil {
			t.Errorf("Next() of %s: %v, -want +got:\n%s", tt.name, err, diff)
		}
	}
}

func TestSubscribeSkipsWhatIsNotAfterItsCursor(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{})
	s := h.Subscribe([]event.Topic{"all"}, 2)
	defer s.Close()
	h.Publish([]*hub.Frame{frame(2, event.JobStep, 0, "all"), frame(3, event.JobStep, 0, "all")})
	frames, err := s.Next(t.Context())
	if diff := cmp.Diff([]event.Seq{3}, seqs(frames)); diff != "" || err != nil {
		t.Errorf("Next(): %v, -want +got:\n%s", err, diff)
	}
}

func TestNewerProgressReplacesOlderOfTheSameJob(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{})
	s := h.Subscribe([]event.Topic{"all"}, 0)
	defer s.Close()
	h.Publish([]*hub.Frame{
		frame(1, event.JobProgress, 0, "all"),
		frame(2, event.JobProgress, 1, "all"),
		frame(3, event.JobStep, 0, "all"),
		frame(4, event.JobProgress, 0, "all"),
	})
	frames, err := s.Next(t.Context())
	if diff := cmp.Diff([]event.Seq{2, 3, 4}, seqs(frames)); diff != "" || err != nil {
		t.Errorf("Next(): %v, -want +got:\n%s", err, diff)
	}
}

func TestFullQueueEndsTheSubscriptionAndNoOther(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config hub.Config
	}{
		{"by frames", hub.Config{QueueFrames: 3}},
		{"by bytes", hub.Config{QueueBytes: 3 * len("frame 1")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := hub.New(tt.config)
			slow := h.Subscribe([]event.Topic{"all"}, 0)
			defer slow.Close()
			for seq := range event.Seq(4) {
				h.Publish([]*hub.Frame{frame(seq+1, event.JobStep, 0, "all")})
			}
			late := h.Subscribe([]event.Topic{"all"}, 4)
			defer late.Close()
			h.Publish([]*hub.Frame{frame(5, event.JobStep, 0, "all")})
			if _, err := slow.Next(t.Context()); !errors.Is(err, hub.ErrSlow) {
				t.Errorf("Next() of the slow one = %v, want %v", err, hub.ErrSlow)
			}
			if frames, err := late.Next(t.Context()); err != nil || len(frames) != 1 {
				t.Errorf("Next() of the other = %v, %v, want one frame", seqs(frames), err)
			}
		})
	}
}

func TestNextWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Config{})
		s := h.Subscribe([]event.Topic{"all"}, 0)
		defer s.Close()
		got := make(chan []*hub.Frame)
		go func() {
			frames, _ := s.Next(t.Context())
			got <- frames
		}()
		synctest.Wait()
		h.Publish([]*hub.Frame{frame(1, event.JobStep, 0, "all")})
		if diff := cmp.Diff([]event.Seq{1}, seqs(<-got)); diff != "" {
			t.Errorf("Next(): -want +got:\n%s", diff)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Next(ended) = %v, want %v", err, context.Canceled)
		}
	})
}

func TestCloseEndsSubscriptionsAfterWhatIsQueued(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{})
	s := h.Subscribe([]event.Topic{"all"}, 0)
	defer s.Close()
	h.Publish([]*hub.Frame{frame(1, event.JobStep, 0, "all")})
	h.Close()
	if frames, err := s.Next(t.Context()); err != nil || len(frames) != 1 {
		t.Errorf("Next() = %v, %v, want what was queued", seqs(frames), err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, hub.ErrClosing) {
		t.Errorf("Next() = %v, want %v", err, hub.ErrClosing)
	}
	late := h.Subscribe([]event.Topic{"all"}, 0)
	defer late.Close()
	if _, err := late.Next(t.Context()); !errors.Is(err, hub.ErrClosing) {
		t.Errorf("Next() of a late one = %v, want %v", err, hub.ErrClosing)
	}
}

// Whatever is published and whenever the reader takes, it gets every change of
// state once and in order, and the last progress of each job, or is told that
// it is too slow.
func TestQueueRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := hub.New(hub.Config{QueueFrames: rapid.IntRange(1, 8).Draw(t, "queue")})
		s := h.Subscribe([]event.Topic{"all"}, 0)
		defer s.Close()
		var got []*hub.Frame
		var published []*hub.Frame
		slow := false
		drain := func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			frames, err := s.Next(ctx)
			got = append(got, frames...)
			slow = slow || errors.Is(err, hub.ErrSlow)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "take") {
				drain()
				continue
			}
			kind := rapid.SampledFrom([]event.Type{event.JobProgress, event.JobStep}).Draw(t, "type")
			f := frame(event.Seq(len(published)+1), kind, rapid.IntRange(0, 1).Draw(t, "job"), "all")
			published = append(published, f)
			h.Publish([]*hub.Frame{f})
		}
		drain()
		if !slow {
			checkComplete(t, published, got)
		}
	})
}

func checkComplete(t *rapid.T, published, got []*hub.Frame) {
	t.Helper()
	has := make(map[event.Seq]bool)
	last := event.Seq(0)
	for _, f := range got {
		if f.Seq <= last {
			t.Fatalf("seq %d came after %d", f.Seq, last)
		}
		last = f.Seq
		has[f.Seq] = true
	}
	newest := make(map[uuid.UUID]event.Seq)
	for _, f := range published {
		if f.Type == event.JobProgress {
			newest[f.JobID] = f.Seq
		} else if !has[f.Seq] {
			t.Fatalf("state change %d was lost", f.Seq)
		}
	}
	for id, seq := range newest {
		if !has[seq] {
			t.Fatalf("the last progress of %s, %d, was lost", id, seq)
		}
	}
}
