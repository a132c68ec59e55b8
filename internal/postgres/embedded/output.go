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

	mu    sync.Mutex // guards the fields below
	rest  []byte
	lines []string
	loud  bool
	level slog.Level // of the line before
}

func newOutput(log *slog.Logger) *output { return &output{log: log} }

// Write takes the next piece. It never fails, so that Postgres never waits.
func (o *output) Write(piece []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for written := piece; len(written) > 0; {
		line, rest, ended := bytes.Cut(written, []byte("\n"))
		if room := longestLine - len(o.rest); len(line) > room {
			line = line[:room]
		}
		o.rest = append(o.rest, line...)
		if ended {
			o.line(string(o.rest))
			o.rest = o.rest[:0]
		}
		written = rest
	}
	return len(piece), nil
}

// close takes what came last without the end of a line.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rest) > 0 {
		o.line(string(o.rest))
		o.rest = nil
	}
}

func (o *output) line(line string) {
	if o.lines = append(o.lines, line); len(o.lines) > lastLines {
		o.lines = o.lines[1:]
	}
	o.level = severity(line, o.level)
	level := o.level
	if !o.loud {
		level = slog.LevelDebug
	}
	o.log.Log(context.Background(), level, "postgres", "line", line)
}

// severity translates Postgres' word for how bad it is. FATAL ends a session,
// and only PANIC the server. A line that goes with the one before has its level.
func severity(line string, before slog.Level) slog.Level {
	word, _, _ := strings.Cut(line, ":")
	switch {
	case word == "PANIC":
		return slog.LevelError
	case word == "LOG", word == "INFO", word == "NOTICE", strings.HasPrefix(word, "DEBUG"):
		return slog.LevelDebug
	case word == "DETAIL", word == "HINT", word == "CONTEXT", word == "QUERY", word == "STATEMENT", strings.HasPrefix(line, "\t"):
		return before
	default:
		return slog.LevelWarn
	}
}

// setLoud says whether what comes from now on is logged by its own level. A
// server that starts tells its caller what went wrong, and one that stops
// complains about its clients: these are matters of debugging.
func (o *output) setLoud(loud bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.loud = loud
}

// last is the last that was written, on one line.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "; ")
}
