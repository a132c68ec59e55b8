// Package export writes rows as CSV, NDJSON or Parquet, compressed or not, with
// bounded memory, and says what a dataset is: a query with parameters. It knows
// nothing of where rows come from and where bytes go.
package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrValue is returned for a value that a format has no place for. Trying again
// is of no use; another format may be.
var ErrValue = errors.New("the format has no place for a value")

// ErrColumns is returned for columns that cannot be written.
var ErrColumns = errors.New("the columns cannot be exported")

// QueryError says that a dataset's query is refused or cannot be answered. Trying
// again is of no use.
type QueryError struct{ Dataset, Reason string }

func (e *QueryError) Error() string { return fmt.Sprintf("dataset %s: %s", e.Dataset, e.Reason) }

// Query says which rows are to be read.
type Query struct {
	Dataset  string
	Params   map[string]string // as Param.Text has them; one that is left out is NULL or its default
	Columns  []string          // which of the dataset's, in that order; none: all
	Owner    string            // whose rows alone are to be seen; empty: everybody's
	TimeZone string            // in which times are told, such as Europe/Berlin
	Label    string            // names the reader to those who look at the database's sessions
}

// Sink takes what is read.
type Sink interface {
	// Begin is called once, before the first row. The estimate is how many rows
	// the database expects.
	Begin(columns []Column, estimate int64) error
	// Row takes one row: each value in Postgres' text form, nil for NULL. It does
	// not keep them.
	Row(values [][]byte) error
}

// Source reads datasets.
type Source interface {
	// Dataset returns the dataset of the name.
	Dataset(name string) (Dataset, bool)
	// Read reads all rows, as they stood at one moment, into the sink. When ctx
	// ends, the database is told to stop. It returns a *QueryError when trying
	// again is of no use, and the sink's own error as it is.
	Read(ctx context.Context, q Query, sink Sink) error
}

// Format is what rows are written as.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	NDJSON  Format = "ndjson"
	Parquet Format = "parquet"
)

// Formats returns every format.
func Formats() []Format { return []Format{CSV, NDJSON, Parquet} }

// Compression is how what is written is compressed: the whole of CSV and NDJSON,
// the pages within Parquet.
type Compression string

// The compressions.
const (
	Plain Compression = "none"
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
)

// Compressions returns every compression.
func Compressions() []Compression { return []Compression{Plain, Gzip, Zstd} }

// Options say how rows are written.
type Options struct {
	Format      Format
	Compression Compression // default Plain
	CSV         CSVOptions
}

// Extension is how the names of such files end, with its dot.
func (o Options) Extension() string {
	extension := "." + string(o.Format)
	switch {
	case o.Format == Parquet:
	case o.Compression == Gzip:
		extension += ".gz"
	case o.Compression == Zstd:
		extension += ".zst"
	}
	return extension
}

// ContentType is the media type of such files.
func (o Options) ContentType() string {
	switch {
	case o.Format == Parquet:
		return "application/vnd.apache.parquet"
	case o.Compression == Gzip:
		return "application/gzip"
	case o.Compression == Zstd:
		return "application/zstd"
	case o.Format == CSV:
		return "text/csv; charset=utf-8"
	default:
		return "application/x-ndjson"
	}
}

// encoder writes rows in one format.
type encoder interface {
	row(values [][]byte) error
	close() error // writes what is left
}

// Writer writes one export. It is not safe for concurrent use. A Writer that is
// not closed has written a half file.
type Writer struct {
	encoder  encoder
	compress io.WriteCloser // nil when nothing is compressed, or not here
	tally    *tally
	rows     int64
}

// NewWriter returns a Writer of rows with the columns, which writes to out. It
// returns ErrColumns when there are none, or two of a name.
func NewWriter(out io.Writer, columns []Column, o Options) (*Writer, error) {
	if err := CheckColumns(columns); err != nil {
		return nil, err
	}
	w := &Writer{tally: &tally{out: out, hash: sha256.New()}}
	var below io.Writer = w.tally
	if o.Format != Parquet {
		compress, err := compressor(w.tally, o.Compression)
		if err != nil {
			return nil, err
		}
		if w.compress = compress; compress != nil {
			below = compress
		}
	}
	var err error
	switch o.Format {
	case CSV:
		w.encoder = newCSV(below, columns, o.CSV)
	case NDJSON:
		w.encoder = newNDJSON(below, columns)
	case Parquet:
		w.encoder, err = newParquet(below, columns, o.Compression)
	default:
		err = fmt.Errorf("%q is not a format of exports", o.Format)
	}
	return w, err
}

// compressor is a stream that compresses what is written to it, or nil.
func compressor(out io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case Plain, "":
		return nil, nil //nolint:nilnil // there is none
	case Gzip:
		return gzip.NewWriterLevel(out, gzip.BestSpeed)
	case Zstd:
		return zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	default:
		return nil, fmt.Errorf("%q is not a compression of exports", c)
	}
}

// Write writes one row: each value in Postgres' text form, nil for NULL. It
// keeps none of them.
func (w *Writer) Write(values [][]byte) error {
	if err := w.encoder.row(values); err != nil {
		return err
	}
	w.rows++
	return nil
}

// Close writes what is left; the file is whole then. It does not close what is
// below.
func (w *Writer) Close() error {
	if err := w.encoder.close(); err != nil {
		return err
	}
	if w.compress != nil {
		return w.compress.Close()
	}
	return nil
}

// Abandon lets go of what a Writer holds that will not be closed.
func (w *Writer) Abandon() {
	if w.compress != nil {
		_ = w.compress.Close() // ends the compressor's goroutines; what it still writes goes nowhere
	}
}

// Rows is how many rows were written.
func (w *Writer) Rows() int64 { return w.rows }

// Size is how many bytes have left the Writer.
func (w *Writer) Size() int64 { return w.tally.size.Load() }

// SHA256 is the hex digest of a closed Writer's file.
func (w *Writer) SHA256() string { return hex.EncodeToString(w.tally.hash.Sum(nil)) }

// tally counts what passes, and digests it.
type tally struct {
	out  io.Writer
	hash hash.Hash
	size atomic.Int64 // a compressor writes from a goroutine of its own
}

func (t *tally) Write(b []byte) (int, error) {
	n, err := t.out.Write(b)
	_, _ = t.hash.Write(b[:n]) // never fails
	t.size.Add(int64(n))
	return n, err
}

// chunk is how much text is gathered before it is passed on, in bytes.
const chunk = 64 << 10

// gatherer passes text on in large pieces.
type gatherer struct {
	out    io.Writer
	buffer []byte
}

func newGatherer(out io.Writer) gatherer {
	const spare = 16 << 10 // most rows are smaller
	return gatherer{out: out, buffer: make([]byte, 0, chunk+spare)}
}

// passOn passes on what was gathered when it is enough.
func (g *gatherer) passOn() error {
	if len(g.buffer) < chunk {
		return nil
	}
	return g.close()
}

func (g *gatherer) close() error {
	_, err := g.out.Write(g.buffer)
	g.buffer = g.buffer[:0]
	const most = 16 * chunk
	if cap(g.buffer) > most { // a huge row is no reason to stay huge
		*g = newGatherer(g.out)
	}
	return err
}
