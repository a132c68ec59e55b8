package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/config"
	"herald/internal/postgres"
)

type keysCmd struct {
	Create createKeyCmd `cmd:"" help:"Make a key, and print it: it is shown this once, and kept nowhere."`
	List   listKeysCmd  `cmd:"" help:"List keys, newest first."`
	Revoke revokeKeyCmd `cmd:"" help:"Make a key useless for good, on every node within five seconds."`
}

type createKeyCmd struct {
	settings
	User    string         `help:"In whose name it acts." required:""`
	Role    []auth.Role    `help:"A role: user, worker, backend, support or admin; may be repeated." default:"backend"`
	Topic   []auth.Pattern `help:"Topics that it may follow besides, such as 'channel:orders' or 'job:*'; may be repeated."`
	Name    string         `help:"What people call it."`
	Expires config.Age     `help:"For how long it is good, such as 90d; 0: until it is revoked." default:"0"`
	By      string         `help:"Who makes it (default: who you are here)."`
}

// Run makes a key. The key alone goes to stdout.
func (c *createKeyCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.Complete(); err != nil {
		return err
	}
	asked := auth.APIKey{Name: c.Name, User: c.User, Roles: c.Role, Topics: c.Topic, CreatedBy: operator(c.By)}
	if c.Expires > 0 {
		asked.ExpiresAt = new(time.Now().Add(time.Duration(c.Expires)))
	}
	key, secret, err := auth.NewAPIKey(asked)
	if err != nil {
		return err
	}
	return c.withDatabase(ctx, func(db *postgres.DB) error {
		key, err := db.SaveAPIKey(ctx, key, auth.HashOf(secret))
		if err != nil {
			return err
		}
		fmt.Fprintf(t.stderr, "Key %s of %s is good until %s.\n", key.ID, plain(key.User), moment(key.ExpiresAt, "it is revoked"))
		fmt.Fprintln(t.stdout, secret)
		return nil
	})
}

type listKeysCmd struct {
	settings
	All  bool `help:"Revoked and expired keys too."`
	JSON bool `name:"json" help:"Print NDJSON instead of a table."`
}

// Run lists keys.
func (c *listKeysCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.Complete(); err != nil {
		return err
	}
	return c.withDatabase(ctx, func(db *postgres.DB) error {
		keys, err := db.APIKeys(ctx)
		if err != nil {
			return err
		}
		return c.print(t.stdout, keys)
	})
}

func (c *listKeysCmd) print(out io.Writer, keys []auth.APIKey) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, "ID\tKEY\tUSER\tROLES\tTOPICS\tCREATED\tLAST USED\tUNTIL\tNAME")
	}
	for _, k := range keys {
		_, bad := k.Principal()
		var err error
		switch {
		case bad != nil && !c.All:
		case c.JSON:
			err = printJSON(out, k)
		default:
			_, err = fmt.Fprintf(table, "%s\t%s…\t%s\t%s\t%s\t%s by %s\t%s\t%s\t%s\n", k.ID, k.Hint, plain(k.User), joined(k.Roles), plain(joined(k.Topics)),
				moment(&k.CreatedAt, ""), plain(k.CreatedBy), moment(k.LastUsedAt, "never"), end(k), plain(k.Name))
		}
		if err != nil {
			return err
		}
	}
	return table.Flush()
}

// end is until when a key is good, as people read it.
func end(k auth.APIKey) string {
	if k.RevokedAt != nil {
		return "revoked " + moment(k.RevokedAt, "") + " by " + plain(k.RevokedBy)
	}
	return moment(k.ExpiresAt, "revoked")
}

type revokeKeyCmd struct {
	settings
	Key string `arg:"" help:"The key's id, or its beginning as 'herald keys list' shows it."`
	By  string `help:"Who revokes it (default: who you are here)."`
}

// Run revokes a key.
func (c *revokeKeyCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.Complete(); err != nil {
		return err
	}
	return c.withDatabase(ctx, func(db *postgres.DB) error {
		keys, err := db.APIKeys(ctx)
		if err != nil {
			return err
		}
		id, err := findKey(keys, c.Key)
		if err != nil {
			return err
		}
		key, err := db.RevokeAPIKey(ctx, id, operator(c.By))
		if err != nil {
			return err
		}
		fmt.Fprintf(t.stdout, "Key %s of %s was revoked %s by %s.\n", key.ID, plain(key.User), moment(key.RevokedAt, ""), plain(key.RevokedBy))
		return nil
	})
}

// findKey is the one key that is meant: by its id, its hint, or all of it.
func findKey(keys []auth.APIKey, meant string) (found uuid.UUID, err error) {
	for _, k := range keys {
		if k.ID.String() != strings.ToLower(meant) && !isHint(meant, k.Hint) {
			continue
		}
		if found != uuid.Nil {
			return uuid.Nil, errors.New("several keys begin so: name one by its id")
		}
		found = k.ID
	}
	if found == uuid.Nil {
		return uuid.Nil, fmt.Errorf("%w; 'herald keys list --all' lists them", auth.ErrNoAPIKey)
	}
	return found, nil
}

func isHint(meant, hint string) bool {
	return strings.HasPrefix(meant, auth.APIKeyPrefix) && strings.HasPrefix(strings.TrimSuffix(meant, "…"), hint)
}

// operator is who uses this program.
func operator(name string) string {
	if name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}

// moment is a time as people read it.
func moment(at *time.Time, never string) string {
	if at == nil {
		return never
	}
	return at.Local().Format(time.DateTime)
}

func joined[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ",")
}
