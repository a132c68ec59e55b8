package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ParamType is the type of a parameter: Postgres' name for it, or Owner.
type ParamType string

// The types of parameters.
const (
	TextParam        ParamType = "text"
	IntegerParam     ParamType = "integer"
	BigintParam      ParamType = "bigint"
	NumericParam     ParamType = "numeric"
	BooleanParam     ParamType = "boolean"
	DateParam        ParamType = "date"
	TimestamptzParam ParamType = "timestamptz"
	UUIDParam        ParamType = "uuid"
	TextsParam       ParamType = "text[]"
	// Owner is a text that nobody sets: whose rows alone are to be seen, or NULL
	// for those who may see everybody's.
	Owner ParamType = "owner"
)

func paramTypes() []ParamType {
	return []ParamType{
		TextParam, IntegerParam, BigintParam, NumericParam, BooleanParam, DateParam, TimestamptzParam, UUIDParam, TextsParam, Owner,
	}
}

// Param is a parameter of a dataset.
type Param struct {
	Name        string
	Type        ParamType
	Required    bool
	Default     *string  // as Text has it; nil: NULL
	In          []string // what a text, or each of a list, may be; none: anything
	Description string
}

// MaxParam bounds a parameter's value as JSON, in bytes, and MaxTexts how many a
// list has.
const (
	MaxParam = 2000
	MaxTexts = 100
)

var (
	paramPattern   = regexp.MustCompile(`^([a-z][a-z0-9_]{0,62})\s+(\S+)(?:\s+(required|default=\S+))?(?:\s+in=(\S+))?(?:\s+(.*))?$`)
	numericPattern = regexp.MustCompile(`^[+-]?[0-9]{1,200}(\.[0-9]{1,200})?$`)
)

// parseParam reads "NAME TYPE [required|default=VALUE] [in=A,B,C] DESCRIPTION".
func parseParam(line string) (Param, error) {
	parts := paramPattern.FindStringSubmatch(line)
	if parts == nil {
		return Param{}, fmt.Errorf("param %q: want NAME TYPE [required|default=VALUE] [in=A,B,C] DESCRIPTION", line)
	}
	p := Param{Name: parts[1], Type: ParamType(parts[2]), Required: parts[3] == "required", Description: parts[5]}
	if !slices.Contains(paramTypes(), p.Type) {
		return p, fmt.Errorf("param %s: type %q: want one of %v", p.Name, p.Type, paramTypes())
	}
	if parts[4] != "" {
		if p.Type != TextParam && p.Type != TextsParam {
			return p, fmt.Errorf("param %s: in= is for text and text[]", p.Name)
		}
		p.In = strings.Split(parts[4], ",")
	}
	if value, ok := strings.CutPrefix(parts[3], "default="); ok {
		text, err := p.text(value)
		if err != nil {
			return p, fmt.Errorf("param %s: default: %w", p.Name, err)
		}
		p.Default = &text
	}
	if p.Type == Owner && parts[3] != "" {
		return p, fmt.Errorf("param %s: an owner is filled in by Herald", p.Name)
	}
	return p, nil
}

// Text turns a value out of JSON into what is bound: a string, or for a number or
// boolean what is written; for a text[] also a list of strings. The error says
// what is wanted.
func (p Param) Text(value json.RawMessage) (string, error) {
	if len(value) > MaxParam {
		return "", fmt.Errorf("%d bytes, at most %d", len(value), MaxParam)
	}
	value = bytes.TrimSpace(value)
	if p.Type == TextsParam && bytes.HasPrefix(value, []byte("[")) {
		var list []string
		if err := json.Unmarshal(value, &list); err != nil {
			return "", errors.New("want a list of strings")
		}
		return p.array(list)
	}
	text := string(value)
	if bytes.HasPrefix(value, []byte(`"`)) {
		if err := json.Unmarshal(value, &text); err != nil {
			return "", err
		}
	} else if p.Type == TextParam || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || text == "null" {
		return "", fmt.Errorf("want a string that is a %s", p.Type)
	}
	return p.text(text)
}

// text checks a value and returns it as Postgres reads it.
func (p Param) text(text string) (string, error) {
	if p.Type == TextsParam {
		return p.array(strings.Split(text, ","))
	}
	if p.Type == TextParam {
		if err := p.offered(text); err != nil {
			return "", err
		}
	}
	return p.Type.text(text)
}

// array checks a list of texts and returns it as Postgres reads it.
func (p Param) array(list []string) (string, error) {
	for _, text := range list {
		if err := p.offered(text); err != nil {
			return "", err
		}
	}
	return arrayOf(list)
}

// offered refuses a text that is not among those that the parameter may be.
func (p Param) offered(text string) error {
	if len(p.In) == 0 || slices.Contains(p.In, text) {
		return nil
	}
	return fmt.Errorf("%q: want one of %s", clip(text), strings.Join(p.In, ", "))
}

// text checks a value that is no list and returns it as Postgres reads it.
func (t ParamType) text(text string) (string, error) {
	var err error
	switch t {
	case TextParam:
		if strings.ContainsRune(text, 0) {
			err = errors.New("a text has no NUL")
		}
	case IntegerParam:
		_, err = strconv.ParseInt(text, 10, 32)
	case BigintParam:
		_, err = strconv.ParseInt(text, 10, 64)
	case NumericParam:
		if !numericPattern.MatchString(text) {
			err = errors.New("not a number")
		}
	case BooleanParam:
		if text != "true" && text != "false" {
			err = errors.New("neither true nor false")
		}
	case DateParam:
		_, err = time.Parse(time.DateOnly, text)
	case TimestamptzParam:
		_, err = time.Parse(time.RFC3339, text)
	case UUIDParam:
		err = uuid.Validate(text)
	case TextsParam: // its texts are checked one by one
	case Owner:
		err = errors.New("it is filled in by Herald")
	}
	if err != nil {
		return "", fmt.Errorf("%q: want %s", clip(text), t.wanted())
	}
	return text, nil
}

// wanted says what a value of the type looks like.
func (t ParamType) wanted() string {
	switch t {
	case DateParam:
		return "a date such as 2026-03-01"
	case TimestamptzParam:
		return "a time such as 2026-03-01T12:00:00Z"
	case BooleanParam:
		return "true or false"
	default:
		return "a value of the type " + string(t)
	}
}

// arrayOf is Postgres' text for a list of texts.
func arrayOf(list []string) (string, error) {
	if len(list) > MaxTexts {
		return "", fmt.Errorf("%d values, at most %d", len(list), MaxTexts)
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i, text := range list {
		if strings.ContainsRune(text, 0) {
			return "", errors.New("a text has no NUL")
		}
		list[i] = `"` + escape.Replace(text) + `"`
	}
	return "{" + strings.Join(list, ",") + "}", nil
}

// clip shortens what a message repeats.
func clip(text string) string {
	const longest = 60
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
