package postgres

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"

	"herald/internal/export"
)

//go:embed datasets/*.sql
var ownDatasets embed.FS

// Exports reads datasets: Herald's own, and an operator's. Each reading has a
// connection of its own, outside any pool, for as long as it takes. It satisfies
// export.Source, and is safe for concurrent use.
type Exports struct {
	config *pgconn.Config
	sets   []export.Dataset
}

// cancelTime bounds how long a server may take to stop a query that it is told to
// stop; then its connection is cut.
const cancelTime = 3 * time.Second

// NewExports returns the Exports of the database at the URL, with the operator's
// datasets beside Herald's own. It does not connect.
func NewExports(url string, operators []export.Dataset) (*Exports, error) {
	pc, err := poolConfig(url)
	if err != nil {
		return nil, err
	}
	config := &pc.ConnConfig.Config
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelTime}
	}
	sub, err := embedded(ownDatasets)
	if err != nil {
		return nil, err
	}
	x := &Exports{config: config, sets: sub}
	for _, d := range operators {
		if _, ok := x.Dataset(d.Name); ok {
			return nil, fmt.Errorf("dataset %s: there is one of that name already; give its file another", d.Name)
		}
		x.sets = append(x.sets, d)
	}
	return x, nil
}

// embedded reads Herald's own datasets.
func embedded(files embed.FS) ([]export.Dataset, error) {
	var sets []export.Dataset
	for _, name := range []string{"events", "jobs"} {
		text, err := files.ReadFile("datasets/" + name + ".sql")
		if err != nil {
			return nil, err
		}
		d, err := export.ParseDataset(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("dataset %s: %w", name, err)
		}
		sets = append(sets, d)
	}
	return sets, nil
}

// Datasets returns every dataset.
func (x *Exports) Datasets() []export.Dataset { return x.sets }

// Dataset returns the dataset of the name.
func (x *Exports) Dataset(name string) (export.Dataset, bool) {
	i := slices.IndexFunc(x.sets, func(d export.Dataset) bool { return d.Name == name })
	if i < 0 {
		return export.Dataset{}, false
	}
	return x.sets[i], true
}

// Check lets the database read each query, and says which it refuses and why. It
// is called before anything else is done with the Exports: from then on the
// datasets have their columns.
func (x *Exports) Check(ctx context.Context) error {
	conn, err := pgconn.ConnectConfig(ctx, x.config)
	if err != nil {
		return fmt.Errorf("connect to the database that exports are read from: %w", err)
	}
	defer closeConn(ctx, conn)
	var all []error
	for i, d := range x.sets {
		described, err := conn.Prepare(ctx, "", d.SQL, oids(d.Params))
		switch {
		case err != nil:
			err = refusal(d.Name, err)
		case len(described.ParamOIDs) > len(d.Params):
			err = &export.QueryError{Dataset: d.Name, Reason: fmt.Sprintf(
				"it uses $%d, but declares %d parameters", len(described.ParamOIDs), len(d.Params))}
		default:
			x.sets[i].Columns = exportColumns(described.Fields)
			if err = export.CheckColumns(x.sets[i].Columns); err != nil {
				err = &export.QueryError{Dataset: d.Name, Reason: err.Error()}
			}
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Read reads all rows of a dataset, in one read-only transaction that sees the
// database as it stands when it begins. When ctx ends, the server is told to stop
// the query.
func (x *Exports) Read(ctx context.Context, q export.Query, sink export.Sink) error {
	d, ok := x.Dataset(q.Dataset)
	if !ok {
		return &export.QueryError{Dataset: q.Dataset, Reason: "there is no such dataset"}
	}
	conn, err := pgconn.ConnectConfig(ctx, x.config)
	if err != nil {
		return fmt.Errorf("connect to the database that exports are read from: %w", err)
	}
	defer closeConn(ctx, conn)
	r := reading{conn: conn, dataset: d, query: q, sink: sink}
	if err := r.begin(ctx); err != nil {
		return refusal(d.Name, err)
	}
	estimate, err := r.estimate(ctx)
	if err != nil {
		return refusal(d.Name, err)
	}
	return r.rows(ctx, estimate)
}

// closeConn closes the connection, whatever has become of its context.
func closeConn(ctx context.Context, conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer cancel()
	_ = conn.Close(ctx) // it was only read from
}

// reading is a dataset being read.
type reading struct {
	conn    *pgconn.PgConn
	dataset export.Dataset
	query   export.Query
	sink    export.Sink
}

// readSettings make values come in forms that lose nothing and are always the
// same. A server that the network no longer leads to us from, or whose reader was
// killed, stops by itself; a store that takes nothing for a while is no reason
// to, so nothing is said of how long the reader may stand still.
const readSettings = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL client_encoding = 'UTF8'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL jit = off;
SET LOCAL client_connection_check_interval = '2s'; SET LOCAL idle_in_transaction_session_timeout = '1min'; `

func (r *reading) begin(ctx context.Context) error {
	if _, err := r.conn.Exec(ctx, readSettings+
		fmt.Sprintf("SET LOCAL statement_timeout = %d", r.dataset.Timeout.Milliseconds())).ReadAll(); err != nil {
		return err
	}
	zone := r.query.TimeZone
	if zone == "" {
		zone = "UTC"
	}
	return r.conn.ExecParams(ctx, "SELECT set_config('TimeZone', $1, true), set_config('application_name', $2, true)",
		[][]byte{[]byte(zone), []byte("herald " + r.query.Label)}, nil, nil, nil).Read().Err
}

// estimate is how many rows the server expects.
func (r *reading) estimate(ctx context.Context) (int64, error) {
	answer := r.conn.ExecParams(ctx, "EXPLAIN (FORMAT JSON) "+r.dataset.SQL, r.values(), oids(r.dataset.Params), nil, nil).Read()
	if answer.Err != nil {
		return 0, answer.Err
	}
	if len(answer.Rows) == 0 {
		return 0, nil
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(answer.Rows[0][0], &plans); err != nil || len(plans) == 0 {
		return 0, fmt.Errorf("read a plan: %w", err)
	}
	return int64(plans[0].Plan.Rows), nil
}

// rows passes the rows on as they come in. The server waits when the sink does.
func (r *reading) rows(ctx context.Context, estimate int64) (err error) {
	result := r.conn.ExecParams(ctx, r.dataset.SQL, r.values(), oids(r.dataset.Params), nil, nil)
	columns := exportColumns(result.FieldDescriptions())
	if len(columns) == 0 {
		if _, err := result.Close(); err != nil {
			return refusal(r.dataset.Name, err)
		}
	}
	taken, err := pick(r.dataset.Name, columns, r.query.Columns)
	if err == nil {
		err = r.sink.Begin(taken.columns, estimate)
	}
	for err == nil && result.NextRow() {
		err = r.sink.Row(taken.of(result.Values()))
	}
	if err != nil {
		r.stop(ctx, result)
		return err
	}
	if _, err := result.Close(); err != nil {
		return refusal(r.dataset.Name, err)
	}
	return nil
}

// stop tells the server that no more is wanted, and cuts the connection: to close
// it in form would be to read what is left of the result first.
func (r *reading) stop(ctx context.Context, result *pgconn.ResultReader) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer cancel()
	_ = r.conn.CancelRequest(ctx) // else the server finds the connection closed
	_ = r.conn.Conn().Close()
	_, _ = result.Close() // lets go of what watches ctx
}

func (r *reading) values() [][]byte {
	var values [][]byte
	for _, text := range r.dataset.Texts(r.query) {
		if text == nil {
			values = append(values, nil)
		} else {
			values = append(values, []byte(*text))
		}
	}
	return values
}

// picked is which columns of a result are taken.
type picked struct {
	columns []export.Column
	at      []int // nil: all
	values  [][]byte
}

func pick(dataset string, columns []export.Column, wanted []string) (*picked, error) {
	if len(wanted) == 0 {
		return &picked{columns: columns}, nil
	}
	p := &picked{values: make([][]byte, len(wanted))}
	for _, name := range wanted {
		i := slices.IndexFunc(columns, func(c export.Column) bool { return c.Name == name })
		if i < 0 {
			return nil, &export.QueryError{Dataset: dataset, Reason: fmt.Sprintf("it has no column %q; it has %s", name, namesOf(columns))}
		}
		p.columns, p.at = append(p.columns, columns[i]), append(p.at, i)
	}
	return p, nil
}

func (p *picked) of(values [][]byte) [][]byte {
	if p.at == nil {
		return values
	}
	for i, at := range p.at {
		p.values[i] = values[at]
	}
	return p.values
}

func namesOf(columns []export.Column) string {
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// refusal turns what the server says of a query into a *export.QueryError where
// trying again is of no use: unless the server is in trouble, or stopped us.
func refusal(dataset string, err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return fmt.Errorf("read dataset %s: %w", dataset, err)
	}
	const queryCanceled, invalidParameter = "57014", "22023"
	switch class := pg.Code[:2]; {
	case pg.Code == queryCanceled && strings.Contains(pg.Message, "statement timeout"): // no code of its own
		return &export.QueryError{Dataset: dataset, Reason: "its query took longer than it may"}
	case pg.Code == invalidParameter && strings.Contains(pg.Message, `"TimeZone"`):
		return &export.QueryError{Dataset: dataset, Reason: "the database does not know the time zone"}
	case slices.Contains([]string{"08", "40", "53", "55", "57", "58"}, class):
		return fmt.Errorf("read dataset %s: %w", dataset, err)
	}
	return &export.QueryError{Dataset: dataset, Reason: pg.Message}
}

// oids are the types that parameters are bound with, whatever the query makes of
// them.
func oids(params []export.Param) []uint32 {
	var list []uint32
	for _, p := range params {
		list = append(list, paramOID(p.Type))
	}
	return list
}

func paramOID(t export.ParamType) uint32 {
	switch t {
	case export.IntegerParam:
		return pgtype.Int4OID
	case export.BigintParam:
		return pgtype.Int8OID
	case export.NumericParam:
		return pgtype.NumericOID
	case export.BooleanParam:
		return pgtype.BoolOID
	case export.DateParam:
		return pgtype.DateOID
	case export.TimestamptzParam:
		return pgtype.TimestamptzOID
	case export.UUIDParam:
		return pgtype.UUIDOID
	case export.TextsParam:
		return pgtype.TextArrayOID
	default:
		return pgtype.TextOID
	}
}

func exportColumns(fields []pgconn.FieldDescription) []export.Column {
	var columns []export.Column
	for _, f := range fields {
		c := export.Column{Name: f.Name, Kind: kindOf(f.DataTypeOID)}
		const headerSize = 4 // of a type modifier, which is -1 where there is none
		if mod := f.TypeModifier - headerSize; c.Kind == export.Numeric && mod >= 0 {
			c.Precision, c.Scale = int(mod>>16)&0xffff, int(mod<<21)>>21 // 11 bits with a sign, since Postgres 15
		}
		columns = append(columns, c)
	}
	return columns
}

func kindOf(oid uint32) export.Kind {
	switch oid {
	case pgtype.BoolOID:
		return export.Bool
	case pgtype.Int2OID, pgtype.Int4OID:
		return export.Int32
	case pgtype.Int8OID, pgtype.OIDOID:
		return export.Int64
	case pgtype.Float4OID:
		return export.Float32
	case pgtype.Float8OID:
		return export.Float64
	case pgtype.NumericOID:
		return export.Numeric
	case pgtype.TimestamptzOID:
		return export.Timestamp
	case pgtype.TimestampOID:
		return export.LocalTimestamp
	case pgtype.DateOID:
		return export.Date
	case pgtype.UUIDOID:
		return export.UUID
	case pgtype.JSONOID, pgtype.JSONBOID:
		return export.JSON
	case pgtype.ByteaOID:
		return export.Bytes
	default:
		return export.Text
	}
}
