package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"herald/internal/app"
	"herald/internal/auth"
	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

// demoUser is whom the link signs in that 'herald up' prints.
const demoUser = "demo"

// stopTime bounds how long Herald waits for its own Postgres to stop.
const stopTime = 20 * time.Second

type upCmd struct {
	settings
	Dev           bool `help:"Whether the developer's page is there, at /dev." default:"true" negatable:"" env:"HERALD_DEV"`
	QueryIdentity bool `help:"Whether streams believe userId= and username= in their address, as those of the earlier service do: for development, on this machine alone." env:"HERALD_QUERY_IDENTITY"`
}

// errQueryIdentity is the answer where others than the developer may ask.
var errQueryIdentity = errors.New("--query-identity lets anybody be anybody: it is for development, with --dev, and an --addr of this machine alone")

// isLoopback reports whether only this machine reaches the address.
func isLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr) // it has been checked
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Run runs everything until ctx ends.
func (c *upCmd) Run(ctx context.Context, t *terminal) (err error) {
	log, err := c.prepare(t)
	if err != nil {
		return err
	}
	if c.QueryIdentity && (!c.Dev || !isLoopback(c.Addr)) {
		return errQueryIdentity
	}
	if err := os.MkdirAll(c.DataDir, 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w; choose another with --data-dir", err)
	}
	c.WebhookExample, c.Development, c.Config.QueryIdentity = true, c.Dev, c.QueryIdentity
	if c.Node == "" {
		c.Node = "local" // the data folder is locked, so what an earlier run was at is known to be lost
	}
	if c.DatabaseURL == "" {
		server, err := c.startPostgres(ctx, log)
		if err != nil {
			return err
		}
		defer func() {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
			defer cancel()
			err = errors.Join(err, server.Stop(stop))
		}()
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() { // ends with the server
			<-server.Done()
			cancel(errors.New("Herald's own Postgres has ended; its last words are in the log"))
		}()
		c.DatabaseURL = server.URL(embedded.Database)
		c.DirectURL = c.DatabaseURL
	}
	if err := postgres.Migrate(ctx, c.DirectURL); err != nil {
		return err
	}
	err = app.New(c.Config, app.Roles{API: true, Worker: true}, log).Run(ctx, func(addr net.Addr) { c.welcome(t, addr) })
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// startPostgres starts a Postgres in the data folder.
func (c *upCmd) startPostgres(ctx context.Context, log *slog.Logger) (*embedded.Server, error) {
	return embedded.Start(ctx, embedded.Config{
		Dir: filepath.Join(c.DataDir, "postgres"), BinDir: c.PostgresBin, Logger: log,
	})
}

// welcome says where to go. The token stands in the link's fragment, which
// browsers keep to themselves.
func (c *upCmd) welcome(t *terminal, addr net.Addr) {
	base := c.Scheme() + "://" + addr.String()
	link, err := signInLink(c.KeyFile, base+"/", demoUser, []auth.Role{auth.RoleUser}, tokenLife)
	dev := ""
	if err == nil && c.Dev {
		dev, err = signInLink(c.KeyFile, base+"/dev", demoUser, []auth.Role{auth.RoleUser, auth.RoleBackend}, tokenLife)
		dev = "  As a developer:   " + dev + "\n\n"
	}
	if err != nil {
		fmt.Fprintf(t.stderr, "herald: %v\n", err)
		return
	}
	fmt.Fprintf(t.stdout, "\n  Herald is up on %s\n\n  Sign in as %s:  %s\n\n%s  Stop with Ctrl-C.\n\n", base, demoUser, link, dev)
}

// signInLink makes the address of a page that signs the user in with one click.
func signInLink(keyFile, page, user string, roles []auth.Role, life time.Duration) (string, error) {
	token, err := signToken(keyFile, user, roles, life)
	if err != nil {
		return "", err
	}
	return page + "#token=" + token, nil
}
