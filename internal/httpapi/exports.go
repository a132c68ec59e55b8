package httpapi

import (
	"context"
	"slices"

	"herald/internal/auth"
	"herald/internal/export"
)

type (
	datasetsOut struct {
		Body struct {
			Datasets     []datasetView        `json:"datasets"`
			Formats      []export.Format      `json:"formats"`
			Compressions []export.Compression `json:"compressions"`
		}
	}

	datasetView struct {
		Name        string      `json:"name" doc:"What to name in an export's args."`
		Title       string      `json:"title"`
		Description string      `json:"description"`
		Params      []paramView `json:"params"`
	}

	paramView struct {
		Name        string           `json:"name"`
		Type        export.ParamType `json:"type" doc:"Postgres' name for it."`
		Required    bool             `json:"required"`
		Default     *string          `json:"default"`
		Description string           `json:"description"`
	}
)

// exportDatasets lists what the principal may export.
func (a *api) exportDatasets(ctx context.Context, _ *struct{}) (*datasetsOut, error) {
	p := principalOf(ctx)
	out := &datasetsOut{}
	out.Body.Datasets, out.Body.Formats, out.Body.Compressions = []datasetView{}, export.Formats(), export.Compressions()
	for _, d := range a.Datasets {
		if p.MayExport() && slices.ContainsFunc(d.Roles, func(role string) bool { return p.Is(auth.Role(role)) }) {
			out.Body.Datasets = append(out.Body.Datasets, viewOf(d))
		}
	}
	return out, nil
}

func viewOf(d export.Dataset) datasetView {
	v := datasetView{Name: d.Name, Title: d.Title, Description: d.Description, Params: []paramView{}}
	for _, p := range d.Params {
		if p.Type != export.Owner {
			v.Params = append(v.Params, paramView{p.Name, p.Type, p.Required, p.Default, p.Description})
		}
	}
	return v
}
