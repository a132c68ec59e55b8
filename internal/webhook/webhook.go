// Package webhook turns what others' services tell, in signed requests of their
// own form, into publications. A Source knows who signs and how, and what an
// operator's expressions make of it; it does no I/O once it is loaded.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"herald/internal/event"
)

// Why a webhook is refused.
var (
	// ErrUnknown means that there is no such source.
	ErrUnknown = errors.New("there is no such webhook")
	// ErrSignature means that nobody who knows the secret has signed this.
	ErrSignature = errors.New("the signature is missing, or not one of this body by the source's secret")
	// ErrStale means that it was signed too long ago, or is from the future.
	ErrStale = errors.New("the signature's time is too far from now")
	// ErrMapping means that the source's expressions make no events of it.
	ErrMapping = errors.New("the webhook does not fit what its source is set up for")
)

// Source is somebody who sends webhooks.
type Source struct {
	name      string
	scheme    scheme
	tolerance time.Duration
	maxBody   int64
	remember  time.Duration
	id        *expression // of the webhook; nil: the scheme's own
	rules     []rule
	form      Form
}

// Form is how a source's webhooks are signed, as its file says it; no secret is in
// it.
type Form struct {
	Name     string `json:"name"`
	Scheme   string `json:"scheme"`
	Header   string `json:"header,omitempty"` // of hmac, as are prefix and encoding
	Prefix   string `json:"prefix,omitempty"`
	Encoding string `json:"encoding,omitempty"` // hex or base64; empty: hex
}

// Sources are those that are set up, by their names.
type Sources map[string]*Source

// Source returns the source of the name, or ErrUnknown.
func (s Sources) Source(name string) (*Source, error) {
	if source, ok := s[name]; ok {
		return source, nil
	}
	return nil, ErrUnknown
}

// Forms are those of all sources, by their names.
func (s Sources) Forms() []Form {
	forms := make([]Form, 0, len(s))
	for _, name := range slices.Sorted(maps.Keys(s)) {
		forms = append(forms, s[name].form)
	}
	return forms
}

// MaxBody is the largest body that the source may send, in bytes.
func (s *Source) MaxBody() int64 { return s.maxBody }

// Publication returns what is to be published of a webhook: no events, if its
// source's rules want none of it. Its key is the webhook's, so what is delivered
// twice is published once. The error is ErrSignature, ErrStale or ErrMapping.
func (s *Source) Publication(ctx context.Context, header http.Header, body []byte) (event.Publication, error) {
	signed, err := s.scheme.verify(header, body)
	if err != nil {
		return event.Publication{}, err
	}
	if !signed.at.IsZero() && time.Since(signed.at).Abs() > s.tolerance {
		return event.Publication{}, ErrStale
	}
	in, err := inputOf(header, body)
	if err != nil {
		return event.Publication{}, err
	}
	id := signed.id
	if s.id != nil {
		if id, err = s.id.text(ctx, in); err != nil {
			return event.Publication{}, fmt.Errorf("%w: id: %w", ErrMapping, err)
		}
	}
	p := event.Publication{Actor: "webhook:" + s.name, Key: keyOf(id, body), KeyLife: s.remember, Request: body}
	for i, r := range s.rules {
		notice, ok, err := r.apply(ctx, in)
		if err != nil {
			return event.Publication{}, fmt.Errorf("%w: event %d: %w", ErrMapping, i+1, err)
		}
		if ok {
			p.Notices = append(p.Notices, notice)
		}
	}
	return p, nil
}

// keyOf is the idempotency key of the webhook with the id. Without one it is the
// body itself that is seen once: what is not signed could be changed by whoever
// sends it again.
func keyOf(id string, body []byte) string {
	if id != "" && !strings.HasPrefix(id, bodyKey) && event.CheckKey(id) == nil {
		return id
	}
	if id != "" {
		body = []byte(id)
	}
	sum := sha256.Sum256(body)
	return bodyKey + hex.EncodeToString(sum[:])
}

const bodyKey = "sha256:"

// input is what the expressions are about.
type input struct {
	raw     json.RawMessage
	body    any
	headers map[string]string
}

func inputOf(header http.Header, body []byte) (input, error) {
	if err := event.CheckJSON(body); err != nil {
		return input{}, fmt.Errorf("%w: the body is %w", ErrMapping, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	in := input{raw: body, headers: make(map[string]string, len(header))}
	if err := decoder.Decode(&in.body); err != nil {
		return input{}, fmt.Errorf("%w: the body is not JSON", ErrMapping)
	}
	in.body = numbers(in.body)
	for name, values := range header {
		switch name {
		case "Authorization", "Cookie", "Proxy-Authorization": // are for Herald, if for anybody
		default:
			in.headers[strings.ToLower(name)] = values[0]
		}
	}
	return in, nil
}

// numbers makes whole numbers that fit integers, and all others floats.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for name, member := range v {
			v[name] = numbers(member)
		}
	case []any:
		for i, member := range v {
			v[i] = numbers(member)
		}
	}
	return v
}
