package app

import (
	"fmt"

	"herald/internal/config"
	"herald/internal/webhook"
)

// webhooks are the sources that the settings name, and the example where it is
// wanted.
func webhooks(c config.Config) (webhook.Sources, error) {
	sources := webhook.Sources{}
	if c.Webhooks != "" {
		var err error
		if sources, err = webhook.Load(c.Webhooks); err != nil {
			return nil, fmt.Errorf("--webhooks: %w", err)
		}
	}
	if !c.WebhookExample || sources["example"] != nil {
		return sources, nil
	}
	file := webhook.ExampleSecretFile(c.DataDir)
	if _, err := webhook.LoadOrCreateSecret(file); err != nil {
		return nil, err
	}
	var err error
	sources["example"], err = webhook.Example(file)
	return sources, err
}
