package event

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Topic names the stream of events that a subscriber follows: "user:ID",
// "job:UUID", "channel:NAME", "client:ID" or "all".
type Topic string

// Everyone is the topic that every subscriber may follow.
const Everyone Topic = "all"

// WholeLog is what a stream follows that gets every event, whatever its topics. No
// event has it, so ParseTopic does not know it.
const WholeLog Topic = "log"

const (
	// MaxTopics is how many topics one event may have.
	MaxTopics = 64
	// maxTopic is the longest topic, in bytes.
	maxTopic = 200
)

// ErrTopic is returned for a text that is not a topic.
var ErrTopic = errors.New("not a topic")

// UserTopic is the topic of everything that concerns one user.
func UserTopic(id string) Topic { return Topic("user:" + id) }

// JobTopic is the topic of one job.
func JobTopic(id uuid.UUID) Topic { return Topic("job:" + id.String()) }

// ParseTopic reads a topic as a client writes it. Its error names the form
// that is expected.
func ParseTopic(text string) (Topic, error) {
	if text == string(Everyone) {
		return Everyone, nil
	}
	kind, name, _ := strings.Cut(text, ":")
	switch kind {
	case "user", "channel", "client":
		if err := checkName(name); err != nil {
			return "", fmt.Errorf("%w: %q: %w", ErrTopic, clip(text), err)
		}
	case "job":
		id, err := uuid.Parse(name)
		if err != nil || len(name) != len(uuid.Nil.String()) { // uuid.Parse knows other forms too, and is lax about them
			return "", fmt.Errorf("%w: %q: a job is named by its UUID", ErrTopic, clip(text))
		}
		return JobTopic(id), nil
	default:
		return "", fmt.Errorf("%w: %q: want user:ID, job:UUID, channel:NAME, client:ID or all", ErrTopic, clip(text))
	}
	return Topic(text), nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("nothing stands after the colon")
	case len(name) > maxTopic:
		return fmt.Errorf("longer than %d bytes", maxTopic)
	case !utf8.ValidString(name):
		return errors.New("not UTF-8")
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.IsSpace(r) || r == ',' {
			return errors.New("space, comma or control character")
		}
	}
	return nil
}

// clip keeps an error readable when a client sends a megabyte as a topic.
func clip(text string) string {
	const longest = 60
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// User returns the user of a UserTopic.
func (t Topic) User() (id string, ok bool) { return strings.CutPrefix(string(t), "user:") }

// Job returns the job of a JobTopic.
func (t Topic) Job() (id uuid.UUID, ok bool) {
	name, ok := strings.CutPrefix(string(t), "job:")
	if !ok {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(name)
	return id, err == nil
}

// Client returns the client of a "client:ID" topic whose ID is a UUID, as those
// that Herald gives are.
func (t Topic) Client() (id uuid.UUID, ok bool) {
	name, ok := strings.CutPrefix(string(t), "client:")
	if !ok {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(name)
	return id, err == nil
}

// ClientTopic is the topic of one stream.
func ClientTopic(id uuid.UUID) Topic { return Topic("client:" + id.String()) }
