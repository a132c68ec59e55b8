package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"herald/internal/event"
	"herald/internal/postgres"
)

type historyCmd struct {
	output
	Events  int      `help:"Events in the log (default: 10 million, or 500,000 with --quick)."`
	Data    string   `help:"Folder that keeps the log, so that the next run need not fill one (default: none does)." type:"path"`
	Only    []string `help:"Ask these questions alone." placeholder:"NAME"`
	Cold    bool     `help:"Leave it to chance which of the log is in the machine's memory (default: it is read once before each question)."`
	Explain bool     `help:"Print the plans of what is measured instead."`
}

// Run measures pages of history.
func (c *historyCmd) Run(ctx context.Context) error {
	const fewest = 10_000
	if c.Events == 0 {
		c.Events = 10_000_000
		if c.Quick {
			c.Events = 500_000
		}
	}
	if c.Events < fewest || c.Events%historyBatch != 0 {
		return fmt.Errorf("%d events: want %d or more, by tens", c.Events, fewest)
	}
	// A partition that is filled in the transaction that makes it needs no log of what is written.
	server, stop, err := c.startIn(ctx, c.Data, map[string]string{
		"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "8GB", "maintenance_work_mem": "256MB",
	})
	if err != nil {
		return err
	}
	defer stop()
	name := fmt.Sprint("history_", c.Events) // logs of several lengths may be kept
	if err := makeDatabase(ctx, server.URL("postgres"), name); err != nil {
		return err
	}
	url := server.URL(name)
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	if err := fillHistory(ctx, url, c.Events); err != nil {
		return err
	}
	h := history{events: c.Events, rounds: 200, most: 4 * time.Second, cold: c.Cold}
	if c.Quick {
		h.rounds, h.most = 60, time.Second
	}
	if h.db, err = postgres.Open(ctx, url, postgres.Config{MaxConns: 1}); err != nil {
		return err
	}
	defer h.db.Close()
	if err := h.db.Pool().QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&h.backend); err != nil {
		return err
	}
	questions := slices.DeleteFunc(h.questions(), func(q question) bool { return len(c.Only) > 0 && !slices.Contains(c.Only, q.key) })
	if c.Explain {
		return h.explain(ctx, os.Stdout, questions)
	}
	figures, err := h.measure(ctx, questions)
	if err != nil {
		return err
	}
	return c.show(os.Stdout, figures)
}

// makeDatabase makes the database, unless it is there.
func makeDatabase(ctx context.Context, url, name string) error {
	err := execute(ctx, url, "CREATE DATABASE "+name)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42P04" { // duplicate_database
		return nil
	}
	return err
}

// history is a long log that is looked into.
type history struct {
	db      *postgres.DB
	backend int // the process id of its one connection's server
	events  int
	rounds  int           // how often each page is read
	most    time.Duration // for how long, however many that are
	cold    bool          // the log may be on the disk alone
}

// cpu is how long the server has run, on whatever core.
func (h history) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", h.backend))
	if err != nil {
		return 0, err
	}
	ran, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseInt(ran, 10, 64)
	return time.Duration(ns), err
}

// question is a kind of query, another one each time.
type question struct {
	key, says string
	counts    bool // it is one of those that the bar is for
	ask       func() event.Query
}

// historyBegin is when the log begins; each second of it has 10 events.
func historyBegin() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// What is asked for again and again.
const (
	historyFailed = "job.failed"
	historyRare   = "notification.rare"
	historyBusy   = "busy"
)

func (h history) questions() []question {
	list := append(h.found(), h.searched()...)
	if h.events >= 100_000 {
		rare := always(event.Query{Types: []string{historyRare}})
		list = append(list, question{"rare_type", "of a type of which one event in 100,000 is", true, rare})
	}
	return list
}

// found are the questions that indexes answer.
func (h history) found() []question {
	return []question{
		{"job", "of a job", true, func() event.Query { return event.Query{Job: historyJob(historySome(h.events))} }},
		{"user", "of a user, one of 2,000", true, func() event.Query { return event.Query{User: h.user()} }},
		{"busy_user", "of a user who has a million, all of long ago", true, always(event.Query{User: historyBusy})},
		{"topic", "of a channel that is their third topic", true, func() event.Query {
			return event.Query{Topics: []event.Topic{event.Topic("channel:team-" + strconv.Itoa(rand.IntN(50)))}}
		}},
		{"topics", "of a user's own topic or all", true, func() event.Query {
			return event.Query{Topics: []event.Topic{event.UserTopic(h.user()), event.Everyone}}
		}},
		{"ten_topics", "of any of ten users' topics", true, func() event.Query {
			var q event.Query
			for range 10 {
				q.Topics = append(q.Topics, event.UserTopic(h.user()))
			}
			return q
		}},
		{"type", "that are failures", true, always(event.Query{Types: []string{historyFailed}})},
		{"types", "of any of three types", true, always(event.Query{Types: []string{historyFailed, "job.stalled", "notification.paid"}})},
		{"prefix", "of all types that begin with notification.", true, always(event.Query{Types: []string{"notification.*"}})},
		{"progress", "of progress, which is in no index", true, always(event.Query{Types: []string{"job.progress"}})},
		{"time", "of an hour", true, func() event.Query { return h.within(event.Query{}, time.Hour) }},
		{"user_time", "of a user, before a moment", true, func() event.Query {
			at := h.moment()
			return event.Query{User: historyUser(historySome(historySeq(at))), Until: at}
		}},
		{"type_time", "that are failures, of a day", true, func() event.Query {
			return h.within(event.Query{Types: []string{historyFailed}}, 24*time.Hour)
		}},
	}
}

// searched are those that ask for what has to be looked for among what an index finds.
func (h history) searched() []question {
	metadata := func(key, value string) func() event.Query {
		return always(event.Query{Metadata: map[string][]string{key: {value}}})
	}
	return []question{
		{"user_type", "of a user that are failures", false, func() event.Query {
			return event.Query{User: h.user(), Types: []string{historyFailed}}
		}},
		{"busy_type", "of the user with a million that are failures", false, always(event.Query{User: historyBusy, Types: []string{historyFailed}})},
		{"busy_rare", "of that user and of a rare type, of which there are none", false, always(event.Query{
			User: historyBusy, Types: []string{historyRare},
		})},
		{"busy_actor", "of that user, caused by who has caused nothing", false, always(event.Query{User: historyBusy, Actor: "nobody"})},
		{"channel_rare", "of a channel and of a rare type", false, always(event.Query{
			Topics: []event.Topic{"channel:shop"}, Types: []string{historyRare},
		})},
		{"state", "that tell of a job that failed", false, always(event.Query{States: []string{"failed"}})},
		{"kind", "of jobs of a kind that half of them have", false, always(event.Query{Kind: "video"})},
		{"rare_kind", "of jobs of a kind that one in 1,000 has", false, always(event.Query{Kind: "import"})},
		{"actor", "caused by one of eight workers", false, always(event.Query{Actor: "worker-3"})},
		{"rare_actor", "caused by who has caused one in 100,000", false, always(event.Query{Actor: "ops"})},
		{"first_actor", "caused by who has caused the first 1,000 and nothing since", false, always(event.Query{Actor: "installer"})},
		{"metadata", "with metadata that half of them have", false, metadata("region", "eu")},
		{"rare_metadata", "with metadata that one in 5,000 has", false, metadata("tenant", "acme")},
		{"rare_type_actor", "of a rare type, caused by who causes nothing else", false, always(event.Query{
			Types: []string{historyRare}, Actor: "ops",
		})},
		{"text", "with a text that one in 20 has, of a day", false, func() event.Query {
			return h.within(event.Query{Text: "part 7"}, 24*time.Hour)
		}},
		{"rare_text", "with a text that one in 400,000 has, of the whole log", false, always(event.Query{Text: "disk 7", Since: historyBegin()})},
		{"user_text", "of a user, with a text", false, func() event.Query { return event.Query{User: h.user(), Text: "NO SPACE"} }},
	}
}

func always(q event.Query) func() event.Query { return func() event.Query { return q } }

// user is one who has events.
func (h history) user() string { return historyUser(historySome(h.events)) }

// moment is somewhere in the log's later half.
func (h history) moment() time.Time {
	return historyBegin().Add(time.Duration(h.events/20+rand.IntN(h.events/20)) * time.Second)
}

// within is the query for so long before a moment.
func (h history) within(q event.Query, length time.Duration) event.Query {
	q.Until = h.moment()
	q.Since = q.Until.Add(-length)
	return q
}

// historySeq is the last seq before the moment.
func historySeq(at time.Time) int { return int(at.Sub(historyBegin())/time.Second) * 10 }

// side is from where a page is read.
type side struct {
	key, says string
	backward  bool
	deep      bool // from a cursor in the middle
}

func sides() []side {
	return []side{
		{"newest", "the newest 50", true, false},
		{"oldest", "the oldest 50", false, false},
		{"before", "the 50 before somewhere in the middle", true, true},
		{"after", "the 50 after it", false, true},
	}
}

// of is the question's query for a page on that side.
func (s side) of(q question, events int) event.Query {
	query := q.ask()
	query.Limit, query.Backward, query.Patience = 50, s.backward, time.Second
	if !s.deep {
		return query
	}
	low, high := 0, events
	if !query.Since.IsZero() {
		low = historySeq(query.Since)
	}
	if !query.Until.IsZero() {
		high = historySeq(query.Until)
	}
	cursor := event.Seq(low + (high-low)/4 + rand.IntN((high-low)/2))
	if s.backward {
		query.Before = cursor
	} else {
		query.After = cursor
	}
	return query
}

// reading is what it took to read a page again and again.
type reading struct {
	took  []float64 // ms
	cpu   []float64 // ms of the server's
	whole []float64 // ms until a page is full, or nothing is left, where the first was not
}

// measure asks each question from all sides.
func (h history) measure(ctx context.Context, questions []question) ([]figure, error) {
	var worst float64
	var figures []figure
	for _, q := range questions {
		if err := h.warm(ctx); err != nil {
			return nil, err
		}
		for _, s := range sides() {
			r, err := h.read(ctx, q, s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", q.key, err)
			}
			p99 := quantile(r.took, 0.99)
			if q.counts {
				worst = max(worst, p99)
			}
			name := "history_" + q.key + "_" + s.key
			measured := []figure{
				{name + "_p50_ms", quantile(r.took, 0.5), fmt.Sprintf("ms to %s %s (%d times)", s.says, q.says, len(r.took))},
				{name + "_p99_ms", p99, "the same, 99th percentile"},
				{name + "_cpu_ms", quantile(r.cpu, 0.5), "ms of Postgres' CPU for it"},
			}
			if len(r.whole) > 0 {
				measured = append(measured, figure{name + "_whole_ms", quantile(r.whole, 0.5), "ms until a page is full, or nothing is left, by pages that are not"})
			}
			progress(os.Stderr, measured)
			figures = append(figures, measured...)
		}
	}
	says := fmt.Sprintf("the worst of those by job, user, topic, type and time, in a log of %d events (≤ 20)", h.events)
	return append([]figure{{"history_p99_ms", worst, says}}, figures...), nil
}

// warm reads all of the database's files, so that the machine has them in memory: it may
// put away what has not been read for a minute.
func (h history) warm(ctx context.Context) error {
	if h.cold {
		return nil
	}
	var folder string
	if err := h.db.Pool().QueryRow(ctx, `SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database
		WHERE datname = current_database()`).Scan(&folder); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was only read
	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := root.Open(path)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // it was only read
		_, err = io.Copy(io.Discard, file)
		return err
	})
}

// read reads a page again and again. Where one is not full for want of time, it goes
// on until one is, once.
func (h history) read(ctx context.Context, q question, s side) (r reading, err error) {
	for end := time.Now().Add(h.most); len(r.took) < h.rounds && (len(r.took) < 3 || time.Now().Before(end)); {
		query := s.of(q, h.events)
		ran, err := h.cpu()
		if err != nil {
			return r, err
		}
		began := time.Now()
		page, err := h.db.History(ctx, query)
		if err != nil {
			return r, err
		}
		r.took = append(r.took, milliseconds(time.Since(began)))
		now, err := h.cpu()
		if err != nil {
			return r, err
		}
		r.cpu = append(r.cpu, milliseconds(now-ran))
		if len(page.Events) == 0 && q.counts && !s.deep {
			return r, fmt.Errorf("nothing is found by %+v", query)
		}
		if page.Partial && len(r.whole) == 0 {
			if err := h.goOn(ctx, query, page); err != nil {
				return r, err
			}
			r.whole = append(r.whole, milliseconds(time.Since(began)))
		}
	}
	return r, nil
}

// goOn reads page after page until one is full.
func (h history) goOn(ctx context.Context, query event.Query, page event.Page) (err error) {
	for err == nil && page.Partial {
		if query.Limit -= len(page.Events); query.Backward {
			query.Before = page.Reached
		} else {
			query.After = page.Reached
		}
		page, err = h.db.History(ctx, query)
	}
	return err
}

// explain prints each question's plan, from the newest on and from the middle.
func (h history) explain(ctx context.Context, w io.Writer, questions []question) error {
	for _, q := range questions {
		for _, s := range sides() {
			if s.key != "newest" && s.key != "after" {
				continue
			}
			plan, err := h.db.ExplainHistory(ctx, s.of(q, h.events))
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "## %s: %s %s\n\n%s\n\n", q.key, s.says, q.says, plan)
		}
	}
	return nil
}
