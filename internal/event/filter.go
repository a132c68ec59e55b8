package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Metadata is what a publisher has attached to an event for readers to filter
// by: the members of the payload's "metadata" that are strings, numbers or
// booleans, as text.
type Metadata map[string]string

// MetadataOf reads the metadata of a payload; nil when it has none.
func MetadataOf(payload json.RawMessage) Metadata {
	if !bytes.Contains(payload, []byte(`"metadata"`)) {
		return nil // without a look at the JSON: most events have none
	}
	var data struct {
		Metadata map[string]json.RawMessage `json:"metadata"`
	}
	if json.Unmarshal(payload, &data) != nil || len(data.Metadata) == 0 {
		return nil
	}
	m := make(Metadata, len(data.Metadata))
	for key, value := range data.Metadata {
		if text, ok := scalar(value); ok {
			m[key] = text
		}
	}
	return m
}

// scalar is a JSON string's text, or a number or boolean as it is written.
func scalar(value json.RawMessage) (string, bool) {
	switch value[0] {
	case '{', '[', 'n':
		return "", false
	case '"':
		var text string
		err := json.Unmarshal(value, &text)
		return text, err == nil
	}
	return string(value), true
}

// ErrFilter is returned for a filter that is malformed or too large.
var ErrFilter = errors.New("not a filter")

// Filter says which events of its topics a reader wants. The nil Filter lets
// everything pass.
type Filter struct {
	// Types are event types, or "word.*" for all types that begin with "word.":
	// any of them passes. Empty: every type.
	Types []string `json:"types,omitempty"`
	// Metadata has, for each key, the values of which the event's must be one.
	Metadata map[string][]string `json:"metadata,omitempty"`
}

const (
	maxFilterTypes = 50
	maxFilterKeys  = 10
	maxFilterText  = 200 // bytes of a key, and of a value
)

// Check says what is wrong with the filter, as an ErrFilter.
func (f *Filter) Check() error {
	if len(f.Types) > maxFilterTypes {
		return fmt.Errorf("%w: %d types, at most %d", ErrFilter, len(f.Types), maxFilterTypes)
	}
	for _, t := range f.Types {
		if err := Type(strings.TrimSuffix(t, ".*")).Check(); err != nil {
			return fmt.Errorf("%w: type %q: want one such as job.failed, or job.* for all that begin so", ErrFilter, clip(t))
		}
	}
	if len(f.Metadata) > maxFilterKeys {
		return fmt.Errorf("%w: %d metadata keys, at most %d", ErrFilter, len(f.Metadata), maxFilterKeys)
	}
	for key, values := range f.Metadata {
		if key == "" || !fitsFilter(key) || len(values) > maxFilterTypes || !all(values, fitsFilter) {
			return fmt.Errorf("%w: metadata %q: want a key and at most %d values, of at most %d bytes of text each", ErrFilter, clip(key), maxFilterTypes, maxFilterText)
		}
	}
	return nil
}

// fitsFilter reports whether the text can stand in a filter: it is written down
// with its stream, and Postgres takes no NUL.
func fitsFilter(text string) bool {
	return len(text) <= maxFilterText && utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// all reports whether each of the texts is so.
func all(texts []string, so func(string) bool) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return !so(text) })
}

// Match reports whether an event of the type and with the metadata passes.
func (f *Filter) Match(t Type, m Metadata) bool {
	return f == nil || f.matchType(t) && f.matchMetadata(m)
}

func (f *Filter) matchType(t Type) bool {
	return len(f.Types) == 0 || slices.ContainsFunc(f.Types, func(want string) bool {
		if prefix, ok := strings.CutSuffix(want, "*"); ok {
			return strings.HasPrefix(string(t), prefix)
		}
		return string(t) == want
	})
}

func (f *Filter) matchMetadata(m Metadata) bool {
	for key, values := range f.Metadata {
		if value, ok := m[key]; !ok || !slices.Contains(values, value) {
			return false
		}
	}
	return true
}
