package progress_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"herald/internal/job"
	"herald/internal/progress"
)

// silence notes when it is asked to look after whom.
type silence struct {
	began            time.Time
	fail             bool
	rescues, endings int
	heals            int
	sparedUntil      time.Duration // since began
	patience         job.Patience
}

func (s *silence) RescueJobs(context.Context, time.Duration) (int, error) {
	if s.fail {
		return 0, errors.New("the database is away")
	}
	s.rescues++
	return 0, nil
}

func (s *silence) EndSilence(_ context.Context, p job.Patience) (int, error) {
	if s.fail {
		return 0, errors.New("the database is away")
	}
	s.endings++
	s.patience = p
	if p.Spare {
		s.sparedUntil = time.Since(s.began)
	}
	return 0, nil
}

func (s *silence) HealRiver(context.Context) (int, error) {
	s.heals++
	return 0, errors.New("no right to update river_job")
}

// watch runs a Watch for so long, again with the same one if there is one.
func watch(t *testing.T, w *progress.Watch, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	w.Run(ctx)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &silence{began: time.Now()}
		w := progress.NewWatch(s, slog.New(slog.DiscardHandler), progress.WatchConfig{})
		watch(t, w, 3*time.Minute+time.Second)
		if s.rescues != 91 || s.endings != 91 || s.heals != 91 {
			t.Errorf("%d, %d and %d looks in three minutes, want one at once and one every 2 s", s.rescues, s.endings, s.heals)
		}
		if s.sparedUntil != 58*time.Second {
			t.Errorf("attempts are spared until %v, want a minute for workers to find Herald", s.sparedUntil)
		}
		want := job.Patience{Silence: 30 * time.Second, Lease: 10 * time.Minute, Cancel: time.Minute}
		if s.patience != want {
			t.Errorf("patience %+v, want %+v", s.patience, want)
		}
	})
}

// Whoever could not speak gets the time to do so: after the database was away, and
// after another led.
func TestWatchWaitsAfterAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &silence{fail: true}
		w := progress.NewWatch(s, slog.New(slog.DiscardHandler), progress.WatchConfig{})
		watch(t, w, time.Minute)
		s.fail, s.began = false, time.Now()
		watch(t, w, 9*time.Second)
		if s.rescues+s.endings != 0 {
			t.Errorf("%d jobs were looked at, want nodes to have time to speak", s.rescues)
		}
		watch(t, w, 2*time.Minute)
		if s.rescues == 0 || s.sparedUntil < time.Minute {
			t.Errorf("%d looks, attempts spared until %v, want a minute's grace anew", s.rescues, s.sparedUntil)
		}
	})
}
