package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"herald/internal/archive"
	"herald/internal/audit"
	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/postgres"
)

type verifyCmd struct {
	settings
	Archives bool   `help:"Check the archives as well." default:"true" negatable:""`
	Sign     string `help:"Write a checkpoint of the log, signed, to the file." placeholder:"FILE"`
	Against  string `help:"Check that the log goes on from the checkpoint in the file." placeholder:"FILE"`
	Key      string `help:"The key that the checkpoint was signed with, as --sign prints it (default: the data folder's)." placeholder:"KEY"`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// Run checks the log.
func (c *verifyCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.Complete(); err != nil {
		return err
	}
	checkpoint, err := c.checkpoint()
	if err != nil {
		return err
	}
	var result audit.Result
	fault := c.withDatabase(ctx, func(db *postgres.DB) error {
		if !c.Archives {
			result, err = audit.Verify(ctx, db, nil, checkpoint)
			return err
		}
		return c.withArchives(ctx, func(archives *archive.Store) error {
			result, err = audit.Verify(ctx, db, archives, checkpoint)
			return err
		})
	})
	var found *chain.FaultError
	if fault != nil && !errors.As(fault, &found) {
		return fault
	}
	if err := c.print(t, result, found); err != nil {
		return err
	}
	if fault != nil || c.Sign == "" {
		return fault
	}
	return c.sign(t, result.Head)
}

// report is what --json prints.
type report struct {
	OK       bool         `json:"ok"`
	First    event.Seq    `json:"first"`
	Last     event.Seq    `json:"last"`
	Digest   string       `json:"digest"`
	Events   int64        `json:"events"`
	Archived int64        `json:"archived"`
	Missing  []audit.Hole `json:"missing"` // dropped without an archive
	Seconds  float64      `json:"seconds"`
	Rate     float64      `json:"events_per_s"`
	Fault    *finding     `json:"fault"`
}

type finding struct {
	Seq  event.Seq  `json:"seq"`
	Kind chain.Kind `json:"kind"`
	How  string     `json:"how"`
}

// print says what was checked. A fault in words is told by the exit.
func (c *verifyCmd) print(t *terminal, r audit.Result, fault *chain.FaultError) error {
	rate := float64(r.Events) / max(r.Took.Seconds(), 1e-9)
	if c.JSON {
		out := report{
			OK: fault == nil, First: r.From.Seq + 1, Last: r.Head.Seq, Digest: hex.EncodeToString(r.Head.Digest[:]),
			Events: r.Events, Archived: r.Archived, Missing: append([]audit.Hole{}, r.Holes...), Seconds: r.Took.Seconds(), Rate: rate,
		}
		if fault != nil {
			out.Fault = &finding{fault.Seq, fault.Kind, fault.How}
		}
		return json.NewEncoder(t.stdout).Encode(out)
	}
	for _, hole := range r.Holes {
		fmt.Fprintf(t.stdout, "seqs %d to %d were dropped without an archive\n", hole.First, hole.Last)
	}
	fmt.Fprintf(t.stdout, "checked %d events in %v (%.0f/s)\n", r.Events, r.Took.Round(time.Millisecond), rate)
	return nil
}

// checkpoint reads the checkpoint to check against, if there is one.
func (c *verifyCmd) checkpoint() (*chain.Point, error) {
	if c.Against == "" {
		return nil, nil
	}
	signed, err := os.ReadFile(c.Against)
	if err != nil {
		return nil, fmt.Errorf("--against: %w", err)
	}
	key := c.Key
	if key == "" {
		text, err := os.ReadFile(filepath.Join(c.DataDir, auditPublic))
		if err != nil {
			return nil, fmt.Errorf("%w; give the key that the checkpoint was signed with with --key", err)
		}
		key = strings.TrimSpace(string(text))
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, fmt.Errorf("--key %q: %w; want it as --sign printed it", key, err)
	}
	p, err := chain.OpenCheckpoint(signed, verifier)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Against, err)
	}
	return &p, nil
}

// sign writes a checkpoint of what was checked.
func (c *verifyCmd) sign(t *terminal, head chain.Point) error {
	signer, public, err := auditKey(c.DataDir)
	if err != nil {
		return err
	}
	signed, err := head.Sign(signer)
	if err != nil {
		return fmt.Errorf("sign a checkpoint: %w", err)
	}
	if err := os.WriteFile(c.Sign, signed, 0o644); err != nil { //nolint:gosec // it is made to be given away
		return fmt.Errorf("--sign: %w", err)
	}
	if !c.JSON {
		fmt.Fprintf(t.stdout, "signed seq %d; keep %s elsewhere, and this key with it:\n%s\n", head.Seq, c.Sign, public)
	}
	return nil
}
