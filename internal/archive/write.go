package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"herald/internal/chain"
	"herald/internal/event"
)

// window is how far back a repetition is found, in bytes. Reading takes as much
// memory.
const window = 1 << 20

// Store keeps archives in a blob store. It is safe for concurrent use.
type Store struct{ bucket *blob.Bucket }

// NewStore returns the Store of the bucket, which is the caller's.
func NewStore(bucket *blob.Bucket) *Store { return &Store{bucket: bucket} }

// ErrOther is returned when there is an archive of the same seqs already, and
// of another log.
var ErrOther = errors.New("there is an archive of another log at these seqs: move it to another place")

// Save archives the log between two ends of the chain, which fill hands over in
// order, and reads the archive back. It returns the manifest when all of it is
// in the blob store, and writes over an archive of the same.
func (s *Store) Save(
	ctx context.Context, before, end chain.Point, fill func(to chain.Sink) error,
) (manifest json.RawMessage, err error) {
	first, last := before.Seq+1, end.Seq
	switch there, err := s.manifest(ctx, manifestKey(first, last)); {
	case gcerrors.Code(err) == gcerrors.NotFound:
	case err != nil:
		return nil, err
	case there.before() != before || there.End() != end:
		return nil, fmt.Errorf("archive seqs %d to %d: %w", first, last, ErrOther)
	}
	m, err := s.write(ctx, before, end, fill)
	if err != nil {
		return nil, fmt.Errorf("archive seqs %d to %d: %w", first, last, err)
	}
	if err := s.Read(ctx, m, nil, nil); err != nil {
		return nil, fmt.Errorf("read back the archive of seqs %d to %d: %w", first, last, err)
	}
	if manifest, err = json.Marshal(m); err != nil {
		return nil, err
	}
	if err := s.bucket.WriteAll(ctx, manifestKey(first, last), manifest, &blob.WriterOptions{ContentType: "application/json"}); err != nil {
		return nil, fmt.Errorf("write the manifest of seqs %d to %d: %w", first, last, err)
	}
	return manifest, nil
}

// Check says whether the archive with the manifest is in the blob store, as it
// was saved.
func (s *Store) Check(ctx context.Context, manifest json.RawMessage) error {
	m, err := ParseManifest(manifest)
	if err != nil {
		return err
	}
	return s.Read(ctx, m, nil, nil)
}

// write writes the object, or nothing of it.
func (s *Store) write(ctx context.Context, before, end chain.Point, fill func(to chain.Sink) error) (m Manifest, err error) {
	m = Manifest{
		Format: format, First: before.Seq + 1, Last: end.Seq, Events: int64(end.Seq - before.Seq),
		Before: Digest(before.Digest), Digest: Digest(end.Digest), Object: objectKey(before.Seq+1, end.Seq),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	object, err := s.bucket.NewWriter(ctx, m.Object, &blob.WriterOptions{ContentType: "application/zstd"})
	if err != nil {
		return m, err
	}
	sum := &counter{to: object, hash: sha256.New()}
	w := &writer{verifier: chain.NewVerifier(before, nil)}
	w.out, err = zstd.NewWriter(sum, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err == nil {
		err = fill(w)
	}
	if err == nil {
		err = w.verifier.End(end)
	}
	if w.out != nil {
		err = errors.Join(err, w.out.Close())
	}
	if err != nil {
		cancel() // makes Close drop what was written
	}
	if err = errors.Join(err, object.Close()); err != nil {
		return m, err
	}
	m.Batches, m.Size, m.SHA256 = w.batches, sum.size, Digest(sum.hash.Sum(nil))
	m.FirstRecordedAt, m.LastRecordedAt = Time{w.first}, Time{w.last}
	return m, nil
}

// counter measures and hashes what goes through it.
type counter struct {
	to   io.Writer
	hash hash.Hash
	size int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.hash.Write(b[:n])
	c.size += int64(n)
	return n, err
}

// writer is the Sink that writes lines. It takes nothing that does not verify.
type writer struct {
	out         *zstd.Encoder
	verifier    *chain.Verifier
	batch       chain.Batch
	batches     int64
	first, last time.Time
	buffer      []byte
}

// Batch takes a batch; its line comes after its events'.
func (w *writer) Batch(b chain.Batch) error {
	w.batch = b
	w.batches++
	return w.verifier.Batch(b)
}

// Event writes an event, and after the last one of a batch the batch.
func (w *writer) Event(e event.Event) error {
	if err := w.verifier.Event(e); err != nil {
		return err
	}
	var err error
	if w.buffer, err = AppendEvent(w.buffer[:0], e); err != nil {
		return err
	}
	if w.last = e.RecordedAt; w.first.IsZero() {
		w.first = e.RecordedAt
	}
	if len(w.buffer) > maxLine {
		return fmt.Errorf("event %d has %d bytes as a line, at most %d can be read back", e.Seq, len(w.buffer), maxLine)
	}
	if e.Seq == w.batch.Last {
		if w.buffer, err = appendBatch(w.buffer, w.batch); err != nil {
			return err
		}
	}
	_, err = w.out.Write(w.buffer)
	return err
}

// manifest reads the manifest with the key.
func (s *Store) manifest(ctx context.Context, key string) (Manifest, error) {
	text, err := s.readManifest(ctx, key)
	if err != nil {
		return Manifest{}, fmt.Errorf("read %s: %w", key, err)
	}
	m, err := ParseManifest(text)
	if err == nil && manifestKey(m.First, m.Last) != key {
		err = errors.New("the manifest is that of another archive")
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", key, err)
	}
	return m, nil
}

func (s *Store) readManifest(ctx context.Context, key string) ([]byte, error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	var text bytes.Buffer
	_, err = io.Copy(&text, io.LimitReader(r, maxManifest))
	return text.Bytes(), err
}
