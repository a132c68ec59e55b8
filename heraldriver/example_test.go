package heraldriver_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"herald/heraldriver"
)

type importArgs struct {
	Rows int64 `json:"rows"`
}

func (importArgs) Kind() string { return "import" }

type importer struct {
	river.WorkerDefaults[importArgs]
}

// Work tells those who watch how far it is. It works the same without Herald.
func (importer) Work(ctx context.Context, job *river.Job[importArgs]) error {
	reporter := heraldriver.FromContext(ctx)
	reporter.Step("read")
	for row := range job.Args.Rows {
		reporter.Count(row+1, job.Args.Rows, "rows")
	}
	return reporter.Result(map[string]any{"rows": job.Args.Rows})
}

// A worker reports, and needs no Herald to run.
func ExampleFromContext() {
	err := importer{}.Work(context.Background(), &river.Job[importArgs]{Args: importArgs{Rows: 3}})
	fmt.Println(err)
	// Output: <nil>
}

// A client whose jobs are seen, and whose workers report.
func ExampleWatch() { //nolint:testableexamples // it needs a database
	start := func(ctx context.Context, pool *pgxpool.Pool) (*river.Client[pgx.Tx], error) {
		if err := heraldriver.Watch(ctx, pool, heraldriver.Config{Owner: "ops", OwnerKey: "user_id"}); err != nil {
			return nil, err
		}
		workers := river.NewWorkers()
		river.AddWorker(workers, importer{})
		return river.NewClient(riverpgxv5.New(pool), &river.Config{
			Queues:     map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 10}},
			Workers:    workers,
			Middleware: []rivertype.Middleware{heraldriver.NewMiddleware(pool, heraldriver.MiddlewareConfig{})},
		})
	}
	_ = start // with a pool on Herald's database
}

// A title, an owner and a channel for the options of any of River's inserts.
func ExampleAbout_Opts() {
	about := heraldriver.About{Owner: "alice", Title: "Import of orders", Watchers: []string{"channel:imports"}}
	opts, err := about.Opts("import", nil)
	fmt.Println(string(opts.Metadata), err)
	// Output: {"herald":{"owner":"alice","title":"Import of orders","watchers":["channel:imports"]}} <nil>
}
