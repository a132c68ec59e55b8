package main

import (
	"fmt"
	"time"

	"herald/internal/auth"
)

// tokenLife is how long a token is good for unless it is said otherwise.
const tokenLife = 7 * 24 * time.Hour

type tokenCmd struct {
	settings
	User string        `help:"Whom the token is for." required:""`
	Role []auth.Role   `help:"A role: user, worker, backend, support or admin; may be repeated." default:"user"`
	For  time.Duration `help:"How long it is good." default:"168h"`
	Link bool          `help:"Print a sign-in link instead."`
}

// Run prints a token.
func (c *tokenCmd) Run(t *terminal) error {
	if err := c.Complete(); err != nil {
		return err
	}
	var out string
	var err error
	if c.Link {
		out, err = signInLink(c.KeyFile, c.Scheme()+"://"+c.Addr+"/", c.User, c.Role, c.For)
	} else {
		out, err = signToken(c.KeyFile, c.User, c.Role, c.For)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(t.stdout, out)
	return nil
}

// signToken signs a token with the key in the file.
func signToken(keyFile, user string, roles []auth.Role, life time.Duration) (string, error) {
	key, err := auth.LoadOrCreateKey(keyFile)
	if err != nil {
		return "", err
	}
	return key.Issue(auth.Principal{User: user, Roles: roles}, life)
}
