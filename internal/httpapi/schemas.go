package httpapi

import (
	"encoding/json"
	"reflect"

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
