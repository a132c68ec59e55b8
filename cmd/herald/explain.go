package main

import (
	"context"
	"fmt"
)

type explainCmd struct {
	remote
	Seq  int64  `arg:"" help:"The event's seq."`
	User string `help:"Who is asked about (default: the token's owner)."`
	JSON bool   `name:"json" help:"Print JSON instead of lines."`
}

// Run says why a user got an event, or did not.
func (c *explainCmd) Run(ctx context.Context, t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	x, err := client.Explain(ctx, c.Seq, c.User)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.stdout, x)
	}
	got := "did not get"
	if x.Received {
		got = "got"
	}
	fmt.Fprintf(t.stdout, "%s %s event %d.\n", plain(x.User), got, c.Seq)
	for _, f := range x.Findings {
		fmt.Fprintf(t.stdout, "%-18s %s\n", f.Code, plain(f.Text))
	}
	return nil
}
