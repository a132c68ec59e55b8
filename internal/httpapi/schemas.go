package httpapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"herald"
	"herald/internal/event"
)

// NotificationSchemas returns the JSON schemas of notifications by their types,
// made from the Go types of the public client.
func NotificationSchemas() ([]byte, error) {
	schemas := map[string]*huma.Schema{}
	for _, n := range herald.Notifications() {
		schemas[n.EventType()] = notificationSchema(reflect.TypeOf(n))
	}
	document, err := json.MarshalIndent(schemas, "", "  ")
	return append(document, '\n'), err
}

// notificationSchema describes a notification and what any event's data may say
// beside it.
func notificationSchema(of reflect.Type) *huma.Schema {
	s := huma.SchemaFromType(huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer), of)
	for _, p := range s.Properties {
		p.Nullable = false // what is not said is left out
	}
	s.Properties["metadata"] = &huma.Schema{Type: huma.TypeObject, Description: "What streams are filtered by."}
	s.Properties["ttl_ms"] = &huma.Schema{
		Type: huma.TypeInteger, Description: "For how long it is of use.",
		Minimum: new(1.0), Maximum: new(float64(event.MaxTTL.Milliseconds())),
	}
	return s
}

// mend makes the registry's schemas say what encoding/json writes: huma passes over
// what unexported embedded structs bring, and does not say that a pointer may be
// null.
func mend(r huma.Registry) {
	for _, name := range slices.Sorted(maps.Keys(r.Map())) { // it may get more meanwhile, which have nothing to mend
		if t := r.TypeFromRef("#/components/schemas/" + name); t != nil {
			mendStruct(r, r.Map()[name], t)
		}
	}
}

func mendStruct(r huma.Registry, s *huma.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s.Type != huma.TypeObject {
		return
	}
	for f := range t.Fields() {
		if f.Anonymous && !f.IsExported() {
			brought := huma.SchemaFromType(r, f.Type)
			mendStruct(r, brought, f.Type)
			maps.Copy(s.Properties, brought.Properties)
			s.Required = append(s.Required, brought.Required...)
			continue
		}
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if p := s.Properties[name]; p != nil && f.Type.Kind() == reflect.Pointer && !strings.Contains(rest, "omit") {
			s.Properties[name] = orNull(p)
		}
	}
}

// orNull is the schema of what may be null, too.
func orNull(s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return &huma.Schema{OneOf: []*huma.Schema{{Ref: s.Ref}, {Type: "null"}}, Description: s.Description}
	}
	s.Nullable = true
	return s
}
