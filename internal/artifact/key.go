package artifact

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What begins the keys of blobs, by whose they are.
const (
	UploadsPrefix = "uploads/"
	PartsPrefix   = "parts/"
	JobsPrefix    = "jobs/"
)

// UploadKey is an upload's key in the blob store.
func UploadKey(id uuid.UUID) string { return UploadsPrefix + id.String() }

// ParseUploadKey reads the id back, if the key is an upload's. The id is a UUIDv7.
func ParseUploadKey(key string) (id uuid.UUID, ok bool) {
	const version = 7
	id, err := uuid.Parse(strings.TrimPrefix(key, UploadsPrefix))
	return id, err == nil && id.Version() == version && key == UploadKey(id)
}

// PartsPrefixOf is where all parts of an upload that comes in pieces stand.
func PartsPrefixOf(id uuid.UUID) string { return PartsPrefix + id.String() + "/" }

// NewPartKey makes a key for a part of the upload: no two writers have the same.
func NewPartKey(id uuid.UUID) string { return PartsPrefixOf(id) + uuid.NewString() }

// ParsePartKey reads the upload's id, if the key is that of one of its parts.
func ParsePartKey(key string) (id uuid.UUID, ok bool) {
	const version = 7
	upload, _, _ := strings.Cut(strings.TrimPrefix(key, PartsPrefix), "/")
	id, err := uuid.Parse(upload)
	return id, err == nil && id.Version() == version && strings.HasPrefix(key, PartsPrefixOf(id))
}

// Began is when the UUIDv7 was made, to the millisecond.
func Began(id uuid.UUID) time.Time {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// JobPrefix is where all that a job makes stands in the blob store.
func JobPrefix(job uuid.UUID) string { return JobsPrefix + job.String() + "/" }

// Attempt is an attempt of a job, which has a place in the blob store of its own.
type Attempt struct {
	Job    uuid.UUID
	Number int
}

// Prefix is where the attempt puts what it makes.
func (a Attempt) Prefix() string { return fmt.Sprintf("%s%d/", JobPrefix(a.Job), a.Number) }

// ParseAttempt reads whose the key is, if it is an attempt's.
func ParseAttempt(key string) (a Attempt, ok bool) {
	job, rest, _ := strings.Cut(strings.TrimPrefix(key, JobsPrefix), "/")
	number, _, _ := strings.Cut(rest, "/")
	var err, numberErr error
	a.Job, err = uuid.Parse(job)
	a.Number, numberErr = strconv.Atoi(number)
	return a, err == nil && numberErr == nil && strings.HasPrefix(key, a.Prefix())
}
