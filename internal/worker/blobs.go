package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"gocloud.dev/blob"

	"herald/internal/job"
)

// prefix is where an attempt puts what it makes.
func prefix(j job.Job) string { return fmt.Sprintf("jobs/%s/%d/", j.ID, j.Attempt) }

// putFile copies a file into the blob store, or nothing of it.
func putFile(ctx context.Context, blobs *blob.Bucket, key, path string) (size int64, sum string, err error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer in.Close() //nolint:errcheck // it was only read
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := blobs.NewWriter(ctx, key, nil)
	if err != nil {
		return 0, "", err
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(out, hash), in)
	if err != nil {
		cancel() // makes Close drop what was written
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return 0, "", fmt.Errorf("store %s: %w", key, err)
	}
	return size, hex.EncodeToString(hash.Sum(nil)), nil
}

// getFile copies a blob into a file.
func getFile(ctx context.Context, blobs *blob.Bucket, key, path string) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = blobs.Download(ctx, key, out, nil)
	return errors.Join(err, out.Close())
}

// removeAll removes every blob below the prefix.
func removeAll(ctx context.Context, blobs *blob.Bucket, prefix string) error {
	list := blobs.List(&blob.ListOptions{Prefix: prefix})
	for {
		object, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := blobs.Delete(ctx, object.Key); err != nil {
			return err
		}
	}
}
