package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"gocloud.dev/blob"

	"herald/internal/archive"
	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

// withDatabase does something with the database: the one given, or that of a
// Herald that runs in the data folder, or the one there, started for this.
func (s *settings) withDatabase(ctx context.Context, do func(db *postgres.DB) error) (err error) {
	url := s.DatabaseURL
	if url == "" {
		dir := filepath.Join(s.DataDir, "postgres")
		if !embedded.Made(dir) {
			return errNoDatabase
		}
		var server *embedded.Server
		server, err = embedded.Start(ctx, embedded.Config{Dir: dir, BinDir: s.PostgresBin, Logger: slog.New(slog.DiscardHandler)})
		switch {
		case errors.Is(err, embedded.ErrInUse):
			if url, err = embedded.RunningURL(dir, embedded.Database); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			url = server.URL(embedded.Database)
			defer func() {
				stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
				defer cancel()
				err = errors.Join(err, server.Stop(stop))
			}()
		}
	}
	db, err := postgres.Open(ctx, url, postgres.Config{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	return do(db)
}

// withArchives does something with the archives in the blob store.
func (s *settings) withArchives(ctx context.Context, do func(archives *archive.Store) error) (err error) {
	bucket, err := blob.OpenBucket(ctx, s.BlobURL)
	if err != nil {
		return fmt.Errorf("open the blob store: %w; look at --blob-url", err)
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	return do(archive.NewStore(bucket))
}
