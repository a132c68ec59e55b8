// Package audit checks all of the log against its chain: what was archived, what
// is kept, and that the one goes on from the other.
package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herald/internal/archive"
	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/eventlog"
)

// Log is the log that is kept, and what is known of the rest.
type Log interface {
	// Ends returns both ends of the log as of one moment, and the first seq of any
	// row behind it.
	Ends(ctx context.Context) (floor, head chain.Point, beyond event.Seq, err error)
	// Dropped returns the partitions that are no longer kept, in order.
	Dropped(ctx context.Context) ([]eventlog.Partition, error)
	// Scan reads the log between two Seqs; event.ErrTooOld when it went meanwhile.
	Scan(ctx context.Context, after, upto event.Seq, to chain.Sink) error
}

// Archives is where dropped partitions are kept.
type Archives interface {
	// Manifest returns what the blob store says about the archive of these seqs.
	Manifest(ctx context.Context, first, last event.Seq) (archive.Manifest, error)
	// Read reads an archive that goes on from where the verifier is.
	Read(ctx context.Context, m archive.Manifest, v *chain.Verifier, each func(event.Event) error) error
}

// Result is what was checked.
type Result struct {
	Events     int64         // whose hashes were computed
	Archived   int64         // of these, those in archives
	From, Head chain.Point   // the ends of what was checked
	Holes      []Hole        // what was dropped without an archive
	Took       time.Duration // for all of it
}

// Hole is a stretch of the log that nobody has any more.
type Hole struct {
	First event.Seq `json:"first"`
	Last  event.Seq `json:"last"`
}

// tries is how often a check begins anew because a partition went meanwhile.
const tries = 5

// Verify computes the chain anew: from the first event on with archives, else
// from where the log that is kept begins. Where it passes the checkpoint, if
// there is one, it has to agree with it. The first fault is a
// *chain.FaultError; the Result says how far it came.
func Verify(ctx context.Context, log Log, archives Archives, checkpoint *chain.Point) (Result, error) {
	began := time.Now()
	for n := 1; ; n++ {
		r, err := verify(ctx, log, archives, checkpoint)
		r.Took = time.Since(began)
		if n == tries || !errors.Is(err, event.ErrTooOld) {
			return r, err
		}
	}
}

func verify(ctx context.Context, log Log, archives Archives, checkpoint *chain.Point) (Result, error) {
	floor, head, beyond, err := log.Ends(ctx)
	if err != nil {
		return Result{}, err
	}
	r := Result{Head: head}
	if archives == nil {
		r.From = floor
		if checkpoint != nil && checkpoint.Seq < floor.Seq {
			return r, fmt.Errorf("the checkpoint of seq %d is of what was archived: check the archives as well", checkpoint.Seq)
		}
	}
	v := chain.NewVerifier(r.From, checkpoint)
	err = v.Skip(r.From) // where the checkpoint may be
	if err == nil && archives != nil {
		err = r.dropped(ctx, log, archives, v, floor)
	}
	r.Archived = v.Events()
	if err == nil {
		err = kept(ctx, log, v, head)
	}
	if err == nil && beyond != 0 {
		err = &chain.FaultError{Kind: chain.Inserted, Seq: beyond, How: "it stands behind the log's head"}
	}
	r.Events = v.Events()
	return r, err
}

// dropped checks what was archived, up to the floor.
func (r *Result) dropped(ctx context.Context, log Log, archives Archives, v *chain.Verifier, floor chain.Point) error {
	partitions, err := log.Dropped(ctx)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		first := p.Before.Seq + 1
		if p.End.Seq > floor.Seq {
			break // it went after the floor was read
		}
		if p.Before != v.At() {
			return &chain.FaultError{Kind: chain.Removed, Seq: v.At().Seq + 1, How: "no partition that was dropped begins here"}
		}
		if p.Archive == nil {
			r.Holes = append(r.Holes, Hole{First: first, Last: p.End.Seq})
			if err := v.Skip(p.End); err != nil {
				return err
			}
			continue
		}
		if err := archived(ctx, archives, v, p); err != nil {
			return err
		}
	}
	if v.At() != floor {
		return &chain.FaultError{Kind: chain.Removed, Seq: v.At().Seq + 1, How: "no partition that was dropped begins here"}
	}
	return nil
}

// archived checks one archive: the database and the blob store have to say the
// same about it.
func archived(ctx context.Context, archives Archives, v *chain.Verifier, p eventlog.Partition) error {
	first := p.Before.Seq + 1
	known, err := archive.ParseManifest(p.Archive)
	if err != nil {
		return &chain.FaultError{Kind: chain.Altered, Seq: first, How: "the manifest in the database: " + err.Error()}
	}
	stored, err := archives.Manifest(ctx, first, p.End.Seq)
	if err != nil {
		return err
	}
	if known != stored {
		return &chain.FaultError{Kind: chain.Altered, Seq: first, How: "the manifest of its archive is not the one in the database"}
	}
	if err := archives.Read(ctx, stored, v, nil); err != nil {
		return err
	}
	if v.At() != p.End {
		return &chain.FaultError{Kind: chain.Altered, Seq: first, How: "the log does not go on from its archive"}
	}
	return nil
}

// kept checks the log that is kept.
func kept(ctx context.Context, log Log, v *chain.Verifier, head chain.Point) error {
	p := newPipe()
	read := make(chan error, 1)
	from := v.At().Seq
	go func() { read <- p.fill(func(to chain.Sink) error { return log.Scan(ctx, from, head.Seq, to) }) }()
	fault := p.drain(v)
	// What is missing may have gone with its partition meanwhile: the reader knows.
	if err := <-read; err != nil && !errors.Is(err, errStopped) {
		return err
	}
	if fault != nil {
		return fault
	}
	return v.End(head)
}
