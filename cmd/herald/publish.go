package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"herald"
)

type publishCmd struct {
	remote
	Type     string            `help:"The event's type, such as order.paid." required:"" placeholder:"TYPE"`
	Data     string            `help:"What it says: JSON (default: an empty object)." placeholder:"JSON"`
	User     []string          `help:"Tell that user; may be repeated." placeholder:"USER"`
	Channel  []string          `help:"Tell those who follow that channel; may be repeated." placeholder:"NAME"`
	Topic    []string          `help:"Tell those who follow that topic; may be repeated." placeholder:"TOPIC"`
	All      bool              `help:"Tell everyone."`
	Metadata map[string]string `help:"What streams are filtered by: KEY=VALUE."`
	TTL      time.Duration     `name:"ttl" help:"For how long it is of use, such as 30s."`
	Key      string            `help:"Idempotency key: a repeat of the request is published once." placeholder:"KEY"`
	DryRun   bool              `help:"Tell whom it would reach, and publish nothing."`
	JSON     bool              `name:"json" help:"Print the server's answer."`
}

// Run publishes an event.
func (c *publishCmd) Run(ctx context.Context, t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	m, err := c.message()
	if err != nil {
		return err
	}
	if c.DryRun {
		reach, err := client.TryPublish(ctx, m)
		if err != nil {
			return err
		}
		return c.showReach(t, reach)
	}
	published, err := client.Publish(ctx, m)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(t.stdout, published)
	}
	addressed := "an unknown number of"
	if published.Addressed != nil {
		addressed = fmt.Sprint(*published.Addressed)
	}
	fmt.Fprintf(t.stdout, "%s\n", published.EventID)
	fmt.Fprintf(t.stderr, "herald: published, and addressed to %s streams\n", addressed)
	return nil
}

func (c *publishCmd) message() (herald.Message, error) {
	m := herald.Message{
		Event: c.Type, TTLMS: c.TTL.Milliseconds(), Key: c.Key,
		To: herald.Target{Users: c.User, Channels: c.Channel, Topics: c.Topic, All: c.All},
	}
	if len(c.User)+len(c.Channel)+len(c.Topic) == 0 && !c.All {
		return m, errors.New("for whom? --user, --channel, --topic or --all")
	}
	if c.Data != "" {
		if !json.Valid([]byte(c.Data)) {
			return m, errors.New("--data: not JSON")
		}
		m.Data = json.RawMessage(c.Data)
	}
	if len(c.Metadata) > 0 {
		m.Metadata = map[string]any{}
		for key, value := range c.Metadata {
			m.Metadata[key] = value
		}
	}
	return m, nil
}

func (c *publishCmd) showReach(t *terminal, reach herald.Reach) error {
	if c.JSON {
		return printJSON(t.stdout, reach)
	}
	fmt.Fprintf(t.stderr, "herald: it would be addressed to %d streams\n", reach.Addressed)
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, s := range reach.Streams {
		fmt.Fprintf(table, "%s\t%s\t%s\n", plain(s.User), s.ClientID, plain(s.Node))
	}
	return table.Flush()
}
