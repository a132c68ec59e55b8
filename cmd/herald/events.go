package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"golang.org/x/term"

	"herald"
	"herald/internal/archive"
	"herald/internal/event"
	"herald/internal/postgres"
)

type eventsCmd struct {
	settings
	remote
	filters `embed:""`

	After   event.Seq     `help:"Begin after this seq (default: with the oldest)."`
	Topic   []event.Topic `help:"Only what concerns this topic; may be repeated."`
	Job     uuid.UUID     `help:"Only this job's."`
	Type    []event.Type  `help:"Only of this type; may be repeated."`
	Limit   int           `help:"At most so many."`
	Archive bool          `help:"Read the archives in the blob store instead of the log; needs no database."`
}

// errEnough ends the reading when --limit is reached.
var errEnough = errors.New("enough events")

// filters are those that the API has beyond the log's own.
type filters struct {
	User     string    `help:"Only what concerns this user."`
	Kind     string    `help:"Only of jobs of this kind."`
	State    []string  `help:"Only what tells of a job in this state; may be repeated."`
	Errors   bool      `help:"Only failures and the like."`
	Actor    string    `help:"Only what this user, worker or program caused."`
	Metadata []string  `help:"Only what has this metadata; may be repeated." sep:"none" placeholder:"KEY=VALUE"`
	Since    time.Time `help:"Only what was recorded then or later (RFC 3339)."`
	Until    time.Time `help:"Only what was recorded before then."`
	Text     string    `help:"Only what has this in its message or error; with --since, --topic, --user or --job."`
	Before   event.Seq `help:"End before this seq."`
	Newest   bool      `help:"Begin with the newest."`
}

// any reports whether one of them is given.
func (f filters) set() bool {
	return len(f.State)+len(f.Metadata) > 0 || !reflect.DeepEqual(f, filters{State: f.State, Metadata: f.Metadata})
}

// Run prints events.
func (c *eventsCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.complete(); err != nil {
		return err
	}
	out := bufio.NewWriterSize(t.stdout, 64<<10)
	p := &printer{out: out, table: isTerminal(t.stdout), eventsCmd: c}
	var err error
	switch {
	case c.Token != "" && !c.Archive:
		err = c.ask(ctx, p)
	case c.set():
		err = errors.New("those filters are a server's: give --token (and --url), or leave them out")
	case c.Archive:
		err = c.withArchives(ctx, func(archives *archive.Store) error { return c.archives(ctx, archives, p) })
	default:
		err = c.withDatabase(ctx, func(db *postgres.DB) error { return c.log(ctx, db, p) })
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, out.Flush())
}

func (c *eventsCmd) complete() error {
	for i, text := range c.Topic {
		topic, err := event.ParseTopic(string(text))
		if err != nil {
			return fmt.Errorf("--topic: %w", err)
		}
		c.Topic[i] = topic
	}
	if c.After < 0 || c.Limit < 0 {
		return errors.New("--after and --limit want 0 or more")
	}
	return c.Complete()
}

// ask prints what the server lists.
func (c *eventsCmd) ask(ctx context.Context, p *printer) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	f := herald.EventFilter{
		User: c.User, Kind: c.Kind, States: c.State, Errors: c.Errors, Actor: c.Actor, Since: c.Since, Until: c.Until, Text: c.Text,
		After: int64(c.After), Before: int64(c.Before), Oldest: !c.Newest, Metadata: map[string][]string{},
	}
	for _, pair := range c.Metadata {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return fmt.Errorf("--metadata %s: want KEY=VALUE", pair)
		}
		f.Metadata[key] = append(f.Metadata[key], value)
	}
	if c.Job != uuid.Nil {
		f.Job = c.Job.String()
	}
	for _, t := range c.Topic {
		f.Topics = append(f.Topics, string(t))
	}
	for _, t := range c.Type {
		f.Types = append(f.Types, string(t))
	}
	for e, err := range client.History(ctx, f) {
		if err == nil {
			err = p.told(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// archives prints from the archives, in the order of the log.
func (c *eventsCmd) archives(ctx context.Context, archives *archive.Store, p *printer) error {
	for m, err := range archives.Manifests(ctx) {
		if err != nil {
			return err
		}
		if m.Last <= c.After {
			continue
		}
		if err := archives.Read(ctx, m, nil, p.event); err != nil {
			return err
		}
	}
	return nil
}

// log prints from the log, up to where it ends now.
func (c *eventsCmd) log(ctx context.Context, db *postgres.DB, p *printer) error {
	const page = 1000
	floor, head, err := db.Bounds(ctx)
	if err != nil {
		return err
	}
	after := c.After
	if after == 0 {
		after = floor
	}
	topics := c.Topic
	if c.Job != uuid.Nil && len(topics) == 0 {
		topics = []event.Topic{event.JobTopic(c.Job)}
	}
	for after < head {
		var events []event.Event
		if len(topics) > 0 {
			events, err = db.EventsOfTopics(ctx, topics, after, head, page)
		} else {
			events, err = db.Events(ctx, after, page)
		}
		if errors.Is(err, event.ErrTooOld) {
			return fmt.Errorf("%w; what was archived is printed with --archive", err)
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := p.event(e); err != nil {
				return err
			}
			after = e.Seq
		}
		if len(events) < page {
			return nil
		}
	}
	return nil
}

// printer prints the events that are asked for.
type printer struct {
	*eventsCmd
	out     io.Writer
	table   bool
	printed int
	buffer  []byte
}

func (p *printer) event(e event.Event) error {
	if !p.wanted(e) {
		return nil
	}
	var err error
	if p.table {
		p.buffer = appendRow(p.buffer[:0], e)
	} else if p.buffer, err = archive.AppendEvent(p.buffer[:0], e); err != nil {
		return err
	}
	return p.write()
}

// told prints an event as the server tells of it.
func (p *printer) told(e herald.Event) error {
	if p.table {
		pending := event.Pending{Type: event.Type(e.Type), Actor: e.Actor, CreatedAt: e.Time, Payload: e.Data}
		for _, t := range e.Topics {
			pending.Topics = append(pending.Topics, event.Topic(t))
		}
		p.buffer = appendRow(p.buffer[:0], event.Event{Pending: pending, Seq: event.Seq(e.Seq)})
		return p.write()
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	p.buffer = append(append(p.buffer[:0], line...), '\n')
	return p.write()
}

// write prints the line, and ends the reading with the last that is asked for.
func (p *printer) write() error {
	if _, err := p.out.Write(p.buffer); err != nil {
		return err
	}
	if p.printed++; p.printed == p.Limit {
		return errEnough
	}
	return nil
}

func (p *printer) wanted(e event.Event) bool {
	return e.Seq > p.After && (p.Job == uuid.Nil || e.JobID == p.Job) &&
		(len(p.Type) == 0 || slices.Contains(p.Type, e.Type)) &&
		(len(p.Topic) == 0 || slices.ContainsFunc(e.Topics, func(t event.Topic) bool { return slices.Contains(p.Topic, t) }))
}

// appendRow appends the event as a line for people.
func appendRow(to []byte, e event.Event) []byte {
	const widest = 100
	about := []rune(string(e.Payload))
	if len(about) > widest {
		about = append(about[:widest], '…')
	}
	topic := ""
	if len(e.Topics) > 0 {
		topic = string(e.Topics[0])
	}
	row := fmt.Sprintf("%10d  %s  %-16s  %-40s  %-12s  %s", e.Seq, e.CreatedAt.Local().Format(time.DateTime), e.Type, topic, e.Actor, string(about))
	return append(append(to, strings.Map(printable, row)...), '\n')
}

// printable keeps a stranger's text from giving the terminal orders.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}

// isTerminal reports whether people look at what is written there.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) // a device such as /dev/null is none
}
