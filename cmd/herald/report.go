package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"herald"
)

type reportCmd struct {
	remote
	Job          string            `arg:"" help:"The job's id." env:"HERALD_JOB"`
	Attempt      int               `help:"The attempt that reports (default: the one under way)." env:"HERALD_ATTEMPT"`
	Progress     *float64          `help:"Share of the whole job that is done, 0 to 1."`
	Step         string            `help:"The step that is under way."`
	StepProgress *float64          `help:"Share of that step that is done, 0 to 1."`
	Processed    *int64            `help:"How much is done, in --unit."`
	Total        *int64            `help:"How much there is to do, in --unit."`
	Unit         string            `help:"Such as rows."`
	Message      string            `help:"What is being done."`
	State        string            `help:"How the attempt has ended: succeeded, failed, cancelled or retrying." enum:",succeeded,failed,cancelled,retrying" default:""`
	Error        string            `help:"With failed and retrying: what went wrong."`
	Result       string            `help:"With succeeded: what came of it, a JSON object."`
	Details      string            `help:"A JSON object that a page may show."`
	Metadata     map[string]string `help:"What streams are filtered by: KEY=VALUE; replaces what the job has."`
	NextWithin   time.Duration     `help:"Promise the next report within that time, such as 10m."`
	JSON         bool              `name:"json" help:"Print the server's answer."`
}

// Run reports.
func (c *reportCmd) Run(ctx context.Context, t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if c.Attempt == 0 {
		j, err := client.Job(ctx, c.Job)
		if err != nil {
			return err
		}
		if c.Attempt = j.Attempt; c.Attempt == 0 {
			return fmt.Errorf("the job is %s: no attempt of it has begun", j.State)
		}
	}
	report, err := c.report()
	if err != nil {
		return err
	}
	receipt, err := client.Report(ctx, c.Job, report)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.stdout, receipt)
	}
	if len(receipt.Reports) > 0 && receipt.Reports[0].Outcome == herald.Late {
		return fmt.Errorf("too late: the job is %s, at attempt %d", receipt.State, receipt.Attempt)
	}
	if receipt.State == herald.Cancelling {
		fmt.Fprintln(t.stderr, "herald: the job is to be cancelled: stop, and report --state=cancelled")
	}
	return nil
}

func (c *reportCmd) report() (herald.Report, error) {
	r := herald.Report{
		Attempt: c.Attempt, State: herald.State(c.State), Progress: c.Progress, Step: c.Step, StepProgress: c.StepProgress,
		Processed: c.Processed, Total: c.Total, Unit: c.Unit, Message: c.Message, Error: c.Error,
	}
	if c.NextWithin != 0 {
		ms := c.NextWithin.Milliseconds()
		r.NextWithinMS = &ms
	}
	for _, object := range []struct {
		flag, text string
		to         *any
	}{{"--result", c.Result, &r.Result}, {"--details", c.Details, &r.Details}} {
		if object.text == "" {
			continue
		}
		if !json.Valid([]byte(object.text)) {
			return r, errors.New(object.flag + ": not JSON")
		}
		*object.to = json.RawMessage(object.text)
	}
	if len(c.Metadata) > 0 {
		r.Metadata = map[string]any{}
		for key, value := range c.Metadata {
			r.Metadata[key] = value
		}
	}
	return r, nil
}
