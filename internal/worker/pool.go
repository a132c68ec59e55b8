package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"gocloud.dev/blob"

	"herald/internal/absent"
	"herald/internal/artifact"
	"herald/internal/export"
	"herald/internal/ffmpeg"
	"herald/internal/job"
	"herald/internal/progress"
)

// Store is what the pool needs of the database.
type Store interface {
	Job(ctx context.Context, id uuid.UUID) (job.Job, error)
	StartJob(ctx context.Context, id uuid.UUID, queueID int64, worker string, plan []job.Step) (job.Job, error)
	FinishJob(ctx context.Context, id uuid.UUID, r job.Report, finish func(context.Context, pgx.Tx) error) (job.Outcome, error)
	RecordReport(ctx context.Context, id uuid.UUID, r job.Report) (job.Outcome, error)
	Artifact(ctx context.Context, id uuid.UUID) (artifact.Artifact, error)
	SaveArtifactTx(ctx context.Context, tx pgx.Tx, a artifact.Artifact) error

	StartNode(ctx context.Context, id string) error
	BeatNode(ctx context.Context, id string) (entered bool, err error)
	StopNode(ctx context.Context, id string) error

	RecordCallback(ctx context.Context, id uuid.UUID, c job.Callback, complete func(context.Context, pgx.Tx) error) error

	RecordAbsence(ctx context.Context, id uuid.UUID, a job.Absence, complete func(context.Context, pgx.Tx) error) error
	AbsenceOver(ctx context.Context, m absent.Message) (bool, error)

	ExpireUploads(ctx context.Context, uploads, results time.Duration) ([]artifact.Artifact, error)
	ExpireResults(ctx context.Context, age time.Duration) ([]artifact.Artifact, error)
	ForgetUploads(ctx context.Context, age time.Duration) error
	ForgetIncoming(ctx context.Context) error
	UploadOrphans(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)
	AttemptOrphans(ctx context.Context, attempts []artifact.Attempt) ([]artifact.Attempt, error)
}

// Config is what a Pool works with. All fields are required unless they say
// otherwise.
type Config struct {
	Node    string // this node's name; no two that run at once share it
	Log     *slog.Logger
	Store   Store
	Pool    *pgxpool.Pool // of sessions, for River, which listens
	Schema  string        // of River's tables
	Blobs   *blob.Bucket
	Tools   ffmpeg.Tools
	Exports export.Source
	Reports *progress.Reporter
	WorkDir string // for files under way; the nodes of a machine may share it, and remove what dead ones left
	Workers int    // jobs worked at once

	Callbacks Callbacks // sends callbacks; nil: they wait for a pool that does
	Absences  Absences  // sends what absent users are told
	Retention Retention // how long files are kept

	// Create makes a job. With it, the pools make one that cleans up, now and then;
	// nil: none of this pool's making.
	Create func(ctx context.Context, n job.New) (job.Job, error)
}

const (
	// beat is how often a node says that it is alive: several times in
	// progress.NodePatience.
	beat = 2 * time.Second
	// stopTime bounds how long a pool that stops waits for its jobs to be handed
	// back.
	stopTime = 10 * time.Second
)

// Pool works jobs with River and gives each a Reporter.
type Pool struct {
	Config
	client   *river.Client[pgx.Tx]
	kinds    map[string]kind
	wait     func(tries int) time.Duration // after so many tries of a callback
	folder   *folder                       // set by Run before it takes jobs
	stopping chan struct{}                 // closed by Run when it takes no more jobs
}

// kind is how the jobs of a kind are worked.
type kind interface {
	// plan returns the steps of a job with the args.
	plan(args json.RawMessage) ([]job.Step, error)
	// work does the job. It reports to the attempt, and leaves nothing behind but
	// what it returns and what is in the task's folder.
	work(ctx context.Context, t task) (product, error)
}

// task is one attempt of one job.
type task struct {
	job     job.Job
	attempt *progress.Attempt
	folder  string // for files under way; removed afterwards
}

// product is what came of a job.
type product struct {
	result    json.RawMessage
	artifacts []artifact.Artifact // whole in the blob store, but not entered yet
}

// NewPool returns a Pool that does nothing until Run, which may be called once.
func NewPool(c Config) (*Pool, error) {
	return newPool(c, c.kinds(), callbackWait)
}

// kinds are the kinds of job that Herald brings.
func (c Config) kinds() map[string]kind {
	return map[string]kind{
		VideoKind:  &video{store: c.Store, blobs: c.Blobs, tools: c.Tools},
		ExportKind: &exports{source: c.Exports, blobs: c.Blobs},

		CleanupKind: &cleanup{store: c.Store, blobs: c.Blobs, keep: c.Retention},
	}
}

func newPool(c Config, kinds map[string]kind, wait func(tries int) time.Duration) (*Pool, error) {
	p := &Pool{Config: c, kinds: kinds, wait: wait, stopping: make(chan struct{})}
	workers := river.NewWorkers()
	for name := range kinds {
		river.AddWorkerArgs(workers, entry{kind: name}, &attempts{pool: p})
	}
	periodic := p.addErrands(workers)
	client, err := river.NewClient(riverpgxv5.New(c.Pool), &river.Config{
		ID:     c.Node,
		Schema: c.Schema,
		Logger: quieter(c.Log),
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: c.Workers}, errandQueue: {MaxWorkers: maxErrands},
		},
		Workers:             workers,
		PeriodicJobs:        periodic,
		FetchOnlyKnownKinds: true,
		JobTimeout:          -1, // a video takes as long as it takes
		FetchCooldown:       50 * time.Millisecond,
	})
	if err != nil {
		return nil, fmt.Errorf("make the worker pool: %w", err)
	}
	p.client = client
	return p, nil
}

// Run works jobs until ctx ends. Then it takes no more, hands those under way
// back to the queue, and returns when that is done.
func (p *Pool) Run(ctx context.Context) (err error) {
	if p.folder, err = openFolder(p.WorkDir); err != nil {
		return fmt.Errorf("make a folder to work in: %w", err)
	}
	if err := p.Store.StartNode(ctx, p.Node); err != nil {
		return errors.Join(fmt.Errorf("enter node %s: %w", p.Node, err), p.folder.remove())
	}
	// River's jobs get the context of Start; their end is ordered by StopAndCancel.
	if err := p.client.Start(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(fmt.Errorf("start the worker pool: %w", err), p.folder.remove())
	}
	alive, die := context.WithCancel(context.WithoutCancel(ctx))
	defer die()
	var keeper sync.WaitGroup
	keeper.Go(func() { every(alive, beat, func() { p.beat(alive) }) })

	<-ctx.Done()
	close(p.stopping)
	last, cancel := context.WithTimeout(alive, stopTime)
	defer cancel()
	stopErr := p.client.StopAndCancel(last)
	die()
	keeper.Wait()
	if stopErr != nil {
		p.Log.WarnContext(ctx, "jobs left to be rescued", "error", stopErr)
		return nil // without StopNode, the others notice
	}
	p.leave(ctx)
	return p.folder.remove()
}

// leave takes this node, which has no jobs any more, out of the list. That it
// stays on it does no harm.
func (p *Pool) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if err := p.Store.StopNode(ctx, p.Node); err != nil {
		p.Log.WarnContext(ctx, "node left entered", "error", err)
	}
}

// isStopping reports whether the pool hands its jobs back.
func (p *Pool) isStopping() bool {
	select {
	case <-p.stopping:
		return true
	default:
		return false
	}
}

// beat says that this node is alive. One that was taken for dead enters itself
// again; its jobs are fenced off by then.
func (p *Pool) beat(ctx context.Context) {
	try, cancel := context.WithTimeout(ctx, beat)
	defer cancel()
	entered, err := p.Store.BeatNode(try, p.Node)
	if err == nil && !entered {
		err = p.Store.StartNode(try, p.Node)
	}
	if err != nil && ctx.Err() == nil {
		p.Log.WarnContext(ctx, "heartbeat not recorded", "error", err)
	}
}

// every calls do at once and then again and again, until ctx ends.
func every(ctx context.Context, period time.Duration, do func()) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}
