package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// The files of the key that signs checkpoints, in the data folder.
const (
	auditPrivate = "audit.key"
	auditPublic  = "audit.pub"
)

// auditKey reads the key that signs checkpoints, or makes one when there is
// none, and returns also the text that others check its signatures with.
func auditKey(dir string) (signer note.Signer, public string, err error) {
	path := filepath.Join(dir, auditPrivate)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuditKey(path); err != nil {
			return nil, "", fmt.Errorf("make the audit key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the audit key: %w", err)
	}
	private := strings.TrimSpace(string(text))
	if signer, err = note.NewSigner(private); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if public, err = publicOf(private); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if err := os.WriteFile(filepath.Join(dir, auditPublic), []byte(public+"\n"), 0o644); err != nil { //nolint:gosec // it is public
		return nil, "", fmt.Errorf("write the public audit key: %w", err)
	}
	return signer, public, nil
}

// makeAuditKey writes a new key beside its place and links it there, so that
// one that is there is never replaced.
func makeAuditKey(path string) error {
	name := make([]byte, 4)
	if _, err := rand.Read(name); err != nil {
		return err
	}
	private, _, err := note.GenerateKey(rand.Reader, "herald-"+hex.EncodeToString(name))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it is only a second name by then
	_, err = temp.WriteString(private + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// publicOf is the public half of a note's private key: PRIVATE+KEY, its name, a
// hash, and in base64 an algorithm's byte with the seed.
func publicOf(private string) (string, error) {
	parts := strings.SplitN(private, "+", 5)
	if len(parts) != 5 {
		return "", errors.New("not a key that signs notes")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("not an Ed25519 key")
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("not an Ed25519 key")
	}
	return note.NewEd25519VerifierKey(parts[2], public)
}
