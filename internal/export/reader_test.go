package export_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"

	"herald/internal/export"
)

// readWithArrow reads a Parquet file with Apache Arrow, which has no code in common
// with what wrote it: the kinds of its columns, and its rows as text.
func readWithArrow(t *testing.T, content []byte) (kinds []string, rows [][]string) {
	t.Helper()
	f, err := file.NewParquetReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := reader.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	rows = make([][]string, table.NumRows())
	for i, field := range table.Schema().Fields() {
		kinds = append(kinds, fmt.Sprintf("%s %s", field.Name, field.Type))
		row := 0
		for _, chunk := range table.Column(i).Data().Chunks() {
			for at := range chunk.Len() {
				rows[row] = append(rows[row], text(chunk, at))
				row++
			}
		}
	}
	return kinds, rows
}

func text(values arrow.Array, at int) string {
	if values.IsNull(at) {
		return "NULL"
	}
	return values.ValueStr(at)
}

func TestAnotherReaderReadsParquet(t *testing.T) {
	t.Parallel()
	columns, values := everyKind()
	wantKinds := []string{
		"z int64", "a utf8", "d decimal(10, 2)", "w decimal(30, 4)", "n utf8", "t timestamp[us, tz=UTC]", "l timestamp[us]", "day date32",
		"u extension<arrow.uuid>", "f float64", "b bool", "raw binary", "j binary",
	}
	ides := time.Date(-43, 3, 15, 12, 0, 0, 0, time.UTC).UnixMicro() // for which the reader has no text
	wantRows := [][]string{
		{
			"9007199254740993", "😀", "-12345678.9", "-0.0001", "1e-30", "2026-03-29T00:59:59.999999Z", "0001-01-01T00:00:00", "1969-12-31",
			"0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e", "0.1", "true", base64.StdEncoding.EncodeToString([]byte("\x00\xff")),
			base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)),
		},
		{
			"NULL", "", "NULL", "NULL", "NaN", strconv.FormatInt(ides, 10), "NULL", "NULL", "NULL", "NaN", "false", "",
			base64.StdEncoding.EncodeToString([]byte("null")),
		},
	}
	for _, compression := range export.Compressions() {
		content, err := write(t, columns, export.Options{Format: export.Parquet, Compression: compression}, values...)
		if err != nil {
			t.Fatal(err)
		}
		kinds, rows := readWithArrow(t, content)
		if diff := cmp.Diff(wantKinds, kinds); diff != "" {
			t.Errorf("%s: the columns: -want +got:\n%s", compression, diff)
		}
		if diff := cmp.Diff(wantRows, rows); diff != "" {
			t.Errorf("%s: the rows: -want +got:\n%s", compression, diff)
		}
	}
}

// A file of several groups of rows has all of them, in their order.
func TestAnotherReaderReadsManyRows(t *testing.T) {
	t.Parallel()
	const many = 60_000
	columns := []export.Column{{Name: "n", Kind: export.Int64}, {Name: "text"}}
	values := make([][]string, many)
	for i := range values {
		values[i] = []string{strconv.Itoa(i), fmt.Sprintf("%0500d", i%1000)}
	}
	values[7][1] = "NULL"
	content, err := write(t, columns, export.Options{Format: export.Parquet, Compression: export.Zstd}, values...)
	if err != nil {
		t.Fatal(err)
	}
	_, rows := readWithArrow(t, content)
	if diff := cmp.Diff(values, rows); diff != "" {
		t.Errorf("-written +read:\n%.2000s", diff)
	}
}
