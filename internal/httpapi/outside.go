package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"herald/internal/artifact"
)

const (
	typeJSON = "application/json"
	typeText = "text/plain; charset=utf-8"
)

// describeOthers adds to the document the routes that are no typed operations:
// those that take or give what is not JSON, or answer whoever asks.
func describeOthers(to huma.API) {
	for _, op := range []*huma.Operation{
		describedStream(),
		describedUpload(to),
		{
			Method: http.MethodGet, Path: "/api/artifacts/{id}", OperationID: "find-artifact", Summary: "Be led to a file by its id",
			Parameters: append([]*huma.Param{idParam()}, linkParams()...), Responses: empty("302", "To the file, under its name."),
		},
		describedDownload(),
		{
			Method: http.MethodPost, Path: "/api/webhooks/{source}", OperationID: "take-webhook", Summary: "Turn another service's webhook into an event",
			Description: "The source's settings say how it is signed; docs/webhooks-in.md has more.",
			Parameters:  []*huma.Param{textParam("source", "path", "What the settings call the sender.")},
			RequestBody: body(typeJSON, &huma.Schema{}), Security: nobody(), Errors: append(refused(true, true), http.StatusNotFound),
			Responses: answer("200", "What it became.", typeJSON, schemaOf[received](to, "Received")),
		},
	} {
		add(to, op)
	}
	for _, op := range describedSessions(to) {
		add(to, op)
	}
	for _, op := range describedOpen() {
		add(to, op)
	}
}

func add(to huma.API, op *huma.Operation) {
	if op.Security == nil {
		op.Errors = append(op.Errors, refused(len(op.Parameters) > 0 && op.Parameters[0].In == "path", op.RequestBody != nil)...)
	}
	to.OpenAPI().AddOperation(op)
}

func describedStream() *huma.Operation {
	several := func(name, doc string) *huma.Param {
		p := textParam(name, "query", doc)
		p.Schema, p.Explode = &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}, new(true)
		return p
	}
	conflate := textParam("conflate", "query", "off: newer progress of a job does not replace what waits to be written.")
	conflate.Schema.Enum = []any{"on", "off"}
	return &huma.Operation{
		Method: http.MethodGet, Path: "/api/sse", OperationID: "follow", Summary: "Follow topics",
		Description: "A stream of server-sent events. What each event says stands in /asyncapi.json, how to follow and resume in docs/streams.md. " +
			"metadata.KEY=VALUE, which may stand there several times, lets only events with that metadata through.",
		Parameters: []*huma.Param{
			several("topic", "What to follow, such as user:alice; by default yourself and everyone."),
			several("type", "Only events of any of these types; job.* means all that begin so."),
			textParam("lastEventId", "query", "The last seq that you have seen, to go on from there."),
			textParam("Last-Event-ID", "header", "The same; it counts before the query's."),
			conflate,
			textParam("session", "query", "What you call your session."),
			textParam("about", "query", "What you say of yourself: a JSON object, kept with the stream."),
			textParam("ticket", "query", "A ticket instead of a token."),
		},
		Responses: answer("200", "The stream. It begins with stream.open.", "text/event-stream", &huma.Schema{Type: huma.TypeString}),
	}
}

func describedUpload(to huma.API) *huma.Operation {
	file := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	return &huma.Operation{
		Method: http.MethodPost, Path: "/api/uploads", OperationID: "upload", Summary: "Upload a file for a job",
		Description: "In one request. What is to go on after a cut is uploaded in pieces by tus 1.0.0, at the same address: docs/uploads.md.",
		Parameters:  []*huma.Param{textParam("name", "query", "What the file is called.")},
		RequestBody: body("application/octet-stream", file),
		Responses:   answer("201", "The file, as jobs may name it.", typeJSON, schemaOf[artifact.View](to, "View")),
	}
}

func describedDownload() *huma.Operation {
	anything := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	op := &huma.Operation{
		Method: http.MethodGet, Path: "/api/artifacts/{id}/{name}", OperationID: "download", Summary: "Fetch a file, or a part of it",
		Parameters: append([]*huma.Param{
			idParam(), textParam("name", "path", "What the file is called."), textParam("Range", "header", "The part that is wanted (RFC 9110)."),
			textParam("download", "query", "1: a browser saves it instead of showing it."),
		}, linkParams()...),
		Responses: map[string]*huma.Response{
			"200": {Description: "The file.", Content: map[string]*huma.MediaType{"*/*": anything}},
			"206": {Description: "The part.", Content: map[string]*huma.MediaType{"*/*": anything}},
			"304": {Description: "It is as you have it."},
		},
	}
	op.Responses["416"] = answer("416", "The file has no such part.", typeText, &huma.Schema{Type: huma.TypeString})["416"]
	return op
}

func describedSessions(to huma.API) []*huma.Operation {
	session := answer("200", "Who is signed in.", typeJSON, schemaOf[sessionBody](to, "Session"))
	unknown := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	signIn := "Only where a provider is set up; docs/auth.md has more."
	return []*huma.Operation{
		{Method: http.MethodGet, Path: "/api/session", OperationID: "get-session", Summary: "See who you are", Responses: session},
		{
			Method: http.MethodPost, Path: "/api/session", OperationID: "sign-in", Responses: session,
			Summary: "Keep the token in a cookie that scripts cannot read",
		},
		{
			Method: http.MethodDelete, Path: "/api/session", OperationID: "sign-out", Summary: "Forget the cookie",
			Responses: empty("204", "It is forgotten."),
		},
		{
			Method: http.MethodGet, Path: signInPath, OperationID: "begin-sign-in", Summary: "Be led to the provider to sign in", Description: signIn,
			Parameters: []*huma.Param{textParam("to", "query", "Where to go then: a path of this site's.")},
			Security:   nobody(), Errors: unknown, Responses: empty("303", "To the provider."),
		},
		{
			Method: http.MethodGet, Path: signInPath + "/callback", OperationID: "finish-sign-in", Summary: "Come back from the provider", Description: signIn,
			Security: nobody(), Errors: unknown, Responses: empty("303", "To where it was wanted, signed in."),
		},
	}
}

// describedOpen are routes for machines.
func describedOpen() []*huma.Operation {
	status := &huma.Schema{Type: huma.TypeObject, Required: []string{"status"}, Properties: map[string]*huma.Schema{"status": {Type: huma.TypeString, Enum: []any{"ok"}}}}
	object := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	limited := []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	return []*huma.Operation{
		{Method: http.MethodGet, Path: "/healthz", OperationID: "health", Summary: "See whether the process runs", Responses: answer("200", "It does.", typeJSON, status), Security: nobody(), Errors: limited},
		{Method: http.MethodGet, Path: "/readyz", OperationID: "ready", Summary: "See whether requests can be answered", Responses: answer("200", "They can.", typeJSON, status), Security: nobody(), Errors: limited},
		{Method: http.MethodGet, Path: "/openapi.json", OperationID: "openapi", Summary: "Read this document", Responses: answer("200", "OpenAPI 3.1.", typeJSON, object), Security: nobody(), Errors: limited},
		{Method: http.MethodGet, Path: "/asyncapi.json", OperationID: "asyncapi", Summary: "Read what events say", Responses: answer("200", "AsyncAPI 3.", typeJSON, object), Security: nobody(), Errors: limited},
		{
			Method: http.MethodGet, Path: "/metrics", OperationID: "metrics", Summary: "Read the node's metrics",
			Description: "For back ends, support and admins; docs/metrics.md explains them.", Errors: []int{http.StatusNotFound},
			Responses: answer("200", "In the form that Prometheus reads.", "text/plain", &huma.Schema{Type: huma.TypeString}),
		},
	}
}

func nobody() []map[string][]string { return []map[string][]string{} }

func textParam(name, in, doc string) *huma.Param {
	return &huma.Param{Name: name, In: in, Description: doc, Required: in == "path", Schema: &huma.Schema{Type: huma.TypeString}}
}

func idParam() *huma.Param {
	p := textParam("id", "path", "")
	p.Schema.Format = "uuid"
	return p
}

func linkParams() []*huma.Param {
	return []*huma.Param{
		textParam("expires", "query", "Of a link, which needs no token."), textParam("signature", "query", "Of a link, which needs no token."),
	}
}

func body(contentType string, s *huma.Schema) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{contentType: {Schema: s}}}
}

func answer(status, doc, contentType string, s *huma.Schema) map[string]*huma.Response {
	return map[string]*huma.Response{status: {Description: doc, Content: map[string]*huma.MediaType{contentType: {Schema: s}}}}
}

func empty(status, doc string) map[string]*huma.Response {
	return map[string]*huma.Response{status: {Description: doc}}
}
