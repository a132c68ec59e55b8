package export

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

const (
	// groupSize is how much text goes into a row group, which is held in memory
	// until it is written, in bytes.
	groupSize = 16 << 20
	// batch is how many rows are handed over at once.
	batch = 128
	// dictionarySize bounds how large a column's dictionary may get before its
	// values are written one by one, in bytes.
	dictionarySize = 64 << 10
)

// parquetFile writes Parquet. All columns are optional.
type parquetFile struct {
	out    *parquet.GenericWriter[any]
	leaves []leaf
	rows   []parquet.Row
	texts  []byte // what the rows' values point to
	waits  int    // rows that were not handed over yet
	size   int    // text in the row group
	number int64  // of the row, for errors
}

func newParquet(out io.Writer, columns []Column, c Compression) (*parquetFile, error) {
	codec, err := codecOf(c)
	if err != nil {
		return nil, err
	}
	f := &parquetFile{rows: make([]parquet.Row, batch)}
	schema := ordered{Group: parquet.Group{}}
	for _, column := range columns {
		l := leafOf(column)
		f.leaves = append(f.leaves, l)
		schema.Group[column.Name] = parquet.Optional(l.node)
		schema.names = append(schema.names, column.Name)
	}
	for i := range f.rows {
		f.rows[i] = make(parquet.Row, 0, len(columns))
	}
	f.out = parquet.NewGenericWriter[any](out, parquet.NewSchema("export", schema), parquet.Compression(codec),
		parquet.DictionaryMaxBytes(dictionarySize), parquet.CreatedBy("herald", "1", ""))
	return f, nil
}

func codecOf(c Compression) (compress.Codec, error) {
	switch c {
	case Plain, "":
		return &parquet.Uncompressed, nil
	case Gzip:
		return &parquet.Gzip, nil
	case Zstd:
		return &parquet.Zstd, nil
	default:
		return nil, fmt.Errorf("%q is not a compression of exports", c)
	}
}

// ordered is a group whose fields stay in their order.
type ordered struct {
	parquet.Group

	names []string
}

// Fields returns the fields in the order of names.
func (o ordered) Fields() []parquet.Field {
	byName := make(map[string]parquet.Field, len(o.names))
	for _, f := range o.Group.Fields() {
		byName[f.Name()] = f
	}
	fields := make([]parquet.Field, len(o.names))
	for i, name := range o.names {
		fields[i] = byName[name]
	}
	return fields
}

func (f *parquetFile) row(values [][]byte) error {
	f.number++
	row := f.rows[f.waits][:0]
	for i, v := range values {
		if v == nil {
			row = append(row, parquet.NullValue().Level(0, 0, i))
			continue
		}
		value, err := f.value(f.leaves[i], v)
		if err != nil {
			return fmt.Errorf("row %d, column %s: %w", f.number, f.leaves[i].name, err)
		}
		row = append(row, value.Level(0, 1, i))
		f.size += len(v)
	}
	f.rows[f.waits] = row
	if f.waits++; f.waits < batch && len(f.texts) < groupSize/4 {
		return nil
	}
	return f.handOver()
}

// value reads a value's text. What it points to is kept until the row is handed
// over.
func (f *parquetFile) value(l leaf, v []byte) (parquet.Value, error) {
	if l.parse != nil {
		return l.parse(v)
	}
	from := len(f.texts)
	f.texts = append(f.texts, v...)
	return parquet.ByteArrayValue(f.texts[from:len(f.texts):len(f.texts)]), nil
}

func (f *parquetFile) handOver() error {
	if _, err := f.out.WriteRows(f.rows[:f.waits]); err != nil {
		return err
	}
	f.waits, f.texts = 0, f.texts[:0]
	if cap(f.texts) > groupSize {
		f.texts = nil // huge rows are no reason to stay huge
	}
	if f.size < groupSize {
		return nil
	}
	f.size = 0
	return f.out.Flush()
}

func (f *parquetFile) close() error {
	if err := f.handOver(); err != nil {
		return err
	}
	return f.out.Close()
}
