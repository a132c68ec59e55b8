package audit

import (
	"errors"

	"herald/internal/chain"
	"herald/internal/event"
)

// errStopped ends the reading of a log that is known to be faulty.
var errStopped = errors.New("a fault was found")

const (
	// chunkItems and chunkBytes bound a chunk; pipeChunks bounds how many wait.
	chunkItems = 512
	chunkBytes = 1 << 20
	pipeChunks = 8
)

// pipe hands a log from the goroutine that reads it to the one that hashes it.
// When it is full, reading waits.
type pipe struct {
	chunks chan chunk
	stop   chan struct{} // closed when nothing more is wanted

	next chunk // owned by the goroutine that fills
}

func newPipe() *pipe {
	return &pipe{chunks: make(chan chunk, pipeChunks), stop: make(chan struct{})}
}

// chunk is a stretch of a log: events, and the batches before some of them.
type chunk struct {
	batches []mark
	events  []event.Event
	bytes   int
}

// mark is a batch that comes before the event at an index.
type mark struct {
	at    int
	batch chain.Batch
}

// fill puts into the pipe what read hands over.
func (p *pipe) fill(read func(to chain.Sink) error) error {
	defer close(p.chunks)
	if err := read(p); err != nil {
		return err
	}
	return p.flush()
}

// Batch takes a batch.
func (p *pipe) Batch(b chain.Batch) error {
	p.next.batches = append(p.next.batches, mark{len(p.next.events), b})
	return p.add(len(b.Leaves))
}

// Event takes an event.
func (p *pipe) Event(e event.Event) error {
	if p.next.events == nil {
		p.next.events = make([]event.Event, 0, chunkItems)
	}
	p.next.events = append(p.next.events, e)
	return p.add(len(e.Payload))
}

func (p *pipe) add(bytes int) error {
	p.next.bytes += bytes
	if len(p.next.events)+len(p.next.batches) < chunkItems && p.next.bytes < chunkBytes {
		return nil
	}
	return p.flush()
}

func (p *pipe) flush() error {
	select {
	case p.chunks <- p.next:
		p.next = chunk{}
		return nil
	case <-p.stop:
		return errStopped
	}
}

// drain verifies what comes out of the pipe until it ends or a fault is found.
func (p *pipe) drain(v *chain.Verifier) error {
	for c := range p.chunks {
		if err := c.verify(v); err != nil {
			close(p.stop)
			for range p.chunks { // until the reader has noticed
			}
			return err
		}
	}
	return nil
}

func (c *chunk) verify(v *chain.Verifier) error {
	for i, e := range c.events {
		if err := c.batchesAt(i, v); err != nil {
			return err
		}
		if err := v.Event(e); err != nil {
			return err
		}
	}
	return c.batchesAt(len(c.events), v)
}

func (c *chunk) batchesAt(i int, v *chain.Verifier) error {
	for len(c.batches) > 0 && c.batches[0].at == i {
		if err := v.Batch(c.batches[0].batch); err != nil {
			return err
		}
		c.batches = c.batches[1:]
	}
	return nil
}
