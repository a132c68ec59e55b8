package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// sources is where requests get their words from: those that answers had under the
// same name, and things that are there.
type sources struct {
	*sync.Mutex
	words map[string][]any // by the field's or the parameter's name
	paths map[string][]any // of what stands behind such a prefix of a path
}

func newSources(t *testing.T, w *world) sources {
	t.Helper()
	s := sources{&sync.Mutex{}, map[string][]any{}, map[string][]any{}}
	id, name, _ := strings.Cut(w.file, "/")
	s.paths["/api/artifacts/"] = []any{id}
	s.paths["/api/connections/"] = []any{w.stream.String()}
	s.paths["/api/users/"] = []any{"demo", "alice", "a-user"}
	for i := range 12 {
		s.paths["/api/jobs/"] = append(s.paths["/api/jobs/"], w.elsewhere(t, i%2 == 0).String(), w.startJob(t, "demo").ID.String())
	}
	s.words = map[string][]any{
		"name": {name}, "client_id": {w.stream.String()}, "kind": {"test"}, "kinds": {"test"}, "event": {"order.paid", "notification.payment"},
		"user": {"demo", "alice"}, "users": {"demo"}, "topic": {"user:demo", "all", "channel:news"}, "topics": {"user:demo"},
		"type": {"job.*", "job.failed"}, "attempt": {json.Number("1")}, "state": {"running", "succeeded"}, "states": {"running"},
	}
	return s
}

// most is how many words of one name are kept.
const most = 50

// learn takes the words of an answer.
func (s sources) learn(v any) {
	s.Lock()
	defer s.Unlock()
	s.learnUnder("", v)
}

func (s sources) learnUnder(name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			s.learnUnder(key, value)
		}
	case []any:
		for _, value := range v[:min(len(v), 3)] {
			s.learnUnder(name, value)
		}
	case string, json.Number:
		if list := s.words[name]; len(list) < most && !slices.Contains(list, v) {
			s.words[name] = append(list, v)
		}
	}
}

// of are the words under the name, or behind the path.
func (s sources) of(path, name string) []any {
	s.Lock()
	defer s.Unlock()
	before, _, _ := strings.Cut(path, "{")
	if list := s.paths[before]; list != nil && !strings.Contains(path[len(before):], "{name}") {
		return slices.Clone(list)
	}
	return slices.Clone(s.words[name])
}

// maker makes the parts of one request. Odd is how many of a hundred values are
// not what the document wants.
type maker struct {
	*contract
	t   *rapid.T
	odd int
}

// request makes a request that is as the document wants it, or nearly so, or not at
// all.
func (c *contract) request(t *rapid.T, op operation) request {
	m := maker{c, t, rapid.SampledFrom([]int{0, 0, 0, 5, 50}).Draw(t, "odd")}
	r := request{method: op.method, path: op.path, token: rapid.SampledFrom(c.callers).Draw(t, "caller"), header: map[string]string{}}
	query := url.Values{}
	parameters, _ := op.object["parameters"].([]any)
	for _, p := range parameters {
		m.parameter(p, op.path, &r, query)
	}
	if m.isOdd() {
		query.Add(m.text(20), m.text(100))
	}
	if len(query) > 0 {
		r.path += "?" + query.Encode()
	}
	if body, ok := op.object["requestBody"].(object); ok {
		m.body(body, &r)
	}
	return r
}

func (m maker) parameter(p any, path string, r *request, query url.Values) {
	o, _ := p.(object)
	name, _ := o["name"].(string)
	in, _ := o["in"].(string)
	schema, _ := o["schema"].(object)
	if in != "path" && o["required"] != true && name != "wait" && rapid.IntRange(0, 3).Draw(m.t, "whether "+name) > 0 {
		return
	}
	if in != "path" {
		path = ""
	}
	value := m.value(schema, path, name, 0)
	list, ok := value.([]any)
	if !ok || o["explode"] == false {
		list = []any{value}
	}
	for _, v := range list {
		text := plain(v)
		switch in {
		case "path":
			if text == "" || text == "." || text == ".." { // these are other paths
				text = "x"
			}
			r.path = strings.Replace(r.path, "{"+name+"}", url.PathEscape(text), 1)
		case "query":
			query.Add(name, text)
		case "header":
			r.header[name] = strings.Map(func(c rune) rune {
				if c < ' ' || c > '~' {
					return '_' // no client sends it
				}
				return c
			}, text)
		}
	}
}

// plain is a value as it stands in a URL.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var parts []string
		for _, part := range v {
			parts = append(parts, plain(part))
		}
		return strings.Join(parts, ",")
	default:
		text, _ := json.Marshal(v)
		return string(text)
	}
}

// Stand-ins for what encoding/json does not write.
const (
	noText    = "(not UTF-8)"
	surrogate = "(half a letter)"
)

func (m maker) body(declared object, r *request) {
	content, _ := declared["content"].(object)
	r.contentType = rapid.SampledFrom(slices.Sorted(maps.Keys(content))).Draw(m.t, "content type")
	media, _ := content[r.contentType].(object)
	schema, _ := media["schema"].(object)
	r.hasBody = true
	switch {
	case !strings.HasSuffix(r.contentType, "json"):
		r.body = []byte(m.text(1000))
	case m.isOdd():
		r.body = rapid.SampledFrom([][]byte{
			{},
			[]byte("{"), []byte("null"), []byte("[]"), []byte(`""`), []byte("1"), []byte(`{"a":1,"a":2}`), []byte(`{"\u0000":1}`),
			bytes.Repeat([]byte("["), 20_000), bytes.Repeat([]byte(`{"a":`), 20_000), bytes.Repeat([]byte(" "), 1<<20+1), []byte("\xff\xfe"), []byte("{}{}"),
		}).Draw(m.t, "garbage")
	default:
		text, err := json.Marshal(m.value(schema, "", "", 0))
		if err != nil {
			panic(err)
		}
		text = bytes.ReplaceAll(text, []byte(noText), []byte("\xff\xc0"))
		r.body = bytes.ReplaceAll(text, []byte(surrogate), []byte(`\ud800`))
	}
	if m.isOdd() {
		r.contentType = rapid.SampledFrom([]string{"", "text/plain", "application/xml", "application/json; charset=utf-16", "multipart/form-data", "\xff"}).Draw(m.t, "odd content type")
	}
}

func (m maker) isOdd() bool { return rapid.IntRange(1, 100).Draw(m.t, "odd") <= m.odd }

// value makes a value of the schema's under that name.
func (m maker) value(s object, path, name string, depth int) any {
	if to, ok := s["$ref"].(string); ok {
		s, _ = m.at(strings.Split(strings.TrimPrefix(to, "#/"), "/")...).(object)
	}
	if name == "wait" {
		return 0 // a test has better things to do
	}
	if m.isOdd() {
		return m.oddity(depth)
	}
	if enum, ok := s["enum"].([]any); ok {
		return rapid.SampledFrom(enum).Draw(m.t, name)
	}
	switch typeOf(s) {
	case "string":
		return m.word(s, path, name)
	case "integer", "number":
		return m.number(s, name)
	case "boolean":
		return rapid.Bool().Draw(m.t, name)
	case "array":
		items, _ := s["items"].(object)
		list := []any{}
		for range rapid.IntRange(int(numberOf(s, "minItems", 0)), 3).Draw(m.t, name) {
			list = append(list, m.value(items, path, name, depth+1))
		}
		return list
	case "object":
		return m.object(s, depth)
	default: // anything
		if depth > 4 {
			return "deep"
		}
		return map[string]any{m.text(8): m.oddity(depth + 1), "source": map[string]any{"test": map[string]any{"seconds": 1}}}
	}
}

// typeOf is the schema's type; of several, that which is not null.
func typeOf(s object) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if text, _ := one.(string); text != "null" {
				return text
			}
		}
	}
	return ""
}

func numberOf(s object, name string, otherwise float64) float64 {
	if f, ok := s[name].(float64); ok {
		return f
	}
	return otherwise
}

func (m maker) object(s object, depth int) any {
	o := object{}
	properties, _ := s["properties"].(object)
	required, _ := s["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(required, any(name)) || rapid.IntRange(0, 5).Draw(m.t, "whether "+name) == 0 {
			of, _ := properties[name].(object)
			o[name] = m.value(of, "", name, depth+1)
		}
	}
	if of, ok := s["additionalProperties"].(object); ok {
		o[m.text(8)] = m.value(of, "", "", depth+1)
	}
	if m.isOdd() {
		o[m.text(8)] = m.oddity(depth + 1)
	}
	return o
}

func (m maker) word(s object, path, name string) any {
	known := m.sources.of(path, name)
	if len(known) > 0 && rapid.IntRange(0, 3).Draw(m.t, "known") > 0 {
		return rapid.SampledFrom(known).Draw(m.t, name)
	}
	switch s["format"] {
	case "uuid":
		return rapid.SampledFrom([]string{uuid.NewString(), uuid.Nil.String(), uuid.Max.String()}).Draw(m.t, name)
	case "date-time":
		return rapid.SampledFrom([]string{"2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+14:00"}).Draw(m.t, name)
	}
	return m.text(int(min(numberOf(s, "maxLength", 300), 5000)))
}

func (m maker) number(s object, name string) any {
	if known := m.sources.of("", name); len(known) > 0 && rapid.Bool().Draw(m.t, "known") {
		return rapid.SampledFrom(known).Draw(m.t, name)
	}
	low, high := numberOf(s, "minimum", -1<<53), numberOf(s, "maximum", 1<<53)
	if typeOf(s) == "number" {
		return rapid.Float64Range(low, high).Draw(m.t, name)
	}
	if rapid.Bool().Draw(m.t, "bound") {
		return rapid.SampledFrom([]int64{int64(low), int64(high)}).Draw(m.t, name)
	}
	return rapid.Int64Range(int64(low), int64(high)).Draw(m.t, name)
}

// text is some text, mostly of the kind that makes trouble.
func (m maker) text(longest int) string {
	if longest > 0 && rapid.Bool().Draw(m.t, "any text") {
		return rapid.StringN(0, min(longest, 40), longest).Draw(m.t, "text")
	}
	return m.troublesome(longest)
}

func (m maker) troublesome(longest int) string {
	text := rapid.SampledFrom([]string{
		"a", "", "\x00", "a\x00b", noText, surrogate, "\u202e", "\ufeff", "%00", "%", "_", `\`, "'", `"`, "'; DROP TABLE herald.jobs; --", "${x}", "../../etc/passwd",
		"..", "/", "a,b", "a:b", "user:", "user:*", ":", "*", "null", "true", "0", "-1", "1e999", "9223372036854775808", "NaN", "\r\nX: y", "<script>", "İ", "😀",
		"user:demo", "job:" + uuid.Nil.String(), "client:x", "all", "http://127.0.0.1/", "file:///etc/passwd", "hk_", "2026-02-30T00:00:00Z",
	}).Draw(m.t, "trouble")
	if rapid.IntRange(0, 9).Draw(m.t, "long") == 0 {
		text = strings.Repeat(text+"x", 4000)
	}
	if longest > 0 && len(text) > longest && m.odd == 0 {
		text = strings.ToValidUTF8(text[:longest], "")
	}
	return text
}

// oddity is any JSON, however it is meant.
func (m maker) oddity(depth int) any {
	switch n := rapid.IntRange(0, 9).Draw(m.t, "oddity"); {
	case n < 4:
		return m.text(100)
	case n < 6:
		return rapid.SampledFrom([]any{
			0, -1, 1, 0.5, -1e-300, 1e300, json.Number("1e400"), json.Number("-0"), json.Number("9223372036854775807"), json.Number("99999999999999999999"), 1 << 31,
		}).Draw(m.t, "number")
	case n == 6:
		return rapid.SampledFrom([]any{nil, true, false, []any{}, object{}}).Draw(m.t, "small")
	case n == 7 && depth < 5:
		return []any{m.oddity(depth + 1), m.oddity(depth + 1)}
	case n == 8 && depth < 5:
		return object{m.text(10): m.oddity(depth + 1)}
	default:
		return fmt.Sprint(rapid.Int64().Draw(m.t, "digits"))
	}
}
