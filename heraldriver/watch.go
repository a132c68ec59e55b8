package heraldriver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/rivertype"
)

// DB runs statements: a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// DefaultSchema is where River's tables are unless its client says otherwise.
const DefaultSchema = "public"

// Config is how a River is watched. The zero Config is fit for use.
type Config struct {
	Schema string // of River's tables; default DefaultSchema

	Owner    string   // whose the jobs are that name nobody; default "river"
	OwnerKey string   // the member of a job's metadata that names its owner, such as "user_id"; default none
	OwnerTag string   // how a tag begins that names the owner, such as "user-"; default none
	Skip     []string // kinds that are left out; default none
	KeepArgs bool     // keep the jobs' args, for all who may see the job; default false, since they may be secret
	Forget   bool     // remove Herald's job, with an event, when River removes its own; default false: its owner does that
}

// catchUpPage is how many jobs are taken in by one transaction.
const catchUpPage = 1000

// Watch installs the triggers that record the River's jobs from then on, and
// takes in those that have not ended. Where they are installed already, it changes
// how they record; jobs that were recorded stay as they are. The caller's role
// owns River's table, and Herald's schema.
func Watch(ctx context.Context, db DB, c Config) error {
	skip := c.Skip
	if skip == nil {
		skip = []string{}
	}
	if _, err := db.Exec(ctx,
		`SELECT herald.watch_river(schema => $1, owner => $2, owner_key => $3, owner_tag => $4, skip => $5, keep_args => $6, forget => $7)`,
		schemaOf(c.Schema), cmp.Or(c.Owner, "river"), c.OwnerKey, c.OwnerTag, skip, c.KeepArgs, c.Forget); err != nil {
		return fmt.Errorf("watch River in schema %s: %w", schemaOf(c.Schema), err)
	}
	return CatchUp(ctx, db, c.Schema)
}

// CatchUp records what was missed of a River's jobs: those that a trigger could
// not record, each of which the server's log and herald.river_missed tell of. A
// job's next change does the same for that job.
func CatchUp(ctx context.Context, db DB, schema string) error {
	var last *int64
	for next := int64(0); ; next = *last {
		if err := db.QueryRow(ctx, `SELECT herald.catch_up_river($1, $2, $3)`, schemaOf(schema), next, catchUpPage).Scan(&last); err != nil {
			return fmt.Errorf("catch up with River in schema %s: %w", schemaOf(schema), err)
		}
		if last == nil {
			return nil
		}
	}
}

// Unwatch removes the triggers. What was recorded stays, but for the jobs that
// have not ended: they end as cancelled, since nobody would tell of their end.
func Unwatch(ctx context.Context, db DB, schema string) error {
	if _, err := db.Exec(ctx, `SELECT herald.unwatch_river($1)`, schemaOf(schema)); err != nil {
		return fmt.Errorf("stop watching River in schema %s: %w", schemaOf(schema), err)
	}
	return nil
}

func schemaOf(schema string) string { return cmp.Or(schema, DefaultSchema) }

// JobID returns Herald's id of a River job, with which people follow it. The
// schema is that of River's tables; empty is DefaultSchema.
func JobID(schema string, row *rivertype.JobRow) uuid.UUID { return jobID(markOf(schema), row) }

// markOf is the part of the ids that tells the River, of which three digits are
// used.
func markOf(schema string) [2]byte {
	sum := sha256.Sum256([]byte(schemaOf(schema)))
	return [2]byte{sum[0], sum[1]}
}

func jobID(mark [2]byte, row *rivertype.JobRow) uuid.UUID {
	const version, variant = 0x70, 1 << 63
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(row.CreatedAt.UnixMilli())<<16)
	id[6] = version | mark[0]>>4
	id[7] = mark[0]<<4 | mark[1]>>4
	binary.BigEndian.PutUint64(id[8:], uint64(row.ID)|variant)
	return id
}

// runOf tells an attempt from all others of its job, as herald.river_run does:
// River counts one that was snoozed or interrupted twice.
func runOf(row *rivertype.JobRow) int64 {
	if row.AttemptedAt == nil {
		return 0
	}
	return row.AttemptedAt.Truncate(time.Microsecond).UnixMicro()
}
