package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
)

// eventColumns are the columns that eventRows reads, in order.
const (
	eventColumns        = `seq, ` + eventColumnsBesides
	eventColumnsBesides = `id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload`
)

// eventRows reads events out of a query's rows. Reading is what checking the
// log costs, so it takes the binary form apart itself: 1.6 µs of our CPU an
// event, against 11 by Scan.
type eventRows struct {
	rows   pgx.Rows
	binary bool              // the server sends what read understands
	names  map[string]string // types and actors, of which there are few
}

func newEventRows(rows pgx.Rows) *eventRows {
	r := &eventRows{rows: rows, binary: true, names: make(map[string]string)}
	for i, field := range rows.FieldDescriptions() {
		const text, payload = 25, 9 // whose binary form is their text
		if field.Format != pgx.BinaryFormatCode && field.DataTypeOID != text && i != payload {
			r.binary = false // a pooler may allow the simple protocol only
		}
	}
	return r
}

// event reads the row that rows stands at.
func (r *eventRows) event() (event.Event, error) {
	if !r.binary {
		return r.scan()
	}
	e, err := r.read(r.rows.RawValues())
	if err != nil {
		return e, fmt.Errorf("read an event: %w", err)
	}
	return e, nil
}

func (r *eventRows) scan() (e event.Event, err error) {
	var (
		jobID   *uuid.UUID
		payload []byte
	)
	if err := r.rows.Scan(&e.Seq, &e.ID, &e.Type, &e.Topics, &jobID, &e.JobVersion, &e.Actor, &e.CreatedAt, &e.RecordedAt, &payload); err != nil {
		return e, fmt.Errorf("read an event: %w", err)
	}
	if e.Payload = payload; jobID != nil {
		e.JobID = *jobID
	}
	return e, nil
}

// errRow is returned for a row that is not of the form that it should have.
var errRow = errors.New("not the binary form of an event")

func (r *eventRows) read(columns [][]byte) (e event.Event, err error) {
	if len(columns) != 10 || len(columns[0]) != 8 || len(columns[1]) != 16 || len(columns[5]) != 8 ||
		len(columns[7]) != 8 || len(columns[8]) != 8 || columns[9] == nil {
		return e, errRow
	}
	e.Seq = event.Seq(binary.BigEndian.Uint64(columns[0]))
	e.ID = uuid.UUID(columns[1])
	e.Type = event.Type(r.name(columns[2]))
	if e.Topics, err = readTopics(columns[3]); err != nil {
		return e, err
	}
	if len(columns[4]) == 16 {
		e.JobID = uuid.UUID(columns[4])
	}
	e.JobVersion = int64(binary.BigEndian.Uint64(columns[5]))
	e.Actor = r.name(columns[6])
	e.CreatedAt, e.RecordedAt = readTime(columns[7]), readTime(columns[8])
	e.Payload = append(make([]byte, 0, len(columns[9])), columns[9]...)
	return e, nil
}

// name keeps one copy of a text that comes often.
func (r *eventRows) name(text []byte) string {
	const most = 1000
	if name, ok := r.names[string(text)]; ok {
		return name
	}
	name := string(text)
	if len(r.names) < most {
		r.names[name] = name
	}
	return name
}

// readTime reads a timestamptz: microseconds since the year 2000.
func readTime(column []byte) time.Time {
	const epoch = 946_684_800_000_000
	return time.UnixMicro(int64(binary.BigEndian.Uint64(column)) + epoch).UTC()
}

// readTopics reads a text[]: dimensions, flags, type, size, lower bound, and
// then each element after its length.
func readTopics(column []byte) ([]event.Topic, error) {
	const head = 20
	if len(column) < head || binary.BigEndian.Uint32(column) != 1 {
		return nil, errRow
	}
	n, rest := int(binary.BigEndian.Uint32(column[12:])), string(column[head:])
	if n > len(rest)/4 {
		return nil, errRow
	}
	topics := make([]event.Topic, n)
	for i := range topics {
		if len(rest) < 4 {
			return nil, errRow
		}
		size := int(binary.BigEndian.Uint32([]byte(rest[:4])))
		if size > len(rest)-4 {
			return nil, errRow
		}
		topics[i], rest = event.Topic(rest[4:4+size]), rest[4+size:]
	}
	return topics, nil
}
