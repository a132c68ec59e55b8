package event

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
)

// MaxKey is the longest idempotency key, in bytes.
const MaxKey = 200

var (
	// ErrKey is returned for a text that is not an idempotency key.
	ErrKey = errors.New("not an idempotency key")
	// ErrKeyReused is returned for a request with a key under which another one
	// was answered.
	ErrKeyReused = errors.New("the idempotency key was used for another request; take a new key for each request")
)

// CheckKey says what is wrong with an idempotency key, as an ErrKey. The empty
// text is no key, and nothing is wrong with that.
func CheckKey(key string) error {
	if err := checkPlain(key, MaxKey); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

// Fingerprint tells a request from others under the same key: the SHA-256 of its
// parts in order, each as its length in bytes, a colon and itself, or a hyphen
// for one that says nothing (nil). Every part is text, and JSON is the text that
// was sent, so that herald.fingerprint in SQL comes to the same; who repeats a
// request, repeats its bytes.
func Fingerprint(parts ...*string) []byte {
	var text []byte
	for _, part := range parts {
		if part == nil {
			text = append(text, '-')
			continue
		}
		text = strconv.AppendInt(text, int64(len(*part)), 10)
		text = append(append(text, ':'), *part...)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}
