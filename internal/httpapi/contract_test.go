package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"herald/internal/auth"
	"herald/internal/httpapi"
)

// contract is the OpenAPI document as a server shows it, and what its operations
// are asked with.
type contract struct {
	*server
	client   *http.Client
	document object
	compiler *jsonschema.Compiler
	callers  []string // tokens
	sources  sources

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by where they stand in the document
}

type object = map[string]any

// operation is one of the document's.
type operation struct {
	method, path string
	object
}

func (o operation) String() string { return o.method + " " + o.path }

func newContract(t *testing.T) *contract {
	t.Helper()
	w := newWorld(t)
	c := &contract{server: w.server, schemas: map[string]*jsonschema.Schema{}, compiler: jsonschema.NewCompiler()}
	c.client = &http.Client{
		Timeout:       20 * time.Second, // it fails then; nothing waits for it
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(c.client.CloseIdleConnections)
	c.document = get[object](t, w.server, "", "/openapi.json")
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(c.do(t, http.MethodGet, "/openapi.json", "", "").body))
	if err == nil {
		err = c.compiler.AddResource("openapi.json", whole)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.compiler.AssertFormat()
	c.callers = []string{"", w.unknown["expired"], w.unknown["garbage"]}
	for _, role := range auth.Roles() {
		c.callers = append(c.callers, w.token(t, "a-"+string(role), role))
	}
	_, key := w.apiKey(t, auth.APIKey{User: "demo", Roles: []auth.Role{auth.RoleBackend, auth.RoleWorker}})
	demo := w.token(t, "demo")
	worker, admin := w.known[2], w.known[5]
	c.callers = append(c.callers, key, demo, demo, worker, worker, admin, admin) // whose the things are, or who may do most with them
	c.sources = newSources(t, w)
	return c
}

// operations are those of the document.
func (c *contract) operations(t *testing.T) []operation {
	t.Helper()
	var list []operation
	paths, _ := c.document["paths"].(object)
	for path, item := range paths {
		methods, _ := item.(object)
		for method, op := range methods {
			o, ok := op.(object)
			if !ok {
				t.Fatalf("%s %s is no operation", method, path)
			}
			list = append(list, operation{strings.ToUpper(method), path, o})
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// Every route that is not a page is in the document.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	known := map[string]bool{}
	for _, op := range c.operations(t) {
		known[op.String()] = true
	}
	routes, ok := c.handler.(chi.Routes)
	if !ok {
		t.Fatal("the handler does not tell its routes")
	}
	err := chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		isPage := !strings.HasPrefix(route, "/api/") && !strings.HasSuffix(route, ".json") && !slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, route)
		name := method + " " + strings.Replace(route, "*", "{name}", 1)
		isTus := strings.HasPrefix(route, "/api/uploads") && method != http.MethodPost // a protocol with a document of its own
		if method != http.MethodHead && !isPage && !isTus && !known[name] {
			t.Errorf("%s is not in the document", name)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Whoever asks whatever of any operation gets an answer that the document describes.
// HERALD_TEST_CONTRACT says how often each is asked.
func TestTheAPIKeepsToItsDocument(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	var mu sync.Mutex
	well := map[string]bool{}
	t.Cleanup(func() {
		n := len(slices.DeleteFunc(slices.Collect(maps.Values(well)), func(ok bool) bool { return !ok }))
		if least := len(well) * 3 / 4; n < least {
			t.Errorf("%d operations were ever answered well, want %d: the requests are of little use", n, least)
		}
	})
	for _, op := range c.operations(t) {
		t.Run(op.String(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				r := c.request(t, op)
				a := c.send(t, r)
				if wrong := c.check(op, a); wrong != "" {
					t.Errorf("%v\n%s", r, wrong)
				}
				mu.Lock()
				well[op.String()] = well[op.String()] || a.status < http.StatusBadRequest
				mu.Unlock()
			})
		})
	}
}

// request is one that is sent.
type request struct {
	method, path, token, contentType string
	header                           map[string]string
	body                             []byte
	hasBody                          bool
}

func (r request) String() string {
	return fmt.Sprintf("%s %.500s %.500q %s %.2000q", r.method, r.path, r.header, r.contentType, r.body)
}

func (c *contract) send(t *rapid.T, r request) answer {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var body io.Reader
	if r.hasBody {
		body = bytes.NewReader(r.body)
	}
	asked, err := http.NewRequestWithContext(ctx, r.method, c.URL+r.path, body)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	for name, value := range r.header {
		asked.Header.Set(name, value)
	}
	if r.hasBody {
		asked.Header.Set("Content-Type", r.contentType)
	}
	if r.token != "" {
		asked.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := c.client.Do(asked)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return a // it has no end
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	a.body = string(text)
	return a
}

// check says what is wrong with an answer.
func (c *contract) check(op operation, a answer) string {
	code := fmt.Sprint(a.status)
	at := []string{"paths", op.path, strings.ToLower(op.method), "responses", code}
	declared, _ := c.at(at...).(object)
	if to, ok := declared["$ref"].(string); ok {
		at = strings.Split(strings.TrimPrefix(to, "#/"), "/")
		declared, _ = c.at(at...).(object)
	}
	content, _ := declared["content"].(object)
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	switch {
	case a.status == http.StatusInternalServerError:
		return "is answered with 500"
	case declared == nil:
		return fmt.Sprintf("is answered with %s %s, which is not declared", code, a.body)
	case content == nil && a.status < http.StatusMultipleChoices && a.body != "":
		return fmt.Sprintf("is answered with %s and the body %q, want none", code, a.body)
	case content == nil, content["*/*"] != nil:
		return ""
	}
	for declared := range content {
		if is, _, _ := mime.ParseMediaType(declared); is == kind {
			return c.checkBody(append(at, "content", declared, "schema"), kind, a)
		}
	}
	return fmt.Sprintf("is answered with %s as %q, want any of %v", code, kind, content)
}

func (c *contract) checkBody(at []string, kind string, a answer) string {
	if kind != "application/json" && kind != "application/problem+json" {
		return ""
	}
	schema, err := c.schema(at)
	if err != nil {
		return err.Error()
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return fmt.Sprintf("is answered with %d %s: %v", a.status, a.body, err)
	}
	if kind == "application/problem+json" && !slices.Contains(httpapi.ProblemTypes()[a.problem()], a.status) {
		return fmt.Sprintf("is answered with %d %s, a problem that is not known", a.status, a.body)
	}
	c.sources.learn(value)
	return ""
}

// at is what stands there in the document; nil for nothing.
func (c *contract) at(path ...string) any {
	var value any = c.document
	for _, name := range path {
		o, _ := value.(object)
		value = o[name]
	}
	return value
}

func (c *contract) schema(at []string) (*jsonschema.Schema, error) {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	pointer := ""
	for _, name := range at {
		pointer += "/" + url.PathEscape(escape.Replace(name))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile("openapi.json#" + pointer)
	c.schemas[pointer] = s
	return s, err
}
