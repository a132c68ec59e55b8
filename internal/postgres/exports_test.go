package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/export"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// gathered is a sink that keeps one column.
type gathered struct {
	values   []string
	estimate int64
}

func (g *gathered) Begin(_ []export.Column, estimate int64) error {
	g.estimate = estimate
	return nil
}

func (g *gathered) Row(values [][]byte) error {
	g.values = append(g.values, string(values[0]))
	return nil
}

func TestExportEvents(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db, err := postgres.Open(t.Context(), url, postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	for _, sql := range []string{
		`SELECT herald.extend_log(100)`,
		`INSERT INTO herald.events (seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)
		SELECT n, gen_random_uuid(), types[1 + n % 2], ARRAY['job:' || md5((n % 2)::text)::uuid, 'user:' || users[1 + n % 2], 'channel:c', 'user:third'],
			md5((n % 2)::text)::uuid, n, 'w', '2026-01-01', timestamptz '2026-01-01 00:00Z' + n * interval '1 min',
			json_build_object('state', states[1 + n % 2], 'message', 'Word ' || n, 'error', CASE WHEN n = 6 THEN 'no SPACE' END)
		FROM generate_series(1, 6) n, (SELECT ARRAY['job.progress', 'order.paid'], ARRAY['ann', 'bob'], ARRAY['running', 'failed']) c (types, users, states)`,
		`INSERT INTO herald.event_topics (topic, seq) SELECT t, seq FROM herald.events, unnest(topics[3:]) t`,
	} {
		if _, err := db.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exports, err := postgres.NewExports(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := exports.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if jobs, _ := exports.Dataset("jobs"); len(jobs.Columns) == 0 || jobs.Columns[0].Name != "id" || jobs.Columns[0].Kind != export.UUID {
		t.Errorf("the columns of jobs are %v, want id first", jobs.Columns)
	}
	for _, tt := range []struct {
		name   string
		owner  string
		params map[string]string
		want   string
	}{
		{"all", "", nil, "1 2 3 4 5 6"},
		{"an owner's", "bob", nil, "1 3 5"},
		{"an owner's by a later topic", "third", nil, "1 2 3 4 5 6"},
		{"nobody's", "carl", nil, ""},
		{"another's", "bob", map[string]string{"user": "ann"}, ""},
		{"a user's", "", map[string]string{"user": "ann"}, "2 4 6"},
		{"a topic's", "bob", map[string]string{"topic": "channel:c"}, "1 3 5"},
		{"a job's", "", map[string]string{"job": "cfcd2084-95d5-65ef-66e7-dff9f98764da"}, "2 4 6"},
		{"of a type", "", map[string]string{"type": `{"order.paid"}`}, "1 3 5"},
		{"of a family of types", "", map[string]string{"type": `{"job.*","x"}`}, "2 4 6"},
		{"of a state", "", map[string]string{"state": `{"failed"}`}, "1 3 5"},
		{"of a kind", "", map[string]string{"kind": "video"}, ""},
		{"an actor's", "", map[string]string{"actor": "x"}, ""},
		{"with a text in the message", "", map[string]string{"text": "word 2"}, "2"},
		{"with a text in the error", "", map[string]string{"text": "No space"}, "6"},
		{"without what would match anything", "", map[string]string{"text": "w%d"}, ""},
		{"since and until", "", map[string]string{"since": "2026-01-01T00:02:00Z", "until": "2026-01-01T00:04:00Z"}, "2 3"},
	} {
		var got gathered
		if err := exports.Read(t.Context(), export.Query{Dataset: "events", Owner: tt.owner, Params: tt.params}, &got); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, strings.Join(got.values, " ")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

// Each type of parameter reaches the server as what it is.
func TestExportParams(t *testing.T) {
	t.Parallel()
	d, err := export.ParseDataset("typed", `-- roles: admin
-- param: a text
-- param: b integer
-- param: c bigint
-- param: d numeric
-- param: e boolean
-- param: f date
-- param: g timestamptz
-- param: h uuid
-- param: i text[]
-- param: j text default=none
SELECT concat_ws('|', $1, $2 + 1, $3 + 1, $4 + 0.1, NOT $5, $6 + 1, $7 + interval '1 h', $8, $9[2], $10) AS all_of_them`)
	if err != nil {
		t.Fatal(err)
	}
	exports, err := postgres.NewExports(pgtest.New(t), []export.Dataset{d})
	if err != nil {
		t.Fatal(err)
	}
	var got gathered
	if err := exports.Read(t.Context(), export.Query{Dataset: "typed", TimeZone: "Europe/Berlin", Params: map[string]string{
		"a": `'; DROP TABLE x; --`, "b": "1", "c": "9007199254740993", "d": "0.2", "e": "true", "f": "2026-02-28", "g": "2026-03-29T00:30:00Z",
		"h": "0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e", "i": `{"x","y \" \\ ,{}"}`,
	}}, &got); err != nil {
		t.Fatal(err)
	}
	want := []string{`'; DROP TABLE x; --|2|9007199254740994|0.3|f|2026-03-01|2026-03-29 03:30:00+02|0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e|y " \ ,{}|none`}
	if diff := cmp.Diff(want, got.values); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.estimate != 1 {
		t.Errorf("estimated %d rows, want 1", got.estimate)
	}
}

func TestCheckNamesTheDatasetThatIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	for _, tt := range []struct{ sql, want string }{
		{"SELECT nothing FROM herald.jobs", `dataset broken: column "nothing" does not exist`},
		{"SELECT 1 AS a; SELECT 2 AS b", "dataset broken: cannot insert multiple commands"},
		{"SELECT $1::int + $2::int AS a", "dataset broken: it uses $2, but declares 1 parameters"},
		{"SELECT $1::int AS a, 2 AS a", `dataset broken: the columns cannot be exported: two are called "a"`},
		{"SELECT $1::int + 1", "dataset broken: the columns cannot be exported: column 1 has no name"},
		{"DELETE FROM herald.jobs WHERE title = $1::text", "dataset broken: the columns cannot be exported: there are none"},
	} {
		d := export.Dataset{Name: "broken", SQL: tt.sql, Roles: []string{"admin"}, Params: []export.Param{{Name: "p", Type: export.IntegerParam}}}
		if strings.Contains(tt.sql, "text") {
			d.Params[0].Type = export.TextParam
		}
		exports, err := postgres.NewExports(url, []export.Dataset{d})
		if err != nil {
			t.Fatal(err)
		}
		if err := exports.Check(t.Context()); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Check() of %s = %v, want %q", tt.sql, err, tt.want)
		}
	}
	if _, err := postgres.NewExports(url, []export.Dataset{{Name: "jobs"}}); err == nil {
		t.Error("a second dataset called jobs is taken")
	}
}
