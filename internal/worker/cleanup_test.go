package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/job"
	"herald/internal/worker"
)

// idOf is a UUIDv7 that was made so long ago.
func idOf(age time.Duration) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	ms := time.Now().Add(-age).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

// store puts blobs of four bytes into the store.
func (b *bench) store(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := b.blobs.WriteAll(t.Context(), key, []byte("blob"), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// uploaded enters an upload of that age.
func (b *bench) uploaded(t *testing.T, age time.Duration) artifact.Artifact {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	a := artifact.Artifact{ID: id, Owner: "demo", Kind: artifact.Upload, Name: "clip.mov", Size: 4, BlobKey: artifact.UploadKey(id), CreatedAt: artifact.Began(id)}
	if err := b.db.SaveArtifact(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.exec(t, `UPDATE herald.artifacts SET created_at = created_at - $2::interval WHERE id = $1`, id, age)
	b.store(t, a.BlobKey)
	return a
}

// inPieces enters an upload of that age that came in two pieces, or the first of
// them.
func (b *bench) inPieces(t *testing.T, age time.Duration, finished bool) artifact.Artifact {
	t.Helper()
	i := artifact.Incoming{ID: idOf(age), Owner: "demo", Name: "clip.mov", Size: 8, Digest: []byte{}}
	if err := b.db.BeginUpload(t.Context(), i, artifact.IncomingLimits{Uploads: 9, Bytes: 1 << 20}, artifact.Artifact{}); err != nil {
		t.Fatal(err)
	}
	whole, writer := i.Whole(""), uuid.New()
	if _, err := b.db.ClaimUpload(t.Context(), i.ID, writer, 0); err != nil {
		t.Fatal(err)
	}
	for start := int64(0); start == 0 || finished && start < 8; start += 4 {
		part, last := artifact.Part{Key: artifact.NewPartKey(i.ID), Start: start, Size: 4}, &whole
		if start == 0 {
			last = nil
		}
		b.store(t, part.Key)
		if err := b.db.AppendUpload(t.Context(), i.ID, writer, part, []byte{}, last); err != nil {
			t.Fatal(err)
		}
	}
	if !finished {
		return whole
	}
	a, err := b.db.Artifact(t.Context(), i.ID)
	if err != nil || len(a.Parts) != 2 {
		t.Fatalf("Artifact() = %+v, %v, want two parts", a, err)
	}
	return a
}

// made is a job that has made a folder, and ended so long ago.
func (b *bench) ended(t *testing.T, upload uuid.UUID, age time.Duration) (job.Job, artifact.Artifact) {
	t.Helper()
	j, err := b.db.CreateJob(t.Context(), job.New{
		Kind: "elsewhere", Owner: "demo", Title: "t", External: true, Begin: &job.Claim{By: "robot"}, Args: json.RawMessage(`{"source":{"upload":"` + upload.String() + `"}}`),
	}, b.queue)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded}); err != nil {
		t.Fatal(err)
	}
	a := artifact.Artifact{ID: uuid.Must(uuid.NewV7()), JobID: j.ID, Owner: "demo", Kind: artifact.HLS, Name: "index.m3u8", Size: 8, BlobKey: artifact.JobPrefix(j.ID) + "1/hls/", CreatedAt: time.Now()}
	if err := b.db.SaveArtifact(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.exec(t, `UPDATE herald.artifacts SET created_at = created_at - $2::interval WHERE id = $1`, a.ID, age)
	b.exec(t, `UPDATE herald.jobs SET finished_at = finished_at - $2::interval WHERE id = $1`, j.ID, age)
	b.store(t, a.BlobKey+"index.m3u8", a.BlobKey+"s0.ts")
	return b.job(t, j.ID), a
}

// clean runs a pool until a job that cleans up, which it makes by itself, has
// ended.
func (b *bench) clean(t *testing.T, keep worker.Retention) job.Job {
	t.Helper()
	made := make(chan job.Job, 1)
	c := b.config("cleaner")
	c.Retention = keep
	c.Create = func(ctx context.Context, n job.New) (job.Job, error) {
		j, err := b.db.CreateJob(ctx, n, b.queue)
		if err == nil {
			made <- j
		}
		return j, err
	}
	stop := b.run(t, c, noWork)
	defer stop()
	select {
	case j := <-made:
		return b.awaitState(t, j.ID, job.Succeeded)
	case <-time.After(time.Minute):
		t.Fatal("no job cleans up")
		return job.Job{}
	}
}

// What is no longer kept goes, and so does what is nobody's; nothing else does.
// Herald's own job says how much.
func TestCleanup(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]func(*testing.T) *bench{"files": setup, "objects": setupS3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testCleanup(t, site(t))
		})
	}
}

func testCleanup(t *testing.T, b *bench) {
	t.Helper()
	const day = 24 * time.Hour
	fresh, unused := b.uploaded(t, time.Hour), b.uploaded(t, 25*time.Hour)
	used, usedLongAgo := b.uploaded(t, 3*day), b.uploaded(t, 40*day)
	young, youngFiles := b.ended(t, used.ID, 29*day)
	old, oldFiles := b.ended(t, usedLongAgo.ID, 31*day)
	running, err := b.db.CreateJob(t.Context(), job.New{Kind: "elsewhere", Owner: "demo", Title: "t", External: true, Begin: &job.Claim{By: "robot"}}, b.queue)
	if err != nil {
		t.Fatal(err)
	}
	kept := []string{
		fresh.BlobKey, used.BlobKey, youngFiles.BlobKey + "index.m3u8", youngFiles.BlobKey + "s0.ts",
		artifact.UploadKey(idOf(23 * time.Hour)),  // it may yet be entered
		artifact.JobPrefix(running.ID) + "1/half", // it is being made
		"uploads/of-somebody-else", "log/1.ndjson.zst", "jobs/of-somebody-else",
	}
	b.store(t, kept[4:]...)
	pieces, halfway := b.inPieces(t, time.Hour, true), b.inPieces(t, 23*time.Hour, false)
	kept = append(kept, pieces.Parts[0].Key, pieces.Parts[1].Key)
	late := b.inPieces(t, 26*time.Hour, false)
	for _, key := range b.keys(t) {
		if strings.HasPrefix(key, halfway.BlobKey) { // it may yet be finished
			kept = append(kept, key)
		}
	}
	b.store(t, artifact.UploadKey(idOf(25*time.Hour)), artifact.JobPrefix(young.ID)+"0/lost.mp4", artifact.JobPrefix(uuid.New())+"1/of-no-job")
	j := b.clean(t, worker.Retention{Results: 30 * day, Uploads: day})
	checkState(t, j, job.Succeeded)
	if want := `{"files":3,"bytes":16,"orphans":{"blobs":4,"bytes":16}}`; string(j.Result) != want || j.Owner != job.Herald || j.Kind != worker.CleanupKind {
		t.Errorf("%s's %s job says %s, want %s", j.Owner, j.Kind, j.Result, want)
	}
	left := map[string]bool{}
	for _, key := range b.keys(t) {
		left[key] = true
	}
	want := map[string]bool{}
	for _, key := range kept {
		want[key] = true
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("what is left: -want +got:\n%s", diff)
	}
	for id, gone := range map[uuid.UUID]bool{fresh.ID: false, unused.ID: true, used.ID: false, usedLongAgo.ID: true, youngFiles.ID: false, oldFiles.ID: true} {
		if a, err := b.db.Artifact(t.Context(), id); err != nil || a.ExpiredAt.IsZero() == gone {
			t.Errorf("%s expired at %v (%v), want that: %v", a.BlobKey, a.ExpiredAt, err, gone)
		}
	}
	if _, err := b.db.Upload(t.Context(), late.ID); !errors.Is(err, artifact.ErrNoUpload) {
		t.Errorf("the upload that was not finished in time: %v, want it forgotten", err)
	}
	for _, id := range []uuid.UUID{pieces.ID, halfway.ID} {
		if _, err := b.db.Upload(t.Context(), id); err != nil {
			t.Errorf("an upload that is kept: %v", err)
		}
	}
	path := filepath.Join(t.TempDir(), "input")
	if err := worker.GetUpload(t.Context(), b.blobs, pieces, path); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "blobblob" || err != nil {
		t.Errorf("the upload in pieces is %q, %v", got, err)
	}
	if now := b.job(t, old.ID); now.ArtifactsExpiredAt == nil || now.Version != old.Version+1 || now.State != job.Succeeded {
		t.Errorf("the job is %+v, want it to say that its files are gone", now)
	}
	if now := b.job(t, young.ID); now.ArtifactsExpiredAt != nil || now.Version != young.Version {
		t.Errorf("the job is %+v, want it as it was", now)
	}
}

// With no limits, all that is somebody's stays.
func TestCleanupThatKeepsAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	upload := b.uploaded(t, 10_000*time.Hour)
	b.ended(t, uuid.New(), 10_000*time.Hour)
	b.uploaded(t, 10_000*time.Hour)
	j := b.clean(t, worker.Retention{})
	checkState(t, j, job.Succeeded)
	if keys := b.keys(t); len(keys) != 4 {
		t.Errorf("left are %v, want all four; %s among them", keys, upload.BlobKey)
	}
}
