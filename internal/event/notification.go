package event

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// notificationSchemas are the JSON schemas of Herald's own notifications, written
// out from the Go types of the public client by a test of the API, as
// herald.notification_schema in SQL has them too.
//
//go:embed notifications.json
var notificationSchemas []byte

// schema is the part of JSON Schema that notifications need: an object of simple
// members and no others. herald.check_notification in SQL reads the same.
type schema struct {
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Enum       []string          `json:"enum"`
	Pattern    string            `json:"pattern"`
	MinLength  int               `json:"minLength"`
	MaxLength  *int              `json:"maxLength"`
	Minimum    *float64          `json:"minimum"`
	Maximum    *float64          `json:"maximum"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`

	pattern *regexp.Regexp
}

// notifications reads the schemas once.
//
//nolint:gochecknoglobals // embedded, and never changed
var notifications = sync.OnceValue(func() map[Type]schema {
	var all map[Type]schema
	if err := json.Unmarshal(notificationSchemas, &all); err != nil {
		panic(err) // it is ours
	}
	for _, s := range all {
		for name, p := range s.Properties {
			if p.Pattern != "" {
				p.pattern = regexp.MustCompile(p.Pattern)
				s.Properties[name] = p
			}
		}
	}
	return all
})

// Notifications are the types whose payloads have a schema.
func Notifications() []Type { return slices.Sorted(maps.Keys(notifications())) }

// NotificationSchemas are the schemas in JSON: an object with a member for each
// type.
func NotificationSchemas() json.RawMessage { return notificationSchemas }

// checkNotification says what is wrong with the payload of a type that has a
// schema, as an ErrPayload.
func checkNotification(t Type, payload json.RawMessage) error {
	if !strings.HasPrefix(string(t), "notification.") {
		return nil
	}
	s, ok := notifications()[t]
	if !ok {
		return nil
	}
	members, err := membersOf(payload)
	if err != nil {
		return fmt.Errorf("%w: a %s %w", ErrPayload, t, err)
	}
	missing := slices.Clone(s.Required)
	for _, m := range members {
		property, ok := s.Properties[m.name]
		if !ok {
			return fmt.Errorf("%w: a %s has no %q; put what is your own into details", ErrPayload, t, clip(m.name))
		}
		if reason := property.check(m.value); reason != "" {
			return fmt.Errorf("%w: a %s's %s %s", ErrPayload, t, m.name, reason)
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == m.name })
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: a %s needs %s", ErrPayload, t, strings.Join(missing, ", "))
	}
	return nil
}

var (
	wholeNumber = regexp.MustCompile(`^-?[0-9]{1,18}$`)
	number      = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$`)
	dateTime    = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)
)

// check says what is wrong with a member's value, which is valid JSON; nothing,
// if that is well.
func (s schema) check(value json.RawMessage) string {
	switch s.Type {
	case "string":
		var text string
		if value[0] != '"' || json.Unmarshal(value, &text) != nil {
			return "must be a string"
		}
		return s.checkText(text)
	case "integer":
		if !wholeNumber.Match(value) {
			return "must be a whole number"
		}
		return s.checkNumber(value)
	case "number":
		if !number.Match(value) {
			return "must be a number"
		}
		return s.checkNumber(value)
	case "object":
		if value[0] != '{' {
			return "must be an object"
		}
	}
	return ""
}

func (s schema) checkText(text string) string {
	n := utf8.RuneCountInString(text)
	switch {
	case s.Enum != nil && !slices.Contains(s.Enum, text):
		return "must be one of " + strings.Join(s.Enum, ", ")
	case s.pattern != nil && !s.pattern.MatchString(text):
		return "must match " + s.Pattern
	case s.Format == "date-time" && !dateTime.MatchString(text):
		return "must be a time, as in RFC 3339"
	case n < s.MinLength:
		return fmt.Sprintf("must have at least %d characters", s.MinLength)
	case s.MaxLength != nil && n > *s.MaxLength:
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	}
	return ""
}

func (s schema) checkNumber(value json.RawMessage) string {
	f, _ := strconv.ParseFloat(string(value), 64) // it has digits enough, and none too many
	switch {
	case s.Minimum != nil && f < *s.Minimum:
		return fmt.Sprintf("must be at least %v", *s.Minimum)
	case s.Maximum != nil && f > *s.Maximum:
		return "must be at most " + strconv.FormatFloat(*s.Maximum, 'f', -1, 64)
	}
	return ""
}
