package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
)

type streamCmd struct {
	output
	Only        []string `help:"Measure these alone: idle, fanout, one, burst, resume, storm, drain, stalled, hostile." enum:"idle,fanout,one,burst,resume,storm,drain,stalled,hostile" placeholder:"NAME"`
	Connections int      `help:"How many clients connect." default:"10000"`
	CPUProfile  string   `name:"cpuprofile" help:"Write a CPU profile of Herald's last server to this file, of what follows when its clients are connected." type:"path"`
}

// The engines: Herald's is held against nothing but a loop around write(2), and
// the handler that one writes without further thought.
const (
	ours     = "ours"
	bare     = "bare"
	ordinary = "ordinary"
)

// streamPlan is how much of what is measured.
type streamPlan struct {
	rounds      int // of every comparison
	connections int
	few         int // connections, for a fan-out to not so many
	fanouts     int // events to all
	singles     int // times an event to each, of its own
	bursts      int // times several events to all
	latencies   int // events to one, one after the other
	missed      int // events that a client resumes after
	resumes     int
	restarts    int
	drains      int   // times a node ends with all connected
	stalled     int   // clients that do not read
	steadies    int   // events to everyone, beside a crowd and without one
	leftover    int64 // bytes of memory that may be left of a crowd, beside the log's growth
}

// streamBench is one run.
type streamBench struct {
	output
	plan    streamPlan
	secret  []byte // signs the clients' tokens
	profile string
	taken   samples
	sources int // addresses that clients have had
}

// Run measures and prints.
func (c *streamCmd) Run(ctx context.Context) error {
	p := streamPlan{
		rounds: 5, connections: c.Connections, few: 1000, fanouts: 20, singles: 15, bursts: 10, latencies: 2000,
		missed: 10_000, resumes: 20, restarts: 5, drains: 5, stalled: 1000, steadies: 1000, leftover: 16 << 20,
	}
	if c.Quick {
		p.rounds, p.fanouts, p.singles, p.bursts, p.latencies = 1, 3, 3, 2, 300
		p.resumes, p.restarts, p.drains, p.steadies = 3, 1, 1, 150
	}
	p, err := p.fit(os.Stderr)
	if err != nil {
		return err
	}
	b := streamBench{output: c.output, plan: p, secret: make([]byte, 32), profile: c.CPUProfile, taken: make(samples)}
	_, _ = rand.Read(b.secret) // never fails
	if err := b.measure(ctx, c.Only); err != nil {
		return err
	}
	if c.JSON {
		return c.show(os.Stdout, b.figures())
	}
	return b.table(os.Stdout)
}

// fit returns the plan as the limit of open files allows it, and says what that
// changes.
func (p streamPlan) fit(w io.Writer) (streamPlan, error) {
	const others = 100 // files that are not connections
	limit, err := openFiles()
	if err != nil {
		return p, err
	}
	if most := limit - others; p.connections > most {
		fmt.Fprintf(w, "the limit of open files is %d (ulimit -Hn): %d clients connect instead of %d\n", limit, most, p.connections)
		p.connections = most
	}
	p.few, p.stalled = min(p.few, p.connections), min(p.stalled, p.connections)
	if p.connections < 1 {
		return p, fmt.Errorf("%d clients measure nothing", p.connections)
	}
	return p, nil
}

// measure takes what is asked for, or everything. The engines take turns, in
// another order each round.
func (b *streamBench) measure(ctx context.Context, only []string) error {
	asked := func(name string) bool { return len(only) == 0 || slices.Contains(only, name) }
	engines := []string{bare, ours, ordinary}
	for round := range b.plan.rounds {
		for i := range engines {
			engine := engines[(round+i)%len(engines)]
			if err := b.visit(ctx, engine, asked); err != nil {
				return fmt.Errorf("%s: %w", engine, err)
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, b.plan.rounds, engine)
		}
	}
	for _, m := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"resume", b.resumeFromMemory},
		{"resume", b.resumeFromLog},
		{"stalled", b.stall},
		{"hostile", b.hostile},
	} {
		if !asked(m.name) {
			continue
		}
		if err := m.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if ends := chosen(asked, named{"storm", b.storm}, named{"drain", b.drain}); len(ends) > 0 {
		return b.connected(ctx, ours, b.plan.connections, false, ends...)
	}
	return nil
}

// measureFunc measures an engine whose clients are connected.
type measureFunc func(ctx context.Context, s *session, engine string) error

type named struct {
	name    string
	measure measureFunc
}

// chosen returns those that are asked for. An error of theirs tells the name.
func chosen(asked func(string) bool, all ...named) []measureFunc {
	var measures []measureFunc
	for _, m := range all {
		if !asked(m.name) {
			continue
		}
		measures = append(measures, func(ctx context.Context, s *session, engine string) error {
			if err := m.measure(ctx, s, engine); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			return nil
		})
	}
	return measures
}

// visit measures one engine.
func (b *streamBench) visit(ctx context.Context, engine string, asked func(string) bool) error {
	if asked("fanout") {
		if err := b.connected(ctx, engine, b.plan.few, false, b.fanoutToFew); err != nil {
			return err
		}
	}
	measures := chosen(asked, named{"fanout", b.fanout}, named{"one", b.oneToOne}, named{"burst", b.burst})
	if len(measures) == 0 && !asked("idle") {
		return nil
	}
	return b.connected(ctx, engine, b.plan.connections, asked("idle"), measures...)
}
