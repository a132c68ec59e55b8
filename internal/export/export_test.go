package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"herald/internal/export"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write writes one row of the values, "NULL" for NULL, and returns the file.
func write(t *testing.T, columns []export.Column, o export.Options, rows ...[]string) ([]byte, error) {
	t.Helper()
	var file bytes.Buffer
	w, err := export.NewWriter(&file, columns, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abandon()
	for _, row := range rows {
		values := make([][]byte, len(row))
		for i, v := range row {
			if v != "NULL" {
				values[i] = []byte(v)
			}
		}
		if err := w.Write(values); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if w.Rows() != int64(len(rows)) || w.Size() != int64(file.Len()) {
		t.Errorf("%d rows and %d bytes, want %d and %d", w.Rows(), w.Size(), len(rows), file.Len())
	}
	return file.Bytes(), nil
}

func TestFormulasAreTextInSafeCSV(t *testing.T) {
	t.Parallel()
	columns := []export.Column{{Name: "=name"}, {Name: "n", Kind: export.Numeric}}
	for value, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "\"'\rx\"", " =1": "' =1", "＝1": "'＝1",
		"a=1": "a=1", "'=1": "'=1", "": `""`, `="a"`: `"'=""a"""`, "=a,b": `"'=a,b"`,
	} {
		got, err := write(t, columns, export.Options{Format: export.CSV, CSV: export.CSVOptions{Header: true, Safe: true}}, []string{value, "-1.50"})
		if err != nil || string(got) != "'=name,n\n"+want+",-1.50\n" {
			t.Errorf("%q: %q, %v, want %q", value, got, err, want)
		}
	}
}

func TestNDJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind        export.Kind
		value, want string
	}{
		{export.Text, "NULL", `null`},
		{export.Text, "a \"b\" \\ \n\r\t\x01 😀 </x> \u2028", `"a \"b\" \\ \n\r\t\u0001 😀 </x> ` + "\u2028" + `"`},
		{export.Text, "\xff", "\"\uFFFD\""},
		{export.Bool, "t", `true`},
		{export.Bool, "f", `false`},
		{export.Int64, "9007199254740993", `9007199254740993`},
		{export.Numeric, "-12345678901234567890.1000", `-12345678901234567890.1000`},
		{export.Numeric, "NaN", `"NaN"`},
		{export.Float64, "-Infinity", `"-Infinity"`},
		{export.Float64, "1e+300", `1e+300`},
		{export.JSON, "{\"a\": [1,\n 2.50],\r\n\"b\":\"x\\ny\"}", `{"a":[1,2.50],"b":"x\ny"}`},
		{export.JSON, `{"a": 1}`, `{"a": 1}`},
		{export.Timestamp, "2026-03-29 01:59:59.999999+01", `"2026-03-29T01:59:59.999999+01:00"`},
		{export.Timestamp, "2026-03-29 01:59:59+05:30", `"2026-03-29T01:59:59+05:30"`},
		{export.Timestamp, "infinity", `"infinity"`},
		{export.Timestamp, "0044-03-15 12:00:00+00 BC", `"0044-03-15 12:00:00+00 BC"`},
		{export.LocalTimestamp, "2026-03-29 02:30:00", `"2026-03-29T02:30:00"`},
		{export.Date, "2026-03-29", `"2026-03-29"`},
		{export.Bytes, `\x00ff`, `"\\x00ff"`},
	} {
		got, err := write(t, []export.Column{{Name: "v", Kind: tt.kind}}, export.Options{Format: export.NDJSON}, []string{tt.value})
		if err != nil || string(got) != `{"v":`+tt.want+"}\n" || !json.Valid(got) {
			t.Errorf("%q: %s, %v, want %s", tt.value, got, err, tt.want)
		}
	}
}

// everyKind is a column of each kind, and two rows: what is odd, and what is
// missing or odder.
func everyKind() (columns []export.Column, rows [][]string) {
	columns = []export.Column{
		{Name: "z", Kind: export.Int64},
		{Name: "a"},
		{Name: "d", Kind: export.Numeric, Precision: 10, Scale: 2},
		{Name: "w", Kind: export.Numeric, Precision: 30, Scale: 4},
		{Name: "n", Kind: export.Numeric},
		{Name: "t", Kind: export.Timestamp},
		{Name: "l", Kind: export.LocalTimestamp},
		{Name: "day", Kind: export.Date},
		{Name: "u", Kind: export.UUID},
		{Name: "f", Kind: export.Float64},
		{Name: "b", Kind: export.Bool},
		{Name: "raw", Kind: export.Bytes},
		{Name: "j", Kind: export.JSON},
	}
	rows = [][]string{
		{
			"9007199254740993", "😀", "-12345678.90", "-0.0001", "1e-30", "2026-03-29 01:59:59.999999+01", "0001-01-01 00:00:00", "1969-12-31",
			"0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e", "0.1", "t", `\x00ff`, `{"a":1}`,
		},
		{"NULL", "", "NULL", "NULL", "NaN", "0044-03-15 12:00:00+00 BC", "NULL", "NULL", "NULL", "NaN", "f", `\x`, "null"},
	}
	return columns, rows
}

// Parquet's columns stay in their order, and its values are those of the rows.
func TestParquet(t *testing.T) {
	t.Parallel()
	columns, rows := everyKind()
	for _, compression := range export.Compressions() {
		file, err := write(t, columns, export.Options{Format: export.Parquet, Compression: compression}, rows...)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, field := range f.Schema().Fields() {
			names = append(names, field.Name())
		}
		if got := strings.Join(names, " "); got != "z a d w n t l day u f b raw j" {
			t.Errorf("the columns are %s", got)
		}
		var got [2]parquet.Row
		reader := parquet.NewReader(f)
		if n, err := reader.ReadRows(got[:]); n != 2 || err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("read %d rows, %v", n, err)
		}
		first := got[0]
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		want := time.Date(2026, 3, 29, 0, 59, 59, 999_999_000, time.UTC).UnixMicro()
		if first[0].Int64() != 9007199254740993 || first[1].String() != "😀" || first[2].Int64() != -1234567890 || first[4].String() != "1e-30" ||
			first[5].Int64() != want || first[7].Int32() != -1 || first[9].Double() != 0.1 || !first[10].Boolean() {
			t.Errorf("%s: the first row is %v", compression, first)
		}
		if b := first[3].ByteArray(); len(b) != 16 || b[0] != 0xff || b[15] != 0xff {
			t.Errorf("-0.0001 is %x, want -1 in 16 bytes", b)
		}
		if !got[1][0].IsNull() || got[1][1].IsNull() {
			t.Error("NULL and the empty text are mixed up")
		}
	}
}

func TestParquetHasNoPlaceForSome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		column export.Column
		value  string
	}{
		{export.Column{Name: "t", Kind: export.Timestamp}, "infinity"},
		{export.Column{Name: "t", Kind: export.Date}, "-infinity"},
		{export.Column{Name: "t", Kind: export.Numeric, Precision: 5, Scale: 2}, "NaN"},
		{export.Column{Name: "t", Kind: export.Numeric, Precision: 30, Scale: 0}, "Infinity"},
		{export.Column{Name: "t", Kind: export.Timestamp}, "294276-12-31 23:59:59+00"},
	} {
		_, err := write(t, []export.Column{tt.column}, export.Options{Format: export.Parquet}, []string{tt.value})
		if !errors.Is(err, export.ErrValue) {
			t.Errorf("%s: %v, want ErrValue", tt.value, err)
		}
	}
}

func TestColumnsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{nil, {"a", "a"}, {""}, {"?column?"}} {
		var columns []export.Column
		for _, name := range names {
			columns = append(columns, export.Column{Name: name})
		}
		if _, err := export.NewWriter(io.Discard, columns, export.Options{Format: export.CSV}); !errors.Is(err, export.ErrColumns) {
			t.Errorf("%q: %v, want ErrColumns", names, err)
		}
	}
}

func TestParseDataset(t *testing.T) {
	t.Parallel()
	d, err := export.ParseDataset("orders", `-- title: Orders
-- description: All orders,
-- description: the oldest first.
-- roles: user, support
-- timeout: 10m
-- param: owner owner
-- param: since timestamptz required Only orders since then.
-- param: limit integer default=100 At most so many.
-- param: status text[] default=paid in=paid,open Only such.
--
-- A word about the query itself.
SELECT id FROM orders WHERE owner = $1 AND made >= $2 AND status = ANY ($4) LIMIT $3;
`)
	if err != nil {
		t.Fatal(err)
	}
	hundred, paid := "100", `{"paid"}`
	want := export.Dataset{
		Name: "orders", Title: "Orders", Description: "All orders, the oldest first.", Roles: []string{"user", "support"}, Timeout: 10 * time.Minute,
		Params: []export.Param{
			{Name: "owner", Type: export.Owner},
			{Name: "since", Type: export.TimestamptzParam, Required: true, Description: "Only orders since then."},
			{Name: "limit", Type: export.IntegerParam, Default: &hundred, Description: "At most so many."},
			{Name: "status", Type: export.TextsParam, Default: &paid, In: []string{"paid", "open"}, Description: "Only such."},
		},
		SQL: d.SQL,
	}
	if diff := cmp.Diff(want, d); diff != "" || !strings.HasSuffix(d.SQL, "LIMIT $3") {
		t.Errorf("-want +got:\n%s%s", diff, d.SQL)
	}
	if _, ok := d.Param("owner"); ok {
		t.Error("people may set the owner")
	}
}

func TestLoadDatasetsRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"a.sql", "SELECT 1 AS a", `a.sql: no line "-- roles: …" says who may export it`},
		{"a.sql", "-- roles: boss\nSELECT 1 AS a", `a.sql: role "boss"`},
		{"a.sql", "-- roles: admin", "a.sql: there is no query"},
		{"a.sql", "-- roles: admin\n-- parm: x text\nSELECT $1", `a.sql: line 2: "parm" is not known`},
		{"a.sql", "-- roles: admin\n-- param: x money\nSELECT $1", `a.sql: line 2: param x: type "money"`},
		{"a.sql", "-- roles: admin\n-- param: x\nSELECT $1", `a.sql: line 2: param "x": want NAME TYPE`},
		{"a.sql", "-- roles: admin\n-- param: x date default=today\nSELECT $1", `a.sql: line 2: param x: default: "today": want a date`},
		{"a.sql", "-- roles: admin\n-- param: x text default=c in=a,b\nSELECT $1", `a.sql: line 2: param x: default: "c": want one of a, b`},
		{"a.sql", "-- roles: admin\n-- param: x date in=a,b\nSELECT $1", `a.sql: line 2: param x: in= is for text`},
		{"a.sql", "-- roles: admin\n-- param: x text\n-- param: x text\nSELECT $1, $2", `a.sql: line 3: two parameters are called "x"`},
		{"a.sql", "-- roles: admin\n-- param: x text\nSELECT 1 AS a", "a.sql: parameter x is $1, which the query does not use"},
		{"a.sql", "-- roles: admin\n-- timeout: soon\nSELECT 1 AS a", `a.sql: line 2: timeout "soon"`},
		{"A b.sql", "-- roles: admin\nSELECT 1 AS a", `A b.sql: "A b" is not a dataset's name`},
	} {
		_, err := export.LoadDatasets(fstest.MapFS{tt.name: &fstest.MapFile{Data: []byte(tt.text)}})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
	if _, err := export.LoadDatasets(os.DirFS("testdata/nowhere")); err == nil {
		t.Error("a folder that is not there is no error")
	}
}

func TestParamText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind         export.ParamType
		value, want  string
		wantAnyError bool
	}{
		{export.TextParam, `"a'b"`, "a'b", false},
		{export.TextParam, `5`, "", true},
		{export.TextParam, `"a\u0000"`, "", true},
		{export.TextParam, `"` + strings.Repeat("x", 2000) + `"`, "", true},
		{export.IntegerParam, `5`, "5", false},
		{export.IntegerParam, `"5"`, "5", false},
		{export.IntegerParam, `3000000000`, "", true},
		{export.IntegerParam, `null`, "", true},
		{export.BigintParam, `9007199254740993`, "9007199254740993", false},
		{export.NumericParam, `-1.50`, "-1.50", false},
		{export.NumericParam, `1e9`, "", true},
		{export.BooleanParam, `true`, "true", false},
		{export.BooleanParam, `1`, "", true},
		{export.DateParam, `"2026-02-30"`, "", true},
		{export.TimestamptzParam, `"2026-03-01T12:00:00+01:00"`, "2026-03-01T12:00:00+01:00", false},
		{export.TimestamptzParam, `"now"`, "", true},
		{export.UUIDParam, `"0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e"`, "0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e", false},
		{export.TextsParam, `["a","b\"\\"]`, `{"a","b\"\\"}`, false},
		{export.TextsParam, `"a,b"`, `{"a","b"}`, false},
		{export.TextsParam, `[1]`, "", true},
		{export.Owner, `"eve"`, "", true},
	} {
		got, err := export.Param{Type: tt.kind}.Text(json.RawMessage(tt.value))
		if got != tt.want || (err != nil) != tt.wantAnyError {
			t.Errorf("%s %.40s: %q, %v, want %q", tt.kind, tt.value, got, err, tt.want)
		}
	}
}

func TestParamTextIsOneOfThoseOffered(t *testing.T) {
	t.Parallel()
	in := []string{"a", "b"}
	for _, tt := range []struct {
		kind        export.ParamType
		value, want string
	}{
		{export.TextParam, `"a"`, "a"},
		{export.TextParam, `"c"`, ""},
		{export.TextsParam, `["b","a"]`, `{"b","a"}`},
		{export.TextsParam, `["a","c"]`, ""},
		{export.TextsParam, `"a,c"`, ""},
	} {
		got, err := export.Param{Type: tt.kind, In: in}.Text(json.RawMessage(tt.value))
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s %s: %q, %v, want %q", tt.kind, tt.value, got, err, tt.want)
		}
	}
}

// A reader of RFC 4180 gets out of CSV what was put in, and one of JSON out of
// NDJSON.
func FuzzTexts(f *testing.F) {
	f.Add("a", `b"`)
	f.Add("\n", "\r\n\\.")
	f.Fuzz(func(t *testing.T, a, b string) {
		columns := []export.Column{{Name: "a"}, {Name: "b"}}
		row := []string{strings.ToValidUTF8(strings.ReplaceAll(a, "\r", ""), ""), strings.ToValidUTF8(strings.ReplaceAll(b, "\r", ""), "")}
		if row[0] == "NULL" || row[1] == "NULL" {
			return
		}
		file, err := write(t, columns, export.Options{Format: export.CSV}, row)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := csv.NewReader(bytes.NewReader(file)).Read(); err != nil || !cmp.Equal(got, row) { // which drops \r
			t.Errorf("CSV %q is read as %q, %v, want %q", file, got, err, row)
		}
		file, err = write(t, columns, export.Options{Format: export.NDJSON}, row)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ A, B string }
		if err := json.Unmarshal(file, &got); err != nil || got.A != row[0] || got.B != row[1] {
			t.Errorf("NDJSON %q is read as %+v, %v, want %q", file, got, err, row)
		}
	})
}
