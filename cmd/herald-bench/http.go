package main

import (
	"bufio"
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
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"herald/internal/auth"
	"herald/internal/eventlog"
	"herald/internal/httpapi"
	"herald/internal/postgres"
	"herald/internal/presence"
)

type httpCmd struct{ output }

// publishers is how many connections publish at once.
const publishers = 64

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
	server, end, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer end()
	m := &mode{name: herald, prepare: `CREATE TABLE public.bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload json NOT NULL)`}
	if err := m.open(ctx, server); err != nil {
		return err
	}
	defer m.db.Close()
	stop, site, err := newPublishSite(ctx, m.db)
	if err != nil {
		return err
	}
	figures, err := site.compare(ctx, p)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	return c.show(os.Stdout, figures)
}

// publishSite is Herald's API and a bare handler beside it, on one database.
type publishSite struct {
	db         *postgres.DB
	ours, bare string // addresses
	token      string
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
	s.ours = serve(httpapi.New(httpapi.Deps{Node: "bench", Log: log, Tokens: key, Publisher: publisher, Addressees: db, App: embed.FS{}}))
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
}

func oneMessage(publisher int) string {
	return fmt.Sprintf(`{"event":"notification.custom.bench","data":{"text":"%0220d"},"to":{"user":"u%d"}}`, publisher, publisher)
}

func manyMessages(publisher int) string {
	const size = 100
	list := make([]string, size)
	for i := range list {
		list[i] = oneMessage(publisher*size + i)
	}
	return `{"messages":[` + strings.Join(list, ",") + `]}`
}

// compare has the publishers publish in each way in turn.
func (s *publishSite) compare(ctx context.Context, p publishPlan) ([]figure, error) {
	loads := []load{
		{"publish", s.ours, "/api/sse/message", oneMessage, 1, false},
		{"keyed", s.ours, "/api/sse/message", oneMessage, 1, true},
		{"batch", s.ours, "/api/sse/messages", manyMessages, 100, false},
		{"bare", s.bare, "/", oneMessage, 1, false},
	}
	rates, waits := map[string][]float64{}, map[string][]float64{}
	for round := range p.rounds {
		for i := range loads {
			l := loads[(round+i)%len(loads)]
			rate, wait, err := s.measure(ctx, l, p.slice)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			rates[l.name], waits[l.name] = append(rates[l.name], rate), append(waits[l.name], wait...)
			if err := drained(ctx, s.db); err != nil { // so that one load does not weigh on the next
				return nil, err
			}
		}
	}
	var ratios []float64
	for i, rate := range rates["publish"] {
		ratios = append(ratios, rate/rates["bare"][i])
	}
	median := func(name string) float64 { return quantile(rates[name], 0.5) }
	const half, most = 0.5, 0.99
	says := fmt.Sprintf("by %d publishers over HTTP, each acknowledged after its commit (median of %d rounds)", publishers, p.rounds)
	return []figure{
		{"publish_per_s", median("publish"), "events/s " + says},
		{"publish_keyed_per_s", median("keyed"), "the same, each with an idempotency key"},
		{"publish_p50_ms", quantile(waits["publish"], half), "until the answer"},
		{"publish_p99_ms", quantile(waits["publish"], most), ""},
		{"publish_batch_events_per_s", median("batch"), "events/s in batches of 100 " + says},
		{"bare_per_s", median("bare"), "a bare handler that commits one insert for each request"},
		{"bare_p50_ms", quantile(waits["bare"], half), "until its answer"},
		{"publish_ratio", quantile(ratios, half), "of the bare handler's (median of the rounds' ratios)"},
	}, nil
}

// measure returns the events acknowledged a second, and how long the requests took
// in milliseconds.
func (s *publishSite) measure(ctx context.Context, l load, slice time.Duration) (rate float64, waits []float64, err error) {
	var acknowledged atomic.Int64
	each := make([][]float64, publishers)
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for publisher := range publishers {
		group.Go(func() error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.addr)
			if err != nil {
				return err
			}
			defer conn.Close() //nolint:errcheck // all answers are in
			c := publishConn{conn: conn, answers: bufio.NewReader(conn), head: s.head(l), body: l.body(publisher)}
			for time.Since(began) < slice {
				at := time.Now()
				if err := c.request(l.keyed); err != nil {
					return err
				}
				each[publisher] = append(each[publisher], float64(time.Since(at))/float64(time.Millisecond))
				acknowledged.Add(int64(l.events))
			}
			return nil
		})
	}
	err = group.Wait()
	took := time.Since(began)
	for _, w := range each {
		waits = append(waits, w...)
	}
	return float64(acknowledged.Load()) / took.Seconds(), waits, err
}

func (s *publishSite) head(l load) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n", l.path, l.addr, s.token)
}

// publishConn is one publisher's connection. It is written and read by hand, so
// that the client costs little beside the server.
type publishConn struct {
	conn       net.Conn
	answers    *bufio.Reader
	head, body string
}

func (c publishConn) request(keyed bool) error {
	head := c.head
	if keyed {
		head += "Idempotency-Key: " + uuid.NewString() + "\r\n"
	}
	if _, err := fmt.Fprintf(c.conn, "%sContent-Length: %d\r\n\r\n%s", head, len(c.body), c.body); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answered with %s %s", res.Status, answer)
	}
	return nil
}
