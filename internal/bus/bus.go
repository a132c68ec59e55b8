// Package bus is the contract of an announcement: the news that the log has
// grown. The log is the truth, and an announcement is a hint.
package bus

import (
	"context"

	"herald/internal/event"
)

// Bus carries the news that the log has grown; a lost message costs delay,
// never an event.
type Bus interface {
	// Follow calls grown with each head of the log that it hears of, in the
	// order in which it hears, until ctx ends, and reconnects by itself. After
	// each connect it calls grown with 0, since what was announced in between is
	// not known. Calls of grown never overlap, and grown must not block.
	Follow(ctx context.Context, grown func(head event.Seq)) error
}
