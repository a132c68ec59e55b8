package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"herald/internal/archive"
	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/s3test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stretch is a part of a log.
type stretch struct {
	before, end chain.Point
	batches     []chain.Batch
	events      []event.Event
}

// newStretch makes one after the Point, with batches of these sizes.
func newStretch(before chain.Point, sizes ...int) stretch {
	s := stretch{before: before, end: before}
	var hasher chain.Hasher
	for _, size := range sizes {
		b := chain.Batch{First: s.end.Seq + 1, Last: s.end.Seq + event.Seq(size), RecordedAt: time.Unix(int64(s.end.Seq), 0).UTC()}
		for seq := b.First; seq <= b.Last; seq++ {
			e := event.Event{Seq: seq, RecordedAt: b.RecordedAt, Pending: event.Pending{
				ID: uuid.NewSHA1(uuid.Nil, []byte(seq.String())), Type: "test", Topics: []event.Topic{"all"},
				CreatedAt: b.RecordedAt, Payload: json.RawMessage(`{"n": ` + seq.String() + `}`),
			}}
			leaf := hasher.Leaf(e)
			b.Leaves, s.events = append(b.Leaves, leaf[:]...), append(s.events, e)
		}
		b.Digest = b.Next(s.end.Digest)
		s.end = chain.Point{Seq: b.Last, Digest: b.Digest}
		s.batches = append(s.batches, b)
	}
	return s
}

// fill hands the stretch over.
func (s stretch) fill(to chain.Sink) error {
	rest := s.events
	for _, b := range s.batches {
		if err := to.Batch(b); err != nil {
			return err
		}
		for len(rest) > 0 && rest[0].Seq <= b.Last {
			if err := to.Event(rest[0]); err != nil {
				return err
			}
			rest = rest[1:]
		}
	}
	return nil
}

// folder opens a blob store that is a folder.
func folder(t *testing.T) (bucket *blob.Bucket, dir string) {
	t.Helper()
	dir = t.TempDir()
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	})
	return bucket, dir
}

func save(t *testing.T, s *archive.Store, of stretch) archive.Manifest {
	t.Helper()
	text, err := s.Save(t.Context(), of.before, of.end, of.fill)
	if err != nil {
		t.Fatal(err)
	}
	m, err := archive.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestArchivesReadBackInOrder(t *testing.T) {
	t.Parallel()
	bucket, dir := folder(t)
	store := archive.NewStore(bucket)
	first := newStretch(chain.Point{}, 3, 1, 5)
	second := newStretch(first.end, 2)
	save(t, store, second)
	save(t, store, first)
	again := save(t, store, first) // as after a crash
	want := archive.Manifest{
		Format: 1, First: 1, Last: 9, Events: 9, Batches: 3, Digest: archive.Digest(first.end.Digest), Size: again.Size,
		SHA256: again.SHA256, Object: "log/0000000000000000001-0000000000000000009.ndjson.zst",
		FirstRecordedAt: archive.Time{Time: first.events[0].RecordedAt}, LastRecordedAt: archive.Time{Time: first.events[8].RecordedAt},
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("the manifest: -want +got:\n%s", diff)
	}
	object, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(again.Object)))
	if err != nil || sha256.Sum256(object) != again.SHA256 || int64(len(object)) != again.Size {
		t.Errorf("the object (%v) is not what the manifest says", err)
	}
	verifier := chain.NewVerifier(chain.Point{}, &second.end)
	var got []event.Event
	for m, err := range store.Manifests(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Read(t.Context(), m, verifier, func(e event.Event) error {
			got = append(got, e)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(append(first.events, second.events...), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := verifier.End(second.end); err != nil {
		t.Errorf("End() = %v", err)
	}
}

// A store of objects does all that archives need: what it has is written over
// whole, listed in order, and read back; what could not be read to its end leaves
// nothing; another log's is left alone.
func TestArchivesOnS3(t *testing.T) {
	t.Parallel()
	bucket := s3test.Open(t)
	store := archive.NewStore(bucket)
	first := newStretch(chain.Point{}, 3, 1, 5)
	second, broken := newStretch(first.end, 2), errors.New("broken")
	if _, err := store.Save(t.Context(), first.before, first.end, func(to chain.Sink) error {
		return errors.Join(first.fill(to), broken)
	}); !errors.Is(err, broken) {
		t.Errorf("Save() = %v, want the log's error", err)
	}
	if page, _, err := bucket.ListPage(t.Context(), blob.FirstPageToken, 10, nil); err != nil || len(page) > 0 {
		t.Errorf("left behind: %v, %v", page, err)
	}
	save(t, store, second)
	save(t, store, first)
	save(t, store, first) // as after a crash
	other := newStretch(chain.Point{}, 4, 5)
	if _, err := store.Save(t.Context(), other.before, other.end, other.fill); !errors.Is(err, archive.ErrOther) {
		t.Errorf("Save() of another log = %v, want ErrOther", err)
	}
	verifier := chain.NewVerifier(chain.Point{}, &second.end)
	for m, err := range store.Manifests(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Read(t.Context(), m, verifier, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := verifier.End(second.end); err != nil {
		t.Errorf("End() = %v", err)
	}
	if _, err := store.Manifest(t.Context(), 100, 200); err == nil {
		t.Error("an archive that is none has a manifest")
	}
}

// Nothing stays in the blob store of what does not verify, or of a log that
// could not be read to its end.
func TestSaveWritesAllOrNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("the database is away")
	for name, harm := range map[string]func(*stretch) func(chain.Sink) error{
		"altered": func(s *stretch) func(chain.Sink) error { s.events[1].Actor = "eve"; return s.fill },
		"short":   func(s *stretch) func(chain.Sink) error { s.batches = s.batches[:1]; return s.fill },
		"missing": func(s *stretch) func(chain.Sink) error { s.events = s.events[:5]; return s.fill },
		"broken": func(s *stretch) func(chain.Sink) error {
			return func(to chain.Sink) error { return errors.Join(s.fill(to), broken) }
		},
		"too long": func(s *stretch) func(chain.Sink) error {
			s.events = []event.Event{{Seq: 1, Pending: event.Pending{Payload: json.RawMessage(`"` + strings.Repeat("x", archive.MaxLine) + `"`)}}}
			var hasher chain.Hasher
			leaf := hasher.Leaf(s.events[0])
			b := chain.Batch{First: 1, Last: 1, Leaves: leaf[:]}
			b.Digest = b.Next(chain.Digest{})
			s.batches, s.end = []chain.Batch{b}, chain.Point{Seq: 1, Digest: b.Digest}
			return s.fill
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket, dir := folder(t)
			s := newStretch(chain.Point{}, 3, 3)
			fill := harm(&s)
			if m, err := archive.NewStore(bucket).Save(t.Context(), s.before, s.end, fill); err == nil {
				t.Errorf("Save() = %s, want an error", m)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "log", "*")); err != nil || len(left) != 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

func TestSaveKeepsTheArchiveOfAnotherLog(t *testing.T) {
	t.Parallel()
	bucket, _ := folder(t)
	store := archive.NewStore(bucket)
	m := save(t, store, newStretch(chain.Point{}, 3, 3))
	other := newStretch(chain.Point{}, 6)
	if _, err := store.Save(t.Context(), other.before, other.end, other.fill); !errors.Is(err, archive.ErrOther) {
		t.Errorf("Save() = %v, want %v", err, archive.ErrOther)
	}
	if err := store.Read(t.Context(), m, nil, nil); err != nil {
		t.Errorf("the first archive: %v", err)
	}
}

// rewrite replaces the object by one with these lines, and returns the manifest
// that goes with it.
func rewrite(t *testing.T, bucket *blob.Bucket, m archive.Manifest, lines string) archive.Manifest {
	t.Helper()
	var object bytes.Buffer
	w, err := zstd.NewWriter(&object)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, lines); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := bucket.WriteAll(t.Context(), m.Object, object.Bytes(), nil); err != nil {
		t.Fatal(err)
	}
	m.Size, m.SHA256 = int64(object.Len()), sha256.Sum256(object.Bytes())
	return m
}

// lines is the plain text of an archive.
func (s stretch) lines(t *testing.T) string {
	t.Helper()
	var text []byte
	rest := s.events
	var err error
	for _, b := range s.batches {
		for ; len(rest) > 0 && rest[0].Seq <= b.Last; rest = rest[1:] {
			if text, err = archive.AppendEvent(text, rest[0]); err != nil {
				t.Fatal(err)
			}
		}
		if text, err = archive.AppendBatch(text, b); err != nil {
			t.Fatal(err)
		}
	}
	return string(text)
}

// An archive is a stranger's: whatever its lines are, with a manifest to fit,
// reading it ends in a verdict.
func TestReadFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStretch(chain.Point{}, 3, 3)
	plain := s.lines(t)
	rows := strings.SplitAfter(plain, "\n")
	for _, tt := range []struct {
		name  string
		lines string
		kind  chain.Kind
		seq   event.Seq
	}{
		{"as it was", plain, "", 0},
		{"no last line break", strings.TrimSuffix(plain, "\n"), "", 0},
		{"an event altered", strings.Replace(plain, `{"n": 5}`, `{"n": 6}`, 1), chain.Altered, 4},
		{"a payload in another form", strings.Replace(plain, `{"n": 5}`, `{"n":5}`, 1), chain.Altered, 4},
		{"an event removed", strings.Replace(plain, rows[1], "", 1), chain.Removed, 2},
		{"an event twice", strings.Replace(plain, rows[1], rows[1]+rows[1], 1), chain.Inserted, 2},
		{"two swapped", strings.Replace(plain, rows[0]+rows[1], rows[1]+rows[0], 1), chain.Removed, 1},
		{"a batch removed", strings.Replace(plain, rows[3], "", 1), chain.Inserted, 1},
		{"a batch twice", strings.Replace(plain, rows[3], rows[3]+rows[3], 1), chain.Altered, 4},
		{"cut", strings.Join(rows[:4], ""), chain.Removed, 4},
		{"cut within a batch", strings.Join(rows[:6], ""), chain.Removed, 4},
		{"more at its end", plain + strings.Replace(rows[6], `"seq":6`, `"seq":7`, 1), chain.Inserted, 7},
		{"nothing", "", chain.Removed, 1},
		{"not JSON", rows[0] + "hello\n", chain.Altered, 2},
		{"another thing", rows[0] + "{}\n", chain.Altered, 2},
		{"a line without an end", rows[0] + strings.Repeat(" ", archive.MaxLine+10), chain.Altered, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bucket, _ := folder(t)
			store := archive.NewStore(bucket)
			m := rewrite(t, bucket, save(t, store, s), tt.lines)
			err := store.Read(t.Context(), m, nil, nil)
			var f *chain.FaultError
			if errors.As(err, &f); tt.kind == "" && err != nil || tt.kind != "" && (f == nil || f.Kind != tt.kind || f.Seq != tt.seq) {
				t.Errorf("Read() = %v, want seq %d %s", err, tt.seq, tt.kind)
			}
		})
	}
}

func TestReadFindsAnyFlippedByte(t *testing.T) {
	t.Parallel()
	bucket, _ := folder(t)
	store := archive.NewStore(bucket)
	m := save(t, store, newStretch(chain.Point{}, 3, 3))
	object, err := bucket.ReadAll(t.Context(), m.Object)
	if err != nil {
		t.Fatal(err)
	}
	for i := range object {
		harmed := bytes.Clone(object)
		harmed[i] ^= 4
		if err := bucket.WriteAll(t.Context(), m.Object, harmed, nil); err != nil {
			t.Fatal(err)
		}
		var f *chain.FaultError
		if err := store.Read(t.Context(), m, nil, nil); !errors.As(err, &f) {
			t.Errorf("Read() with byte %d flipped = %v, want a fault", i, err)
		}
	}
}

// What decompresses to a thousand times its size takes no more memory, and is
// left at the first line that does not belong.
func TestReadIsNotBlownUp(t *testing.T) {
	t.Parallel()
	bucket, _ := folder(t)
	store := archive.NewStore(bucket)
	s := newStretch(chain.Point{}, 3)
	m := rewrite(t, bucket, save(t, store, s), s.lines(t)+strings.Repeat(" ", 64<<20))
	var f *chain.FaultError
	if err := store.Read(t.Context(), m, nil, nil); !errors.As(err, &f) || !strings.Contains(f.How, "too long") {
		t.Errorf("Read() = %v, want the line to be too long", err)
	}
}

func TestManifestsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	bucket, _ := folder(t)
	store := archive.NewStore(bucket)
	good, err := json.Marshal(save(t, store, newStretch(chain.Point{}, 3, 3)))
	if err != nil {
		t.Fatal(err)
	}
	for old, new := range map[string]string{
		`"format":1`: `"format":2`, `"first":1`: `"first":0`, `"last":6`: `"last":7`, `"events":6`: `"events":5`,
		`"batches":2`: `"batches":7`, `"object":"log/`: `"object":"../`, `"size":`: `"size":-`, `"sha256":"`: `"sha256":"0`, `"format"`: `"what"`,
	} {
		text := strings.Replace(string(good), old, new, 1)
		if text == string(good) {
			t.Fatalf("%q is not in the manifest", old)
		}
		if m, err := archive.ParseManifest([]byte(text)); err == nil {
			t.Errorf("ParseManifest(%s) = %+v, want an error", text, m)
		}
	}
}

func TestReadTellsTheBlobStoresErrorsFromFaults(t *testing.T) {
	t.Parallel()
	bucket, _ := folder(t)
	store := archive.NewStore(bucket)
	m := save(t, store, newStretch(chain.Point{}, 3, 3))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var f *chain.FaultError
	if err := store.Read(ctx, m, nil, nil); err == nil || errors.As(err, &f) {
		t.Errorf("Read() without time = %v, want an error that is no fault", err)
	}
	if err := bucket.Delete(t.Context(), m.Object); err != nil {
		t.Fatal(err)
	}
	if err := store.Read(t.Context(), m, nil, nil); !errors.As(err, &f) || f.Kind != chain.Removed || f.Seq != 1 {
		t.Errorf("Read() of a missing object = %v, want seq 1 removed", err)
	}
	if err := store.Read(t.Context(), m, chain.NewVerifier(chain.Point{Digest: chain.Digest{1}}, nil), nil); !errors.As(err, &f) {
		t.Errorf("Read() after another log = %v, want a fault", err)
	}
}

func ExampleAppendEvent() {
	text, err := archive.AppendEvent(nil, event.Event{
		Seq: 7, RecordedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		Pending: event.Pending{
			Type: "job.step", Topics: []event.Topic{"user:a"}, Actor: "w", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			Payload: json.RawMessage(`{"step": "<2>"}`),
		},
	})
	fmt.Println(string(text), err)
	// Output:
	// {"seq":7,"id":"00000000-0000-0000-0000-000000000000","type":"job.step","topics":["user:a"],"job_id":null,"job_version":0,"actor":"w","created_at":"2026-01-02T03:04:05.000000Z","recorded_at":"2026-01-02T03:04:05.000006Z","payload":{"step": "<2>"}}
	//  <nil>
}
