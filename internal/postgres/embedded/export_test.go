package embedded

import (
	"io"
	"log/slog"
)

// LogWriter returns what takes Postgres' words, as of a server that answers.
func LogWriter(log *slog.Logger) io.Writer {
	o := newOutput(log)
	o.setLoud(true)
	return o
}
