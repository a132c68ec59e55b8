package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// ErrBadLink means that a link was not made by us, or was changed.
var ErrBadLink = errors.New("the link is not valid")

// ErrLinkExpired means that a link was good once.
var ErrLinkExpired = errors.New("the link has expired")

// SignLink returns the signature of a link that shows the artifact to whoever has
// it, until it expires.
func (k *Key) SignLink(artifact string, expires time.Time) string {
	return base64.RawURLEncoding.EncodeToString(k.linkSum(artifact, expires))
}

// CheckLink returns ErrBadLink unless the signature is that of the artifact and
// the time, and ErrLinkExpired when the time is past.
func (k *Key) CheckLink(artifact string, expires time.Time, signature string) error {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !hmac.Equal(sum, k.linkSum(artifact, expires)) {
		return ErrBadLink
	}
	if !time.Now().Before(expires) {
		return ErrLinkExpired
	}
	return nil
}

// linkSum is made with a key of its own, so that no signature of a link is ever
// that of a token.
func (k *Key) linkSum(artifact string, expires time.Time) []byte {
	own := hmac.New(sha256.New, k.secret)
	own.Write([]byte("herald artifact links 1"))
	sum := hmac.New(sha256.New, own.Sum(nil))
	fmt.Fprintf(sum, "%s\n%d", artifact, expires.Unix())
	return sum.Sum(nil)
}
