package logtest_test

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"herald/internal/event"
)

// fate is what a writer knows about how its transaction ended.
type fate int

const (
	committed fate = iota // the commit returned success
	unknown               // the connection broke while the commit was under way
	abandoned             // rolled back, or cut off before the commit was sent
)

// written is an event that a writer wrote.
type written struct {
	token   string // which no other event has
	job     uuid.UUID
	version int64 // zero when the writer never learned it
}

// transaction is what was written and ends together.
type transaction struct {
	kind   string
	events []written
	fate   fate
}

// ledger is what the writers say they did.
type ledger struct {
	mu           sync.Mutex // guards the field below
	transactions []transaction
}

func (l *ledger) add(tx transaction) {
	if len(tx.events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.transactions = append(l.transactions, tx)
}

// tokenOf finds an event's token. What the test did not write by a writer is
// named by the job and its version.
func tokenOf(e event.Event) string {
	var payload struct {
		Details struct {
			Token string `json:"token"`
		} `json:"details"`
	}
	if err := json.Unmarshal(e.Payload, &payload); err == nil && payload.Details.Token != "" {
		return payload.Details.Token
	}
	return nameless(e.JobID, e.JobVersion)
}

func nameless(job uuid.UUID, version int64) string { return fmt.Sprintf("%s/%d", job, version) }

// tokened is the details in which an event carries its token.
func tokened(token string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"token":%q}`, token))
}
