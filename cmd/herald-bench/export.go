package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"herald/internal/artifact"
	"herald/internal/ffmpeg"
	"herald/internal/job"
	"herald/internal/postgres"
	reports "herald/internal/progress"
	"herald/internal/worker"
	"herald/migrations"
)

type exportCmd struct {
	output
	Only   []string `help:"Measure these alone: csv, csv_gzip, csv_zstd, ndjson, parquet, parquet_zstd." enum:"csv,csv_gzip,csv_zstd,ndjson,parquet,parquet_zstd" placeholder:"NAME"`
	Rounds int      `help:"How often." default:"3"`
}

// exportBench is a node that exports, and what its exports are held against.
type exportBench struct {
	db    *postgres.DB
	queue *worker.Queue
	blobs *blob.Bucket
	dir   string
	url   string
	psql  string
}

// Run measures and prints.
func (c *exportCmd) Run(ctx context.Context) error {
	rows := 1_000_000
	if c.Quick {
		rows, c.Rounds = 200_000, 2
	}
	server, end, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer end()
	b := &exportBench{url: server.URL("postgres")}
	if b.psql, err = exec.LookPath("psql"); err != nil {
		if b.psql, err = exec.LookPath(filepath.Join(c.PostgresBin, "psql")); err != nil {
			return errors.New("there is no psql on the path to hold exports against")
		}
	}
	if b.dir, err = os.MkdirTemp("", "herald-bench-export-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // it is the system's to clear up then
	stop, err := b.open(ctx, rows)
	if err != nil {
		return err
	}
	figures, err := b.measure(ctx, rows, c.Rounds, c.Only)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	return c.show(os.Stdout, figures)
}

// open fills the log and starts a node, which runs until the returned function
// is called.
func (b *exportBench) open(ctx context.Context, rows int) (stop func() error, err error) {
	log := slog.New(slog.DiscardHandler)
	if err := postgres.Migrate(ctx, b.url); err != nil {
		return nil, err
	}
	if b.db, err = postgres.Open(ctx, b.url, postgres.Config{}); err != nil {
		return nil, err
	}
	for done := 0; done < rows; {
		n := min(rows-done, 250_000)
		if _, err := grow(ctx, b.db, n); err != nil {
			return nil, err
		}
		done += n
	}
	if _, err := b.db.Pool().Exec(ctx, "VACUUM ANALYZE herald.events"); err != nil {
		return nil, err
	}
	if b.queue, err = worker.NewQueue(b.db.Pool(), migrations.QueueSchema, log); err != nil {
		return nil, err
	}
	if b.blobs, err = fileblob.OpenBucket(filepath.Join(b.dir, "blobs"), &fileblob.Options{
		CreateDir: true, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	}); err != nil {
		return nil, err
	}
	exports, err := postgres.NewExports(b.url, nil)
	if err != nil {
		return nil, err
	}
	pool, err := worker.NewPool(worker.Config{
		Node: "bench", Log: log, Store: b.db, Pool: b.db.Pool(), Schema: migrations.QueueSchema, Blobs: b.blobs, Tools: ffmpeg.Tools{},
		Exports: exports, Reports: reports.New(b.db, reports.Config{}), WorkDir: filepath.Join(b.dir, "work"), Workers: 1,
	})
	if err != nil {
		return nil, err
	}
	working, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- pool.Run(working) }()
	return func() error {
		cancel()
		err := <-done
		b.db.Close()
		return errors.Join(err, b.blobs.Close())
	}, nil
}

// measure holds exports of the whole log against psql's, in turn.
func (b *exportBench) measure(ctx context.Context, rows, rounds int, only []string) ([]figure, error) {
	type way struct{ key, args string }
	ways := []way{
		{"csv", `"format":"csv"`},
		{"csv_gzip", `"format":"csv","compression":"gzip"`},
		{"csv_zstd", `"format":"csv","compression":"zstd"`},
		{"ndjson", `"format":"ndjson"`},
		{"parquet", `"format":"parquet"`},
		{"parquet_zstd", `"format":"parquet","compression":"zstd"`},
	}
	ways = slices.DeleteFunc(ways, func(w way) bool { return len(only) > 0 && !slices.Contains(only, w.key) })
	const query = `SELECT seq, type, job_id, job_version, actor, created_at, recorded_at, id, to_json(topics) AS topics, payload FROM herald.events ORDER BY seq`
	var naive []float64
	took, memory, size := map[string][]float64{}, map[string]float64{}, map[string]float64{}
	for range rounds {
		seconds, sum, err := b.copy(ctx, query)
		if err != nil {
			return nil, err
		}
		naive = append(naive, seconds)
		for _, way := range ways {
			f, err := b.export(ctx, `{"dataset":"events",`+way.args+`,"for":{"user":"bench","all":true}}`, rows)
			if err != nil {
				return nil, err
			}
			if way.key == "csv" && f.sha256 != sum {
				return nil, errors.New("the file is not, byte for byte, what psql wrote")
			}
			took[way.key] = append(took[way.key], f.seconds)
			memory[way.key], size[way.key] = max(memory[way.key], f.resident), f.size
		}
	}
	base := quantile(naive, 0.5)
	figures := []figure{{"export_psql_s", base, fmt.Sprintf("s that psql takes to \\copy %d events to a CSV file (median of %d)", rows, rounds)}}
	for _, way := range ways {
		name, says := "export_"+way.key, strings.ReplaceAll(way.key, "_", ", ")
		ratio := "export_ratio"
		if way.key != "csv" {
			ratio = name + "_ratio"
		}
		figures = append(figures,
			figure{ratio, quantile(took[way.key], 0.5) / base, says + ": wall time of the whole job against psql's"},
			figure{name + "_mb", size[way.key], says + ": size of the file, MB"},
			figure{name + "_rss_mb", memory[way.key], says + ": most resident memory of the whole process meanwhile, MB"})
	}
	slices.Sort(naive)
	return append(figures, figure{"export_psql_spread", naive[len(naive)-1] / naive[0], "psql's slowest round against its fastest"}), nil
}

// copy lets psql write the query's rows to a file, and returns how long that took
// and the file's SHA-256.
func (b *exportBench) copy(ctx context.Context, query string) (seconds float64, sum string, err error) {
	path := filepath.Join(b.dir, "psql.csv")
	began := time.Now()
	cmd := exec.CommandContext(ctx, b.psql, "-X", "-q", b.url, "-c", `\copy (`+query+`) TO '`+path+`' (FORMAT csv, HEADER)`)
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c jit=off -c timezone=UTC") // as exports have it
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, "", fmt.Errorf("psql: %w: %s", err, out)
	}
	took := time.Since(began).Seconds()
	defer os.Remove(path) //nolint:errcheck // its folder goes too
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer file.Close() //nolint:errcheck // it was read
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return 0, "", err
	}
	return took, hex.EncodeToString(digest.Sum(nil)), nil
}

// exported is what an export came to.
type exported struct {
	seconds, resident, size float64
	sha256                  string
}

// export runs a job from its creation to its end, with the file in the store.
func (b *exportBench) export(ctx context.Context, args string, rows int) (exported, error) {
	debug.FreeOSMemory()                                                          // what filling the log has left is not the export's
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // forgets the highest so far
		return exported{}, err
	}
	began := time.Now()
	j, err := b.db.CreateJob(ctx, job.New{Kind: worker.ExportKind, Owner: "bench", Title: "bench", Args: json.RawMessage(args)}, b.queue)
	if err != nil {
		return exported{}, err
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !j.State.Ended() {
		select {
		case <-ctx.Done():
			return exported{}, ctx.Err()
		case <-ticker.C:
		}
		if j, err = b.db.Job(ctx, j.ID); err != nil {
			return exported{}, err
		}
	}
	took := j.FinishedAt.Sub(j.CreatedAt).Seconds()
	if j.State != job.Succeeded || *j.Processed != int64(rows) {
		return exported{}, fmt.Errorf("the export is %s after %v: %s", j.State, time.Since(began), j.Error)
	}
	most, err := memoryOf("VmHWM")
	if err != nil {
		return exported{}, err
	}
	files, err := b.db.ArtifactsOfJob(ctx, j.ID)
	if err != nil {
		return exported{}, err
	}
	const mb = 1e6
	return exported{took, most / mb, float64(files[0].Size) / mb, files[0].SHA256}, b.clear(ctx, files)
}

func (b *exportBench) clear(ctx context.Context, files []artifact.Artifact) error {
	for _, file := range files {
		if err := b.blobs.Delete(ctx, file.BlobKey); err != nil {
			return err
		}
	}
	return nil
}

// memoryOf reads one of the process's figures of memory, in bytes.
func memoryOf(what string) (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), what+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("no %s in /proc/self/status", what)
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	return kib * 1024, err
}
