package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
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

// videoBench is a node that processes videos, and what it is held against: the
// same programs with the same arguments, one after the other, by themselves.
type videoBench struct {
	db     *postgres.DB
	queue  *worker.Queue
	blobs  *blob.Bucket
	dir    string
	tools  ffmpeg.Tools
	upload artifact.Artifact
	runs   []bareRun
}

// bareRun is a run of one of the programs.
type bareRun struct{ args []string }

// videoFigures measures a film of so many seconds, so many times.
func videoFigures(ctx context.Context, url string, quick bool) (figures []figure, err error) {
	seconds, rounds := 60, 5
	if quick {
		seconds, rounds = 15, 3
	}
	b := &videoBench{}
	if b.tools, err = ffmpeg.Find(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "herald-bench-video-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // it is the system's to clear up then
	if err := b.open(ctx, url, seconds); err != nil {
		return nil, err
	}
	if err := b.record(ctx); err != nil {
		return nil, err
	}
	stop, err := b.work(ctx, b.tools)
	if err != nil {
		return nil, err
	}
	figures, err = b.measure(ctx, seconds, rounds)
	return figures, errors.Join(err, stop(), b.close())
}

// open makes the film, and a database and a store for a node to work with.
func (b *videoBench) open(ctx context.Context, url string, seconds int) (err error) {
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	if b.db, err = postgres.Open(ctx, url, postgres.Config{}); err != nil {
		return err
	}
	if b.queue, err = worker.NewQueue(b.db.Pool(), migrations.QueueSchema, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if b.blobs, err = fileblob.OpenBucket(filepath.Join(b.dir, "blobs"), &fileblob.Options{
		CreateDir: true, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	}); err != nil {
		return err
	}
	if err := b.tools.MakeTest(ctx, time.Duration(seconds)*time.Second, b.input(), func(ffmpeg.Progress) {}); err != nil {
		return err
	}
	b.upload = artifact.Artifact{
		ID: uuid.Must(uuid.NewV7()), Owner: "bench", Kind: artifact.Upload, Name: "film.mp4", ContentType: "video/mp4",
		BlobKey: "uploads/film", CreatedAt: time.Now(),
	}
	film, err := os.Open(b.input())
	if err != nil {
		return err
	}
	defer film.Close() //nolint:errcheck // it was only read
	if err := b.blobs.Upload(ctx, b.upload.BlobKey, film, &blob.WriterOptions{ContentType: b.upload.ContentType}); err != nil {
		return err
	}
	return b.db.SaveArtifact(ctx, b.upload)
}

func (b *videoBench) close() error {
	b.db.Close()
	return b.blobs.Close()
}

func (b *videoBench) input() string { return filepath.Join(b.dir, "film.mp4") }

// work starts a node with the programs, which runs until the returned function is
// called.
func (b *videoBench) work(ctx context.Context, tools ffmpeg.Tools) (stop func() error, err error) {
	pool, err := worker.NewPool(worker.Config{
		Node: "bench", Log: slog.New(slog.DiscardHandler), Store: b.db, Pool: b.db.Pool(), Schema: migrations.QueueSchema, Blobs: b.blobs, Tools: tools,
		Reports: reports.New(b.db, reports.Config{}), WorkDir: filepath.Join(b.dir, "work"), Workers: 1,
	})
	if err != nil {
		return nil, err
	}
	working, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- pool.Run(working) }()
	return func() error {
		cancel()
		return <-done
	}, nil
}

// record runs a job with programs that write down their arguments, and then run.
func (b *videoBench) record(ctx context.Context) error {
	log := filepath.Join(b.dir, "runs")
	shim := func(program string) (string, error) {
		path := filepath.Join(b.dir, filepath.Base(program))
		text := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\0' '%s' \"$@\" '' >>'%s'\nexec '%s' \"$@\"\n", program, log, program)
		return path, os.WriteFile(path, []byte(text), 0o700) //nolint:gosec // it is to be run
	}
	var shims ffmpeg.Tools
	var errs [2]error
	shims.FFmpeg, errs[0] = shim(b.tools.FFmpeg)
	shims.FFprobe, errs[1] = shim(b.tools.FFprobe)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	stop, err := b.work(ctx, shims)
	if err != nil {
		return err
	}
	_, err = b.job(ctx)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	for run := range bytes.SplitSeq(bytes.TrimSuffix(text, []byte("\x00\x00")), []byte("\x00\x00")) {
		args := strings.Split(string(run), "\x00")
		for i, arg := range args {
			if strings.HasPrefix(arg, "file:") { // the job's copy of the film, which is gone
				args[i] = "file:" + b.input()
			}
		}
		b.runs = append(b.runs, bareRun{args})
	}
	return nil
}

// measure runs jobs and the bare programs in turn.
func (b *videoBench) measure(ctx context.Context, seconds, rounds int) ([]figure, error) {
	var ratios, steps, bare, whole []float64
	for round := range rounds {
		var through, alone, transcode, transcodeAlone float64
		for half := range 2 {
			var err error
			if (round+half)%2 == 0 { // who goes first takes turns
				through, transcode, err = b.timed(ctx)
			} else {
				alone, transcodeAlone, err = b.alone(ctx)
			}
			if err != nil {
				return nil, err
			}
		}
		ratios, steps = append(ratios, through/alone), append(steps, transcode/transcodeAlone)
		bare, whole = append(bare, alone), append(whole, through)
	}
	slices.Sort(bare)
	return []figure{
		{"video_ratio", quantile(ratios, 0.5), fmt.Sprintf("wall time of a whole job (%d s of 720p to MP4, with its pictures) against the same programs by themselves, median of %d pairs", seconds, rounds)},
		{"video_step_ratio", quantile(steps, 0.5), "the same of the transcoding step alone"},
		{"video_s", quantile(whole, 0.5), "s that the job takes, from its creation to its end"},
		{"video_bare_s", quantile(bare, 0.5), "s that the programs take by themselves"},
		{"video_bare_spread", bare[len(bare)-1] / bare[0], "their slowest round against their fastest"},
	}, nil
}

// timed runs a job: how long it took, and its transcoding.
func (b *videoBench) timed(ctx context.Context) (whole, transcode float64, err error) {
	j, err := b.job(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range j.Steps {
		if s.Name == "transcode" {
			transcode = s.FinishedAt.Sub(*s.StartedAt).Seconds()
		}
	}
	return j.FinishedAt.Sub(j.CreatedAt).Seconds(), transcode, b.clear(ctx, j.ID)
}

// job runs a job from its creation to its end.
func (b *videoBench) job(ctx context.Context) (job.Job, error) {
	args := fmt.Sprintf(`{"source":{"upload":%q},"preset":"mp4-720p"}`, b.upload.ID)
	j, err := b.db.CreateJob(ctx, job.New{Kind: worker.VideoKind, Owner: "bench", Title: "bench", Args: json.RawMessage(args)}, b.queue)
	if err != nil {
		return j, err
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !j.State.Ended() {
		select {
		case <-ctx.Done():
			return j, ctx.Err()
		case <-ticker.C:
		}
		if j, err = b.db.Job(ctx, j.ID); err != nil {
			return j, err
		}
	}
	if j.State != job.Succeeded {
		return j, fmt.Errorf("the job is %s: %s", j.State, j.Error)
	}
	return j, nil
}

func (b *videoBench) clear(ctx context.Context, id uuid.UUID) error {
	files, err := b.db.ArtifactsOfJob(ctx, id)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := b.blobs.Delete(ctx, file.BlobKey); err != nil {
			return err
		}
	}
	return nil
}

// alone runs the programs one after the other: how long all took, and the one that
// transcodes.
func (b *videoBench) alone(ctx context.Context) (whole, transcode float64, err error) {
	folder, err := os.MkdirTemp(b.dir, "bare-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // the whole is removed in the end
	for _, run := range b.runs {
		began := time.Now()
		cmd := exec.CommandContext(ctx, run.args[0], run.args[1:]...)
		cmd.Dir, cmd.Stdout = folder, io.Discard
		if err := cmd.Run(); err != nil {
			return 0, 0, fmt.Errorf("%v: %w", run.args, err)
		}
		took := time.Since(began).Seconds()
		whole += took
		if run.args[len(run.args)-1] == "video.mp4" {
			transcode = took
		}
	}
	return whole, transcode, nil
}
