package hub_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

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

func texts(frames []*hub.Frame) []string {
	var list []string
	for _, f := range frames {
		list = append(list, string(f.Bytes))
	}
	return list
}

// words are short, for tests to compare.
func words() hub.Words {
	return hub.Words{
		Heartbeat: []byte("beat"),
		Expiring:  func(time.Time) []byte { return []byte("expiring") },
		Expired:   func() []byte { return []byte("expired") },
		Closing:   func() []byte { return []byte("closing") },
	}
}

// start runs a hub until the returned function is called.
func start(config hub.Config) (*hub.Hub, func()) {
	h := hub.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Run(ctx)
	}()
	return h, func() {
		cancel()
		<-done
	}
}

// open runs a hub until the test ends.
func open(t *testing.T, config hub.Config) *hub.Hub {
	t.Helper()
	h, stop := start(config)
	t.Cleanup(stop)
	return h
}

func follow(topics ...event.Topic) hub.Stream { return hub.Stream{ID: uuid.New(), Topics: topics} }

// taken takes what is there, and why the subscription has ended.
func taken(s *hub.Subscription) ([]*hub.Frame, error) {
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	frames, err := s.Next(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return frames, err
}

func wantSeqs(t *testing.T, s *hub.Subscription, want ...event.Seq) {
	t.Helper()
	frames, err := taken(s)
	if diff := cmp.Diff(want, seqs(frames)); diff != "" || err != nil {
		t.Errorf("Next(): %v, -want +got:\n%s", err, diff)
	}
}

func TestPublishReachesThoseWhoFollowATopicOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		both := h.Subscribe(follow("user:a", "all"), nil, 0)
		one := h.Subscribe(follow("user:b"), nil, 0)
		h.Publish([]*hub.Frame{
			frame(1, event.JobStep, 0, "user:a", "all"),
			frame(2, event.JobStep, 0, "user:b"),
			frame(3, event.JobStep, 0, "user:c"),
			frame(4, event.JobStep, 0, "all"),
		})
		wantSeqs(t, both, 1, 4)
		wantSeqs(t, one, 2)
		both.Close(nil)
		h.Publish([]*hub.Frame{frame(5, event.JobStep, 0, "user:b")})
		wantSeqs(t, one, 5)
	})
}

func TestWhoFollowsTheWholeLogGetsEachEventOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		whole := h.Subscribe(follow(event.WholeLog, "user:a", "all"), nil, 0)
		one := h.Subscribe(follow("user:a"), nil, 0)
		h.Publish([]*hub.Frame{
			frame(1, event.JobStep, 0, "user:a", "all"),
			frame(2, event.JobStep, 0, "client:x"),
			frame(3, event.JobStep, 0),
		})
		wantSeqs(t, whole, 1, 2, 3)
		wantSeqs(t, one, 1)
		whole.Close(nil)
		h.Publish([]*hub.Frame{frame(4, event.JobStep, 0, "user:a")})
		wantSeqs(t, one, 4)
	})
}

func TestAClientHasATopicOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		stream := follow("all")
		s, other := h.Subscribe(stream, nil, 0), h.Subscribe(follow("all"), nil, 0)
		h.Publish([]*hub.Frame{frame(1, event.JobStep, 0, event.ClientTopic(stream.ID)), frame(2, event.JobStep, 0, "client:x")})
		wantSeqs(t, s, 1)
		wantSeqs(t, other)
	})
}

func TestSubscribeBeginsWithWhatIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{QueueFrames: 1})
		s := h.Subscribe(follow("all"), []*hub.Frame{frame(1, event.JobStep, 0, "all"), frame(2, event.JobStep, 0, "all")}, 4)
		wantSeqs(t, s, 1, 2)
		h.Publish([]*hub.Frame{frame(4, event.JobStep, 0, "all"), frame(5, event.JobStep, 0, "all")})
		wantSeqs(t, s, 5)
	})
}

func TestFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		stream := follow("all")
		stream.Filter = &event.Filter{Types: []string{"job.step"}, Metadata: map[string][]string{"team": {"red"}}}
		s := h.Subscribe(stream, nil, 0)
		red := frame(2, event.JobStep, 0, "all")
		red.Metadata = event.Metadata{"team": "red"}
		other := frame(3, event.JobFailed, 0, "all")
		other.Metadata = red.Metadata
		h.Publish([]*hub.Frame{frame(1, event.JobStep, 0, "all"), red, other})
		wantSeqs(t, s, 2)
	})
}

func TestNewerProgressReplacesOlderOfTheSameJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		whole := follow("all")
		whole.Whole = true
		s, all := h.Subscribe(follow("all"), nil, 0), h.Subscribe(whole, nil, 0)
		h.Publish([]*hub.Frame{
			frame(1, event.JobProgress, 0, "all"),
			frame(2, event.JobProgress, 1, "all"),
			frame(3, event.JobStep, 0, "all"),
			frame(4, event.JobProgress, 0, "all"),
		})
		wantSeqs(t, s, 2, 3, 4)
		wantSeqs(t, all, 1, 2, 3, 4)
	})
}

func TestFullQueueEndsTheSubscriptionAndNoOther(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]hub.Config{
		"by frames": {QueueFrames: 3, Words: words()},
		"by bytes":  {QueueBytes: 3 * len("frame 1"), Words: words()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := open(t, config)
				var ends []error
				stream := follow("all")
				stream.Ended = func(why error, _ event.Seq) { ends = append(ends, why) }
				slow := h.Subscribe(stream, nil, 0)
				for seq := range event.Seq(4) {
					h.Publish([]*hub.Frame{frame(seq+1, event.JobStep, 0, "all")})
				}
				other := h.Subscribe(follow("all"), nil, 4)
				h.Publish([]*hub.Frame{frame(5, event.JobStep, 0, "all")})
				if frames, err := taken(slow); !errors.Is(err, hub.ErrSlow) {
					t.Errorf("Next() of the slow one = %v, %v, want %v", seqs(frames), err, hub.ErrSlow)
				}
				wantSeqs(t, other, 5)
				slow.Close(nil)
				synctest.Wait()
				if len(ends) != 1 || !errors.Is(ends[0], hub.ErrSlow) {
					t.Errorf("ended with %v, want %v, once", ends, hub.ErrSlow)
				}
			})
		})
	}
}

func TestNextWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		s := h.Subscribe(follow("all"), nil, 0)
		wantSeqs(t, s)
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
	})
}

func TestAQuietStreamGetsSignsOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{Words: words()})
		s := h.Subscribe(follow("all"), nil, 0)
		began := time.Now()
		for range 3 {
			frames, err := s.Next(t.Context())
			took := time.Since(began)
			began = time.Now()
			if diff := cmp.Diff([]string{"beat"}, texts(frames)); diff != "" || err != nil {
				t.Fatalf("Next(): %v, -want +got:\n%s", err, diff)
			}
			if took < 12*time.Second || took > 16*time.Second {
				t.Errorf("it came after %v, want 12 to 15 s and at most a tick", took)
			}
		}
		time.Sleep(10 * time.Second)
		h.Publish([]*hub.Frame{frame(1, event.JobStep, 0, "all")})
		time.Sleep(10 * time.Second)
		wantSeqs(t, s, 1) // and no beat
	})
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		life  time.Duration
		after []time.Duration // when what comes comes, at the latest
		want  []string
	}{
		{"later", 90 * time.Second, []time.Duration{31 * time.Second, 91 * time.Second}, []string{"expiring", "expired"}},
		{"at once", 0, []time.Duration{time.Second}, []string{"expiring", "expired"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := open(t, hub.Config{Words: words()})
				stream := follow("all")
				began := time.Now()
				stream.Expires = began.Add(tt.life)
				s := h.Subscribe(stream, nil, 0)
				var said []string
				at := map[string]time.Duration{}
				for {
					frames, err := s.Next(t.Context())
					for _, word := range texts(frames) {
						if word != "beat" {
							said = append(said, word)
							at[word] = time.Since(began)
						}
					}
					if errors.Is(err, hub.ErrExpired) {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(tt.want, said); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if at["expired"] < tt.life || at["expired"] > tt.life+time.Second || at["expiring"] > max(tt.life-59*time.Second, time.Second) {
					t.Errorf("said %v of a token that ends after %v", at, tt.life)
				}
			})
		})
	}
}

func TestAHubThatStopsTellsEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, stop := start(hub.Config{Words: words()})
		s := h.Subscribe(follow("all"), nil, 0)
		h.Publish([]*hub.Frame{frame(1, event.JobStep, 0, "all")})
		opened, err := h.Open()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-h.Closing()
			late := h.Subscribe(follow("all"), []*hub.Frame{frame(1, event.JobStep, 0, "all")}, 1)
			opened()
			wantEnd(t, late, "frame 1", "closing")
		}()
		stop()
		wantEnd(t, s, "frame 1", "closing")
		if _, err := h.Open(); !errors.Is(err, hub.ErrClosing) {
			t.Errorf("Open() = %v, want %v", err, hub.ErrClosing)
		}
		wantEnd(t, h.Subscribe(follow("all"), nil, 0))
		synctest.Wait()
	})
}

// wantEnd takes all there is to the end of a hub.
func wantEnd(t *testing.T, s *hub.Subscription, want ...string) {
	t.Helper()
	var got []string
	for {
		frames, err := s.Next(context.Background())
		got = append(got, texts(frames)...)
		if errors.Is(err, hub.ErrClosing) {
			break
		} else if err != nil {
			t.Errorf("Next() = %v", err)
			return
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestInterruptAndDisconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		one, two := follow("all"), follow("all")
		first, second := h.Subscribe(one, nil, 0), h.Subscribe(two, nil, 0)
		h.Disconnect(one.ID, hub.ErrDisconnected)
		h.Disconnect(uuid.New(), hub.ErrDisconnected)
		if _, err := taken(first); !errors.Is(err, hub.ErrDisconnected) {
			t.Errorf("Next() = %v, want %v", err, hub.ErrDisconnected)
		}
		if _, err := taken(second); err != nil {
			t.Errorf("Next() of another = %v", err)
		}
		h.Interrupt(event.ErrTooOld)
		if _, err := taken(second); !errors.Is(err, event.ErrTooOld) {
			t.Errorf("Next() = %v, want %v", err, event.ErrTooOld)
		}
	})
}

func TestWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, hub.Config{})
		stream, other := follow("all"), follow("user:a")
		s := h.Subscribe(stream, nil, 0)
		h.Subscribe(other, nil, 0)
		h.Publish([]*hub.Frame{frame(7, event.JobStep, 0, "all")})
		for _, want := range [][]hub.Position{
			nil, // taken, but perhaps not written
			{{ID: stream.ID, Written: 7}},
			nil, // nothing new
		} {
			_, _ = taken(s)
			got, err := h.Written(t.Context())
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Written(): %v, -want +got:\n%s", err, diff)
			}
		}
	})
}

// Whatever is published and whenever the reader takes, it gets every change of
// state once and in order, and the last progress of each job, or is told that
// it is too slow.
func TestQueueRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		queue := rapid.IntRange(1, 40).Draw(rt, "queue")
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"take", "progress 0", "progress 1", "step"}), 1, 150).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			h, stop := start(hub.Config{QueueFrames: queue})
			defer stop()
			s := h.Subscribe(follow("all"), nil, 0)
			var got, published []*hub.Frame
			slow := false
			for _, step := range append(steps, "take") {
				kind, job := event.JobProgress, 0
				switch step {
				case "take":
					frames, err := taken(s)
					got = append(got, frames...)
					slow = slow || errors.Is(err, hub.ErrSlow)
					continue
				case "progress 1":
					job = 1
				case "step":
					kind = event.JobStep
				}
				f := frame(event.Seq(len(published)+1), kind, job, "all")
				published = append(published, f)
				h.Publish([]*hub.Frame{f})
			}
			if !slow {
				checkComplete(t, published, got)
			}
		})
	})
}

func checkComplete(t *testing.T, published, got []*hub.Frame) {
	t.Helper()
	list := seqs(got)
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Fatalf("got %v, want each once, in order", list)
	}
	newest := make(map[uuid.UUID]event.Seq)
	for _, f := range published {
		if f.Type == event.JobProgress {
			newest[f.JobID] = f.Seq
		} else if !slices.Contains(list, f.Seq) {
			t.Fatalf("state change %d was lost", f.Seq)
		}
	}
	for id, seq := range newest {
		if !slices.Contains(list, seq) {
			t.Fatalf("the last progress of %s, %d, was lost", id, seq)
		}
	}
}
