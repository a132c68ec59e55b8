package worker

import (
	"encoding/json"

	"github.com/google/uuid"
)

// Alike says which jobs of a kind are expected to take about as long as one with
// the args, which have been checked: likeness is what those have in common. Its
// size is that of the upload, in bytes, if there is one, else the one returned.
func Alike(kind string, args json.RawMessage) (likeness string, upload uuid.UUID, size int64) {
	switch kind {
	case VideoKind:
		a, err := parseVideo(args)
		if err != nil {
			return "", uuid.Nil, 0
		}
		if a.Source.Test != nil {
			return a.Preset + " test", uuid.Nil, int64(a.Source.Test.Seconds)
		}
		return a.Preset, a.Source.Upload.UUID, 0
	case ExportKind:
		var a exportArgs
		if err := json.Unmarshal(args, &a); err != nil {
			return "", uuid.Nil, 0
		}
		return a.Dataset + " " + string(a.Format), uuid.Nil, 0
	}
	return "", uuid.Nil, 0
}
