package doctor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/doctor"
)

func TestRun(t *testing.T) {
	t.Parallel()
	look := func(f doctor.Finding) func(context.Context) doctor.Finding {
		return func(context.Context) doctor.Finding { return f }
	}
	var got []doctor.Finding
	tell := func(f doctor.Finding) { got = append(got, f) }
	checks := []doctor.Check{
		{"a", look(doctor.Good("%d is well", 1))},
		{"b", look(doctor.Finding{})},
		{"c", look(doctor.Worse("do", "slow"))},
	}
	if !doctor.Run(t.Context(), checks, tell) {
		t.Error("Run() = false without a problem")
	}
	if doctor.Run(t.Context(), []doctor.Check{{"d", look(doctor.Wrong("mend", "broken"))}, checks[0]}, tell) {
		t.Error("Run() = true with a problem")
	}
	want := []doctor.Finding{
		{"a", doctor.OK, "1 is well", ""},
		{"c", doctor.Warning, "slow", "do"},
		{"d", doctor.Problem, "broken", "mend"},
		{"a", doctor.OK, "1 is well", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// A check that hangs is given up, whether it heeds its context or not.
func TestACheckThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, release := time.Now(), make(chan struct{})
		var got []string
		doctor.Run(t.Context(), []doctor.Check{
			{"deaf", func(context.Context) doctor.Finding { <-release; return doctor.Good("late") }},
			{"heeding", func(ctx context.Context) doctor.Finding { <-ctx.Done(); return doctor.Wrong("", "%v", ctx.Err()) }},
		}, func(f doctor.Finding) { got = append(got, string(f.Level)+" "+f.Found) })
		want := []string{"problem there was no answer within 5s", "problem context deadline exceeded"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		if took := time.Since(began); took > 2*doctor.LookTime+time.Second {
			t.Errorf("two checks took %v", took)
		}
		close(release)
	})
}

// database answers as it is told to.
type database struct {
	state                       doctor.State
	unreachable, noSession, err error
	old                         bool
	rows                        int
	oldest                      time.Duration
}

func (d database) State(context.Context) (doctor.State, error)   { return d.state, d.unreachable }
func (d database) SchemaIsCurrent(context.Context) (bool, error) { return !d.old, d.err }
func (d database) CheckSession(context.Context) error            { return d.noSession }
func (d database) Backlog(context.Context) (int, time.Duration, error) {
	return d.rows, d.oldest, d.err
}

func TestDatabaseChecks(t *testing.T) {
	t.Parallel()
	const node = 20
	for _, tt := range []struct {
		name   string
		change func(*database)
		want   string // the only finding that is not ok, where there is one
	}{
		{"all well", func(*database) {}, ""},
		{"no answer", func(d *database) { d.unreachable = errors.New("refused") }, "problem database refused"},
		{"too old", func(d *database) { d.state.Version = 130009 }, "problem database Postgres 13.9"},
		{"newer", func(d *database) { d.state.Version = 190001 }, "warning database Postgres 19.1"},
		{"standby", func(d *database) { d.state.ReadOnly = true }, "problem database Postgres 17.2, database db, as ann: it is read-only"},
		{"rights", func(d *database) { d.state.Lacking = []string{"this", "that"} }, "problem rights the role ann lacks: this, that"},
		{"pooler", func(d *database) { d.noSession = errors.New("pooler") }, "problem sessions pooler"},
		{"no schema", func(d *database) { d.state.Schema = false }, "problem schema Herald's schema is not there"},
		{"old schema", func(d *database) { d.old = true }, "problem schema Herald's schema is older"},
		{"clock ahead", func(d *database) { d.state.Ahead = 3 * time.Second }, "warning clock the database's clock and this machine's differ by 2.9s"},
		{"clock behind", func(d *database) { d.state.Ahead = -time.Minute }, "problem clock"},
		{"clock perhaps", func(d *database) { d.state.Ahead, d.state.Unsure = time.Minute, time.Minute }, ""},
		{"fsync", func(d *database) { d.state.Off = []string{"fsync"} }, "problem durability off: fsync"},
		{"few connections", func(d *database) { d.state.Connections = 19 }, "problem connections"},
		{"no room for another", func(d *database) { d.state.Used = 85 }, "warning connections 85 of 100"},
		{"no leader", func(d *database) { d.state.Leads = false }, ""},
		{"no leader, work", func(d *database) { d.state.Leads, d.rows = false, 3 }, "warning log no node leads the log, and 3 events wait"},
		{"behind", func(d *database) { d.rows, d.oldest = 3, time.Minute }, "warning log 3 events wait in the outbox, the oldest for 1m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := database{state: doctor.State{
				Version: 170002, Database: "db", Role: "ann", Unsure: 100 * time.Millisecond, Schema: true, Connections: 100, Used: 10, Leads: true,
			}}
			tt.change(&d)
			var bad []string
			n := 0
			doctor.Run(t.Context(), doctor.DatabaseChecks(d, node), func(f doctor.Finding) {
				n++
				if f.Level != doctor.OK {
					bad = append(bad, string(f.Level)+" "+f.Check+" "+f.Found)
				}
				if (f.Level == doctor.OK) != (f.Advice == "") {
					t.Errorf("%s: %s with the advice %q", f.Check, f.Level, f.Advice)
				}
			})
			if got := strings.Join(bad, "; "); (tt.want == "") != (got == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			if want := map[bool]int{true: 8, false: 1}[d.unreachable == nil]; n != want {
				t.Errorf("%d findings, want %d", n, want)
			}
		})
	}
}
