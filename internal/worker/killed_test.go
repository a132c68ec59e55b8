package worker_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/artifact"
	"herald/internal/exectest"
	"herald/internal/export"
	"herald/internal/ffmpeg"
	"herald/internal/job"
	"herald/internal/progress"
	"herald/internal/worker"
)

// These make the test binary a worker node that is to be killed.
const (
	childURL = "HERALD_TEST_WORKER_URL"
	childDir = "HERALD_TEST_WORKER_DIR"
	// childStep is where its jobs halt: exports at query, rows or whole, videos in
	// the middle of one of their steps, both when all is stored,
	// callbacks when one has been sent: called.
	childStep = "HERALD_TEST_WORKER_STEP"
	victim    = "victim"
)

// runChild works jobs as the node victim, none of which ever ends.
func runChild(url, dir string) error {
	s, err := newSite(context.Background(), url, dir)
	if err != nil {
		return err
	}
	c := s.config(victim)
	if step := os.Getenv(childStep); step != "" {
		c.Exports, c.Store = halting{s.exports, step, s}, haltingStore{c.Store, step, s}
		c.Reports = progress.New(c.Store, progress.Config{})
		c.Tools = haltingTools(c.Tools, dir, step)
	}
	pool, err := worker.NewTestPool(c, func(ctx context.Context, t worker.Task) ([]artifact.Artifact, error) {
		if err := os.WriteFile(filepath.Join(t.Folder, "half"), []byte("half a film"), 0o600); err != nil {
			return nil, err
		}
		if err := s.blobs.WriteAll(ctx, t.Prefix+"half", []byte("half a film"), nil); err != nil {
			return nil, err
		}
		if err := t.Attempt.Report(ctx, job.Report{Message: "under way"}); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if err != nil {
		return err
	}
	return pool.Run(context.Background())
}

// startVictim starts a node in a process of its own and gives it a job.
func (b *bench) startVictim(t *testing.T) (*exec.Cmd, job.Job) {
	t.Helper()
	child := b.startChild(t, "")
	j := b.create(t, worker.TestKind, `{}`)
	return child, b.await(t, j.ID, "under way", func(j job.Job) bool { return j.Message == "under way" })
}

// startChild starts a node in a process of its own, whose exports halt at the step.
func (b *bench) startChild(t *testing.T, step string) *exec.Cmd {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childURL+"="+b.url, childDir+"="+b.dir, childStep+"="+step)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Wait() }) // its context kills it
	return child
}

// A node is killed in the middle of a job. Another one, or the same when it
// starts again, runs the job a second time, and clears up after the first.
func TestKilledNodeLosesItsJobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, node string
		silent     bool
	}{{"to another node", "survivor", true}, {"to itself, started anew", victim, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			child, j := b.startVictim(t)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // it was killed
			if tt.silent {   // as it will be in ten seconds
				b.exec(t, `UPDATE herald.nodes SET heartbeat_at = heartbeat_at - interval '10 s' WHERE id = $1`, victim)
			}
			stop := b.run(t, b.config(tt.node), noWork)
			j = b.awaitState(t, j.ID, job.Succeeded)
			checkState(t, j, job.Succeeded)
			stop()
			if j.Attempt != 2 || j.Worker != tt.node || j.MaxAttempts != job.DefaultAttempts {
				t.Errorf("attempt %d of %d on %s, want 2 of %d on %s", j.Attempt, j.MaxAttempts, j.Worker, job.DefaultAttempts, tt.node)
			}
			if keys, files := b.keys(t), b.files(t); len(keys)+len(files) > 0 {
				t.Errorf("left behind: %v, %v", keys, files)
			}
		})
	}
}

func (b *bench) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := b.db.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// halting is a source that halts at a step, and says so.
type halting struct {
	export.Source

	step string
	site *site
}

func (h halting) Read(ctx context.Context, q export.Query, sink export.Sink) error {
	if err := h.at(ctx, "query"); err != nil {
		return err
	}
	if err := h.Source.Read(ctx, q, haltingSink{sink, ctx, h}); err != nil {
		return err
	}
	return h.at(ctx, "whole")
}

// at halts for good if it is the step.
func (h halting) at(ctx context.Context, step string) error {
	if step != h.step {
		return nil
	}
	if _, err := h.site.db.Pool().Exec(ctx, "SELECT pg_notify('herald_test', $1)", step); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

type haltingSink struct {
	export.Sink

	ctx context.Context
	h   halting
}

func (s haltingSink) Row(values [][]byte) error {
	if err := s.Sink.Row(values); err != nil {
		return err
	}
	if string(values[0]) != "9000" {
		return nil
	}
	return s.h.at(s.ctx, "rows")
}

// haltingStore halts before a success is recorded, and when the step of that name
// has begun to store.
type haltingStore struct {
	worker.Store

	step string
	site *site
}

func (s haltingStore) FinishJob(
	ctx context.Context, id uuid.UUID, r job.Report, finish func(context.Context, pgx.Tx) error,
) (job.Outcome, error) {
	if err := (halting{step: s.step, site: s.site}).at(context.WithoutCancel(ctx), "stored"); err != nil {
		return job.Outcome{}, err
	}
	return s.Store.FinishJob(ctx, id, r, finish)
}

// RecordCallback halts when the callback has been sent.
func (s haltingStore) RecordCallback(
	ctx context.Context, id uuid.UUID, c job.Callback, complete func(context.Context, pgx.Tx) error,
) error {
	if err := (halting{step: s.step, site: s.site}).at(context.WithoutCancel(ctx), "called"); err != nil {
		return err
	}
	return s.Store.RecordCallback(ctx, id, c, complete)
}

func (s haltingStore) RecordReport(ctx context.Context, id uuid.UUID, r job.Report) (job.Outcome, error) {
	out, err := s.Store.RecordReport(ctx, id, r)
	if err == nil && r.Step == "store" {
		err = (halting{step: s.step, site: s.site}).at(context.WithoutCancel(ctx), "store")
	}
	return out, err
}

// A node is killed at each step of an export. Nobody ever gets half a file; the
// next attempt makes a whole one, and nothing else is left.
func TestExportKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"query", "rows", "whole", "stored"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if _, err := b.changes.Exec(t.Context(), "LISTEN herald_test"); err != nil {
				t.Fatal(err)
			}
			child := b.startChild(t, step)
			j := b.start(t, `{"dataset":"rows","format":"ndjson"}`)
			b.hear(t, "herald_test")
			if files, err := b.db.ArtifactsOfJob(t.Context(), j.ID); err != nil || len(files) > 0 {
				t.Errorf("half a file is offered: %v, %v", files, err)
			}
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // it was killed
			b.exec(t, `UPDATE herald.nodes SET heartbeat_at = heartbeat_at - interval '10 s' WHERE id = $1`, victim)
			stop := b.run(t, b.config("survivor"), noWork)
			j = b.awaitState(t, j.ID, job.Succeeded)
			checkState(t, j, job.Succeeded)
			stop()
			if content := b.made(t, j); j.Attempt != 2 || bytes.Count(content, []byte("\n")) != 10_000 {
				t.Errorf("attempt %d made %d rows, want 2 and 10000", j.Attempt, bytes.Count(content, []byte("\n")))
			}
			if left := filesBelow(t, filepath.Join(b.dir, "blobs")); len(left) != 1 {
				t.Errorf("the store has %v, want the one file", left)
			}
			if files := b.files(t); len(files) > 0 {
				t.Errorf("left behind: %v", files)
			}
		})
	}
}

// hear waits for a word on the channel.
func (b *bench) hear(t *testing.T, channel string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		n, err := b.changes.WaitForNotification(ctx)
		if err != nil {
			t.Fatalf("waiting for the job to halt: %v", err)
		}
		if n.Channel == channel {
			return
		}
	}
}

func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// haltingPipe is the pipe that a halting ffmpeg has open until it ends.
const haltingPipe = "pipe"

// haltingTools are programs that run what they are told to, but at the step run
// ffmpeg without an end, after a word into the pipe.
func haltingTools(tools ffmpeg.Tools, dir, step string) ffmpeg.Tools {
	last := map[string]string{"generate": "input", "transcode": "video.mp4", "poster": "poster.jpg", "thumbnails": "thumbnails.jpg"}[step]
	script := func(name, program, when string) string {
		path := filepath.Join(dir, name)
		text := fmt.Sprintf("for last; do :; done\nif %s; then\n\texec 3>'%s'\n\techo halted >&3\n"+
			"\texec '%s' -nostdin -loglevel quiet -re -f lavfi -i testsrc2=size=32x32 -f null -\nfi\nexec '%s' \"$@\"",
			when, filepath.Join(dir, haltingPipe), tools.FFmpeg, program)
		if err := exectest.WriteScript(path, text); err != nil {
			panic(err)
		}
		return path
	}
	whenProbed := "false"
	if step == "probe" {
		whenProbed = "true"
	}
	return ffmpeg.Tools{
		FFmpeg:  script("ffmpeg", tools.FFmpeg, fmt.Sprintf(`[ "$last" = '%s' ]`, last)),
		FFprobe: script("ffprobe", tools.FFprobe, whenProbed),
	}
}

// haltingFFmpeg is this end of the pipe, and one of the other, which keeps it from
// looking ended.
type haltingFFmpeg struct {
	pipe   *bufio.Reader
	writer *os.File
}

func (b *bench) openHaltingPipe(t *testing.T) haltingFFmpeg {
	t.Helper()
	path := filepath.Join(b.dir, haltingPipe)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pipe.Close() })
	if err := pipe.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = writer.Close() })
	return haltingFFmpeg{bufio.NewReader(pipe), writer}
}

// begins waits until ffmpeg runs without an end.
func (h haltingFFmpeg) begins(t *testing.T) {
	t.Helper()
	if _, err := h.pipe.ReadString('\n'); err != nil {
		t.Fatalf("ffmpeg did not begin: %v", err)
	}
}

// ends waits until no ffmpeg is left.
func (h haltingFFmpeg) ends(t *testing.T) {
	t.Helper()
	if err := h.writer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(h.pipe); err != nil {
		t.Errorf("ffmpeg lives on: %v", err)
	}
}

// A node is killed in the middle of each step of a video. ffmpeg dies with it,
// nobody gets half a film, and the next attempt makes a whole one.
func TestVideoKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"generate", "probe", "transcode", "poster", "thumbnails", "store", "stored"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if _, err := b.changes.Exec(t.Context(), "LISTEN herald_test"); err != nil {
				t.Fatal(err)
			}
			halted := b.openHaltingPipe(t)
			args, uploads := `{"source":{"test":{"seconds":1}},"preset":"mp4-480p"}`, 0
			if step != "generate" {
				args, uploads = uploadArgs(b.film(t, slices.Concat(tone(), smallPicture())...).ID), 1
			}
			child := b.startChild(t, step)
			j := b.create(t, worker.VideoKind, args)
			if step == "store" || step == "stored" {
				b.hear(t, "herald_test")
			} else {
				halted.begins(t)
			}
			if files, err := b.db.ArtifactsOfJob(t.Context(), j.ID); err != nil || len(files) > 0 {
				t.Errorf("half a film is offered: %v, %v", files, err)
			}
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // it was killed
			halted.ends(t)
			b.exec(t, `UPDATE herald.nodes SET heartbeat_at = heartbeat_at - interval '10 s' WHERE id = $1`, victim)
			stop := b.run(t, b.config("survivor"), noWork)
			j = b.awaitState(t, j.ID, job.Succeeded)
			checkState(t, j, job.Succeeded)
			stop()
			files, err := b.db.ArtifactsOfJob(t.Context(), j.ID)
			if err != nil || len(files) != 4 || j.Attempt != 2 {
				t.Errorf("attempt %d made %v, %v, want attempt 2 and four files", j.Attempt, files, err)
			}
			if left := filesBelow(t, filepath.Join(b.dir, "blobs")); len(left) != len(files)+uploads {
				t.Errorf("the store has %v, want the four files and the upload", left)
			}
			if files := b.files(t); len(files) > 0 {
				t.Errorf("left behind: %v", files)
			}
		})
	}
}
