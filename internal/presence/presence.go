// Package presence knows who is there: which streams are open on which node,
// how far each client has come, and why a stream ended. A Tracker writes down
// what happens to a node's streams.
package presence

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Reason says why a stream ended.
type Reason string

// The reasons. Nobody has to be told of more.
const (
	ClientGone   Reason = "client_gone"   // the client closed it, or cannot be reached
	Slow         Reason = "slow"          // its queue was full
	WriteTimeout Reason = "write_timeout" // the client took nothing for too long
	Expired      Reason = "expired"       // the client's token did
	Closing      Reason = "closing"       // its node stopped
	Disconnected Reason = "disconnected"  // somebody asked for it
	NodeLost     Reason = "node_lost"     // its node died, or was silent for too long
	Failed       Reason = "error"         // anything else; the log says what
)

// known returns the reason, or Failed when it is not one.
func (r Reason) known() Reason {
	switch r {
	case ClientGone, Slow, WriteTimeout, Expired, Closing, Disconnected, NodeLost:
		return r
	default:
		return Failed
	}
}

// Silence is how long a node may say nothing before its streams count as ended.
const Silence = 10 * time.Second

// EndedSilence is how long when its session with the database has ended, too: less
// than the time between two of its signs of life.
const EndedSilence = 900 * time.Millisecond

// Connection is one stream, live or past. Its JSON is the API's.
type Connection struct {
	ID        uuid.UUID       `json:"id"` // the client id, a UUIDv7
	Node      string          `json:"node"`
	User      string          `json:"user"`
	Session   string          `json:"session"`
	UserAgent string          `json:"user_agent"`
	Address   *netip.Addr     `json:"address"` // nil: not known; this machine's may be that of a proxy there that did not say whose it is
	Topics    []event.Topic   `json:"topics"`
	Filter    *event.Filter   `json:"filter"`   // what it lets through; nil: everything
	Whole     bool            `json:"whole"`    // newer progress of a job does not replace what waits to be written
	Metadata  json.RawMessage `json:"metadata"` // an object

	OpenedAt   time.Time  `json:"opened_at"`
	OpenedSeq  event.Seq  `json:"opened_seq"`  // from where it was to read on
	OpenedHead event.Seq  `json:"opened_head"` // the log's head then, as far as its node knew
	Written    event.Seq  `json:"written_seq"`
	WrittenAt  *time.Time `json:"written_at"`
	Acked      event.Seq  `json:"acked_seq"` // never more than Written, as is Seen
	AckedAt    *time.Time `json:"acked_at"`
	Seen       event.Seq  `json:"seen_seq"` // acknowledged on a visible page
	SeenAt     *time.Time `json:"seen_at"`
	Visible    bool       `json:"visible"` // the page was, at the last ack

	ClosedAt     *time.Time `json:"closed_at"` // nil while it is open
	ClosedWhy    Reason     `json:"closed_why"`
	CloseAskedAt *time.Time `json:"close_asked_at"` // somebody wants it to end
	CloseAskedBy string     `json:"close_asked_by"`
}

// MaxMetadata is the largest metadata of a stream, in bytes.
const MaxMetadata = 2 << 10

// ErrMetadata is returned for metadata that is not kept.
var ErrMetadata = errors.New("metadata refused")

// CheckMetadata says what is wrong with a client's metadata; nil is fine.
func CheckMetadata(raw json.RawMessage) error {
	if len(raw) > MaxMetadata {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrMetadata, len(raw), MaxMetadata)
	}
	if raw == nil {
		return nil
	}
	if err := event.CheckJSON(raw); err != nil {
		return fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	if !strings.HasPrefix(strings.TrimSpace(string(raw)), "{") {
		return fmt.Errorf("%w: not a JSON object", ErrMetadata)
	}
	return nil
}

// Clean returns the connection with all that its client sent made fit to be
// kept: one that is not would keep all others of its batch from being written.
// What is not text is replaced, what is too long is cut, and bad metadata goes.
func (c Connection) Clean() Connection {
	const longest = 300
	c.Session, c.UserAgent = clean(c.Session, longest), clean(c.UserAgent, longest)
	if c.Address != nil {
		c.Address = new(c.Address.Unmap().WithZone(""))
		if !c.Address.IsValid() {
			c.Address = nil
		}
	}
	if c.Filter != nil && c.Filter.Check() != nil {
		c.Filter = nil
	}
	if c.Metadata == nil || CheckMetadata(c.Metadata) != nil {
		c.Metadata = json.RawMessage(`{}`)
	}
	return c
}

func clean(text string, longest int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r // of what is not UTF-8 too, it is the replacement
	}, text[:min(len(text), longest)])
	return strings.Clone(text)
}

// Ack is a client's word of how far it has come.
type Ack struct {
	Client  uuid.UUID
	User    string // who says so
	Seq     event.Seq
	Visible bool // the page is
}

// What becomes of an ack, or of a question, that cannot be answered.
var (
	// ErrNotFound means that there is no such stream, or that it is another's.
	ErrNotFound = errors.New("there is no such stream")
	// ErrAhead means that an ack names a seq that the client was not sent.
	ErrAhead = errors.New("the seq is ahead of what was written to the stream")
	// ErrLater means that it cannot be said at once: see Tracker.Await.
	ErrLater = errors.New("the stream is not known here yet")
	// ErrBusy means that too many wait for what Await tells them, or that the
	// node stops or cannot reach the database.
	ErrBusy = errors.New("acks cannot be written at the moment; send the next one")
)

// Filter says which connections are listed.
type Filter struct {
	User   string    // empty: everybody's
	Node   string    // only live ones that the node holds; empty: of all nodes
	Live   bool      // only those that are open
	Ended  bool      // only those that are not
	Since  time.Time // only those that had not ended then; zero: all
	Before uuid.UUID // only those opened before this one; zero: from the newest on
	Limit  int
}

// User is whether somebody is there, as of about a second ago, over all nodes.
type User struct {
	User         string     `json:"user"`
	Online       bool       `json:"online"`
	Connections  int        `json:"connections"`
	Since        *time.Time `json:"since"`          // the oldest open stream's beginning; nil when there is none
	LastActiveAt *time.Time `json:"last_active_at"` // when a page of theirs was last known visible, or else when a stream was opened; nil: never
	Visible      bool       `json:"visible"`        // a page of theirs is
}

// Statistics counts what is open, over all nodes.
type Statistics struct {
	Connections int            `json:"connections"`
	Users       int            `json:"users"`
	Nodes       map[string]int `json:"nodes"` // open streams of each
}
