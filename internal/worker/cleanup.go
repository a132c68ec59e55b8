package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"gocloud.dev/blob"

	"herald/internal/artifact"
	"herald/internal/job"
)

// CleanupKind is the kind of job that removes files that are no longer kept. Only
// Herald itself starts one; its owner is job.Herald.
const CleanupKind = "cleanup"

const (
	// cleanupEvery is how often files are cleaned up.
	cleanupEvery = 6 * time.Hour
	// cleanupTick is how often it is looked at whether that is due, besides at the
	// start of River's leader: a job's key makes it one for each cleanupEvery.
	cleanupTick = time.Hour
	// forgetAge is for how long it is said of an upload that it is no longer kept.
	forgetAge = 30 * 24 * time.Hour
)

// Retention is how long files are kept.
type Retention struct {
	Results time.Duration // after the end of the job that made them; 0: for ever
	Uploads time.Duration // that no job uses, after their beginning; 0: for ever
}

// cleanupDueArgs is River's word that it is time.
type cleanupDueArgs struct{}

// Kind is River's name for it.
func (cleanupDueArgs) Kind() string { return "cleanup_due" }

// cleanupDue makes the job that cleans up.
type cleanupDue struct {
	river.WorkerDefaults[cleanupDueArgs]

	pool *Pool
}

// Timeout bounds the making.
func (*cleanupDue) Timeout(*river.Job[cleanupDueArgs]) time.Duration { return errandTime }

// Work makes the job, or finds that it was made.
func (c *cleanupDue) Work(ctx context.Context, _ *river.Job[cleanupDueArgs]) error {
	_, err := c.pool.Create(ctx, job.New{
		Kind: CleanupKind, Owner: job.Herald, Title: "Clean-up of files",
		Key: "cleanup-" + time.Now().UTC().Truncate(cleanupEvery).Format(time.RFC3339),
	})
	return err
}

// The steps of a cleanup.
const (
	stepExpire  = "expire"
	stepOrphans = "orphans"
)

// cleanup removes files that are no longer kept, and blobs that are nobody's.
type cleanup struct {
	store Store
	blobs *blob.Bucket
	keep  Retention
}

func (*cleanup) plan(json.RawMessage) ([]job.Step, error) {
	return []job.Step{{Name: stepExpire, Weight: 1}, {Name: stepOrphans, Weight: 1}}, nil
}

// swept is how much a cleanup has removed.
type swept struct {
	Files   int64 `json:"files"`   // uploads and results that were kept long enough
	Bytes   int64 `json:"bytes"`   // of these
	Orphans count `json:"orphans"` // blobs that were nobody's
}

type count struct {
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// sweep is a cleanup under way.
type sweep struct {
	*cleanup
	task
	swept swept
	wrong error // the first blob that could not be removed
}

// work goes on past what cannot be removed, and fails in the end: the next one
// finds it again, as an orphan.
func (c *cleanup) work(ctx context.Context, t task) (product, error) {
	s := &sweep{cleanup: c, task: t}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{stepExpire, s.expire}, {stepOrphans, s.orphans}} {
		if err := enter(ctx, t.attempt, step.name); err != nil {
			return product{}, err
		}
		if err := step.do(ctx); err != nil {
			return product{}, err
		}
	}
	if s.wrong != nil {
		return product{}, s.wrong
	}
	result, err := json.Marshal(s.swept)
	return product{result: result}, err
}

// expire removes what was kept long enough.
func (s *sweep) expire(ctx context.Context) error {
	if s.keep.Uploads > 0 {
		if err := s.drain(ctx, func() ([]artifact.Artifact, error) {
			return s.store.ExpireUploads(ctx, s.keep.Uploads, s.keep.Results)
		}); err != nil {
			return err
		}
	}
	if s.keep.Results > 0 {
		if err := s.drain(ctx, func() ([]artifact.Artifact, error) { return s.store.ExpireResults(ctx, s.keep.Results) }); err != nil {
			return err
		}
	}
	return errors.Join(s.store.ForgetUploads(ctx, forgetAge), s.store.ForgetIncoming(ctx))
}

// drain removes the blobs of what expires, until nothing more does. The rows are
// marked first: of a cleanup that is cut short, blobs are left that are nobody's.
func (s *sweep) drain(ctx context.Context, expired func() ([]artifact.Artifact, error)) error {
	for {
		list, err := expired()
		if err != nil || len(list) == 0 {
			return err
		}
		for _, a := range list {
			if err := s.removeArtifact(ctx, a); err != nil {
				return err
			}
			s.tell(s.swept.Files, "files")
		}
	}
}

func (s *sweep) removeArtifact(ctx context.Context, a artifact.Artifact) error {
	erase := remove
	if strings.HasSuffix(a.BlobKey, "/") {
		erase = removeAll
	}
	if err := erase(ctx, s.blobs, a.BlobKey); err != nil {
		return s.stuck(ctx, a.BlobKey, err)
	}
	s.swept.Files++
	s.swept.Bytes += a.Size
	return nil
}

// stuck notes what could not be removed. It returns an error when there is no
// time left for more.
func (s *sweep) stuck(ctx context.Context, key string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.wrong == nil {
		s.wrong = fmt.Errorf("remove %s: %w", key, err)
	}
	return nil
}

func (s *sweep) tell(n int64, unit string) { s.attempt.Progress(job.Report{Processed: &n, Unit: unit}) }

// orphanPage is how many blobs are looked at together.
const orphanPage = 500

// orphans removes the blobs of uploads that were never entered, of attempts that
// came to nothing, and of what expired before, where that was cut short. Other
// blobs are not its own.
func (s *sweep) orphans(ctx context.Context) error {
	for prefix, parse := range map[string]func(string) (uuid.UUID, bool){
		artifact.UploadsPrefix: artifact.ParseUploadKey, artifact.PartsPrefix: artifact.ParsePartKey,
	} {
		look := func(ctx context.Context, page []*blob.ListObject) error { return s.orphanUploads(ctx, page, parse) }
		if err := s.eachPage(ctx, prefix, look); err != nil {
			return err
		}
	}
	return s.eachPage(ctx, artifact.JobsPrefix, s.orphanAttempts)
}

// eachPage hands over all blobs below the prefix, some at a time.
func (s *sweep) eachPage(ctx context.Context, prefix string, look func(context.Context, []*blob.ListObject) error) error {
	list := s.blobs.List(&blob.ListOptions{Prefix: prefix})
	var page []*blob.ListObject
	for {
		object, err := list.Next(ctx)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if !end {
			page = append(page, object)
		}
		if len(page) > 0 && (end || len(page) == orphanPage) {
			if err := look(ctx, page); err != nil {
				return err
			}
			page = page[:0]
		}
		if end {
			return nil
		}
	}
}

// orphanUploads looks at blobs of uploads, each of which is one blob or several.
func (s *sweep) orphanUploads(ctx context.Context, page []*blob.ListObject, parse func(key string) (uuid.UUID, bool)) error {
	var ids []uuid.UUID
	objects := map[uuid.UUID][]*blob.ListObject{}
	for _, object := range page {
		id, ok := parse(object.Key)
		if !ok {
			continue
		}
		if objects[id] == nil {
			ids = append(ids, id)
		}
		objects[id] = append(objects[id], object)
	}
	nobodys, err := s.store.UploadOrphans(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range nobodys {
		for _, object := range objects[id] {
			if err := s.removeOrphan(ctx, object.Key, object.Size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sweep) orphanAttempts(ctx context.Context, page []*blob.ListObject) error {
	var attempts []artifact.Attempt
	objects := map[artifact.Attempt][]*blob.ListObject{}
	for _, object := range page {
		a, ok := artifact.ParseAttempt(object.Key)
		if !ok {
			continue
		}
		if objects[a] == nil {
			attempts = append(attempts, a)
		}
		objects[a] = append(objects[a], object)
	}
	nobodys, err := s.store.AttemptOrphans(ctx, attempts)
	if err != nil {
		return err
	}
	for _, a := range nobodys {
		for _, object := range objects[a] {
			if err := s.removeOrphan(ctx, object.Key, object.Size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sweep) removeOrphan(ctx context.Context, key string, size int64) error {
	if err := remove(ctx, s.blobs, key); err != nil {
		return s.stuck(ctx, key, err)
	}
	s.swept.Orphans.Blobs++
	s.swept.Orphans.Bytes += size
	s.tell(s.swept.Orphans.Blobs, "blobs")
	return nil
}
