package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signed is what a good signature vouches for.
type signed struct {
	id string    // the webhook's; empty when the scheme has none
	at time.Time // zero when the scheme has none
}

// scheme is a way of signing.
type scheme interface {
	// verify returns ErrSignature unless one of the secrets' owners has signed.
	verify(header http.Header, body []byte) (signed, error)
}

// secrets are those with which a webhook may be signed: two while one takes the
// place of the other.
type secrets [][]byte

// signedBy reports whether one of the signatures is that of the parts by one of
// the secrets.
func (s secrets) signedBy(signatures [][]byte, parts ...string) bool {
	good := false
	for _, secret := range s {
		want := mac(secret, parts...)
		for _, got := range signatures {
			good = hmac.Equal(want, got) || good
		}
	}
	return good
}

func mac(secret []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, secret)
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// mostSignatures is how many signatures of one webhook are looked at.
const mostSignatures = 8

// standard is the scheme of Standard Webhooks: the id, the time and the body are
// signed.
type standard struct{ secrets }

const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

func (s standard) verify(header http.Header, body []byte) (signed, error) {
	id, stamp := header.Get(headerID), header.Get(headerTimestamp)
	at, err := unixTime(stamp)
	if err != nil || id == "" {
		return signed{}, ErrSignature
	}
	var signatures [][]byte
	for text := range strings.FieldsSeq(header.Get(headerSignature)) {
		encoded, ok := strings.CutPrefix(text, "v1,")
		if raw, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && len(signatures) < mostSignatures {
			signatures = append(signatures, raw)
		}
	}
	if !s.signedBy(signatures, id, ".", stamp, ".", string(body)) {
		return signed{}, ErrSignature
	}
	return signed{id: id, at: at}, nil
}

// stripe is the scheme of Stripe: the time and the body are signed.
type stripe struct{ secrets }

func (s stripe) verify(header http.Header, body []byte) (signed, error) {
	var stamp string
	var signatures [][]byte
	for part := range strings.SplitSeq(header.Get("Stripe-Signature"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			if raw, err := hex.DecodeString(value); err == nil && len(signatures) < mostSignatures {
				signatures = append(signatures, raw)
			}
		}
	}
	at, err := unixTime(stamp)
	if err != nil || !s.signedBy(signatures, stamp, ".", string(body)) {
		return signed{}, ErrSignature
	}
	return signed{at: at}, nil
}

// bare is a header with the body's HMAC in it, as GitHub's X-Hub-Signature-256.
type bare struct {
	secrets
	header, prefix string
	decode         func(string) ([]byte, error)
}

func (s bare) verify(header http.Header, body []byte) (signed, error) {
	text, ok := strings.CutPrefix(header.Get(s.header), s.prefix)
	raw, err := s.decode(text)
	if !ok || err != nil || !s.signedBy([][]byte{raw}, string(body)) {
		return signed{}, ErrSignature
	}
	return signed{}, nil
}

// unixTime reads seconds since 1970.
func unixTime(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 40)
	return time.Unix(seconds, 0), err
}

// standardPrefix is what a secret of Standard Webhooks begins with, before its
// base64.
const standardPrefix = "whsec_"

// standardSecret is the secret's bytes.
func standardSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, standardPrefix)
	if !ok {
		return []byte(text), nil
	}
	return base64.StdEncoding.DecodeString(encoded)
}

// Sign returns the headers of a Standard Webhook with the id and the body, which
// is sent at the time.
func Sign(secret, id string, at time.Time, body []byte) (http.Header, error) {
	key, err := standardSecret(secret)
	if err != nil {
		return nil, errSecretText
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	signature := "v1," + base64.StdEncoding.EncodeToString(mac(key, id, ".", stamp, ".", string(body)))
	return http.Header{headerID: {id}, headerTimestamp: {stamp}, headerSignature: {signature}}, nil
}
