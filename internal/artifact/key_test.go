package artifact_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"herald/internal/artifact"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	if got, ok := artifact.ParseUploadKey(artifact.UploadKey(id)); !ok || got != id {
		t.Errorf("ParseUploadKey(%q) = %v, %v", artifact.UploadKey(id), got, ok)
	}
	if d := time.Since(artifact.Began(id)); d < 0 || d > time.Minute {
		t.Errorf("%s was made %v ago", id, d)
	}
	a := artifact.Attempt{Job: id, Number: 12}
	if got, ok := artifact.ParseAttempt(a.Prefix() + "hls/s0.ts"); !ok || got != a {
		t.Errorf("ParseAttempt of %q = %+v, %v", a.Prefix(), got, ok)
	}
	for _, key := range []string{"uploads/", "uploads/x", "uploads/" + uuid.NewString(), "uploads/" + id.String() + "/x", id.String(), "log/1"} {
		if _, ok := artifact.ParseUploadKey(key); ok {
			t.Errorf("%q is taken for an upload", key)
		}
	}
	for _, key := range []string{"jobs/", "jobs/x/1/y", artifact.JobPrefix(id) + "x/y", artifact.JobPrefix(id) + "1", artifact.JobPrefix(id) + "+1/y", artifact.JobPrefix(id) + "01/y", "log/1"} {
		if _, ok := artifact.ParseAttempt(key); ok {
			t.Errorf("%q is taken for an attempt's", key)
		}
	}
}
