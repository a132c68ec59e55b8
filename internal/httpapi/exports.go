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
		Columns     []string    `json:"columns" doc:"What its rows have, in order; an export may take some of them."`
	}

	paramView struct {
		Name        string           `json:"name"`
		Type        export.ParamType `json:"type" doc:"Postgres' name for it."`
		Required    bool             `json:"required"`
		Default     *string          `json:"default"`
		In          []string         `json:"in" doc:"What it, or each of a list, may be; empty: anything of its type."`
		MaxItems    int              `json:"max_items,omitempty" doc:"Of a list: how many values it may have."`
		MaxLength   int              `json:"max_length" doc:"How many bytes of JSON a value may have."`
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
	v := datasetView{Name: d.Name, Title: d.Title, Description: d.Description, Params: []paramView{}, Columns: []string{}}
	for _, p := range d.Params {
		if p.Type != export.Owner {
			v.Params = append(v.Params, paramOf(p))
		}
	}
	for _, c := range d.Columns {
		v.Columns = append(v.Columns, c.Name)
	}
	return v
}

func paramOf(p export.Param) paramView {
	v := paramView{
		Name: p.Name, Type: p.Type, Required: p.Required, Default: p.Default, Description: p.Description, In: p.In,
		MaxLength: export.MaxParam,
	}
	if v.In == nil {
		v.In = []string{}
	}
	if p.Type == export.TextsParam {
		v.MaxItems = export.MaxTexts
	}
	return v
}
