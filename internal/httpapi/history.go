package httpapi

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"herald/internal/auth"
	"herald/internal/event"
)

const (
	ndjsonType = "application/x-ndjson"
	csvType    = "text/csv"
	// linesPage is how many events are held at once.
	linesPage = 500
)

// errExports is returned when too many read all of their history at once.
var errExports = fmt.Errorf("more than %d read all of their history at once", maxLines)

// maxLines bounds how many answers of all that matches are under way.
const maxLines = 8

// exportEvents answers with everything that matches, as the log stands now. It is
// read in pages, up to the head of now: what is in the log never changes, so that
// is what one snapshot would show, and a slow client holds no transaction open.
func (a *api) exportEvents(ctx context.Context, in *historyIn, q event.Query) (*huma.StreamResponse, error) {
	if in.After > 0 && in.Before > 0 {
		return nil, fmt.Errorf("%w: after and before: want one of them", event.ErrQuery)
	}
	q.Limit, q.Patience = linesPage, pagePatience
	q.Backward = in.Order == "desc"
	l := &eventLines{api: a, principal: principalOf(ctx), query: q, low: event.Seq(in.After), high: math.MaxInt64 - 1}
	if in.Before > 0 {
		l.high = event.Seq(in.Before) - 1
	}
	select {
	case a.exporting <- struct{}{}:
	default:
		return nil, errExports
	}
	if err := l.page(ctx); err != nil { // so that a refusal is an answer of its own
		<-a.exporting
		return nil, err
	}
	return &huma.StreamResponse{Body: func(to huma.Context) { //nolint:contextcheck // it is the request's, whose end it is to see
		defer func() { <-a.exporting }()
		r, w := humachi.Unwrap(to)
		l.serve(r.Context(), w, in.Format)
	}}, nil
}

// eventLines is an answer of all that matches.
type eventLines struct {
	api       *api
	principal auth.Principal
	query     event.Query
	low, high event.Seq // between these is what is still to be read: after low, up to high
	read      event.Page
}

// page reads the next page.
func (l *eventLines) page(ctx context.Context) (err error) {
	q := l.query
	if q.Backward {
		q.Before = l.high + 1
	} else {
		q.After = l.low
	}
	if l.read, err = l.api.page(ctx, q); err != nil {
		return err
	}
	l.high = min(l.high, l.read.Head) // of the first page: later ones are of a log that has grown
	if q.Backward {
		l.high = l.read.Reached - 1
	} else {
		l.low = l.read.Reached
	}
	return nil
}

// more reports whether there is something to be read.
func (l *eventLines) more() bool { return l.read.More && l.low < l.high }

// serve writes line after line, until all is written or the client is gone. What
// fails in between cuts the connection, so that nobody takes a part for the whole.
func (l *eventLines) serve(ctx context.Context, w http.ResponseWriter, format string) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	contentType, name := ndjsonType, "events.ndjson"
	if format == "csv" {
		contentType, name = csvType+"; charset=utf-8; header=present", "events.csv"
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // a writer that knows no deadlines has none to be moved
	w.WriteHeader(http.StatusOK)
	out := bufio.NewWriterSize(paced{w, control}, 64<<10)
	write := l.ndjson(out)
	if format == "csv" {
		write = l.csv(out)
	}
	if err := l.all(ctx, write); err != nil || out.Flush() != nil {
		l.api.Log.DebugContext(ctx, "history not written to its end", "error", err, "request_id", requestID(ctx))
		panic(http.ErrAbortHandler)
	}
}

// all writes page after page.
func (l *eventLines) all(ctx context.Context, write func(record) error) error {
	for {
		for _, e := range l.read.Events {
			if !l.query.Backward && e.Seq > l.high || l.query.Backward && e.Seq <= l.low {
				return nil
			}
			if err := write(recordOf(l.principal, e)); err != nil {
				return err
			}
		}
		if !l.more() {
			return nil
		}
		if err := l.page(ctx); err != nil {
			return err
		}
	}
}

func (l *eventLines) ndjson(out *bufio.Writer) func(record) error {
	return func(r record) error {
		_, err := out.Write(append(encodeRecord(r), '\n'))
		return err
	}
}

// csv writes a head, and then a row for each event.
func (l *eventLines) csv(out io.Writer) func(record) error {
	rows := csv.NewWriter(out)
	head := []string{"seq", "id", "type", "time", "recorded_at", "job_id", "job_version", "actor", "topics", "data"}
	if err := rows.Write(head); err != nil {
		return func(record) error { return err }
	}
	rows.Flush()
	return func(r record) error {
		err := rows.Write([]string{
			r.Seq.String(), r.ID.String(), string(r.Type), r.Time.Format(time.RFC3339Nano), r.RecordedAt.Format(time.RFC3339Nano),
			jobOf(r), strconv.FormatInt(r.JobVersion, 10), r.Actor, joined(r.Topics), string(r.Data),
		})
		rows.Flush()
		return err
	}
}

func jobOf(r record) string {
	if r.JobID == nil {
		return ""
	}
	return r.JobID.String()
}

// joined lists topics, in which no space can stand.
func joined(topics []event.Topic) string {
	list := make([]string, len(topics))
	for i, t := range topics {
		list[i] = string(t)
	}
	return strings.Join(list, " ")
}

// paced gives each write a time of its own, so that a long answer may take long,
// and a client that takes nothing may not.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p paced) Write(b []byte) (int, error) {
	if err := ignoreUnsupported(p.control.SetWriteDeadline(time.Now().Add(idleTransfer))); err != nil {
		return 0, err
	}
	n, err := p.ResponseWriter.Write(b)
	if err == nil {
		err = ignoreUnsupported(p.control.Flush())
	}
	// One that stays would end an HTTP/2 answer while the next line is looked for.
	return n, errors.Join(err, ignoreUnsupported(p.control.SetWriteDeadline(time.Time{})))
}
