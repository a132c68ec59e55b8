// Package artifact is what Herald keeps in the blob store: people's uploads and
// what jobs made. It does no I/O.
package artifact

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The kinds of artifact.
const (
	Upload     = "upload"
	Video      = "video"
	Audio      = "audio"
	HLS        = "hls" // a folder: playlists, their segments and subtitles
	Image      = "image"
	Thumbnails = "thumbnails" // many frames of a film in one picture
	Cues       = "cues"       // which frame of Thumbnails belongs to what time, as WebVTT
	Poster     = "poster"
	Export     = "export"
)

var (
	// ErrNotFound is returned when there is no such artifact.
	ErrNotFound = errors.New("there is no such file")
	// ErrExpired is returned for an artifact whose file is no longer kept.
	ErrExpired = errors.New("the file is no longer kept")
	// ErrTooLate is returned for an upload that has taken longer than UploadTime.
	ErrTooLate = errors.New("the upload has taken too long")
)

// UploadTime is how long an upload may take. What stands in the blob store for
// longer without being entered never will be, and may go.
const UploadTime = 24 * time.Hour

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
	BlobKey     string // of a folder, the prefix of its files' keys, with a slash at its end; of Parts, that of theirs
	Parts       []Part // of a file that came in pieces: where they are; nil: it is one blob, or a folder
	Details     json.RawMessage
	CreatedAt   time.Time // of an upload, when it began, as its ID says
	ExpiredAt   time.Time // since when the file is no longer kept; zero while it is
}

// InParts reports whether the file is kept in Parts.
func (a Artifact) InParts() bool { return strings.HasPrefix(a.BlobKey, PartsPrefix) }

// IsFolder reports whether it is several files.
func (a Artifact) IsFolder() bool { return strings.HasSuffix(a.BlobKey, "/") && !a.InParts() }

// URL is the path under which the API serves the artifact.
func (a Artifact) URL() string {
	return "/api/artifacts/" + a.ID.String() + "/" + url.PathEscape(a.Name)
}

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
	ExpiredAt   *time.Time      `json:"expired_at,omitempty" doc:"Since when the file is no longer kept."`
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
	if !a.ExpiredAt.IsZero() {
		v.ExpiredAt = &a.ExpiredAt
	}
	return v
}
