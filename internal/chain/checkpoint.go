package chain

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"herald/internal/event"
)

// origin is the first line of a checkpoint's text. It names the form.
const origin = "herald.log/1"

// maxCheckpoint bounds what is parsed at all, in bytes.
const maxCheckpoint = 16 << 10

// ErrCheckpoint is returned for a text that is not a checkpoint, or not one
// that the key has signed.
var ErrCheckpoint = errors.New("not a checkpoint that this key has signed")

// Sign writes the Point as a checkpoint: a signed note whose text is the origin,
// the Seq, and the digest in base64, a line each.
func (p Point) Sign(signer note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: p.text()}, signer)
}

func (p Point) text() string {
	return origin + "\n" + p.Seq.String() + "\n" + base64.StdEncoding.EncodeToString(p.Digest[:]) + "\n"
}

// OpenCheckpoint reads a checkpoint that the verifier's key has signed. It
// accepts the one form that Sign writes.
func OpenCheckpoint(signed []byte, verifier note.Verifier) (Point, error) {
	if len(signed) > maxCheckpoint {
		return Point{}, fmt.Errorf("%w: longer than %d bytes", ErrCheckpoint, maxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Point{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	p, err := parsePoint(n.Text)
	if err != nil {
		return Point{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return p, nil
}

func parsePoint(text string) (Point, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		return Point{}, fmt.Errorf("want %s, a seq and a digest, a line each", origin)
	}
	seq, err := event.ParseCursor(lines[1])
	if err != nil {
		return Point{}, fmt.Errorf("%q is not a seq", lines[1])
	}
	digest, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(digest) != len(Digest{}) {
		return Point{}, errors.New("its digest is not a SHA-256 in base64")
	}
	p := Point{Seq: seq, Digest: Digest(digest)}
	if p.text() != text { // leading zeros, say
		return Point{}, errors.New("it is not written the one way there is")
	}
	return p, nil
}
