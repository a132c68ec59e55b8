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

// describeRefusals adds to each operation of the document how it may refuse.
func describeRefusals(to huma.API) {
	document := to.OpenAPI()
	document.Components.Responses = map[string]*huma.Response{}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
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
