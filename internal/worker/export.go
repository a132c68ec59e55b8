package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
	_ "time/tzdata" // so that a zone's name means the same on every machine

	"github.com/google/uuid"
	"gocloud.dev/blob"

	"herald/internal/artifact"
	"herald/internal/export"
	"herald/internal/job"
	"herald/internal/progress"
)

// ExportKind is the kind of job that exports data.
const ExportKind = "export"

// maxColumns bounds how many columns are asked for.
const maxColumns = 200

// exportArgs are the args of an export job.
type exportArgs struct {
	Dataset     string                     `json:"dataset"`
	Params      map[string]json.RawMessage `json:"params,omitempty"`
	Format      export.Format              `json:"format,omitempty"`
	Compression export.Compression         `json:"compression,omitempty"`
	Columns     []string                   `json:"columns,omitempty"` // which, and in which order; none: all
	TimeZone    string                     `json:"time_zone,omitempty"`
	CSV         csvArgs                    `json:"csv,omitzero"`
	// For says whose eyes it is read with. It is checked against who asks before
	// a job is made.
	For *Reader `json:"for,omitempty"`
}

type csvArgs struct {
	Header    *bool  `json:"header,omitempty"` // default true
	Delimiter string `json:"delimiter,omitempty"`
	Safe      bool   `json:"safe,omitempty"`
}

// Reader is who an export is read for, and what they may see.
type Reader struct {
	User string `json:"user"`
	All  bool   `json:"all"` // everybody's rows, not theirs alone
}

// Requester is who asks for an export.
type Requester struct {
	Reader

	Is func(role string) bool
}

// ErrMayNotRead means that the requester may not export the dataset, or not as
// much of it.
var ErrMayNotRead = errors.New("not for you to export")

// PrepareExport checks the args of an export job that is to be the owner's, and
// returns them as they are to be recorded: with whose rows the requester gets to
// see. Recorded args pass again, for those who may see as much. The error is an
// *job.InvalidError or ErrMayNotRead.
func PrepareExport(source export.Source, who Requester, owner string, args json.RawMessage) (json.RawMessage, error) {
	a, d, err := parseExport(source, args)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(d.Roles, who.Is) {
		return nil, fmt.Errorf("%w: %s", ErrMayNotRead, d.Name)
	}
	if a.For == nil {
		a.For = &who.Reader
	}
	switch {
	case a.For.All && (!who.All || who.User != owner): // what it makes is the owner's to see
		return nil, fmt.Errorf("%w: everybody's rows are only for those who ask for them themselves", ErrMayNotRead)
	case a.For.User != who.User && !who.All:
		return nil, fmt.Errorf("%w: the rows are those of %s", ErrMayNotRead, a.For.User)
	case a.For.User == "":
		return nil, &job.InvalidError{Field: "args.for.user", Reason: "name whose rows they are"}
	}
	return json.Marshal(a)
}

// parseExport reads args and checks them. Its error is an *job.InvalidError, or
// several that are joined: one for each field that is wrong.
func parseExport(source export.Source, args json.RawMessage) (exportArgs, export.Dataset, error) {
	a := exportArgs{Format: export.CSV, Compression: export.Plain}
	decoder := json.NewDecoder(bytes.NewReader(args))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		return a, export.Dataset{}, &job.InvalidError{Field: "args", Reason: err.Error()}
	}
	d, ok := source.Dataset(a.Dataset)
	if !ok {
		return a, d, &job.InvalidError{Field: "args.dataset", Reason: fmt.Sprintf("%q is none", a.Dataset)}
	}
	return a, d, errors.Join(a.checkFormat(), a.checkColumns(d), a.checkZone(), a.checkParams(d))
}

func (a *exportArgs) checkFormat() error {
	switch {
	case !slices.Contains(export.Formats(), a.Format):
		return &job.InvalidError{Field: "args.format", Reason: fmt.Sprintf("%q: want one of %v", a.Format, export.Formats())}
	case !slices.Contains(export.Compressions(), a.Compression):
		return &job.InvalidError{Field: "args.compression", Reason: fmt.Sprintf("%q: want one of %v", a.Compression, export.Compressions())}
	case !slices.Contains([]string{"", ",", ";", "|", "\t"}, a.CSV.Delimiter):
		return &job.InvalidError{Field: "args.csv.delimiter", Reason: "want a comma, a semicolon, a bar or a tab"}
	case a.Format != export.CSV && a.CSV != csvArgs{}:
		return &job.InvalidError{Field: "args.csv", Reason: "only CSV has these"}
	}
	return nil
}

// checkColumns refuses columns that the dataset does not have, where it is known
// which it has.
func (a *exportArgs) checkColumns(d export.Dataset) error {
	if len(a.Columns) > maxColumns {
		return &job.InvalidError{Field: "args.columns", Reason: fmt.Sprintf("%d columns, at most %d", len(a.Columns), maxColumns)}
	}
	for i, name := range a.Columns {
		if slices.Contains(a.Columns[:i], name) {
			return &job.InvalidError{Field: "args.columns", Reason: fmt.Sprintf("%q stands there twice", name)}
		}
		has := func(c export.Column) bool { return c.Name == name }
		if len(d.Columns) > 0 && !slices.ContainsFunc(d.Columns, has) {
			return &job.InvalidError{Field: "args.columns", Reason: fmt.Sprintf("the dataset has no column %q", name)}
		}
	}
	return nil
}

func (a *exportArgs) checkZone() error {
	if _, err := time.LoadLocation(a.TimeZone); err != nil || a.TimeZone == "Local" {
		return &job.InvalidError{Field: "args.time_zone", Reason: fmt.Sprintf("%q: want a name such as Europe/Berlin or UTC", a.TimeZone)}
	}
	return nil
}

func (a *exportArgs) checkParams(d export.Dataset) error {
	var all []error
	wrong := func(name, reason string) {
		all = append(all, &job.InvalidError{Field: "args.params." + name, Reason: reason})
	}
	for _, name := range slices.Sorted(maps.Keys(a.Params)) {
		if p, ok := d.Param(name); !ok {
			wrong(name, "the dataset has no such parameter")
		} else if _, err := p.Text(a.Params[name]); err != nil {
			wrong(name, err.Error())
		}
	}
	for _, p := range d.Params {
		if _, given := a.Params[p.Name]; p.Required && !given {
			wrong(p.Name, "the dataset needs it")
		}
	}
	return errors.Join(all...)
}

// query is what is to be read.
func (a *exportArgs) query(d export.Dataset, label string) (export.Query, error) {
	q := export.Query{Dataset: d.Name, Params: make(map[string]string), Columns: a.Columns, TimeZone: a.TimeZone, Label: label}
	for name, value := range a.Params {
		p, _ := d.Param(name)
		text, err := p.Text(value)
		if err != nil {
			return q, &job.InvalidError{Field: "args.params." + name, Reason: err.Error()}
		}
		q.Params[name] = text
	}
	if !a.For.All {
		q.Owner = a.For.User
	}
	return q, nil
}

func (a *exportArgs) options() export.Options {
	o := export.Options{Format: a.Format, Compression: a.Compression}
	o.CSV.Header = a.CSV.Header == nil || *a.CSV.Header
	o.CSV.Safe = a.CSV.Safe
	if a.CSV.Delimiter != "" {
		o.CSV.Delimiter = a.CSV.Delimiter[0]
	}
	return o
}

// The steps of an export job.
const (
	stepQuery = "query"
	stepRows  = "rows"
)

// exports exports data.
type exports struct {
	source export.Source
	blobs  *blob.Bucket
}

func (x *exports) plan(args json.RawMessage) ([]job.Step, error) {
	if _, _, err := parseExport(x.source, args); err != nil {
		return nil, err
	}
	return []job.Step{{Name: stepQuery, Weight: 2}, {Name: stepRows, Weight: 96}, {Name: stepStore, Weight: 2}}, nil
}

// work streams the rows from the database into the blob store. The blob is there
// when it is closed in the end, and not at all before.
func (x *exports) work(ctx context.Context, t task) (product, error) {
	a, d, err := parseExport(x.source, t.job.Args)
	if err == nil && (a.For == nil || a.For.User == "") {
		err = &job.InvalidError{Field: "args.for", Reason: "it is not said for whom"}
	}
	if err != nil {
		return product{}, err
	}
	q, err := a.query(d, "export "+t.job.ID.String())
	if err != nil {
		return product{}, err
	}
	f := &table{task: t, options: a.options(), name: d.Name + t.job.CreatedAt.UTC().Format("-20060102-150405") + a.options().Extension()}
	if err := enter(ctx, t.attempt, stepQuery); err != nil {
		return product{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	key := prefix(t.job) + f.name
	if f.out, err = x.blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: f.options.ContentType()}); err != nil {
		return product{}, fmt.Errorf("store %s: %w", key, err)
	}
	f.ctx = ctx
	err = x.source.Read(ctx, q, f)
	if err == nil {
		err = f.finish(ctx)
	}
	if err != nil {
		cancel() // makes Close drop what was written
		f.abandon()
		_ = f.out.Close()
		return product{}, err
	}
	if err := f.out.Close(); err != nil {
		return product{}, fmt.Errorf("store %s: %w", key, err)
	}
	return f.product(a, key)
}

// table is a file that is being written.
type table struct {
	task

	ctx      context.Context //nolint:containedctx // that of the one call of work, for what the source calls back
	options  export.Options
	name     string
	out      io.WriteCloser
	writer   *export.Writer // nil until the columns are known
	estimate int64
}

// Begin is the source's word that rows will come.
func (f *table) Begin(columns []export.Column, estimate int64) (err error) {
	if f.writer, err = export.NewWriter(f.out, columns, f.options); err != nil {
		return err
	}
	f.estimate = estimate
	return enter(f.ctx, f.attempt, stepRows)
}

// Row writes one row.
func (f *table) Row(values [][]byte) error {
	const often = 4096 // rows between two words of progress, which the attempt paces
	if err := f.writer.Write(values); err != nil {
		return err
	}
	if n := f.writer.Rows(); n == 1 || n%often == 0 {
		f.attempt.Progress(f.progress(false))
	}
	return nil
}

// progress is how far the file is. An estimate that turns out too low is raised
// as the rows reach it, so that the end is never promised too early.
func (f *table) progress(whole bool) job.Report {
	n, total := f.writer.Rows(), f.estimate
	const reached, ahead = 0.95, 10 // in the end there is always a tenth more to come
	if float64(n) > reached*float64(total) {
		total = n + max(n/ahead, 1)
	}
	if whole {
		total = n
	}
	share := 1.0
	if total > 0 {
		share = float64(n) / float64(total)
	}
	details := fmt.Appendf(nil, `{"bytes":%d,"estimated":%t}`, f.writer.Size(), !whole)
	return job.Report{StepProgress: &share, Processed: &n, Total: &total, Unit: "rows", Details: details}
}

// finish writes what is left.
func (f *table) finish(ctx context.Context) error {
	if f.writer == nil {
		return errors.New("the source has said nothing")
	}
	if err := enter(ctx, f.attempt, stepStore); err != nil {
		return err
	}
	if err := f.writer.Close(); err != nil {
		return err
	}
	f.attempt.Progress(f.progress(true)) // after the step began, which forgets the counts of the one before
	return nil
}

func (f *table) abandon() {
	if f.writer != nil {
		f.writer.Abandon()
	}
}

// product is the file, and what the job's row says of it. A link to it is made
// when somebody asks: the log keeps none, since it is good for whoever reads it.
func (f *table) product(a exportArgs, key string) (product, error) {
	made := artifact.Artifact{
		ID: uuid.Must(uuid.NewV7()), JobID: f.job.ID, Owner: f.job.Owner, Kind: artifact.Export, Name: f.name,
		ContentType: f.options.ContentType(), Size: f.writer.Size(), SHA256: f.writer.SHA256(), BlobKey: key,
		Details:   fmt.Appendf(nil, `{"rows":%d}`, f.writer.Rows()),
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	result, err := json.Marshal(struct {
		Dataset     string             `json:"dataset"`
		Rows        int64              `json:"rows"`
		Size        int64              `json:"size"`
		SHA256      string             `json:"sha256"`
		Format      export.Format      `json:"format"`
		Compression export.Compression `json:"compression"`
		Artifacts   []artifact.View    `json:"artifacts"`
	}{a.Dataset, f.writer.Rows(), made.Size, made.SHA256, a.Format, a.Compression, []artifact.View{made.View()}})
	return product{result: result, artifacts: []artifact.Artifact{made}}, err
}

// enter begins a step. That it cannot be recorded now is no reason to stop the
// work: it is then recorded with the next progress.
func enter(ctx context.Context, attempt *progress.Attempt, step string) error {
	r := job.Report{Step: step}
	err := attempt.Report(ctx, r)
	if err == nil || refused(err) || errors.Is(err, progress.ErrOver) || errors.Is(err, progress.ErrCancelled) {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	attempt.Progress(r)
	return nil
}
