// Command herald is Herald: 'herald up' runs all of it in one process, the
// other commands run parts of it or look after it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"herald/internal/config"
)

// cli is the command line.
type cli struct {
	Up      upCmd      `cmd:"" help:"Run everything in one process, with a Postgres of its own unless one is given."`
	Serve   serveCmd   `cmd:"" help:"Run an API node: the API, the streams and the web app."`
	Work    workCmd    `cmd:"" help:"Run a worker node: it takes jobs from the queue."`
	Migrate migrateCmd `cmd:"" help:"Bring the database's schema up to this program's version."`
	Doctor  doctorCmd  `cmd:"" help:"Check all that Herald needs, and say what to do about what is wrong."`
	Config  configCmd  `cmd:"" help:"Print every setting, its value, and where that comes from."`
	Run     runCmd     `cmd:"" help:"Run any command as a job: its lines become messages, its exit status the result."`
	Report  reportCmd  `cmd:"" help:"Report on a job that runs elsewhere."`
	Publish publishCmd `cmd:"" help:"Publish an event: to users, to channels, or to everyone."`
	Jobs    jobsCmd    `cmd:"" help:"List jobs."`
	Tail    tailCmd    `cmd:"" help:"Follow jobs, live."`
	Events  eventsCmd  `cmd:"" help:"Print the log, or its archives, as NDJSON or as a table."`
	Explain explainCmd `cmd:"" help:"Say why a user got an event, or did not."`
	Verify  verifyCmd  `cmd:"" help:"Check the whole log and its archives against the audit chain."`
	Keys    keysCmd    `cmd:"" help:"Make, list and revoke API keys of workers and back ends."`
	Webhook webhookCmd `cmd:"" help:"Try webhooks out."`
	Token   tokenCmd   `cmd:"" help:"Print a signed token, or a sign-in link, for a user."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usage is the exit status for a command line or environment that makes no
// sense; other failures exit with 1.
const usage = 2

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	var c cli
	code := -1
	parser, err := kong.New(&c,
		kong.Name("herald"),
		kong.Description("Herald tells people how their jobs are doing: durable progress, live in the browser."),
		kong.Vars{"data_dir": config.DefaultDataDir()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { code = status }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(environment(environ)),
		kong.Bind(&terminal{stdin: os.Stdin, stdout: stdout, stderr: stderr}),
	)
	if err != nil {
		panic(err) // the command line's definition is wrong
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		err = fmt.Errorf("%w; 'herald --help' says what there is", err)
	}
	if code >= 0 { // --help was asked for and given
		return code
	}
	if err == nil && !slices.Contains(frank(), parsed.Selected().Name) {
		err = config.CheckEnvironment(environ, variables(parser))
	}
	if err != nil {
		complain(stderr, err)
		return usage
	}
	var status exitError
	if err := parsed.Run(); errors.As(err, &status) {
		return int(status)
	} else if err != nil && !errors.Is(err, context.Canceled) {
		complain(stderr, err)
		return 1
	}
	return 0
}

// complain says what is wrong on one line, whatever lines the error has.
func complain(stderr io.Writer, err error) {
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), "; ")
	fmt.Fprintf(stderr, "herald: %s\n", text)
}

// terminal is where a command reads, and writes: results to stdout, all else to
// stderr.
type terminal struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// variables lists the environment variables that any command knows.
func variables(parser *kong.Kong) []string {
	var names []string
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		switch node := node.(type) {
		case *kong.Flag:
			names = append(names, node.Envs...)
		case *kong.Positional:
			names = append(names, node.Tag.Envs...)
		}
		return next(nil)
	})
	return names
}
