package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// refused are the statuses with which an operation may refuse: one with a name in
// its path, or with a body, may refuse more.
func refused(named, body bool) []int {
	list := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if named {
		list = append(list, http.StatusNotFound, http.StatusConflict, http.StatusGone)
	}
	if body {
		list = append(list, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType, http.StatusInsufficientStorage)
	}
	return list
}

// groups are where the document's readers find routes, by the first word below /api.
func groups() map[string]string {
	return map[string]string{
		"jobs": "Jobs", "attempts": "Jobs", "kinds": "Jobs", "exports": "Jobs", "events": "History", "sse": "Streams", "tickets": "Streams",
		"connections": "Streams", "users": "Streams", "artifacts": "Files", "uploads": "Files", "session": "Sign-in", "signin": "Sign-in", "webhooks": "Webhooks",
	}
}

func groupOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/api/")
	word, _, _ := strings.Cut(rest, "/")
	switch name := groups()[word]; {
	case !ok:
		return "Node"
	case name != "":
		return name
	default:
		return strings.ToUpper(word[:1]) + word[1:]
	}
}

// describeRefusals adds to each operation of the document how it may refuse, and
// where to find it.
func describeRefusals(to huma.API) {
	document := to.OpenAPI()
	document.Components.Responses = map[string]*huma.Response{}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			op.Tags = []string{groupOf(op.Path)}
			statuses := op.Errors
			if statuses == nil {
				named := slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "path" })
				statuses = refused(named, op.RequestBody != nil)
			}
			for _, status := range statuses {
				name := fmt.Sprint("Problem", status)
				document.Components.Responses[name] = refusal(to, status)
				if code := strconv.Itoa(status); op.Responses[code] == nil {
					op.Responses[code] = &huma.Response{Ref: "#/components/responses/" + name}
				}
			}
		}
	}
}

// refusal describes a refusal with that status, and which problems come with it.
func refusal(to huma.API, status int) *huma.Response {
	var kinds []string
	for kind, with := range problemKinds() {
		if slices.Contains(with, status) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	r := problemResponse(to)
	r.Description = http.StatusText(status) + ": " + strings.Join(kinds, ", ")
	return r
}
