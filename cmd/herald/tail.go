package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"herald"
)

type tailCmd struct {
	remote
	Jobs  []string `arg:"" optional:"" help:"Jobs to follow, until all have ended (default: what concerns the token's owner)."`
	Topic []string `help:"A topic to follow; may be repeated."`
	JSON  bool     `name:"json" help:"Print events as NDJSON."`
}

// Run follows jobs.
func (c *tailCmd) Run(ctx context.Context, t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	view := c.view(ctx, t)
	defer view.close()
	topics := c.Topic
	for _, id := range c.Jobs {
		topics = append(topics, "job:"+id)
	}
	f := &following{client: client, view: view, jobs: map[string]herald.Job{}}
	for e, err := range client.Events(ctx, topics...) {
		if err != nil {
			return err
		}
		if err := f.take(ctx, e, c.Jobs); err != nil {
			return err
		}
		if len(c.Jobs) > 0 && f.allEnded(c.Jobs) {
			return nil
		}
	}
	return nil
}

// view is where the jobs are seen.
type view interface {
	event(e herald.Event, j herald.Job) error // j is the zero Job when e is about none
	job(j herald.Job) error                   // as it was found, without an event
	close()
}

func (c *tailCmd) view(ctx context.Context, t *terminal) view {
	switch {
	case c.JSON:
		return jsonView{t.stdout}
	case isTerminal(t.stdout):
		return newBars(ctx, t.stdout)
	}
	return textView{t.stdout}
}

// following is the jobs that are followed.
type following struct {
	client *herald.Client
	view   view
	jobs   map[string]herald.Job
}

// take takes an event to the jobs.
func (f *following) take(ctx context.Context, e herald.Event, wanted []string) error {
	switch e.Type {
	case herald.StreamReset:
		return nil
	case herald.StreamSnapshot:
		return f.snapshot(ctx, e, wanted)
	}
	j, err := (herald.Job{}).Apply(e)
	if err != nil || j.ID == "" {
		return errors.Join(err, f.view.event(e, herald.Job{}))
	}
	known, ok := f.jobs[j.ID]
	if !ok && (e.Type == herald.JobProgress || e.Type == herald.JobMessage) {
		if known, err = f.client.Job(ctx, j.ID); err != nil { // it began before we looked
			known = herald.Job{}
		}
	}
	if j, err = known.Apply(e); err != nil {
		return err
	}
	if f.jobs[j.ID] = j; j.State.Ended() && len(wanted) == 0 {
		delete(f.jobs, j.ID)
	}
	return f.view.event(e, j)
}

// snapshot takes the active jobs, and those wanted that are not among them.
func (f *following) snapshot(ctx context.Context, e herald.Event, wanted []string) error {
	jobs, err := e.Jobs()
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, j := range jobs {
		have[j.ID] = true
	}
	for _, id := range wanted {
		if !have[id] {
			j, err := f.client.Job(ctx, id)
			if err != nil {
				return fmt.Errorf("job %s: %w", id, err)
			}
			jobs = append(jobs, j)
		}
	}
	for _, j := range jobs {
		if f.jobs[j.ID].Version >= j.Version {
			continue
		}
		f.jobs[j.ID] = j
		if err := f.view.job(j); err != nil {
			return err
		}
	}
	return nil
}

func (f *following) allEnded(ids []string) bool {
	for _, id := range ids {
		if !f.jobs[id].State.Ended() {
			return false
		}
	}
	return true
}

// jsonView prints NDJSON: events, and jobs as they were found.
type jsonView struct{ out io.Writer }

func (v jsonView) event(e herald.Event, _ herald.Job) error { return printJSON(v.out, e) }

func (v jsonView) job(j herald.Job) error {
	return printJSON(v.out, struct {
		Type string     `json:"type"`
		Data herald.Job `json:"data"`
	}{"job", j})
}

func (jsonView) close() {}

// textView prints a line for each event.
type textView struct{ out io.Writer }

func (v textView) event(e herald.Event, j herald.Job) error {
	_, err := fmt.Fprintf(v.out, "%s  %-14s  %s\n", e.Time.Local().Format(time.TimeOnly), plain(e.Type), describe(j))
	return err
}

func (v textView) job(j herald.Job) error {
	_, err := fmt.Fprintf(v.out, "%s  %-14s  %s\n", j.UpdatedAt.Local().Format(time.TimeOnly), stateOf(j), describe(j))
	return err
}

func (textView) close() {}

// describe says on one line how a job is doing.
func describe(j herald.Job) string {
	if j.ID == "" {
		return ""
	}
	return strings.Join(words(j.ID, percent(j.Progress), plain(j.Title), plain(j.Step), plain(j.Message), plain(j.Error)), "  ")
}

// words are the texts that say something.
func words(texts ...string) []string {
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// bars show each job as a bar that moves.
type bars struct {
	all  *mpb.Progress
	stop context.CancelFunc
	bars map[string]*bar
}

type bar struct {
	*mpb.Bar
	now *atomic.Pointer[herald.Job] // the bar draws it in a goroutine of its own
}

const (
	barSteps = 1000
	barWidth = 30
)

func newBars(ctx context.Context, out io.Writer) *bars {
	ctx, stop := context.WithCancel(ctx)
	return &bars{
		all:  mpb.NewWithContext(ctx, mpb.WithOutput(out), mpb.WithWidth(barWidth), mpb.WithAutoRefresh()),
		stop: stop, bars: map[string]*bar{},
	}
}

func (b *bars) event(e herald.Event, j herald.Job) error {
	if j.ID == "" {
		return nil
	}
	return b.job(j)
}

func (b *bars) job(j herald.Job) error {
	one, ok := b.bars[j.ID]
	if !ok {
		one = b.add(j)
		b.bars[j.ID] = one
	}
	one.now.Store(&j)
	one.SetCurrent(int64(j.Progress * barSteps))
	if j.State.Ended() {
		one.Abort(false)
		delete(b.bars, j.ID)
	}
	return nil
}

// add makes a bar.
func (b *bars) add(j herald.Job) *bar {
	now := &atomic.Pointer[herald.Job]{}
	now.Store(&j)
	made := b.all.AddBar(barSteps,
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return plain(now.Load().Title) + " " }, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + status(*now.Load()) })),
	)
	return &bar{Bar: made, now: now}
}

// status is what stands behind a job's bar.
func status(j herald.Job) string {
	text := strings.Join(words(percent(j.Progress)+" "+stateOf(j), plain(j.Step), plain(j.Message), plain(j.Error)), " · ")
	const longest = 60
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return text
}

// close leaves the bars as they are.
func (b *bars) close() {
	for _, one := range b.bars {
		one.Abort(false)
	}
	b.all.Wait()
	b.stop()
}
