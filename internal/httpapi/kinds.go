package httpapi

import (
	"context"
	"encoding/json"
)

// Kind is a kind of job that Herald's own workers do.
type Kind struct {
	Name        string          `json:"name" doc:"What to name as a new job's kind."`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema" doc:"What its args are: JSON Schema 2020-12."`
	Steps       []KindStep      `json:"steps" doc:"The steps that its jobs may have, in order."`
}

// KindStep is a step of a kind of job.
type KindStep struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

type kindsOut struct {
	Body struct {
		Kinds     []Kind `json:"kinds"`
		MaxUpload int64  `json:"max_upload_bytes" doc:"How large a file may be that is uploaded for a job."`
	}
}

func (a *api) listKinds(context.Context, *struct{}) (*kindsOut, error) {
	out := &kindsOut{}
	out.Body.Kinds, out.Body.MaxUpload = a.Kinds, a.MaxUpload
	return out, nil
}
