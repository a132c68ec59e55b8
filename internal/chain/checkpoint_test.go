package chain_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"herald/internal/chain"
)

func keys(tb testing.TB) (note.Signer, note.Verifier) {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "herald-test")
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, verifier
}

func TestACheckpointReadsBack(t *testing.T) {
	t.Parallel()
	signer, verifier := keys(t)
	_, stranger := keys(t)
	want := newRecord(3, 4).head
	signed, err := want.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := chain.OpenCheckpoint(signed, verifier); err != nil || got != want {
		t.Errorf("OpenCheckpoint() = %v, %v, want %v", got, err, want)
	}
	if _, err := chain.OpenCheckpoint(signed, stranger); !errors.Is(err, chain.ErrCheckpoint) {
		t.Errorf("OpenCheckpoint() with another key = %v, want %v", err, chain.ErrCheckpoint)
	}
	for i := range signed {
		harmed := bytes.Clone(signed)
		harmed[i] ^= 1
		if got, err := chain.OpenCheckpoint(harmed, verifier); err == nil && got != want {
			t.Errorf("OpenCheckpoint() with byte %d flipped = %v", i, got)
		}
	}
}

func TestCheckpointsHaveOneForm(t *testing.T) {
	t.Parallel()
	signer, verifier := keys(t)
	digest := strings.Repeat("A", 43) + "="
	for _, text := range []string{
		"\n", "herald.log/1\n", "herald.log/1\n07\n" + digest + "\n", "herald.log/1\n+7\n" + digest + "\n",
		"herald.log/1\n-7\n" + digest + "\n", "herald.log/1\n7\n" + strings.Repeat("A", 42) + "B=\n",
		"herald.log/1\n7\n" + digest[:40] + "\n", "herald.log/1\n7\n" + digest + "\nmore\n", "herald.log/2\n7\n" + digest + "\n",
		"herald.log/1\n9223372036854775808\n" + digest + "\n",
	} {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := chain.OpenCheckpoint(signed, verifier); !errors.Is(err, chain.ErrCheckpoint) {
			t.Errorf("OpenCheckpoint(%q) = %v, %v, want %v", text, p, err, chain.ErrCheckpoint)
		}
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	signer, verifier := keys(f)
	signed, err := newRecord(2).head.Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed, "herald.log/1\n7\n")
	f.Add([]byte("x\n"), "")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		_, _ = chain.OpenCheckpoint(raw, verifier) // must not panic
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			return
		}
		p, err := chain.OpenCheckpoint(signed, verifier)
		if err != nil {
			return
		}
		if again, err := p.Sign(signer); err != nil || !bytes.Equal(again, signed) {
			t.Errorf("OpenCheckpoint(%q) = %v, which is written as %q, %v", signed, p, again, err)
		}
	})
}
