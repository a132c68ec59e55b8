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
	"gocloud.dev/gcerrors"

	"herald/internal/artifact"
	"herald/internal/job"
)

// prefix is where one attempt of a job puts what it makes.
func prefix(j job.Job) string { return artifact.Attempt{Job: j.ID, Number: j.Attempt}.Prefix() }

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
	size, err = io.Copy(io.MultiWriter(out, hash), until(ctx, in))
	if err != nil {
		cancel() // makes Close drop what was written
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return 0, "", fmt.Errorf("store %s: %w", key, err)
	}
	return size, hex.EncodeToString(hash.Sum(nil)), nil
}

// getFile brings a blob to the path: as another name of the same file where the
// blobs are files on the same disk, else as a copy. Nobody may write to it.
func getFile(ctx context.Context, blobs *blob.Bucket, key, path string) error {
	var file *os.File
	in, err := blobs.NewReader(ctx, key, &blob.ReaderOptions{BeforeRead: func(as func(any) bool) error {
		as(&file) // stays nil when it is none
		return nil
	}})
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	if file != nil && os.Link(file.Name(), path) == nil {
		return nil
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, until(ctx, in))
	return errors.Join(err, out.Close())
}

// getUpload brings an upload to the path, whether it is one blob or in parts.
func getUpload(ctx context.Context, blobs *blob.Bucket, upload artifact.Artifact, path string) error {
	switch {
	case !upload.InParts():
		return getFile(ctx, blobs, upload.BlobKey, path)
	case len(upload.Parts) == 1:
		return getFile(ctx, blobs, upload.Parts[0].Key, path)
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, part := range upload.Parts {
		if err = appendBlob(ctx, blobs, part.Key, out); err != nil {
			break
		}
	}
	return errors.Join(err, out.Close())
}

// appendBlob writes all of a blob to out.
func appendBlob(ctx context.Context, blobs *blob.Bucket, key string, out io.Writer) error {
	in, err := blobs.NewReader(ctx, key, nil)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	_, err = io.Copy(out, until(ctx, in))
	return err
}

// until reads from r as long as ctx does not end.
func until(ctx context.Context, r io.Reader) io.Reader {
	return readFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(b)
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

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
		if err := remove(ctx, blobs, object.Key); err != nil {
			return err
		}
	}
}

// remove removes a blob, or finds that it is gone.
func remove(ctx context.Context, blobs *blob.Bucket, key string) error {
	err := blobs.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return err
}
