package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// The members of a payload that mean something to Herald, whatever else is in
// it: what streams are filtered by, and for how long it is of use.
const (
	metadataMember = "metadata"
	ttlMember      = "ttl_ms"
)

// MaxTTL is the longest time for which an event may say it is of use.
const MaxTTL = 365 * 24 * time.Hour

const (
	maxMetadata     = 2 << 10 // bytes
	maxMetadataKeys = 16
)

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// Payload puts metadata and a time to live into the data as its members
// "metadata" and "ttl_ms", where MetadataOf and TTLOf find them; the data is then
// an object without such members. Without both the payload is the data as it is.
// No data is an empty object. The error is an ErrPayload.
func Payload(data, metadata json.RawMessage, ttl time.Duration) (json.RawMessage, error) {
	if len(data) == 0 {
		data = json.RawMessage(`{}`)
	}
	var more []member
	if metadata != nil {
		if err := checkMetadata(metadata); err != nil {
			return nil, err
		}
		more = append(more, member{metadataMember, metadata})
	}
	if ttl != 0 {
		if ttl < time.Millisecond || ttl > MaxTTL {
			return nil, fmt.Errorf("%w: ttl_ms: want 1 to %d", ErrPayload, MaxTTL.Milliseconds())
		}
		more = append(more, member{ttlMember, strconv.AppendInt(nil, ttl.Milliseconds(), 10)})
	}
	if more == nil {
		return data, nil
	}
	members, err := membersOf(data)
	if err != nil {
		return nil, fmt.Errorf("%w: beside metadata or ttl_ms, data %w", ErrPayload, err)
	}
	for _, m := range more {
		if slices.ContainsFunc(members, func(own member) bool { return own.name == m.name }) {
			return nil, fmt.Errorf("%w: data has %s of its own: say it in one place", ErrPayload, m.name)
		}
	}
	return appendMembers(data, len(members) == 0, more), nil
}

// appendMembers returns the object with more members behind its own.
func appendMembers(object json.RawMessage, empty bool, more []member) json.RawMessage {
	open := object[:bytes.LastIndexByte(object, '}')]
	whole := make(json.RawMessage, 0, len(object)+len(more)*len(`,"metadata":`)+maxMetadata)
	whole = append(whole, open...)
	for _, m := range more {
		if !empty {
			whole = append(whole, ',')
		}
		empty = false
		whole = append(strconv.AppendQuote(whole, m.name), ':')
		whole = append(whole, m.value...)
	}
	return append(whole, '}')
}

// checkMetadata wants what MetadataOf reads, so that nothing in it is passed over
// in silence.
func checkMetadata(metadata json.RawMessage) error {
	members, err := membersOf(metadata)
	switch {
	case err != nil:
		return fmt.Errorf("%w: metadata %w", ErrPayload, err)
	case len(metadata) > maxMetadata:
		return fmt.Errorf("%w: metadata has %d bytes, at most %d", ErrPayload, len(metadata), maxMetadata)
	case len(members) > maxMetadataKeys:
		return fmt.Errorf("%w: metadata has %d members, at most %d", ErrPayload, len(members), maxMetadataKeys)
	}
	for _, m := range members {
		if bytes.ContainsRune([]byte("{[n"), rune(m.value[0])) {
			return fmt.Errorf("%w: metadata: its values are strings, numbers and booleans", ErrPayload)
		}
	}
	return nil
}

// membersOf are an object's members as they are written, one that is written
// twice included.
func membersOf(object json.RawMessage) ([]member, error) {
	errNone := errors.New("must be a JSON object")
	decoder := json.NewDecoder(bytes.NewReader(object))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errNone
	}
	var members []member
	for decoder.More() {
		name, err := decoder.Token()
		text, ok := name.(string)
		var value json.RawMessage
		if err == nil && ok {
			err = decoder.Decode(&value)
		}
		if err != nil || !ok {
			return nil, errNone
		}
		members = append(members, member{text, value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errNone
	}
	return members, nil
}

// TTLOf is for how long an event with the payload is of use after it was
// created: its member "ttl_ms", a whole number of at least 1. Without one it
// is of use for ever, and the time is 0.
func TTLOf(payload json.RawMessage) time.Duration {
	if !bytes.Contains(payload, []byte(`"`+ttlMember+`"`)) {
		return 0 // without a look at the JSON: most events have none
	}
	var data struct {
		TTL int64 `json:"ttl_ms"`
	}
	if json.Unmarshal(payload, &data) != nil || data.TTL < 1 || data.TTL > MaxTTL.Milliseconds() {
		return 0
	}
	return time.Duration(data.TTL) * time.Millisecond
}

// Expires is when the event stops being of use to a stream, by its time to live;
// the zero time is never. What Herald says of jobs is always of use.
func (e Event) Expires() time.Time {
	if e.Type.Reserved() {
		return time.Time{}
	}
	ttl := TTLOf(e.Payload)
	if ttl == 0 {
		return time.Time{}
	}
	return e.CreatedAt.Add(ttl)
}
