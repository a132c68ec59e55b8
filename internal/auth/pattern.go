package auth

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is a topic that somebody may follow, such as "channel:team-1", or, with
// a star at its end, all topics that begin so: "job:*".
type Pattern string

const (
	maxPatterns = 64
	maxPattern  = 210 // in bytes, as a topic and a star
)

// errPattern says what a pattern looks like.
var errPattern = errors.New(`want user:, job:, channel: or client: and a name, or the beginning of one and a star, such as "channel:team-1" or "job:*"`)

// UnmarshalText reads a pattern.
func (p *Pattern) UnmarshalText(text []byte) error {
	if err := Pattern(text).check(); err != nil {
		return err
	}
	*p = Pattern(text)
	return nil
}

func (p Pattern) check() error {
	kind, name, _ := strings.Cut(string(p), ":")
	switch kind {
	case "user", "job", "channel", "client":
	default:
		return fmt.Errorf("%.40q is not a pattern of topics: %w", string(p), errPattern)
	}
	bad := func(r rune) bool {
		return r == ',' || r == '*' || r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r)
	}
	if name == "" || len(p) > maxPattern || strings.ContainsFunc(strings.TrimSuffix(name, "*"), bad) {
		return fmt.Errorf("%.40q is not a pattern of topics: %w", string(p), errPattern)
	}
	return nil
}

// Match reports whether the topic is one of those that the pattern means.
func (p Pattern) Match(topic string) bool {
	if beginning, ok := strings.CutSuffix(string(p), "*"); ok {
		return strings.HasPrefix(topic, beginning)
	}
	return string(p) == topic
}

func checkPatterns(patterns []Pattern) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("%d patterns of topics, at most %d", len(patterns), maxPatterns)
	}
	for _, p := range patterns {
		if err := p.check(); err != nil {
			return err
		}
	}
	return nil
}
