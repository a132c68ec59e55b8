package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"herald/internal/app"
	"herald/internal/config"
	"herald/internal/doctor"
)

type doctorCmd struct {
	settings
	JSON bool `name:"json" help:"Print NDJSON, one object for each check."`
}

// Run runs the checks. It ends with 1 when there is a problem.
func (c *doctorCmd) Run(ctx context.Context, parsed *kong.Context, t *terminal, environ environment) error {
	wrong := c.Complete()
	if unknown := config.Unknown(environ, variables(parsed.Kong)); len(unknown) > 0 {
		wrong = errors.Join(wrong, fmt.Errorf("there is no such setting: %s", strings.Join(unknown, ", ")))
	}
	well := app.Examine(ctx, c.Config, wrong, func(f doctor.Finding) {
		f.Found = plain(strings.ReplaceAll(f.Found, "\n", "; "))
		if c.JSON {
			_ = printJSON(t.stdout, f) // a terminal that is gone needs no words
			return
		}
		fmt.Fprintf(t.stdout, "%-8s %-13s %s\n", f.Level, f.Check, f.Found)
		if f.Advice != "" {
			fmt.Fprintf(t.stdout, "%-8s %-13s → %s\n", "", "", f.Advice)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !well {
		return exitError(1)
	}
	return nil
}
