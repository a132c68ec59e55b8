package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"herald/internal/artifact"
	"herald/internal/callback"
	"herald/internal/ffmpeg"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
	"herald/internal/progress"
	"herald/internal/s3test"
	"herald/internal/worker"
	"herald/migrations"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		fmt.Fprintln(os.Stderr, runChild(url, os.Getenv(childDir)))
		os.Exit(1)
	}
	pgtest.Main(m)
}

// site is what pools share: a database, a blob store, a work folder.
type site struct {
	db    *postgres.DB
	queue *worker.Queue
	blobs *blob.Bucket
	work  string
	tools ffmpeg.Tools

	exports *postgres.Exports
	secrets []callback.Secret
}

func newSite(ctx context.Context, url, dir string) (*site, error) {
	db, err := postgres.Open(ctx, url, postgres.Config{})
	if err != nil {
		return nil, err
	}
	queue, err := worker.NewQueue(db.Pool(), migrations.QueueSchema, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	queue.AcceptTests()
	tools, err := ffmpeg.Find()
	if err != nil {
		return nil, err
	}
	blobs, err := fileblob.OpenBucket(filepath.Join(dir, "blobs"), &fileblob.Options{CreateDir: true, NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, err
	}
	exports, err := newExports(url)
	if err != nil {
		return nil, err
	}
	secrets, err := callback.ParseSecrets(callbackSecret)
	return &site{db: db, queue: queue, blobs: blobs, work: filepath.Join(dir, "work"), tools: tools, exports: exports, secrets: secrets}, err
}

// bench is a site under test, and an ear for what changes there.
type bench struct {
	*site
	url, dir string
	changes  *pgx.Conn // hears of each event that is put into the outbox
}

func setup(t *testing.T) *bench {
	t.Helper()
	url, dir := pgtest.New(t), t.TempDir()
	s, err := newSite(t.Context(), url, dir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.db.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "LISTEN herald_bell"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close(context.Background())
		_ = s.blobs.Close()
		s.db.Close()
	})
	return &bench{site: s, url: url, dir: dir, changes: conn}
}

// setupS3 is setup with a store of objects.
func setupS3(t *testing.T) *bench {
	t.Helper()
	b := setup(t)
	if err := b.blobs.Close(); err != nil {
		t.Fatal(err)
	}
	b.blobs = s3test.Open(t)
	return b
}

func (s *site) config(node string) worker.Config {
	return worker.Config{
		Node: node, Log: slog.New(slog.DiscardHandler), Store: s.db, Pool: s.db.Pool(), Schema: migrations.QueueSchema,
		Blobs: s.blobs, Tools: s.tools, Exports: s.exports,
		Reports: progress.New(s.db, progress.Config{Pace: 50 * time.Millisecond}), WorkDir: s.work, Workers: 2,
		Callbacks: callback.NewSender(callback.Config{Secrets: s.secrets, Rules: callback.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, HTTP: true}}),
	}
}

// RescueJobs is for the Watch that runs beside the pools under test.
func (s *site) RescueJobs(ctx context.Context, silence time.Duration) (int, error) {
	return s.db.RescueJobs(ctx, silence, s.queue)
}

// EndSilence is for the Watch, too.
func (s *site) EndSilence(ctx context.Context, p job.Patience) (int, error) {
	return s.db.EndSilence(ctx, p, s.queue)
}

// HealRiver is for the Watch, too.
func (s *site) HealRiver(ctx context.Context) (int, error) { return s.db.HealRiver(ctx) }

// run runs a pool until the function that it returns, or the test, ends it.
func (b *bench) run(t *testing.T, c worker.Config, w worker.Work) (stop func()) {
	t.Helper()
	pool, err := worker.NewTestPool(c, w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var watching sync.WaitGroup
	watching.Go(func() { progress.NewWatch(b.site, c.Log, progress.WatchConfig{}).Run(ctx) })
	go func() { done <- pool.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
		watching.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// noWork is for pools that have nothing but videos to work.
func noWork(context.Context, worker.Task) ([]artifact.Artifact, error) { return nil, nil }

// create makes a job of demo's.
func (b *bench) create(t *testing.T, kind, args string) job.Job {
	t.Helper()
	j, err := b.db.CreateJob(t.Context(), job.New{Kind: kind, Owner: "demo", Title: "clip.mov", Args: []byte(args)}, b.queue)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (b *bench) job(t *testing.T, id uuid.UUID) job.Job {
	t.Helper()
	j, err := b.db.Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// await returns the job as soon as the condition holds.
func (b *bench) await(t *testing.T, id uuid.UUID, what string, holds func(job.Job) bool) job.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		j := b.job(t, id)
		if holds(j) {
			return j
		}
		if _, err := b.changes.WaitForNotification(ctx); err != nil {
			t.Fatalf("waiting for the job to be %s, it is %+v", what, j)
		}
	}
}

func (b *bench) awaitState(t *testing.T, id uuid.UUID, s job.State) job.Job {
	t.Helper()
	return b.await(t, id, string(s), func(j job.Job) bool { return j.State == s || j.State.Ended() })
}

// checkState compares the state that a job came to.
func checkState(t *testing.T, j job.Job, want job.State) {
	t.Helper()
	if j.State != want {
		t.Fatalf("the job is %s (%s), want it %s", j.State, j.Error, want)
	}
}

// keys lists all blobs.
func (b *bench) keys(t *testing.T) []string {
	t.Helper()
	page, _, err := b.blobs.ListPage(t.Context(), blob.FirstPageToken, 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, object := range page {
		keys = append(keys, object.Key)
	}
	return keys
}

// files lists what is left in the work folder.
func (b *bench) files(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.work, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
