// Package callback tells whoever asked to be called back how a job has ended:
// it signs a message as Standard Webhooks has it, and sends it to where it may
// go. docs/webhooks.md has what a receiver sees.
package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secret is a key that messages are signed with. It is never printed.
type Secret struct{ key []byte }

// secretPrefix begins a secret's text.
const secretPrefix = "whsec_"

// String hides the secret.
func (Secret) String() string { return secretPrefix + "…" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// maxSecrets is how many secrets may be in use at once: a new one and the one
// that it replaces.
const maxSecrets = 2

// ParseSecrets reads one secret, or two that are separated by a comma or a space:
// each is whsec_ and 24 to 64 bytes in base64. The error does not tell them.
func ParseSecrets(text string) ([]Secret, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	if len(fields) == 0 || len(fields) > maxSecrets {
		return nil, fmt.Errorf("%d secrets, want 1, or 2 while one replaces the other", len(fields))
	}
	var list []Secret
	for _, field := range fields {
		encoded, ok := strings.CutPrefix(field, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		const least, most = 24, 64
		if !ok || err != nil || len(key) < least || len(key) > most {
			return nil, errors.New("want whsec_ and 24 to 64 random bytes in base64: echo whsec_$(openssl rand -base64 32)")
		}
		list = append(list, Secret{key})
	}
	return list, nil
}

// sign returns the value of webhook-signature: a signature by each secret.
func sign(secrets []Secret, id string, at time.Time, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		mac := hmac.New(sha256.New, s.key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}
