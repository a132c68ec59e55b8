package logtest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"herald/internal/eventlog"
	"herald/internal/postgres"
)

const (
	// asSequencer makes the test binary a sequencer on the database at the URL.
	asSequencer = "HERALD_TEST_SEQUENCER_URL"
	// sequencerConfig is its eventlog.Config, as JSON.
	sequencerConfig = "HERALD_TEST_SEQUENCER_CONFIG"
)

// process is the test binary, run once more as something that may be killed.
// It ends by itself when the test binary does.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader // what it prints
}

// spawn starts a process; what it logs goes to the writer.
func spawn(logs io.Writer, attributes *syscall.SysProcAttr, environ ...string) (*process, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stderr = logs
	cmd.SysProcAttr = attributes
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, stdin: stdin, lines: bufio.NewReader(stdout)}, nil
}

// kill ends the process with SIGKILL, stopped or not.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// tell sends the process a line, and hear reads one of its.
func (p *process) tell(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

func (p *process) hear() (string, error) {
	line, err := p.lines.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// spawnSequencer starts a sequencer in a process of its own.
func spawnSequencer(logs io.Writer, url string, config eventlog.Config) (*process, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return spawn(logs, nil, asSequencer+"="+url, sequencerConfig+"="+string(text))
}

// partition is how many events a partition has, few enough for sequencers to be
// killed while they make one.
const partition = 500

// runSequencer is the life of such a process.
func runSequencer(url string) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test binary ends
	}()
	var config eventlog.Config
	if err := json.Unmarshal([]byte(os.Getenv(sequencerConfig)), &config); err != nil {
		return fmt.Errorf("read %s: %w", sequencerConfig, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("pid", os.Getpid())
	for ctx.Err() == nil {
		db, err := postgres.Open(ctx, url, postgres.Config{MaxConns: 1, Partition: partition})
		if err != nil {
			_ = rest(ctx, 50*time.Millisecond)
			continue
		}
		defer db.Close()
		return eventlog.NewSequencer(db, log, config).Run(ctx)
	}
	return nil
}
