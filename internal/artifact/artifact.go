// Package artifact is what Herald keeps in the blob store: people's uploads and
// what jobs made. It does no I/O.
package artifact

import (
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// The kinds of artifact.
const (
	Upload     = "upload"
	Video      = "video"
	Audio      = "audio"
	HLS        = "hls" // a folder: a playlist and its segments
	Thumbnails = "thumbnails"
	Poster     = "poster"
	Export     = "export"
)

// ErrNotFound is returned when there is no such artifact.
var ErrNotFound = errors.New("there is no such file")

// Artifact is an upload, or an output of a job, that is whole in the blob store.
type Artifact struct {
	ID          uuid.UUID
	JobID       uuid.UUID // zero for an upload
	Owner       string
	Kind        string
	Name        string // the file's name; of a folder, that of the file to open first
	ContentType string // of the file that Name names
	Size        int64  // in bytes, of all its files
	SHA256      string // hex; empty for a folder
	BlobKey     string // of a folder, the prefix of its files' keys, with a slash at its end
	Details     json.RawMessage
	CreatedAt   time.Time
}

// URL is the path under which the API serves the artifact.
func (a Artifact) URL() string {
	return "/api/artifacts/" + a.ID.String() + "/" + url.PathEscape(a.Name)
}

// JobPrefix is where all that a job makes stands in the blob store.
func JobPrefix(job uuid.UUID) string { return "jobs/" + job.String() + "/" }

// View is an artifact as the API shows it.
type View struct {
	ID          uuid.UUID       `json:"id"`
	JobID       *uuid.UUID      `json:"job_id"`
	Kind        string          `json:"kind"`
	Name        string          `json:"name"`
	ContentType string          `json:"content_type"`
	Size        int64           `json:"size"`
	SHA256      string          `json:"sha256"`
	URL         string          `json:"url"`
	CreatedAt   time.Time       `json:"created_at"`
	Details     json.RawMessage `json:"details"`
}

// View returns the artifact as the API shows it.
func (a Artifact) View() View {
	v := View{
		ID: a.ID, Kind: a.Kind, Name: a.Name, ContentType: a.ContentType, Size: a.Size, SHA256: a.SHA256, URL: a.URL(),
		CreatedAt: a.CreatedAt, Details: a.Details,
	}
	if a.JobID != uuid.Nil {
		v.JobID = &a.JobID
	}
	return v
}
