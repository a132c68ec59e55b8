package app

import (
	"fmt"

	"herald/internal/callback"
	"herald/internal/job"
)

// callbacks is how callbacks are sent; nil when they are not.
func (n *Node) callbacks() (*callback.Config, error) {
	if n.config.CallbackSecret == "" {
		return nil, nil //nolint:nilnil // nobody is called back
	}
	secrets, err := callback.ParseSecrets(n.config.CallbackSecret)
	if err != nil {
		return nil, fmt.Errorf("--callback-secret: %w", err)
	}
	return &callback.Config{
		Secrets: secrets, Rules: callback.Rules{Allow: n.config.CallbackAllow, HTTP: n.config.CallbackHTTP},
	}, nil
}

// checkCallback returns what checks a new job's callback address; nil when nobody
// is called back.
func checkCallback(c *callback.Config) func(url string) error {
	if c == nil {
		return nil
	}
	return func(url string) error {
		if err := c.Rules.CheckURL(url); err != nil {
			return &job.InvalidError{Field: "callback_url", Reason: err.Error()}
		}
		return nil
	}
}
