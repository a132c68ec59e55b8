package artifact

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

var (
	// ErrManyUploads is returned to who has as many uploads under way as one may, or
	// as large ones.
	ErrManyUploads = errors.New("you have as many uploads under way as one may: finish or cancel one, then try again")
	// ErrNoUpload is returned when there is no such upload under way.
	ErrNoUpload = errors.New("there is no such upload; begin a new one")
	// ErrOvertaken is returned to who appends to an upload while another request does
	// so since.
	ErrOvertaken = errors.New("another request goes on with the upload")
)

// OffsetError says that an upload has not come as far as somebody thought, or
// further.
type OffsetError struct{ Given, Received int64 }

func (e *OffsetError) Error() string {
	return fmt.Sprintf("%d bytes of the upload are there: go on from there, and not from %d", e.Received, e.Given)
}

// Incoming is an upload that comes in pieces.
type Incoming struct {
	ID          uuid.UUID // a UUIDv7, which tells when it began; that of the artifact that it becomes
	Owner       string
	Name        string
	ContentType string
	Size        int64  // promised
	SHA256      string // promised, in hex; empty when it was not
	Received    int64
	Parts       int    // how many it came in so far
	Digest      []byte // how far the SHA-256 of what was received has come
	FinishedAt  time.Time
}

// Expires is until when it has to be finished.
func (i Incoming) Expires() time.Time { return Began(i.ID).Add(UploadTime) }

// Whole is the artifact that it becomes, with its digest in hex.
func (i Incoming) Whole(sum string) Artifact {
	return Artifact{
		ID: i.ID, Owner: i.Owner, Kind: Upload, Name: i.Name, ContentType: i.ContentType, Size: i.Size, SHA256: sum,
		BlobKey: PartsPrefixOf(i.ID), CreatedAt: Began(i.ID),
	}
}

// IncomingLimits bound what one owner may have under way.
type IncomingLimits struct {
	Uploads int
	Bytes   int64 // promised, of all of them; a single one may be larger
}

// Part is a part of a file that is kept in several blobs.
type Part struct {
	Key   string
	Start int64 // where in the file it begins
	Size  int64
}
