// Package app puts the parts together: it builds a Node from a Config and runs
// it. It alone sees both the database and those who use it.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // the folder that blobs are kept in by default
	_ "gocloud.dev/blob/s3blob"   // stores of objects

	"herald/internal/absent"
	"herald/internal/archive"
	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/broker"
	"herald/internal/bus/pgbus"
	"herald/internal/callback"
	"herald/internal/config"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/ffmpeg"
	"herald/internal/httpapi"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/presence"
	"herald/internal/progress"
	"herald/internal/telemetry"
	"herald/internal/worker"
	"herald/migrations"
	"herald/web"
)

// Roles say what a node does.
type Roles struct {
	API    bool // serves the API and the web app; when it leads, it sequences the log, lets its oldest part go, and looks after silent workers
	Worker bool // works jobs
}

// Node is one running process: API, workers, or both.
type Node struct {
	config config.Config
	roles  Roles
	log    *slog.Logger
}

// New returns a Node that does nothing until Run. The Config is complete.
func New(c config.Config, roles Roles, log *slog.Logger) *Node {
	if c.Node == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "node"
		}
		c.Node = host + "-" + uuid.NewString()[:8]
	}
	return &Node{config: c, roles: roles, log: log}
}

// drainTime bounds how long a node that stops waits for its requests.
const drainTime = 10 * time.Second

// Run works until ctx ends. It then stops in order: no more requests, streams
// told to come back, jobs handed back to the queue; then the sequencer and the
// broker, which carry the news of it; the database last. It calls ready once
// the node answers, with its address, or nil for a node without an API.
func (n *Node) Run(ctx context.Context, ready func(net.Addr)) error {
	db, err := postgres.Open(ctx, n.config.DatabaseURL, postgres.Config{Direct: n.config.DirectURL})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := postgres.CheckSchema(ctx, n.config.DirectURL); err != nil {
		return err
	}
	bucket, err := blob.OpenBucket(ctx, n.config.BlobURL)
	if err != nil {
		return fmt.Errorf("open the blob store: %w; look at --blob-url", err)
	}
	defer bucket.Close() //nolint:errcheck // nothing is left to be written
	queue, err := worker.NewQueue(db.Pool(), migrations.QueueSchema, n.log)
	if err != nil {
		return err
	}
	exports, err := n.exports(ctx)
	if err != nil {
		return err
	}
	callbacks, err := n.callbacks()
	if err != nil {
		return err
	}
	b := build{callbacks: callbacks, Node: n, db: db, bucket: bucket, queue: queue, exports: exports}
	if n.roles.API {
		if err := b.api(ctx, ready); err != nil {
			return err
		}
	}
	if n.roles.Worker {
		if err := b.worker(); err != nil {
			return err
		}
	}
	if !n.roles.API {
		ready(nil)
	}
	return runInOrder(ctx, b.front, b.back)
}

// build is a node's parts while they are put together.
type build struct {
	*Node
	db          *postgres.DB
	bucket      *blob.Bucket
	queue       *worker.Queue
	exports     *postgres.Exports
	callbacks   *callback.Config // nil: nobody is called back
	front, back []part
}

// api adds what serves people: the log's sequencer and broker behind, the HTTP
// server in front.
func (b *build) api(ctx context.Context, ready func(net.Addr)) error {
	key, err := auth.LoadOrCreateKey(b.config.KeyFile)
	if err != nil {
		return err
	}
	tokens, err := b.tokens(key)
	if err != nil {
		return err
	}
	signIn, err := b.signIn()
	if err != nil {
		return err
	}
	var certificate *certificate // none: plain HTTP
	if b.config.TLSCert != "" {
		if certificate, err = loadCertificate(ctx, b.config.TLSCert, b.config.TLSKey, b.log); err != nil {
			return err
		}
	}
	metrics := telemetry.NewRegistry()
	metrics.MustRegister(eventlog.NewBacklogMetrics(b.db.Backlog), callback.NewMetrics(b.db.Callbacks))
	limiting := httpapi.NewStreamMetrics(metrics)
	fanout := hub.New(hub.Config{Words: httpapi.StreamWords(), Metrics: hub.NewMetrics(metrics), Heartbeat: b.config.Heartbeat})
	follower := broker.New(b.db, pgbus.New(b.db.NodeSession(b.config.Node), postgres.LogChannel, b.log), fanout, httpapi.EncodeEvent, b.log,
		broker.Config{Metrics: broker.NewMetrics(metrics)})
	tracker := presence.NewTracker(b.config.Node, streams{fanout}, b.db, b.log, presence.Config{Metrics: presence.NewMetrics(metrics)})
	limits := streamLimits(ctx, b.config, b.log)
	hooks, exampleSecret, err := webhooks(b.config)
	if err != nil {
		return err
	}
	publisher := eventlog.NewPublisher(b.db, presence.NewAudience(b.db), eventlog.PublisherConfig{})
	handler := httpapi.New(httpapi.Deps{
		Node: b.config.Node, Log: b.log, Tokens: tokens, Keys: tokens, Tickets: b.db, Links: key, Shares: b.db, Jobs: jobs{b.db, b.queue}, Artifacts: b.db, Uploads: b.db, Snapshots: b.db,
		History: b.db, Receipts: b.db, Broker: follower, Hub: fanout, Presence: tracker, Connections: b.db, Accesses: b.db, Queues: b.db, Blobs: b.bucket,
		Incoming:  artifact.IncomingLimits{Uploads: b.config.MaxUploads, Bytes: int64(b.config.MaxUploadsSize)},
		MaxUpload: int64(b.config.MaxUploadSize), CheckCallback: checkCallback(b.callbacks), Prepare: preparer{b.exports}.prepare,
		Publisher: publisher, Addressees: b.db, Webhooks: hooks, Development: development(b.config, exampleSecret),
		Datasets: b.exports.Datasets(),
		Kinds:    kinds(), Ping: b.db.Ping, App: web.App(), Docs: web.Docs(),
		Metrics: telemetry.Metrics(metrics), Limits: limits, StreamMetrics: limiting, TrustedProxies: b.config.TrustedProxies,
		AckInterval: b.config.AckInterval, Rates: rates(b.config), RequestMetrics: httpapi.NewRequestMetrics(metrics), Origins: b.config.CORSOrigins,
		SignIn: signIn, Issue: key.Issue,
	})
	listener, err := listen(ctx, b.config.Addr)
	if err != nil {
		return err
	}
	watch := progress.NewWatch(silence{b.db, b.queue}, b.log, progress.WatchConfig{
		Lease: b.config.WorkerLease, Cancel: b.config.CancelTimeout,
	})
	duty := func(ctx context.Context) {
		var both sync.WaitGroup
		both.Go(func() { watch.Run(ctx) })
		both.Go(func() { absent.Watch(ctx, b.db, absentRule(b.config), b.log) })
		both.Wait()
	}
	sequencer := eventlog.NewSequencer(b.db, b.log, eventlog.Config{Metrics: eventlog.NewMetrics(metrics), Duty: duty})
	retention := eventlog.NewRetention(b.db, b.log, b.retention())
	b.back = append(b.back, sequencer.Run, retention.Run, follower.Run, tracker.Run, publisher.Run)
	b.front = append(b.front, fanout.Run, func(ctx context.Context) error {
		ready(listener.Addr())
		return serve(ctx, httpapi.LimitConnections(listener, limits, b.config.TrustedProxies, limiting), certificate, handler, b.log)
	})
	return nil
}

// streams is the hub as a presence.Tracker knows it.
type streams struct{ hub *hub.Hub }

// Written visits the streams that were written to since the last visit. A hub
// that has ended has none.
func (s streams) Written(yield func(uuid.UUID, event.Seq)) {
	positions, err := s.hub.Written(context.Background()) // the shards answer whatever clients do
	if err != nil {
		return
	}
	for _, p := range positions {
		yield(p.ID, p.Written)
	}
}

// Disconnect ends a stream because somebody has asked for it.
func (s streams) Disconnect(id uuid.UUID) { s.hub.Disconnect(id, hub.ErrDisconnected) }

// retention is how long the log is kept.
func (b *build) retention() eventlog.RetentionConfig {
	c := eventlog.RetentionConfig{Age: time.Duration(b.config.RetainAge), Size: int64(b.config.RetainSize)}
	if c.Age == 0 {
		c.Age = -1 // for ever
	}
	if b.config.RetainArchive {
		c.Archive = archive.NewStore(b.bucket)
	}
	return c
}

// worker adds what works jobs.
func (b *build) worker() error {
	tools, err := ffmpeg.Find()
	if err != nil {
		return err
	}
	tools.Limits = ffmpeg.Limits{
		Threads: b.config.VideoThreads, Time: b.config.VideoTime, Output: int64(b.config.VideoSize), Reserve: int64(b.config.VideoReserve),
	}
	config := worker.Config{
		Node: b.config.Node, Log: b.log, Store: b.db, Pool: b.db.Sessions(), Schema: migrations.QueueSchema, Blobs: b.bucket,
		Tools: tools, Exports: b.exports, Reports: progress.New(b.db, progress.Config{}), Workers: b.config.Workers,
		WorkDir:   filepath.Join(b.config.DataDir, "work"),
		Create:    jobs{b.db, b.queue}.CreateJob,
		Retention: worker.Retention{Results: time.Duration(b.config.RetainResults), Uploads: time.Duration(b.config.RetainUploads)},
	}
	if b.callbacks != nil {
		config.Callbacks = callback.NewSender(*b.callbacks)
	}
	if config.Absences, err = absences(b.config); err != nil {
		return err
	}
	pool, err := worker.NewPool(config)
	if err != nil {
		return err
	}
	b.front = append(b.front, pool.Run)
	return nil
}

// kinds lists what workers do for the API.
func kinds() []httpapi.Kind {
	var list []httpapi.Kind
	for _, k := range worker.Kinds() {
		described := httpapi.Kind{Name: k.Name, Title: k.Title, Description: k.Description, Schema: k.Schema}
		for _, s := range k.Steps {
			described.Steps = append(described.Steps, httpapi.KindStep(s))
		}
		list = append(list, described)
	}
	return list
}

// listen takes the address. Its error says what to do when it is taken.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another program: end that one, or choose another address with --addr", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("serve on %s: %w", addr, err)
	}
	return listener, nil
}

// serve answers requests until ctx ends, by HTTPS when there is a certificate;
// then it waits for those under way, but not for long. Streams are the hub's to
// end.
func serve(ctx context.Context, listener net.Listener, certificate *certificate, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	run := server.Serve
	if certificate != nil {
		certificate.overTLS(server)
		run = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err := server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	if err := run(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

// silence gives the log's leader the database's jobs together with the queue that
// they wait in.
type silence struct {
	db    *postgres.DB
	queue *worker.Queue
}

func (s silence) RescueJobs(ctx context.Context, silence time.Duration) (int, error) {
	return s.db.RescueJobs(ctx, silence, s.queue)
}

func (s silence) EndSilence(ctx context.Context, p job.Patience) (int, error) {
	return s.db.EndSilence(ctx, p, s.queue)
}

func (s silence) HealRiver(ctx context.Context) (int, error) { return s.db.HealRiver(ctx) }

// jobs gives the API the database's jobs together with the queue they wait in.
type jobs struct {
	*postgres.DB
	queue *worker.Queue
}

// CreateJob makes a job, and notes which jobs of Herald's own kinds it is like, so
// that it can be told how long those took.
func (j jobs) CreateJob(ctx context.Context, n job.New) (job.Job, error) {
	if !n.External {
		likeness, upload, size := worker.Alike(n.Kind, n.Args)
		if upload != uuid.Nil {
			// Without its upload, the job fails by itself, and says why.
			if file, err := j.Artifact(ctx, upload); err == nil {
				size = file.Size
			}
		}
		n.Likeness, n.Size = likeness, size
	}
	return j.DB.CreateJob(ctx, n, j.queue)
}

func (j jobs) CancelJob(ctx context.Context, id uuid.UUID, actor string) (job.Job, error) {
	return j.DB.CancelJob(ctx, id, actor, j.queue)
}

func (j jobs) RetryJob(ctx context.Context, id uuid.UUID, actor string) (job.Job, error) {
	return j.DB.RetryJob(ctx, id, actor, j.queue)
}
