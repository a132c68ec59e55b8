package app

import (
	"fmt"

	"herald/internal/config"
	"herald/internal/httpapi"
	"herald/internal/webhook"
)

// webhooks are the sources that the settings name, and the example where it is
// wanted, with its secret.
func webhooks(c config.Config) (sources webhook.Sources, exampleSecret string, err error) {
	sources = webhook.Sources{}
	if c.Webhooks != "" {
		if sources, err = webhook.Load(c.Webhooks); err != nil {
			return nil, "", fmt.Errorf("--webhooks: %w", err)
		}
	}
	if !c.WebhookExample || sources["example"] != nil {
		return sources, "", nil
	}
	file := webhook.ExampleSecretFile(c.DataDir)
	if exampleSecret, err = webhook.LoadOrCreateSecret(file); err != nil {
		return nil, "", err
	}
	sources["example"], err = webhook.Example(file)
	return sources, exampleSecret, err
}

// development is what the developer's page is told; nil where there is none.
func development(c config.Config, exampleSecret string) *httpapi.Development {
	if !c.Development {
		return nil
	}
	return &httpapi.Development{ExampleSecret: exampleSecret, QueryIdentity: c.QueryIdentity}
}
