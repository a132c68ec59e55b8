package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"herald/internal/app"
	"herald/internal/config"
	"herald/internal/postgres"
	"herald/internal/telemetry"
)

// settings is what every command has that runs a node.
type settings struct {
	config.Config `embed:""`
}

// prepare completes the settings and makes the logger.
func (s *settings) prepare(t *terminal) (*slog.Logger, error) {
	if err := s.Complete(); err != nil {
		return nil, err
	}
	return telemetry.NewLogger(t.stderr, s.LogLevel, s.LogFormat)
}

// errNoDatabase is the answer to a command that needs a database given.
var errNoDatabase = errors.New("no database: set HERALD_DATABASE_URL, or use 'herald up', which brings its own")

type serveCmd struct{ settings }

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, t *terminal) error {
	return c.node(ctx, t, app.Roles{API: true})
}

type workCmd struct{ settings }

// Run works jobs until ctx ends.
func (c *workCmd) Run(ctx context.Context, t *terminal) error {
	return c.node(ctx, t, app.Roles{Worker: true})
}

func (s *settings) node(ctx context.Context, t *terminal, roles app.Roles) error {
	log, err := s.prepare(t)
	if err != nil {
		return err
	}
	if s.DatabaseURL == "" {
		return errNoDatabase
	}
	return app.New(s.Config, roles, log).Run(ctx, func(addr net.Addr) {
		if addr != nil {
			fmt.Fprintf(t.stdout, "Herald serves on %s://%s\n", s.Scheme(), addr)
		} else {
			fmt.Fprintln(t.stdout, "Herald works.")
		}
	})
}

type migrateCmd struct{ settings }

// Run migrates the database.
func (c *migrateCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.Complete(); err != nil {
		return err
	}
	if c.DirectURL == "" {
		return errNoDatabase
	}
	if err := postgres.Migrate(ctx, c.DirectURL); err != nil {
		return err
	}
	fmt.Fprintln(t.stdout, "The database's schema is up to date.")
	return nil
}
