package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// ExampleType is the type of the events that Example makes.
const ExampleType = "notification.custom.example"

// Example returns the source "example", which works out of the box where Herald
// is tried: {"user": …, "message": …} becomes an event for that user. Its secret
// is in the file.
func Example(secretFile string) (*Source, error) {
	sources, err := Parse([]byte(`
sources:
  example:
    scheme: standard
    secrets: [` + strconv.Quote("file:"+secretFile) + `]
    events:
      - type: '"` + ExampleType + `"'
        to: '["user:" + body.user]'
        data: '{"message": body.message}'
`))
	return sources["example"], err
}

// ExampleSecretFile is where the data folder has the example's secret.
func ExampleSecretFile(dataDir string) string {
	return filepath.Join(dataDir, "webhook-example.secret")
}

// LoadOrCreateSecret reads the secret in the file, which it makes when there is
// none.
func LoadOrCreateSecret(path string) (string, error) {
	const size = 24
	text, err := readSecret("file:" + path)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // it never fails
	text = standardPrefix + base64.StdEncoding.EncodeToString(raw)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("keep the example's secret: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return readSecret("file:" + path)
	}
	if err != nil {
		return "", fmt.Errorf("keep the example's secret: %w", err)
	}
	_, err = f.WriteString(text + "\n")
	return text, errors.Join(err, f.Close())
}
