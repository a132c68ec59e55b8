package worker

import (
	"context"
	"encoding/json"
	"time"

	"herald/internal/artifact"
	"herald/internal/job"
	"herald/internal/progress"
)

// Work is what a test's kind of job does.
type Work func(ctx context.Context, t Task) ([]artifact.Artifact, error)

// GetUpload is getUpload.
var GetUpload = getUpload //nolint:gochecknoglobals // for tests alone

// Task is what a test's kind of job sees of a task.
type Task struct {
	Job     job.Job
	Attempt *progress.Attempt
	Folder  string
	Prefix  string // where it may put blobs
}

func (Work) plan(json.RawMessage) ([]job.Step, error) { return nil, nil }

func (w Work) work(ctx context.Context, t task) (product, error) {
	made, err := w(ctx, Task{t.job, t.attempt, t.folder, prefix(t.job)})
	return product{artifacts: made}, err
}

// TestKind is the kind of job that a test pool works.
const TestKind = "test"

// NewTestPool returns a pool that does the work, beside those of Herald.
func NewTestPool(c Config, w Work) (*Pool, error) {
	kinds := c.kinds()
	kinds[TestKind] = w
	return newPool(c, kinds, func(int) time.Duration { return time.Millisecond })
}

// CallbackWait is callbackWait.
func CallbackWait(tries int) time.Duration { return callbackWait(tries) }

// AcceptTests makes the queue take jobs of TestKind.
func (q *Queue) AcceptTests() { q.kinds = append(q.kinds, TestKind) }

// Sentence is sentence.
func Sentence(text string) string { return sentence(text) }

// OpenFolder opens a folder for a pool, and returns its path and what removes it.
func OpenFolder(shared string) (path string, remove func() error, err error) {
	f, err := openFolder(shared)
	if err != nil {
		return "", nil, err
	}
	return f.held.Name(), f.remove, nil
}
