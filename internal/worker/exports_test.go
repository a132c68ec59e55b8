package worker_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"herald/internal/export"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/worker"
)

// datasets are those of an operator's folder.
func datasets() fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"odd": `-- title: Odd things
-- roles: admin, user
SELECT id, name, "a ""b""", n, d, t, lt, b, j, u, raw, f FROM odd ORDER BY id`,
		"rows":  "-- roles: admin\n-- param: n integer default=10000 How many.\nSELECT i, i * 1.5 AS x, 'row ' || i AS name FROM generate_series(1, $1) AS i",
		"slow":  "-- roles: admin\nSELECT i, pg_sleep(0.01)::text AS s FROM generate_series(1, 100000) AS i",
		"stuck": "-- roles: admin\nSELECT pg_sleep(600)::text AS s",
		"late":  "-- roles: admin\n-- timeout: 1s\nSELECT pg_sleep(600)::text AS s",
		"write": "-- roles: admin\nDELETE FROM odd RETURNING id",
		"mine":  "-- roles: user, admin\n-- param: owner owner\nSELECT id, name FROM odd WHERE $1::text IS NULL OR name = $1 ORDER BY id",
		"since": "-- roles: admin\n-- param: since timestamptz required\nSELECT $1 AS since, date_trunc('day', $1) AS day",
		"zero":  "-- roles: admin\nSELECT id FROM odd WHERE false",
		"wide":  "-- roles: admin\nSELECT 1.5::numeric(40, 2) AS n, 'infinity'::timestamptz AS t",
	} {
		files[name+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func newExports(url string) (*postgres.Exports, error) {
	sets, err := export.LoadDatasets(datasets())
	if err != nil {
		return nil, err
	}
	return postgres.NewExports(url, sets)
}

// odd makes a table of odd things.
func (b *bench) odd(t *testing.T) {
	t.Helper()
	b.exec(t, `CREATE TABLE odd (id bigint, name text, "a ""b""" text, n numeric(30, 4), d numeric, t timestamptz, lt timestamp,
		b boolean, j json, u uuid, raw bytea, f double precision)`)
	b.exec(t, `INSERT INTO odd VALUES
		(1, 'plain', 'x', 12345678901234567890123456.7890, 0.1000, '2026-03-29 00:59:59.999999+00', '2026-03-29 02:30', true,
			'{"a": 1,  "b": "x\ny"}', '0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e', '\x00ff', 0.1),
		(2, NULL, '', -0.0001, 'NaN', 'infinity', '-infinity', NULL, NULL, NULL, '\x', 'NaN'),
		(3, '', NULL, NULL, 1e-30, '0044-03-15 12:00:00+00 BC', '12345-01-01', false, '[1,
			2]', NULL, NULL, '-Infinity'),
		(4, E'tab\t"quote", new\nline\r\nend \\ \\.', E'\\.', 0, -5, '1890-01-01 00:00:00+00', NULL, NULL, 'null', NULL, NULL, 1e300),
		(5, '=1+1', '😀🇩🇪 Zürich', 1, 1, NULL, NULL, NULL, '"😀"', NULL, NULL, 5e-324),
		(6, ' @x', E'\u2028', 1, 1, NULL, NULL, NULL, '{"n":1.50}', NULL, NULL, -0.0)`)
}

// export runs an export and returns its job and its file.
func (b *bench) export(t *testing.T, args string) (job.Job, []byte) {
	t.Helper()
	j := b.start(t, args)
	j = b.awaitState(t, j.ID, job.Succeeded)
	checkState(t, j, job.Succeeded)
	return j, b.made(t, j)
}

// start starts an export of demo's, who may see everything.
func (b *bench) start(t *testing.T, args string) job.Job {
	t.Helper()
	who := worker.Requester{Reader: worker.Reader{User: "demo", All: true}, Is: func(role string) bool { return role == "admin" }}
	prepared, err := worker.PrepareExport(b.exports, who, "demo", []byte(args))
	if err != nil {
		t.Fatal(err)
	}
	return b.create(t, worker.ExportKind, string(prepared))
}

// made is the one file that a job has made, as its artifact and its result say.
func (b *bench) made(t *testing.T, j job.Job) []byte {
	t.Helper()
	files, err := b.db.ArtifactsOfJob(t.Context(), j.ID)
	if err != nil || len(files) != 1 {
		t.Fatalf("ArtifactsOfJob() = %v, %v, want one", files, err)
	}
	content, err := b.blobs.ReadAll(t.Context(), files[0].BlobKey)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Rows, Size int64
		SHA256     string
	}
	if err := json.Unmarshal(j.Result, &result); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if hash := hex.EncodeToString(sum[:]); files[0].SHA256 != hash || result.SHA256 != hash ||
		files[0].Size != int64(len(content)) || result.Size != int64(len(content)) {
		t.Errorf("artifact %+v, result %s, want %d bytes with the sum %s", files[0], j.Result, len(content), hash)
	}
	if j.Processed == nil || *j.Processed != result.Rows || *j.Total != result.Rows || j.Progress != 1 {
		t.Errorf("processed %v of %v, progress %v, want %d rows", j.Processed, j.Total, j.Progress, result.Rows)
	}
	return content
}

// psql is what psql copies for a query.
func (b *bench) psql(t *testing.T, query, options, zone string) []byte {
	t.Helper()
	path, err := exec.LookPath("psql")
	if dir := os.Getenv("HERALD_POSTGRES_BIN"); dir != "" && err != nil {
		path, err = exec.LookPath(filepath.Join(dir, "psql"))
	}
	if err != nil {
		t.Fatal("there is no psql: '.ci/packages psql' gets one")
	}
	cmd := exec.CommandContext(t.Context(), path, "-X", "-q", b.url, "-c", `\copy (`+strings.ReplaceAll(query, "\n", " ")+`) TO STDOUT (`+options+`)`)
	cmd.Env = append(os.Environ(), "PGTZ="+zone, "PGCLIENTENCODING=UTF8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v", err)
	}
	return out
}

func TestExportIsWhatPsqlCopies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.odd(t)
	b.run(t, b.config("node"), noWork)
	const all = `SELECT id, name, "a ""b""", n, d, t, lt, b, j, u, raw, f FROM odd ORDER BY id`
	for _, tt := range []struct{ name, args, query, options, zone string }{
		{"odd things", `{"dataset":"odd"}`, all, "FORMAT csv, HEADER", "UTC"},
		{"another zone", `{"dataset":"odd","time_zone":"Europe/Berlin"}`, all, "FORMAT csv, HEADER", "Europe/Berlin"},
		{"semicolons, no header", `{"dataset":"odd","csv":{"delimiter":";","header":false}}`, all, "FORMAT csv, DELIMITER ';'", "UTC"},
		{"tabs", `{"dataset":"odd","csv":{"delimiter":"\t"}}`, all, "FORMAT csv, HEADER, DELIMITER E'\\t'", "UTC"},
		{"some columns", `{"dataset":"odd","columns":["name","id"]}`, "SELECT name, id FROM odd ORDER BY id", "FORMAT csv, HEADER", "UTC"},
		{"one column", `{"dataset":"odd","columns":["a \"b\""]}`, `SELECT "a ""b""" FROM odd ORDER BY id`, "FORMAT csv, HEADER", "UTC"},
		{"no rows", `{"dataset":"zero"}`, "SELECT id FROM odd WHERE false", "FORMAT csv, HEADER", "UTC"},
		{"many rows", `{"dataset":"rows","params":{"n":20000}}`, "SELECT i, i * 1.5 AS x, 'row ' || i AS name FROM generate_series(1, 20000) AS i", "FORMAT csv, HEADER", "UTC"},
		{"by default", `{"dataset":"rows"}`, "SELECT i, i * 1.5 AS x, 'row ' || i AS name FROM generate_series(1, 10000) AS i", "FORMAT csv, HEADER", "UTC"},
		{"a day of the zone's", `{"dataset":"since","params":{"since":"2026-03-29T23:30:00Z"},"time_zone":"Asia/Tokyo"}`, "SELECT timestamptz '2026-03-29T23:30:00Z' AS since, timestamptz '2026-03-30 00:00+09' AS day", "FORMAT csv, HEADER", "Asia/Tokyo"},
	} {
		_, got := b.export(t, tt.args)
		if diff := cmp.Diff(string(b.psql(t, tt.query, tt.options, tt.zone)), string(got)); diff != "" {
			t.Errorf("%s: -psql +Herald:\n%s", tt.name, diff)
		}
	}
}

func TestExportCompressed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, b.config("node"), noWork)
	_, plain := b.export(t, `{"dataset":"rows","format":"ndjson"}`)
	_, zipped := b.export(t, `{"dataset":"rows","format":"ndjson","compression":"gzip"}`)
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("unzipped, it has %d bytes, %v, want %d", len(got), err, len(plain))
	}
	_, zstds := b.export(t, `{"dataset":"rows","format":"ndjson","compression":"zstd"}`)
	decoder, err := zstd.NewReader(bytes.NewReader(zstds))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	if got, err := io.ReadAll(decoder); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("decompressed, it has %d bytes, %v, want %d", len(got), err, len(plain))
	}
	if bytes.Count(plain, []byte("\n")) != 10_000 || !bytes.HasPrefix(plain, []byte(`{"i":1,"x":1.5,"name":"row 1"}`+"\n")) {
		t.Errorf("it begins with %.60s", plain)
	}
}

func TestExportParquet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, b.config("node"), noWork)
	for _, compression := range []string{"none", "gzip", "zstd"} {
		_, content := b.export(t, `{"dataset":"rows","format":"parquet","compression":"`+compression+`"}`)
		type row struct {
			I    int32  `parquet:"i,optional"`
			X    string `parquet:"x,optional"`
			Name string `parquet:"name,optional"`
		}
		rows, err := parquet.Read[row](bytes.NewReader(content), int64(len(content)))
		if err != nil || len(rows) != 10_000 || rows[9999] != (row{10_000, "15000.0", "row 10000"}) {
			t.Errorf("%s: read %d rows, %v, the last is not the 10000th", compression, len(rows), err)
		}
	}
}

// What cannot be exported says so, once, and leaves nothing behind.
func TestExportFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.odd(t)
	b.run(t, b.config("node"), noWork)
	for _, tt := range []struct{ args, want string }{
		{`{"dataset":"late"}`, "Dataset late: its query took longer than it may."},
		{`{"dataset":"write"}`, "Dataset write: cannot execute DELETE in a read-only transaction."},
		{`{"dataset":"odd","columns":["nothing"]}`, `Dataset odd: it has no column "nothing"`},
		{`{"dataset":"wide","format":"parquet"}`, "Row 1, column t: the format has no place for a value: infinity."},
	} {
		j := b.start(t, tt.args)
		j = b.awaitState(t, j.ID, job.Failed)
		checkState(t, j, job.Failed)
		if !strings.HasPrefix(j.Error, tt.want) || j.Attempt != 1 {
			t.Errorf("%s: attempt %d failed with %q, want %q at once", tt.args, j.Attempt, j.Error, tt.want)
		}
	}
	if keys := b.keys(t); len(keys) > 0 {
		t.Errorf("left behind: %v", keys)
	}
}

// A cancelled export stops its query on the server, whether rows flow or not.
func TestExportCancelled(t *testing.T) {
	t.Parallel()
	for _, dataset := range []string{"slow", "stuck"} {
		t.Run(dataset, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.run(t, b.config("node"), noWork)
			j := b.start(t, `{"dataset":"`+dataset+`"}`)
			b.await(t, j.ID, "at the query", func(j job.Job) bool { return j.Step == "query" || j.Step == "rows" })
			if _, err := b.db.CancelJob(t.Context(), j.ID, "demo", b.queue); err != nil {
				t.Fatal(err)
			}
			j = b.awaitState(t, j.ID, job.Cancelled)
			checkState(t, j, job.Cancelled)
			var running int
			if err := b.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name LIKE 'herald export%' AND state = 'active'`).Scan(&running); err != nil {
				t.Fatal(err)
			}
			if keys := b.keys(t); running > 0 || len(keys) > 0 {
				t.Errorf("%d queries run on, %v is left behind", running, keys)
			}
		})
	}
}

// meddler changes the table between the rows that an export reads.
type meddler struct {
	export.Source

	meddle func() error
}

func (m meddler) Read(ctx context.Context, q export.Query, sink export.Sink) error {
	return m.Source.Read(ctx, q, meddledSink{sink, m.meddle})
}

type meddledSink struct {
	export.Sink

	meddle func() error
}

func (m meddledSink) Row(values [][]byte) error {
	return errors.Join(m.meddle(), m.Sink.Row(values))
}

// A table that changes while it is exported comes out as it stood.
func TestExportOfAChangingTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.odd(t)
	want := b.psql(t, `SELECT id, name FROM odd ORDER BY id`, "FORMAT csv, HEADER", "UTC")
	c := b.config("node")
	c.Exports = meddler{b.exports, func() error {
		_, err := b.db.Pool().Exec(t.Context(), `WITH gone AS (DELETE FROM odd WHERE id = 6), more AS (INSERT INTO odd (id) SELECT max(id) + 10 FROM odd)
			UPDATE odd SET name = 'changed'`)
		return err
	}}
	b.run(t, c, noWork)
	if _, got := b.export(t, `{"dataset":"mine"}`); string(got) != string(want) {
		t.Errorf("exported:\n%s\nwant it as it stood:\n%s", got, want)
	}
}

func TestPrepareExport(t *testing.T) {
	t.Parallel()
	exports, err := newExports("postgres://nowhere")
	if err != nil {
		t.Fatal(err)
	}
	who := func(user string, all bool, roles ...string) worker.Requester {
		return worker.Requester{Reader: worker.Reader{User: user, All: all}, Is: func(r string) bool { return slices.Contains(roles, r) }}
	}
	bob, admin := who("bob", false, "user"), who("eve", true, "admin")
	for _, tt := range []struct {
		who               worker.Requester
		owner, args, want string // the error, or whose rows
	}{
		{bob, "bob", `{"dataset":"events"}`, `"for":{"user":"bob","all":false}`},
		{admin, "eve", `{"dataset":"events"}`, `"for":{"user":"eve","all":true}`},
		{admin, "eve", `{"dataset":"events","for":{"user":"bob","all":false}}`, `"for":{"user":"bob","all":false}`},
		{admin, "bob", `{"dataset":"events","for":{"user":"bob","all":false}}`, `"for":{"user":"bob","all":false}`},
		{admin, "bob", `{"dataset":"events","for":{"user":"bob","all":true}}`, "not for you"},
		{bob, "bob", `{"dataset":"events","for":{"user":"bob","all":true}}`, "not for you"},
		{bob, "bob", `{"dataset":"events","for":{"user":"eve","all":false}}`, "not for you"},
		{admin, "eve", `{"dataset":"events","for":{"user":"","all":false}}`, "args.for.user"},
		{bob, "bob", `{"dataset":"rows"}`, "not for you"},
		{bob, "bob", `{"dataset":"nothing"}`, "args.dataset"},
		{bob, "bob", `{"dataset":"events","params":{"owner":"eve"}}`, "args.params.owner"},
		{bob, "bob", `{"dataset":"events","params":{"since":"yesterday"}}`, "args.params.since"},
		{bob, "bob", `{"dataset":"events","params":{"job":"1; DROP TABLE x"}}`, "args.params.job"},
		{bob, "bob", `{"dataset":"events","format":"xml"}`, "args.format"},
		{bob, "bob", `{"dataset":"events","compression":"rar"}`, "args.compression"},
		{bob, "bob", `{"dataset":"events","time_zone":"Foo3"}`, "args.time_zone"},
		{bob, "bob", `{"dataset":"events","time_zone":"../../etc/passwd"}`, "args.time_zone"},
		{bob, "bob", `{"dataset":"events","csv":{"delimiter":"\""}}`, "args.csv.delimiter"},
		{bob, "bob", `{"dataset":"events","format":"parquet","csv":{"safe":true}}`, "args.csv"},
		{bob, "bob", `{"dataset":"events","columns":["seq","seq"]}`, "args.columns"},
		{bob, "bob", `{"dataset":"events","more":1}`, "args"},
		{bob, "bob", `{"dataset":"jobs","params":{"state":["running","walking"]}}`, `args.params.state: "walking": want one of queued`},
		{bob, "bob", `{"dataset":"events","params":{"since":"x","job":"y"},"time_zone":"z"}`, "args.time_zone: \"z\": want a name such as Europe/Berlin or UTC\nargs.params.job"},
		{admin, "eve", `{"dataset":"since"}`, "args.params.since"},
	} {
		got, err := worker.PrepareExport(exports, tt.who, tt.owner, []byte(tt.args))
		if said := fmt.Sprint(string(got), err); !strings.Contains(said, tt.want) {
			t.Errorf("PrepareExport(%s, %s, %s) = %s, want %q in it", tt.who.User, tt.owner, tt.args, said, tt.want)
		}
	}
}

// The rows of Herald's own datasets are those that the reader may see.
func TestExportOwnRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.odd(t)
	b.exec(t, `UPDATE odd SET name = 'demo' WHERE id = 3`)
	b.run(t, b.config("node"), noWork)
	other, err := b.db.CreateJob(t.Context(), job.New{Kind: worker.TestKind, Owner: "other", Title: "another's"}, b.queue)
	if err != nil {
		t.Fatal(err)
	}
	b.awaitState(t, other.ID, job.Succeeded)
	const mine = `"for":{"user":"demo","all":false}`
	for _, tt := range []struct{ args, want string }{
		{`{"dataset":"mine","columns":["id"],` + mine + `}`, "id\n3\n"},
		{`{"dataset":"mine","columns":["id"]}`, "id\n1\n2\n3\n4\n5\n6\n"},
		{`{"dataset":"jobs","columns":["owner"],"params":{"kind":"test"}}`, "owner\nother\n"},
		{`{"dataset":"jobs","columns":["owner"],"params":{"kind":"test"},` + mine + `}`, "owner\n"},
		{`{"dataset":"jobs","columns":["owner"],"params":{"user":"other"},` + mine + `}`, "owner\n"},
		{`{"dataset":"jobs","columns":["owner"],"params":{"job":"` + other.ID.String() + `","state":["succeeded","failed"]}}`, "owner\nother\n"},
	} {
		if _, got := b.export(t, tt.args); string(got) != tt.want {
			t.Errorf("%s: %q, want %q", tt.args, got, tt.want)
		}
	}
}
