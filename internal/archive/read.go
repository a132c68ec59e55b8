package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/zstd"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"herald/internal/chain"
	"herald/internal/event"
)

const (
	// maxWindow bounds the memory that an object can make its reader take.
	maxWindow = 8 << 20
	// maxBatch bounds the hashes kept of one batch.
	maxBatch = 1 << 20
)

// Manifests lists what there is, in the order of the log.
func (s *Store) Manifests(ctx context.Context) iter.Seq2[Manifest, error] {
	return func(yield func(Manifest, error) bool) {
		list := s.bucket.List(&blob.ListOptions{Prefix: prefix})
		for {
			object, err := list.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Manifest{}, fmt.Errorf("list the archives: %w", err))
				return
			}
			if !strings.HasSuffix(object.Key, ".json") {
				continue
			}
			if m, err := s.manifest(ctx, object.Key); !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Manifest reads the manifest of the archive of these seqs. That there is none
// is a *chain.FaultError.
func (s *Store) Manifest(ctx context.Context, first, last event.Seq) (Manifest, error) {
	m, err := s.manifest(ctx, manifestKey(first, last))
	if gcerrors.Code(err) == gcerrors.NotFound {
		return m, &chain.FaultError{Kind: chain.Removed, Seq: first, How: "the manifest of its archive is missing: " + manifestKey(first, last)}
	}
	return m, err
}

// Read reads an archive in order, and checks that it is what its manifest says
// and that it goes on from where the verifier is, if one is given. It calls
// each, if given, with each event. What is wrong with the archive is told as a
// *chain.FaultError, and maybe only at its end; other errors are those of the
// blob store, or each's.
func (s *Store) Read(ctx context.Context, m Manifest, verifier *chain.Verifier, each func(event.Event) error) error {
	if verifier == nil {
		verifier = chain.NewVerifier(m.before(), nil)
	}
	if verifier.At() != m.before() {
		return faulty(m, chain.Altered, m.First, "it does not follow from the log before it")
	}
	object, err := s.bucket.NewReader(ctx, m.Object, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return faulty(m, chain.Removed, m.First, "it is missing")
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", m.Object, err)
	}
	defer object.Close() //nolint:errcheck // it was only read
	r := &reader{manifest: m, verifier: verifier, each: each}
	source := &source{from: io.LimitReader(object, m.Size+1), hash: sha256.New(), alive: ctx.Err}
	if err = r.read(source); source.err != nil {
		return fmt.Errorf("read %s: %w", m.Object, source.err)
	}
	return err
}

// faulty says what is wrong with an archive.
func faulty(m Manifest, kind chain.Kind, seq event.Seq, how string) error {
	return &chain.FaultError{Kind: kind, Seq: seq, How: "archive " + m.Object + ": " + how}
}

// source is the object: it hashes what is read, and tells an error of the blob
// store from one of the content.
type source struct {
	from  io.Reader
	alive func() error
	hash  hash.Hash
	size  int64
	err   error
}

func (s *source) Read(b []byte) (int, error) {
	if s.err = s.alive(); s.err != nil {
		return 0, s.err
	}
	n, err := s.from.Read(b)
	s.hash.Write(b[:n])
	s.size += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// reader reads one object.
type reader struct {
	manifest Manifest
	verifier *chain.Verifier
	each     func(event.Event) error
	next     event.Seq
	batches  int64
}

func (r *reader) read(from *source) error {
	m := r.manifest
	plain, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer plain.Close()
	lines := bufio.NewScanner(plain)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for r.next = m.First; lines.Scan(); {
		if err := r.line(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return faulty(m, chain.Altered, r.next, fmt.Sprintf("what begins here cannot be read: %v", err))
	}
	if _, err := io.Copy(io.Discard, from); err != nil {
		return err
	}
	switch at := r.verifier.At(); {
	case from.size != m.Size || Digest(from.hash.Sum(nil)) != m.SHA256:
		return faulty(m, chain.Altered, m.First, "its SHA-256 is not the one in its manifest")
	case at.Seq < m.Last:
		return faulty(m, chain.Removed, at.Seq+1, "it ends before this event")
	case at != m.End():
		return faulty(m, chain.Altered, m.First, "its digest is not the one in its manifest")
	case r.batches != m.Batches:
		return faulty(m, chain.Altered, m.First, fmt.Sprintf("it has %d batches, its manifest says %d", r.batches, m.Batches))
	default:
		return nil
	}
}

func (r *reader) line(text []byte) error {
	e, b, err := parseLine(text)
	if err != nil {
		return faulty(r.manifest, chain.Altered, r.next, fmt.Sprintf("the line that begins here is %v", err))
	}
	if b != nil {
		r.batches++
		return inside(r.manifest, r.verifier.Seal(*b))
	}
	switch {
	case e.Seq > r.manifest.Last:
		return faulty(r.manifest, chain.Inserted, e.Seq, "it ends before this event")
	case r.next-r.verifier.At().Seq > maxBatch:
		return faulty(r.manifest, chain.Altered, r.next, fmt.Sprintf("a batch has more than %d events", maxBatch))
	}
	if err := r.verifier.Append(e); err != nil {
		return inside(r.manifest, err)
	}
	r.next++
	if r.each == nil {
		return nil
	}
	return r.each(e)
}

// inside says in which archive a fault is.
func inside(m Manifest, err error) error {
	if f, ok := errors.AsType[*chain.FaultError](err); ok {
		return faulty(m, f.Kind, f.Seq, f.How)
	}
	return err
}
