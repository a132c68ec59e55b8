package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"herald"
)

// remote is what every command has that talks to a server.
type remote struct {
	URL   string `help:"The Herald server." default:"http://127.0.0.1:8080" env:"HERALD_URL" placeholder:"URL"`
	Token string `help:"Who is asking: a token, as 'herald token' prints it." env:"HERALD_TOKEN" placeholder:"TOKEN"`
}

// client returns a client of the server; change may alter its settings.
func (r *remote) client(change ...func(*herald.Config)) (*herald.Client, error) {
	config := herald.Config{URL: r.URL, Token: r.Token}
	for _, c := range change {
		c(&config)
	}
	client, err := herald.New(config)
	if err != nil {
		return nil, fmt.Errorf("%w; look at --url and --token", err)
	}
	return client, nil
}

type jobsCmd struct {
	remote
	State string `help:"Only in that state: active, ended, or one of a job's states."`
	Kind  string `help:"Only of that kind."`
	Limit int    `help:"At most so many." default:"50"`
	JSON  bool   `name:"json" help:"Print NDJSON instead of a table."`
}

// Run lists jobs.
func (c *jobsCmd) Run(ctx context.Context, t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, "ID\tKIND\tSTATE\tDONE\tUPDATED\tTITLE")
	}
	n := 0
	for j, err := range client.Jobs(ctx, herald.JobFilter{State: c.State, Kind: c.Kind}) {
		if err != nil {
			return err
		}
		if c.JSON {
			err = printJSON(t.stdout, j)
		} else {
			_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, plain(j.Kind), stateOf(j), percent(j.Progress),
				j.UpdatedAt.Local().Format(time.DateTime), plain(j.Title))
		}
		if err != nil {
			return err
		}
		if n++; n == c.Limit {
			break
		}
	}
	return table.Flush()
}

func printJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// plain is a stranger's text on one line.
func plain(text string) string { return strings.Map(printable, text) }

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

// stateOf is the job's state as people read it.
func stateOf(j herald.Job) string {
	if j.Stalled {
		return "stalled"
	}
	return string(j.State)
}
