package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Database is what the checks ask of the database that Herald is to use. Every
// question is answered with an error when the database cannot be reached.
type Database interface {
	// State is how the server and Herald's place in it are.
	State(ctx context.Context) (State, error)
	// SchemaIsCurrent reports whether the schema, which is there, is this program's.
	SchemaIsCurrent(ctx context.Context) (bool, error)
	// CheckSession returns an error unless the direct address leads to sessions of
	// the same database.
	CheckSession(ctx context.Context) error
	// Backlog is what waits to be put into the log, and how long its oldest has.
	Backlog(ctx context.Context) (rows int, oldest time.Duration, err error)
}

// State is how a Postgres server and Herald's place in it are.
type State struct {
	Version        int // as Postgres numbers them, such as 170002
	Database, Role string
	ReadOnly       bool          // a standby, or told to be
	Off            []string      // settings that are off and keep what is committed
	Ahead          time.Duration // how far the server's clock is before ours
	Unsure         time.Duration // by how much that may be wrong
	Schema         bool          // whether Herald's schema is there
	Lacking        []string      // what the role may not do and has to
	Connections    int           // how many there may be
	Used           int           // how many there are
	Leads          bool          // whether a sequencer leads
}

// The versions that Herald is tested on.
const oldest, newest = 14, 18

// maxSkew is how far clocks may differ: tokens forgive as much.
const maxSkew = 5 * time.Second

// DatabaseChecks look at the database. A node holds so many connections to it. When
// it cannot be reached, the first says so and the others nothing.
func DatabaseChecks(db Database, nodeConnections int) []Check {
	var seen atomic.Pointer[State]
	first := Check{"database", func(ctx context.Context) Finding {
		s, err := db.State(ctx)
		if err != nil {
			return Wrong("start Postgres, or look at --database-url (HERALD_DATABASE_URL): host, port, name, user and password", "%v", err)
		}
		seen.Store(&s)
		return reached(s)
	}}
	then := func(name string, judge func(context.Context, State) Finding) Check {
		return Check{name, func(ctx context.Context) Finding {
			if s := seen.Load(); s != nil {
				return judge(ctx, *s)
			}
			return Finding{}
		}}
	}
	return []Check{
		first,
		then("rights", func(_ context.Context, s State) Finding { return rights(s) }),
		then("sessions", func(ctx context.Context, _ State) Finding { return sessions(db.CheckSession(ctx)) }),
		then("schema", func(ctx context.Context, s State) Finding { return schema(ctx, db, s) }),
		then("clock", func(_ context.Context, s State) Finding { return clock(s) }),
		then("durability", func(_ context.Context, s State) Finding { return durability(s) }),
		then("connections", func(_ context.Context, s State) Finding { return connections(s, nodeConnections) }),
		then("log", func(ctx context.Context, s State) Finding { return log(ctx, db, s) }),
	}
}

func reached(s State) Finding {
	major := s.Version / 10000
	text := fmt.Sprintf("Postgres %d.%d, database %s, as %s", major, s.Version%10000, s.Database, s.Role)
	switch {
	case major < oldest:
		return Wrong(fmt.Sprintf("use Postgres %d to %d", oldest, newest), "%s: that is too old", text)
	case s.ReadOnly:
		return Wrong("give the address of the primary in HERALD_DATABASE_URL", "%s: it is read-only", text)
	case major > newest:
		return Worse(fmt.Sprintf("Herald is tested on Postgres %d to %d", oldest, newest), "%s: that is newer than what Herald knows", text)
	}
	return Good("%s", text)
}

func rights(s State) Finding {
	if len(s.Lacking) > 0 {
		return Wrong("run 'herald migrate' and Herald as the same role, which owns the schemas herald and herald_queue, or grant it these rights",
			"the role %s lacks: %s", s.Role, strings.Join(s.Lacking, ", "))
	}
	if !s.Schema {
		return Good("the role %s may make Herald's schemas", s.Role)
	}
	return Good("the role %s may do all that Herald does", s.Role)
}

func schema(ctx context.Context, db Database, s State) Finding {
	const advice = "run 'herald migrate' ('herald up' does it by itself)"
	if !s.Schema {
		return Wrong(advice, "Herald's schema is not there")
	}
	current, err := db.SchemaIsCurrent(ctx)
	switch {
	case err != nil:
		return Wrong("see the checks of rights and of sessions", "%v", err)
	case !current:
		return Wrong(advice, "Herald's schema is older than this program")
	}
	return Good("it is this program's")
}

func sessions(err error) Finding {
	if err != nil {
		return Wrong("set HERALD_DIRECT_DATABASE_URL to the address of the same database past any transaction pooler", "%v", err)
	}
	return Good("the direct address leads to sessions of the same database")
}

func clock(s State) Finding {
	by := max(s.Ahead.Abs()-s.Unsure, 0).Round(time.Millisecond)
	const advice = "set both machines' clocks by NTP"
	switch {
	case by > maxSkew:
		return Wrong(advice, "the database's clock and this machine's differ by %v", by)
	case by > time.Second:
		return Worse(advice, "the database's clock and this machine's differ by %v", by)
	}
	return Good("the database's clock agrees with this machine's, within %v", max(s.Unsure.Round(time.Millisecond), time.Millisecond))
}

func durability(s State) Finding {
	if len(s.Off) > 0 {
		return Wrong("set them to on: without, a crash may lose what was committed", "off: %s", strings.Join(s.Off, ", "))
	}
	return Good("what is committed survives a crash")
}

func connections(s State, node int) Finding {
	text := fmt.Sprintf("%d of %d connections are taken; a node takes up to %d", s.Used, s.Connections, node)
	const advice = "raise max_connections in Postgres, or put a pooler before it"
	switch {
	case s.Connections < node:
		return Wrong(advice, "%s", text)
	case s.Connections-s.Used < node && !s.Leads:
		return Worse(advice, "%s, and no Herald runs", text)
	case s.Connections-s.Used < node:
		return Worse(advice+", before you add a node", "%s", text)
	}
	return Good("%s", text)
}

// lag is how long an event waits at most for its place in the log, where all is
// well.
const lag = 5 * time.Second

func log(ctx context.Context, db Database, s State) Finding {
	if !s.Schema {
		return Good("there is none yet")
	}
	rows, oldest, err := db.Backlog(ctx)
	if err != nil {
		return Wrong("see the checks of rights and of the schema", "%v", err)
	}
	waiting := fmt.Sprintf("%d events wait in the outbox, the oldest for %v", rows, oldest.Round(time.Second))
	switch {
	case !s.Leads && rows > 0:
		return Worse("start 'herald up' or 'herald serve'", "no node leads the log, and %s", waiting)
	case !s.Leads:
		return Good("no node leads it, since none runs that serves; nothing waits")
	case oldest > lag:
		return Worse("see the leading node's log, and how busy the database is", "%s", waiting)
	}
	return Good("a node leads it; %d events wait", rows)
}
