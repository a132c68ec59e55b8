package worker_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"herald/internal/worker"
)

func TestAlike(t *testing.T) {
	t.Parallel()
	upload := uuid.MustParse("0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e")
	for _, tt := range []struct {
		kind, args, likeness string
		upload               uuid.UUID
		size                 int64
	}{
		{kind: worker.VideoKind, args: `{"preset":"webm","source":{"test":{"seconds":20}}}`, likeness: "webm test", size: 20},
		{kind: worker.VideoKind, args: `{"preset":"webm","source":{"upload":"` + upload.String() + `"}}`, likeness: "webm", upload: upload},
		{kind: worker.VideoKind, args: `{"preset":"none"}`},
		{kind: worker.ExportKind, args: `{"dataset":"jobs","format":"csv"}`, likeness: "jobs csv"},
		{kind: "another", args: `{}`},
	} {
		likeness, of, size := worker.Alike(tt.kind, json.RawMessage(tt.args))
		if likeness != tt.likeness || of != tt.upload || size != tt.size {
			t.Errorf("Alike(%s, %s) = %q, %v, %d, want %q, %v, %d", tt.kind, tt.args, likeness, of, size, tt.likeness, tt.upload, tt.size)
		}
	}
}
