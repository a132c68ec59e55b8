// Package archive keeps stretches of the log in the blob store, as NDJSON
// compressed with zstd, and reads them back. docs/audit.md has the format. What
// it reads it takes for a stranger's: it checks all of it, in bounded memory.
package archive

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"herald/internal/chain"
	"herald/internal/event"
)

// format is the version of what is written.
const format = 1

// prefix is where archives stand in the blob store.
const prefix = "log/"

// maxManifest bounds what is read of a manifest, in bytes.
const maxManifest = 64 << 10

// Manifest says what an archive holds, and what it has to be like.
type Manifest struct {
	Format  int       `json:"format"`
	First   event.Seq `json:"first"`
	Last    event.Seq `json:"last"`
	Events  int64     `json:"events"`
	Batches int64     `json:"batches"`
	Before  Digest    `json:"digest_before"` // of the batch before the first
	Digest  Digest    `json:"digest"`        // of the last batch
	Object  string    `json:"object"`        // its key in the blob store
	Size    int64     `json:"size"`          // of the object, in bytes
	SHA256  Digest    `json:"sha256"`        // of the object

	FirstRecordedAt Time `json:"first_recorded_at"`
	LastRecordedAt  Time `json:"last_recorded_at"`
}

// ParseManifest reads a manifest and checks that it makes sense.
func ParseManifest(text []byte) (Manifest, error) {
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("read an archive's manifest: %w", err)
	}
	switch {
	case m.Format != format:
		return Manifest{}, fmt.Errorf("the archive has format %d, this program reads %d", m.Format, format)
	case m.First < 1 || m.Last < m.First || m.Events != int64(m.Last-m.First+1) || m.Batches < 1 || m.Batches > m.Events ||
		m.Object != objectKey(m.First, m.Last) || m.Size < 1:
		return Manifest{}, errors.New("the archive's manifest contradicts itself")
	}
	return m, nil
}

// before is the end of the log before the archive.
func (m Manifest) before() chain.Point {
	return chain.Point{Seq: m.First - 1, Digest: chain.Digest(m.Before)}
}

// End is the end of the log with the archive.
func (m Manifest) End() chain.Point { return chain.Point{Seq: m.Last, Digest: chain.Digest(m.Digest)} }

// objectKey is the key of the archive's object: keys sort as their seqs do.
func objectKey(first, last event.Seq) string {
	return fmt.Sprintf("%s%019d-%019d.ndjson.zst", prefix, first, last)
}

// manifestKey is the key of the archive's manifest.
func manifestKey(first, last event.Seq) string {
	return fmt.Sprintf("%s%019d-%019d.json", prefix, first, last)
}

// Digest is a SHA-256 whose text is hex.
type Digest chain.Digest

// MarshalText writes the digest in hex.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads a digest.
func (d *Digest) UnmarshalText(text []byte) error {
	raw, err := hex.AppendDecode(nil, text)
	if err != nil || len(raw) != len(d) {
		return errors.New("want a SHA-256 in hex")
	}
	*d = Digest(raw)
	return nil
}

// Time is a time whose text is RFC 3339 in UTC, to the microsecond.
type Time struct{ time.Time }

const layout = "2006-01-02T15:04:05.000000Z"

// MarshalText writes the time.
func (t Time) MarshalText() ([]byte, error) {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("the year %d cannot be written", y)
	}
	return t.UTC().AppendFormat(nil, layout), nil
}

// UnmarshalText reads a time.
func (t *Time) UnmarshalText(text []byte) (err error) {
	t.Time, err = time.Parse(layout, string(text))
	return err
}

// MarshalJSON writes the time; time.Time's own form drops zeros.
func (t Time) MarshalJSON() ([]byte, error) {
	text, err := t.MarshalText()
	return []byte(`"` + string(text) + `"`), err
}

// UnmarshalJSON reads a time.
func (t *Time) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	return t.UnmarshalText([]byte(text))
}
