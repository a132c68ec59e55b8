package main

import (
	"context"
	"os"
	"slices"
)

type jobsCmd struct {
	output
	Only []string `help:"Measure these alone: river, reporter, video." enum:"river,reporter,video" placeholder:"NAME"`
}

// Run measures and prints.
func (c *jobsCmd) Run(ctx context.Context) error {
	server, end, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer end()
	var figures []figure
	for _, m := range []struct {
		name    string
		measure func() ([]figure, error)
	}{
		{"river", func() ([]figure, error) { return riverFigures(ctx, server, c.Quick) }},
		{"video", func() ([]figure, error) { return videoFigures(ctx, server.URL("postgres"), c.Quick) }},
		{"reporter", func() ([]figure, error) { return reporterFigures(ctx, server) }},
	} {
		if len(c.Only) > 0 && !slices.Contains(c.Only, m.name) {
			continue
		}
		measured, err := m.measure()
		if err != nil {
			return err
		}
		progress(os.Stderr, measured)
		figures = append(figures, measured...)
	}
	return c.show(os.Stdout, figures)
}
