package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"herald/internal/config"
)

// environment is the process's variables, as NAME=value.
type environment []string

// frank are the commands that say themselves which variables nobody knows.
func frank() []string { return []string{"config", "doctor"} }

type configCmd struct {
	settings
	JSON bool `name:"json" help:"Print one JSON object."`
}

// setting is one setting as it is printed.
type setting struct {
	Flag      string   `json:"flag"`
	Variables []string `json:"variables,omitempty"`
	Value     string   `json:"value"` // what is secret is hidden
	From      string   `json:"from"`  // flag, default, or the name of a variable
}

// Run prints the settings, even if they make no sense; it says then what is wrong
// with them.
func (c *configCmd) Run(ctx *kong.Context, t *terminal, environ environment) error {
	wrong := c.Complete()
	unknown := config.Unknown(environ, variables(ctx.Kong))
	list := listSettings(ctx)
	if c.JSON {
		if err := printJSON(t.stdout, map[string]any{"settings": list, "unknown_variables": append([]string{}, unknown...)}); err != nil {
			return err
		}
	} else {
		table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "SETTING\tVALUE\tFROM")
		for _, s := range list {
			fmt.Fprintf(table, "%s\t%s\t%s\n", s.Flag, plain(s.Value), s.From)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	for _, name := range unknown {
		fmt.Fprintf(t.stderr, "herald: %s is set, but there is no such setting: unset it, or look above for its right name\n", name)
	}
	if wrong != nil {
		return wrong
	}
	if len(unknown) > 0 {
		return exitError(usage)
	}
	return nil
}

// listSettings lists the flags of this command, which are those of every command
// that runs a node, and what else has a variable, whichever command it is for.
func listSettings(ctx *kong.Context) []setting {
	var list []setting
	seen := map[string]bool{}
	add := func(f *kong.Flag) {
		if len(f.Envs) == 0 || seen[f.Envs[0]] {
			return
		}
		seen[f.Envs[0]] = true
		list = append(list, setting{"--" + f.Name, f.Envs, config.Shown(f.Name, text(f.Target)), source(ctx, f)})
	}
	for _, f := range ctx.Selected().Flags {
		add(f)
	}
	_ = kong.Visit(ctx.Model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			add(f)
		}
		return next(nil)
	})
	return list
}

// source says where a flag's value comes from.
func source(ctx *kong.Context, f *kong.Flag) string {
	if slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return p.Flag == f && !p.Resolved }) {
		return "flag"
	}
	for _, name := range f.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return name
		}
	}
	return "default"
}

// text is a value as it would be set.
func text(v reflect.Value) string {
	if words, ok := reflect.TypeAssert[[]string](v); ok {
		return strings.Join(words, ",")
	}
	return fmt.Sprint(v.Interface())
}
