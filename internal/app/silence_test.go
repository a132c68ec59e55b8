package app_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"herald/internal/app"
	"herald/internal/config"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// A node that only serves looks after silent workers, when it leads the log.
func TestANodeThatOnlyServesLetsNoJobHang(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db, err := postgres.Open(t.Context(), url, postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	j, err := db.CreateJob(t.Context(), job.New{
		Kind: "build", Owner: "alice", Title: "a build", External: true, CreatedBy: "robot", Begin: &job.Claim{By: "robot"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CancelJob(t.Context(), j.ID, "alice", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(t.Context(), `UPDATE herald.jobs SET cancel_asked_at = cancel_asked_at - interval '5 min'`); err != nil {
		t.Fatal(err)
	}
	heard, err := db.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close(context.WithoutCancel(t.Context()))
	if _, err := heard.Exec(t.Context(), "LISTEN "+postgres.LogChannel); err != nil {
		t.Fatal(err)
	}
	c := config.Config{Addr: "127.0.0.1:0", DataDir: t.TempDir(), DatabaseURL: url, Workers: 1, MaxUploadSize: 1, CancelTimeout: 4 * time.Minute}
	c.KeyFile = filepath.Join(c.DataDir, "signing.key")
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- app.New(c, app.Roles{API: true}, slog.New(slog.DiscardHandler)).Run(ctx, func(net.Addr) {})
	}()
	waiting, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		now, err := db.Job(t.Context(), j.ID)
		if err != nil {
			t.Fatal(err)
		}
		if now.State == job.Cancelled {
			break
		}
		if _, err := heard.WaitForNotification(waiting); err != nil {
			t.Fatalf("the job is still %s: %v", now.State, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
