package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/auth"
	"herald/internal/eventlog"
	"herald/internal/httpapi"
	"herald/internal/postgres"
	"herald/internal/presence"
)

type httpCmd struct {
	output
	Only       []string `help:"Measure these alone: publish, publish_keyed, publish_batch, bare." enum:"publish,publish_keyed,publish_batch,bare" placeholder:"NAME"`
	CPUProfile string   `name:"cpuprofile" help:"Write a CPU profile of the node to this file." type:"path"`
}

const (
	publishers = 64  // connections that publish at once
	batchSize  = 100 // events of a request that has many
)

// publishPlan is how long what is measured.
type publishPlan struct {
	rounds int
	slice  time.Duration
}

// Run measures and prints.
func (c *httpCmd) Run(ctx context.Context) error {
	p := publishPlan{rounds: 5, slice: 4 * time.Second}
	if c.Quick {
		p = publishPlan{rounds: 3, slice: 2 * time.Second}
	}
	figures, err := c.measure(ctx, p)
	if err != nil {
		return err
	}
	return c.show(os.Stdout, figures)
}

func (c *httpCmd) measure(ctx context.Context, p publishPlan) (figures []figure, err error) {
	server, end, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	m := &mode{name: herald, prepare: `CREATE TABLE public.bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload json NOT NULL)`}
	if err := m.open(ctx, server); err != nil {
		return nil, err
	}
	defer m.db.Close()
	stop, site, err := newPublishSite(ctx, m.db)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if c.CPUProfile != "" {
		endProfile, profileErr := profile(c.CPUProfile)
		if profileErr != nil {
			return nil, profileErr
		}
		defer func() { err = errors.Join(err, endProfile()) }()
	}
	return site.compare(ctx, p, c.Only)
}

// publishSite is Herald's API and a bare handler beside it, on one database.
type publishSite struct {
	db         *postgres.DB
	ours, bare string // addresses
	token      string
	postmaster int // the process id
}

// newPublishSite serves until stop is called. The log is sequenced all the while,
// as it is on a node.
func newPublishSite(ctx context.Context, db *postgres.DB) (stop func() error, site *publishSite, err error) {
	key, err := auth.NewKey(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		return nil, nil, err
	}
	s := &publishSite{db: db}
	if s.token, err = key.Issue(auth.Principal{User: "bench", Roles: []auth.Role{auth.RoleBackend}}, time.Hour); err != nil {
		return nil, nil, err
	}
	if s.postmaster, err = postmaster(ctx, db); err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.DiscardHandler)
	publisher := eventlog.NewPublisher(db, presence.NewAudience(db), eventlog.PublisherConfig{})
	ctx, cancel := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error { return publisher.Run(ctx) })
	group.Go(func() error { return eventlog.NewSequencer(db, log, eventlog.Config{}).Run(ctx) })
	serve := func(h http.Handler) string {
		listener, listenErr := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
		if listenErr != nil {
			err = errors.Join(err, listenErr)
			return ""
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
		group.Go(func() error { return shutDown(ctx, server) })
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		return listener.Addr().String()
	}
	s.ours = serve(httpapi.New(httpapi.Deps{Node: "bench", Log: log, Tokens: auth.NewVerifier(key, nil, nil, nil), Publisher: publisher, Addressees: db, App: embed.FS{}}))
	s.bare = serve(http.HandlerFunc(s.insert))
	return func() error {
		cancel()
		return errors.Join(err, group.Wait())
	}, s, nil
}

// insert commits what it is sent, without a look at it.
func (s *publishSite) insert(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, err = s.db.Pool().Exec(r.Context(), `INSERT INTO public.bare (payload) VALUES ($1::text::json)`, string(body))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(`{"event_id":null}`))
}

// load is a kind of request.
type load struct {
	name, addr, path string
	body             func(publisher int) string
	events           int // of each request
	keyed            bool
	says             string
}

func oneMessage(publisher int) string {
	return fmt.Sprintf(`{"event":"notification.custom.bench","data":{"text":"%0220d"},"to":{"user":"u%d"}}`, publisher, publisher)
}

func manyMessages(publisher int) string {
	list := make([]string, batchSize)
	for i := range list {
		list[i] = oneMessage(publisher*batchSize + i)
	}
	return `{"messages":[` + strings.Join(list, ",") + `]}`
}

// httpMeasured is what was measured of a kind of request, round by round.
type httpMeasured struct {
	rates                []float64 // events acknowledged a second
	waits                []float64 // for each answer, in milliseconds
	node, postgres, load []float64 // processor time of an event, in microseconds
	share                []float64 // of a core that the load took
}

// compare has the publishers publish in each way in turn.
func (s *publishSite) compare(ctx context.Context, p publishPlan, only []string) ([]figure, error) {
	loads := []load{
		{"publish", s.ours, "/api/sse/message", oneMessage, 1, false, "one a request"},
		{"publish_keyed", s.ours, "/api/sse/message", oneMessage, 1, true, "each with an idempotency key"},
		{"publish_batch", s.ours, "/api/sse/messages", manyMessages, batchSize, false, fmt.Sprintf("in batches of %d", batchSize)},
		{"bare", s.bare, "/", oneMessage, 1, false, "to a bare handler that commits one insert for each request"},
	}
	if len(only) > 0 {
		loads = slices.DeleteFunc(loads, func(l load) bool { return !slices.Contains(only, l.name) })
	}
	all := make([]httpMeasured, len(loads))
	for round := range p.rounds {
		for i := range loads {
			turn := (round + i) % len(loads)
			if err := s.measure(ctx, loads[turn], p.slice, &all[turn]); err != nil {
				return nil, fmt.Errorf("%s: %w", loads[turn].name, err)
			}
		}
	}
	var figures []figure
	rates := map[string][]float64{}
	for i, l := range loads {
		figures = append(figures, all[i].figures(l)...)
		rates[l.name] = all[i].rates
	}
	if len(rates["publish"])*len(rates["bare"]) > 0 {
		figures = append(figures, ratioTo("publish_ratio", rates["publish"], rates["bare"], "events/s, one a request, of the bare handler's"))
	}
	return figures, nil
}

// figures are the medians of the rounds.
func (m *httpMeasured) figures(l load) []figure {
	const half, most = 0.5, 0.99
	rate := l.name + "_per_s"
	if l.events > 1 {
		rate = l.name + "_events_per_s"
	}
	return []figure{
		{rate, quantile(m.rates, half), fmt.Sprintf("events/s by %d publishers over HTTP, %s, acknowledged after the commit (median of %d rounds)",
			publishers, l.says, len(m.rates))},
		{l.name + "_p50_ms", quantile(m.waits, half), "until the answer"},
		{l.name + "_p99_ms", quantile(m.waits, most), ""},
		{l.name + "_node_cpu_us", quantile(m.node, half), "processor time of an event until it is in the log: the node's"},
		{l.name + "_postgres_cpu_us", quantile(m.postgres, half), "Postgres'"},
		{l.name + "_load_cpu_us", quantile(m.load, half), fmt.Sprintf("that of the load, which took %.2f of a core", quantile(m.share, half))},
	}
}

// measure has the publishers publish for a while, and waits until all is in the log,
// so that one load does not weigh on the next, and each pays for what it caused.
func (s *publishSite) measure(ctx context.Context, l load, slice time.Duration, into *httpMeasured) error {
	order := httpLoad{Address: l.addr, Path: l.path, Token: s.token, Keyed: l.keyed, Slice: slice}
	for publisher := range publishers {
		order.Bodies = append(order.Bodies, l.body(publisher))
	}
	before, err := s.usage()
	if err != nil {
		return err
	}
	done, err := order.run(ctx)
	if err != nil {
		return err
	}
	if err := drained(ctx, s.db); err != nil {
		return err
	}
	after, err := s.usage()
	if err != nil {
		return err
	}
	events := float64(len(done.Waits) * l.events)
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / events }
	into.rates = append(into.rates, events/done.Took.Seconds())
	into.waits = append(into.waits, done.Waits...)
	into.node, into.postgres = append(into.node, each(after.node-before.node)), append(into.postgres, each(after.postgres-before.postgres))
	into.load, into.share = append(into.load, each(done.CPU)), append(into.share, done.CPU.Seconds()/done.Took.Seconds())
	return nil
}

// siteUsage is the processor time that was used so far.
type siteUsage struct{ node, postgres time.Duration }

func (s *publishSite) usage() (siteUsage, error) {
	node, err := currentUsage()
	if err != nil {
		return siteUsage{}, err
	}
	postgres, err := familyCPU(s.postmaster)
	return siteUsage{node.CPU, postgres}, err
}
