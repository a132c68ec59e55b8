package httpapi_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"herald"
	"herald/internal/auth"
	"herald/internal/clienttest"
	"herald/internal/httpapi"
	"herald/internal/job"
)

// The public client passes its tests against the real API, where an interruption
// is a node that stops, and another that takes its place.
func TestParity_27_ClientWithTheAPI(t *testing.T) {
	t.Parallel()
	clienttest.Test(t, func(t *testing.T) clienttest.Target {
		t.Helper()
		first := setup(t)
		var node atomic.Pointer[server]
		node.Store(first)
		transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, node.Load().Listener.Addr().String())
		}}
		t.Cleanup(transport.CloseIdleConnections)
		return clienttest.Target{
			Config: func(who string) herald.Config {
				role := auth.RoleUser
				switch who {
				case "robot":
					role = auth.RoleWorker
				case "shop":
					role = auth.RoleBackend
				}
				return herald.Config{URL: "http://herald.test", Token: first.token(t, who, role), HTTPClient: &http.Client{Transport: transport}}
			},
			Interrupt: func() {
				old := node.Swap(first.secondNode(t))
				old.closeStreams()
				transport.CloseIdleConnections()
			},
		}
	})
}

// The client's types have the API's fields.
func TestTheClientSpeaksTheAPI(t *testing.T) {
	t.Parallel()
	text, err := httpapi.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	document := map[string]any{}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	schemas := document["components"].(map[string]any)["schemas"].(map[string]any)
	for name, typ := range map[string]reflect.Type{
		"NewJob": reflect.TypeFor[herald.NewJob](), "Report": reflect.TypeFor[herald.Report](),
		"ReportsOutBody": reflect.TypeFor[herald.Receipt](), "Reported": reflect.TypeFor[herald.Recorded](),
		"Message": reflect.TypeFor[herald.Message](), "Target": reflect.TypeFor[herald.Target](),
		"CommandsOutBody": reflect.TypeFor[herald.Commands](),
	} {
		var want []string
		for field := range schemas[name].(map[string]any)["properties"].(map[string]any) {
			want = append(want, field)
		}
		slices.Sort(want)
		if got := fields(typ); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", typ, got, want)
		}
	}
	if got, want := fields(reflect.TypeFor[herald.Job]()), fields(reflect.TypeFor[job.Job]()); !slices.Equal(got, want) {
		t.Errorf("herald.Job has %v, want %v", got, want)
	}
}

// fields are the names of the type's fields in JSON, sorted.
func fields(typ reflect.Type) []string {
	var names []string
	for f := range typ.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
