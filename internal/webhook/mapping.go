package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"

	"herald/internal/event"
)

const (
	maxExpression = 4 << 10 // bytes
	// costLimit bounds what one expression may cost for one webhook, in CEL's units:
	// some tens of milliseconds.
	costLimit = 200_000
	// interruptEvery is after how many steps of a loop an expression looks whether
	// the request has ended.
	interruptEvery = 100
)

// expression is one of an operator's, in CEL, over the webhook's body and headers.
type expression struct{ program cel.Program }

// newEnv is what expressions may use.
func newEnv() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("body", cel.DynType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.OptionalTypes(),
		ext.Strings(),
	)
}

// compile checks an expression, whose value must be of one of the kinds.
func compile(env *cel.Env, text string, kinds ...*cel.Type) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), maxExpression)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	fits := func(kind *cel.Type) bool { return kind.IsAssignableType(ast.OutputType()) }
	if !ast.OutputType().IsExactType(cel.DynType) && !slices.ContainsFunc(kinds, fits) {
		return nil, fmt.Errorf("it is of type %s, want %s", ast.OutputType(), kinds[0])
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit), cel.InterruptCheckFrequency(interruptEvery), cel.EvalOptions(cel.OptOptimize))
	return &expression{program}, err
}

func (e *expression) value(ctx context.Context, in input) (ref.Val, error) {
	value, _, err := e.program.ContextEval(ctx, map[string]any{"body": in.body, "headers": in.headers})
	return value, err
}

func (e *expression) text(ctx context.Context, in input) (string, error) {
	value, err := e.value(ctx, in)
	if err != nil {
		return "", err
	}
	switch v := value.(type) {
	case types.String:
		return string(v), nil
	case types.Int:
		return strconv.FormatInt(int64(v), 10), nil
	}
	return "", errors.New("not a string")
}

func (e *expression) truth(ctx context.Context, in input) (bool, error) {
	value, err := e.value(ctx, in)
	if err != nil {
		return false, err
	}
	truth, ok := value.(types.Bool)
	if !ok {
		return false, errors.New("neither true nor false")
	}
	return bool(truth), nil
}

func (e *expression) topics(ctx context.Context, in input) ([]event.Topic, error) {
	value, err := e.value(ctx, in)
	if err != nil {
		return nil, err
	}
	if text, ok := value.(types.String); ok {
		return []event.Topic{event.Topic(text)}, nil
	}
	list, ok := value.(traits.Lister)
	if !ok {
		return nil, errors.New("neither a topic nor a list of topics")
	}
	var topics []event.Topic
	for each := list.Iterator(); each.HasNext() == types.True; {
		text, ok := each.Next().(types.String)
		if !ok || len(topics) == event.MaxTopics {
			return nil, fmt.Errorf("want a list of at most %d strings", event.MaxTopics)
		}
		topics = append(topics, event.Topic(text))
	}
	return topics, nil
}

func (e *expression) json(ctx context.Context, in input) (json.RawMessage, error) {
	value, err := e.value(ctx, in)
	if err != nil {
		return nil, err
	}
	return appendValue(nil, value)
}

// appendValue appends a value of CEL's as JSON.
func appendValue(to []byte, value ref.Val) ([]byte, error) {
	switch v := value.(type) {
	case types.Null:
		return append(to, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(to, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(to, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(to, uint64(v), 10), nil
	case types.Double:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, errors.New("a number that JSON does not have")
		}
		return strconv.AppendFloat(to, float64(v), 'g', -1, 64), nil
	case types.String:
		return appendText(to, string(v))
	case types.Timestamp:
		return appendText(to, v.Format(time.RFC3339Nano))
	case traits.Mapper:
		return appendMap(to, v)
	case traits.Lister:
		return appendList(to, v)
	}
	return nil, fmt.Errorf("a value of type %s, which JSON does not have", value.Type().TypeName())
}

func appendText(to []byte, text string) ([]byte, error) {
	encoded, err := json.Marshal(text)
	return append(to, encoded...), err
}

func appendList(to []byte, list traits.Lister) ([]byte, error) {
	to = append(to, '[')
	first := true
	for each := list.Iterator(); each.HasNext() == types.True; first = false {
		if !first {
			to = append(to, ',')
		}
		var err error
		if to, err = appendValue(to, each.Next()); err != nil {
			return nil, err
		}
	}
	return append(to, ']'), nil
}

// appendMap writes the members in the order of their names, so that the same
// webhook makes the same event.
func appendMap(to []byte, m traits.Mapper) ([]byte, error) {
	var names []string
	for each := m.Iterator(); each.HasNext() == types.True; {
		name, ok := each.Next().(types.String)
		if !ok {
			return nil, errors.New("an object's names are strings")
		}
		names = append(names, string(name))
	}
	slices.Sort(names)
	to = append(to, '{')
	for i, name := range names {
		if i > 0 {
			to = append(to, ',')
		}
		to, _ = appendText(to, name) // a string can be encoded
		var err error
		if to, err = appendValue(append(to, ':'), m.Get(types.String(name))); err != nil {
			return nil, err
		}
	}
	return append(to, '}'), nil
}

// rule makes an event of a webhook.
type rule struct {
	when, kind, to, data, metadata *expression // when, data and metadata may be nil
	ttl                            time.Duration
}

// apply returns the event, unless the webhook is none of the rule's business.
func (r rule) apply(ctx context.Context, in input) (n event.Notice, ok bool, err error) {
	if r.when != nil {
		if ok, err = r.when.truth(ctx, in); err != nil || !ok {
			return n, false, wrap("when", err)
		}
	}
	kind, err := r.kind.text(ctx, in)
	if err != nil {
		return n, false, wrap("type", err)
	}
	topics, err := r.to.topics(ctx, in)
	if err != nil {
		return n, false, wrap("to", err)
	}
	data, metadata := in.raw, json.RawMessage(nil)
	if r.data != nil {
		if data, err = r.data.json(ctx, in); err != nil {
			return n, false, wrap("data", err)
		}
	}
	if r.metadata != nil {
		if metadata, err = r.metadata.json(ctx, in); err != nil {
			return n, false, wrap("metadata", err)
		}
	}
	payload, err := event.Payload(data, metadata, r.ttl)
	return event.Notice{Type: event.Type(kind), Topics: topics, Payload: payload}, true, err
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
