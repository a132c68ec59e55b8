package webhook

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"herald/internal/event"
)

// config is the file that says which sources there are; docs/webhooks-in.md
// describes it.
type config struct {
	Sources map[string]sourceConfig `yaml:"sources"`
}

type sourceConfig struct {
	Scheme    string        `yaml:"scheme"`  // standard, stripe or hmac
	Secrets   []string      `yaml:"secrets"` // env:NAME or file:PATH
	Header    string        `yaml:"header"`  // of hmac, as are prefix and encoding
	Prefix    string        `yaml:"prefix"`
	Encoding  string        `yaml:"encoding"`
	Tolerance time.Duration `yaml:"tolerance"`
	MaxBody   int64         `yaml:"max_body"`
	Remember  time.Duration `yaml:"remember"`
	ID        string        `yaml:"id"`
	Events    []ruleConfig  `yaml:"events"`
}

type ruleConfig struct {
	When     string        `yaml:"when"`
	Type     string        `yaml:"type"`
	To       string        `yaml:"to"`
	Data     string        `yaml:"data"`
	Metadata string        `yaml:"metadata"`
	TTL      time.Duration `yaml:"ttl"`
}

const (
	defaultTolerance = 5 * time.Minute
	defaultMaxBody   = 256 << 10
	// A webhook whose signature has a time is too old before its key is forgotten.
	// Of one that has none, nothing but the key says that it was seen.
	defaultRemember     = 24 * time.Hour
	defaultRememberBare = 30 * 24 * time.Hour

	mostTolerance = time.Hour
	mostBody      = 4 << 20
	mostRemember  = 366 * 24 * time.Hour
	mostRules     = 50
	leastSecret   = 16 // bytes
)

var (
	sourceName    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	errSecretText = errors.New("after whsec_, a secret is base64")
)

// Load reads the sources of a file, YAML or JSON, and their secrets. The error
// says what to change, and never has a secret in it.
func Load(path string) (Sources, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sources, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sources, nil
}

// Parse reads the sources of a file's text.
func Parse(text []byte) (Sources, error) {
	var c config
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		return nil, err
	}
	env, err := newEnv()
	if err != nil {
		return nil, err
	}
	sources := Sources{}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		if !sourceName.MatchString(name) {
			return nil, fmt.Errorf("source %q: a name has a-z, 0-9, - and _", name)
		}
		if sources[name], err = c.Sources[name].source(env, name); err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
	}
	return sources, nil
}

func (c sourceConfig) source(env *cel.Env, name string) (*Source, error) {
	s := &Source{
		name: name, tolerance: cmp.Or(c.Tolerance, defaultTolerance), maxBody: cmp.Or(c.MaxBody, defaultMaxBody),
		remember: cmp.Or(c.Remember, defaultRemember),
		form:     Form{Name: name, Scheme: c.Scheme, Header: c.Header, Prefix: c.Prefix, Encoding: c.Encoding},
	}
	id := c.ID
	switch {
	case c.Scheme == "stripe" && id == "":
		id = "body.id" // a repeat has another time, and so another signature, but the event's id
	case c.Scheme == "hmac":
		s.remember = cmp.Or(c.Remember, defaultRememberBare)
	}
	if err := s.checkBounds(); err != nil {
		return nil, err
	}
	var err error
	if s.scheme, err = c.scheme(); err != nil {
		return nil, err
	}
	if id != "" {
		if s.id, err = compile(env, id, cel.StringType, cel.IntType); err != nil {
			return nil, fmt.Errorf("id: %w", err)
		}
	}
	if len(c.Events) == 0 || len(c.Events) > mostRules {
		return nil, fmt.Errorf("events: want 1 to %d", mostRules)
	}
	for i, r := range c.Events {
		made, err := r.rule(env)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i+1, err)
		}
		s.rules = append(s.rules, made)
	}
	return s, nil
}

func (s *Source) checkBounds() error {
	switch {
	case s.tolerance < time.Second || s.tolerance > mostTolerance:
		return fmt.Errorf("tolerance: want 1s to %v", mostTolerance)
	case s.maxBody < 1 || s.maxBody > mostBody:
		return fmt.Errorf("max_body: want 1 to %d bytes", mostBody)
	case s.remember < 2*s.tolerance || s.remember > mostRemember:
		return fmt.Errorf("remember: want two times the tolerance, which is %v, to %v", s.tolerance, mostRemember)
	}
	return nil
}

// scheme reads the secrets and says how they are used.
func (c sourceConfig) scheme() (scheme, error) {
	keys, err := c.keys()
	if err != nil {
		return nil, err
	}
	if c.Scheme != "hmac" && c.Header+c.Prefix+c.Encoding != "" {
		return nil, errors.New("header, prefix and encoding are of scheme hmac alone")
	}
	switch c.Scheme {
	case "standard":
		return standard{keys}, nil
	case "stripe":
		return stripe{keys}, nil
	case "hmac":
		decode := map[string]func(string) ([]byte, error){
			"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString,
		}[c.Encoding]
		if c.Header == "" || decode == nil {
			return nil, errors.New("hmac needs a header, and its encoding is hex or base64")
		}
		return bare{secrets: keys, header: c.Header, prefix: c.Prefix, decode: decode}, nil
	}
	return nil, fmt.Errorf("scheme: %q, want standard, stripe or hmac", c.Scheme)
}

// keys reads the secrets.
func (c sourceConfig) keys() (secrets, error) {
	const most = 2
	if len(c.Secrets) == 0 || len(c.Secrets) > most {
		return nil, errors.New("secrets: want one, or two while one takes the other's place")
	}
	var list secrets
	for _, from := range c.Secrets {
		text, err := readSecret(from)
		if err != nil {
			return nil, err
		}
		key := []byte(text)
		if c.Scheme == "standard" {
			if key, err = standardSecret(text); err != nil {
				return nil, fmt.Errorf("secret %s: %w", from, errSecretText)
			}
		}
		if len(key) < leastSecret {
			return nil, fmt.Errorf("secret %s: %d bytes, want at least %d", from, len(key), leastSecret)
		}
		list = append(list, key)
	}
	return list, nil
}

// readSecret reads a secret from where the file says it is. One that stands in the
// file itself is not repeated in the error.
func readSecret(from string) (string, error) {
	kind, name, _ := strings.Cut(from, ":")
	switch kind {
	case "env":
		text, ok := os.LookupEnv(name)
		if !ok {
			return "", fmt.Errorf("secret %s: the variable is not set", from)
		}
		return strings.TrimSpace(text), nil
	case "file":
		text, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("secret: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	return "", errors.New("secrets: say where one is, by env:NAME or file:PATH, and not what it is")
}

func (c ruleConfig) rule(env *cel.Env) (rule, error) {
	r := rule{ttl: c.TTL}
	if c.TTL < 0 || c.TTL > event.MaxTTL {
		return r, fmt.Errorf("ttl: want 1ms to %v", event.MaxTTL)
	}
	for _, e := range []struct {
		name, text string
		needed     bool
		to         **expression
		kinds      []*cel.Type
	}{
		{"when", c.When, false, &r.when, []*cel.Type{cel.BoolType}},
		{"type", c.Type, true, &r.kind, []*cel.Type{cel.StringType}},
		{"to", c.To, true, &r.to, []*cel.Type{cel.ListType(cel.StringType), cel.StringType, cel.ListType(cel.DynType)}},
		{"data", c.Data, false, &r.data, []*cel.Type{cel.AnyType, cel.DynType}},
		{"metadata", c.Metadata, false, &r.metadata, []*cel.Type{cel.MapType(cel.StringType, cel.DynType), cel.MapType(cel.DynType, cel.DynType)}},
	} {
		if e.text == "" && e.needed {
			return r, fmt.Errorf("%s: there is none", e.name)
		}
		if e.text == "" {
			continue
		}
		var err error
		if *e.to, err = compile(env, e.text, e.kinds...); err != nil {
			return r, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return r, nil
}
