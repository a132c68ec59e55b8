package app

import (
	"bytes"
	"fmt"
	"os"

	"herald/internal/absent"
	"herald/internal/callback"
	"herald/internal/config"
	"herald/internal/job"
	"herald/internal/mailer"
	"herald/internal/worker"
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

// absentRule is who is absent, and how they are told.
func absentRule(c config.Config) absent.Rule {
	r := absent.Rule{After: c.AbsentAfter}
	if c.AbsentURL != "" {
		r.Media = append(r.Media, job.ByWebhook)
	}
	if c.AbsentMailTo != "" {
		r.Media = append(r.Media, job.ByMail)
	}
	return r
}

// absences is what tells absent users.
func absences(c config.Config) (by worker.Absences, err error) {
	if c.AbsentURL != "" {
		secrets, err := callback.ParseSecrets(c.AbsentSecret)
		if err != nil {
			return by, fmt.Errorf("HERALD_ABSENT_SECRET: %w", err)
		}
		rules := callback.Rules{Allow: c.CallbackAllow, HTTP: c.CallbackHTTP}
		if err := rules.CheckURL(c.AbsentURL); err != nil {
			return by, fmt.Errorf("--absent-url: %w", err)
		}
		by.URL, by.Webhook = c.AbsentURL, callback.NewSender(callback.Config{Secrets: secrets, Rules: rules})
	}
	if c.AbsentMailTo != "" {
		if by.Mail, err = newMailer(c); err != nil {
			return by, err
		}
	}
	return by, nil
}

// newMailer returns what tells absent users by mail.
func newMailer(c config.Config) (*mailer.Mailer, error) {
	m := mailer.Config{
		Addr: c.SMTPAddr, Security: c.SMTPSecurity, User: c.SMTPUser, From: c.MailFrom, To: c.AbsentMailTo, PublicURL: c.PublicURL,
	}
	if c.SMTPPasswordFile != "" {
		password, err := os.ReadFile(c.SMTPPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("--smtp-password-file: %w", err)
		}
		m.Password = string(bytes.TrimSpace(password))
	}
	by, err := mailer.New(m)
	if err != nil {
		return nil, fmt.Errorf("--absent-mail-to: %w", err)
	}
	return by, nil
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
