package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"herald"
)

type runCmd struct {
	remote
	Title          string            `help:"What people call the job (default: the command)."`
	Kind           string            `help:"The job's kind." default:"command"`
	Owner          string            `help:"Whose job it is (default: the token's owner)."`
	CallbackURL    string            `help:"Who is told of its end, by a signed POST (docs/webhooks.md)." placeholder:"URL"`
	Metadata       map[string]string `help:"What streams are filtered by: KEY=VALUE."`
	ProgressRegexp string            `help:"Turns matching lines into progress: one group is a percentage, two are how much is done and how much there is to do." placeholder:"REGEXP"`
	Unit           string            `help:"What two groups of --progress-regexp count."`
	KillAfter      time.Duration     `help:"How long the command has to end when the job is cancelled." default:"10s"`
	Command        []string          `arg:"" passthrough:"" help:"The command and its arguments, after --."`
}

// exitError is how the program ends, without a word of its own.
type exitError int

func (s exitError) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

const (
	// startTime is how long the command waits for its job to be known.
	startTime = 2 * time.Second
	// lastTime is how long the program tries to say how the command has ended.
	lastTime = 5 * time.Second
	// notFound is a shell's exit status for a command that is not there.
	notFound = 127
)

// errCancelledHere is why a command was stopped by who started it.
var errCancelledHere = errors.New("it was interrupted")

// Run runs the command, whatever becomes of the reports on it.
func (c *runCmd) Run(ctx context.Context, t *terminal) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return errors.New("no command: want 'herald run -- COMMAND …'")
	}
	pattern, err := progressPattern(c.ProgressRegexp)
	if err != nil {
		return err
	}
	client, err := c.client(func(config *herald.Config) { config.EndTime = lastTime })
	if err != nil {
		return err
	}
	told := newTeller(context.WithoutCancel(ctx), client, c.job(command), t)
	told.awaitStart(startTime)
	status, why := c.run(ctx, t, command, told, pattern)
	told.end(context.WithoutCancel(ctx), status, why)
	if status != 0 {
		return exitError(status)
	}
	return nil
}

// job is the job that the command is.
func (c *runCmd) job(command []string) herald.NewJob {
	n := herald.NewJob{Kind: c.Kind, Title: c.Title, Owner: c.Owner, CallbackURL: c.CallbackURL, Key: rand.Text()}
	if n.Title == "" {
		n.Title = clipTitle(strings.Join(append([]string{filepath.Base(command[0])}, command[1:]...), " "))
	}
	if host, err := os.Hostname(); err == nil {
		n.Worker = host + ":" + strconv.Itoa(os.Getpid())
	}
	if len(c.Metadata) > 0 {
		n.Metadata = map[string]any{}
		for key, value := range c.Metadata {
			n.Metadata[key] = value
		}
	}
	return n
}

func clipTitle(text string) string {
	const longest = 200
	if runes := []rune(plain(text)); len(runes) > longest/2 {
		return string(runes[:longest/2]) + "…"
	}
	return plain(text)
}

// run runs the command to its end, and returns its exit status, and why it was
// stopped, if it was.
func (c *runCmd) run(ctx context.Context, t *terminal, command []string, told *teller, pattern *regexp.Regexp) (int, error) {
	out, errs := told.lines(t.stdout, pattern, c.Unit), told.lines(t.stderr, pattern, c.Unit)
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it is asked to end, and gets time for it
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.stdin, out, errs
	cmd.Env = append(os.Environ(), told.environ()...)
	// What the command starts is to end with it, so it has a group of its own; on a
	// terminal it stays in ours, which may read from there and gets its Ctrl-C.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !isTerminal(os.Stdin)}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		complain(t.stderr, err)
		return notFound, err
	}
	ended := make(chan struct{})
	var stopping sync.WaitGroup
	var why error
	stopping.Go(func() { why = c.stop(ctx, cmd, signals, told, ended) })
	err := cmd.Wait()
	close(ended)
	stopping.Wait()
	out.flush()
	errs.flush()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 1, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		const bySignal = 128 // as shells say it
		return bySignal + int(status.Signal()), why
	}
	return exit.ExitCode(), why
}

// stop ends the command when its job is cancelled, or this program is to end, and
// returns which it was; nil when the command ended by itself.
func (c *runCmd) stop(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal, told *teller, ended <-chan struct{}) error {
	why := errCancelledHere
	passOn := os.Signal(syscall.SIGTERM)
	select {
	case <-ended:
		return nil
	case <-told.cancelled:
		why = herald.ErrCancelled
	case passOn = <-signals:
	case <-ctx.Done():
		select { // the signal that ended ctx comes here too
		case passOn = <-signals:
		case <-ended:
			return why
		case <-time.After(100 * time.Millisecond):
		}
	}
	if passOn == os.Interrupt && isTerminal(os.Stdin) { // the terminal has told the command as well
		<-ended
		return why
	}
	send(cmd, passOn)
	select {
	case <-ended:
	case <-time.After(c.KillAfter):
		send(cmd, os.Kill)
	}
	return why
}

// send sends the signal to the command and what it has started, as far as they are
// a group. They may have ended.
func send(cmd *exec.Cmd, s os.Signal) {
	if number, ok := s.(syscall.Signal); ok && cmd.SysProcAttr.Setpgid {
		_ = syscall.Kill(-cmd.Process.Pid, number)
		return
	}
	_ = cmd.Process.Signal(s)
}

// progressPattern reads --progress-regexp; nil when there is none.
func progressPattern(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("--progress-regexp: %w", err)
	}
	if n := pattern.NumSubexp(); n < 1 || n > 2 {
		return nil, fmt.Errorf("--progress-regexp has %d groups: want one for a percentage, or two for how much is done and how much there is", n)
	}
	return pattern, nil
}
