package embedded

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

const (
	// longestLine bounds what is kept of one line that Postgres writes.
	longestLine = 4 << 10
	// lastLines is how many lines a failed start shows.
	lastLines = 8
)

// output takes what Postgres writes, line by line, to the log.
type output struct {
	log *slog.Logger

	mu       sync.Mutex // guards the fields below
	rest     []byte
	lines    []string
	stopping bool
}

func newOutput(log *slog.Logger) *output { return &output{log: log} }

// Write takes the next piece.
func (o *output) Write(piece []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rest = append(o.rest, piece...)
	for {
		line, rest, found := bytes.Cut(o.rest, []byte("\n"))
		if !found {
			break
		}
		o.line(string(line[:min(len(line), longestLine)]))
		o.rest = rest
	}
	if len(o.rest) > longestLine {
		o.rest = o.rest[:longestLine]
	}
	return len(piece), nil
}

func (o *output) line(line string) {
	if o.lines = append(o.lines, line); len(o.lines) > lastLines {
		o.lines = o.lines[1:]
	}
	level := severity(line)
	if o.stopping {
		level = slog.LevelDebug
	}
	o.log.Log(context.Background(), level, "postgres", "line", line)
}

// severity translates Postgres' word for how bad it is.
func severity(line string) slog.Level {
	word, _, _ := strings.Cut(line, ":")
	switch word {
	case "PANIC", "FATAL":
		return slog.LevelError
	case "ERROR", "WARNING":
		return slog.LevelWarn
	default:
		return slog.LevelDebug
	}
}

// quiet makes what comes from now on a matter of debugging: a server that is
// being stopped complains about its clients.
func (o *output) quiet() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopping = true
}

// last is the last that was written, on one line.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "; ")
}
