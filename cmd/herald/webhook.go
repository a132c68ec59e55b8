package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"herald/internal/config"
	"herald/internal/webhook"
)

type webhookCmd struct {
	Example webhookExampleCmd `cmd:"" help:"Sign a webhook as the source 'example' of 'herald up', and send it."`
}

type webhookExampleCmd struct {
	URL     string `help:"The Herald server." default:"http://127.0.0.1:8080" env:"HERALD_URL" placeholder:"URL"`
	DataDir string `help:"The data folder of that server, which has the secret (default ${data_dir})." env:"HERALD_DATA_DIR" placeholder:"DIR"`
	User    string `help:"Whom to tell." default:"demo"`
	Message string `help:"What to tell." default:"Hello from outside."`
	ID      string `help:"The webhook's id: a repeat of one is published once (default: a new one)."`
}

// webhookTime bounds the sending of a webhook.
const webhookTime = 30 * time.Second

// Run sends a webhook and prints the answer.
func (c *webhookExampleCmd) Run(ctx context.Context, t *terminal) error {
	if c.DataDir == "" {
		c.DataDir = config.DefaultDataDir()
	}
	if c.ID == "" {
		c.ID = "msg_" + rand.Text()
	}
	secret, err := webhook.LoadOrCreateSecret(webhook.ExampleSecretFile(c.DataDir))
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"user": c.User, "message": c.Message})
	if err != nil {
		return err
	}
	header, err := webhook.Sign(secret, c.ID, time.Now(), body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+"/api/webhooks/example", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w; look at --url", err)
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("%w; does 'herald up' run there?", err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	const most = 64 << 10
	answer, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, answer)
	}
	fmt.Fprintf(t.stdout, "%s\n", answer)
	return nil
}
