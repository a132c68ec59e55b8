package postgres_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres"
)

func TestPublishManyInTheirOrder(t *testing.T) {
	t.Parallel()
	db := open(t)
	p := event.Publication{Actor: "shop"}
	for i := range event.MaxNotices {
		p.Notices = append(p.Notices, event.Notice{
			Type:    event.Type(fmt.Sprintf("order.n%d", i)),
			Topics:  []event.Topic{event.Topic(fmt.Sprintf("user:%d", i)), "channel:a\\b\"{}'c"},
			Payload: json.RawMessage(fmt.Sprintf(` {"i":%d, "t":"<\u00e9>,{}" }`, i)),
		})
	}
	published, err := db.Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	ids := published.IDs
	drain(t, db)
	events, err := db.Events(t.Context(), 0, len(ids)+1)
	if err != nil || len(events) != len(ids) {
		t.Fatalf("Events() = %d events, %v, want %d", len(events), err, len(ids))
	}
	for i, e := range events {
		if time.Since(e.CreatedAt).Abs() > time.Minute {
			t.Errorf("created at %v", e.CreatedAt)
		}
		n := p.Notices[i]
		want := event.Pending{ID: ids[i], Type: n.Type, Topics: n.Topics, Actor: "shop", CreatedAt: e.CreatedAt, Payload: n.Payload}
		if diff := cmp.Diff(want, e.Pending); diff != "" {
			t.Fatalf("event %d: -want +got:\n%s", i, diff)
		}
	}
}

func TestPublishTxIsTheCallersTransaction(t *testing.T) {
	t.Parallel()
	db := open(t)
	tx := begin(t, db, pgx.ReadCommitted)
	if _, err := db.PublishTx(t.Context(), tx, notice("undone")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := outboxed(t, db.Pool()); n != 0 {
		t.Errorf("%d events of a transaction that was rolled back", n)
	}
}

// What Go takes SQL takes, and in the same form; what one refuses the other
// refuses for the same field.
func TestPublicationsFromSQLAndGoAreTwins(t *testing.T) {
	t.Parallel()
	db := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		p := anyPublication(rt)
		published, goErr := db.Publish(t.Context(), p)
		goKind, goField := kindOf(rt, goErr)
		if goErr == nil && p.Key != "" {
			again, err := sqlPublish(t.Context(), db.Pool(), p)
			if err != nil || again != published.IDs[0] {
				rt.Fatalf("SQL again, after Go: %s, %v, want %s", again, err, published.IDs[0])
			}
			p.Key += "'" // the twin's own
		}
		id, sqlErr := sqlPublish(t.Context(), db.Pool(), p)
		sqlKind, sqlField := kindOf(rt, sqlErr)
		if goKind != sqlKind || goField != sqlField && sqlField != "" {
			rt.Fatalf("publishing %+v: Go: %v, SQL: %v", p, goErr, sqlErr)
		}
		if goErr != nil {
			return
		}
		if id.Version() != 7 {
			rt.Fatalf("event id %s is not a UUIDv7", id)
		}
		if diff := cmp.Diff(outboxRow(t, db, published.IDs[0]), outboxRow(t, db, id)); diff != "" {
			rt.Fatalf("-Go +SQL:\n%s", diff)
		}
		if again, err := db.Publish(t.Context(), p); p.Key != "" && (err != nil || !again.Repeated || again.IDs[0] != id) {
			rt.Fatalf("Go again, after SQL: %+v, %v, want %s", again, err, id)
		}
	})
}

func outboxRow(t *testing.T, db *postgres.DB, id uuid.UUID) (row struct {
	Type, Actor, Payload string
	Topics               []string
	Job                  *uuid.UUID
	Version              int64
},
) {
	t.Helper()
	if err := db.Pool().QueryRow(t.Context(), `SELECT type, actor, payload::text, topics, job_id, job_version
		FROM herald.outbox WHERE event_id = $1`, id).Scan(&row.Type, &row.Actor, &row.Payload, &row.Topics, &row.Job, &row.Version); err != nil {
		t.Fatal(err)
	}
	return row
}

// anyPublication is a good one, or one with one fault.
func anyPublication(t *rapid.T) event.Publication {
	p := notice("once")
	n := &p.Notices[0]
	n.Type = rapid.SampledFrom([]event.Type{"order.paid", "a", "a-b_c.1.2x", event.Type(strings.Repeat("x", 100)), "jobs.x", "job"}).Draw(t, "type")
	n.Topics = rapid.SliceOfN(rapid.SampledFrom([]event.Topic{
		"all", "user:alice", "user:ü:{\"\\}'", "client:c", event.Topic("channel:" + strings.Repeat("x", 200)),
		"job:0197F3C2-5d5e-7a6b-8a52-0c8a1b2c3d4e", "user:\u200b\ufeff\u00ad",
	}), 1, event.MaxTopics).Draw(t, "topics")
	n.Payload = rapid.SampledFrom([]json.RawMessage{
		json.RawMessage(`{}`), json.RawMessage("null"), json.RawMessage("[1e400, \n-0 ]"), json.RawMessage(`"\\u0000\ud83d\ude00\/"`),
		json.RawMessage(`"` + strings.Repeat("ö", event.MaxPayload/2-1) + `"`),
	}).Draw(t, "payload")
	p.Actor = rapid.SampledFrom([]string{"shop", "ü b", strings.Repeat("a", 200)}).Draw(t, "actor")
	if rapid.Bool().Draw(t, "keyed") {
		p.Key = uuid.NewString() + rapid.SampledFrom([]string{"", "ü", strings.Repeat("k", event.MaxKey-37)}).Draw(t, "key")
	}
	if rapid.Bool().Draw(t, "a notification") {
		n.Type = rapid.SampledFrom(event.Notifications()).Draw(t, "of type")
		n.Payload = anyNotification(t, n.Type)
	}
	if rapid.Bool().Draw(t, "faulty") {
		fault := rapid.SampledFrom(publishFaults()).Draw(t, "fault")
		fault(&p, n)
	}
	return p
}

// anyNotification has some of the members that the type knows, with values that
// are good, or near the edge of it.
func anyNotification(t *rapid.T, of event.Type) json.RawMessage {
	var schemas map[event.Type]struct {
		Properties map[string]struct{ Enum []string }
		Required   []string
	}
	if err := json.Unmarshal(event.NotificationSchemas(), &schemas); err != nil {
		t.Fatal(err)
	}
	s := schemas[of]
	names := slices.Sorted(maps.Keys(s.Properties))
	values := []string{
		`"x"`, `""`, `"12.50"`, `"EUR"`, `"eur"`, `"12.50\n"`, `"` + strings.Repeat("ö", 200) + `"`, `"` + strings.Repeat("x", 3001) + `"`, `null`, `true`, `[]`, ` { } `,
		`{"a":{"b":[1]}}`, `0`, `-0`, `1`, `-1`, `1.0`, `0.30000000000000004`, `1.0000000000000000001`, `5e-324`, `1e99`, `1E+400`, `31536000000`, `31536000001`,
		`9223372036854775807`, `12345678901234567890`, `"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.123456+05:45"`, `"2026-13-02T03:04:05Z"`, `"2026-01-02"`,
		`"\ud83d\ude00"`,
	}
	var members []string
	for _, name := range append(names, "other", "") {
		required := slices.Contains(s.Required, name)
		if !required && rapid.IntRange(0, 5).Draw(t, "has "+name) > 0 || required && rapid.IntRange(0, 19).Draw(t, "lacks "+name) == 0 {
			continue
		}
		good := `"x"`
		if enum := s.Properties[name].Enum; enum != nil {
			good = `"` + enum[0] + `"`
		}
		value := rapid.SampledFrom(values).Draw(t, name)
		if known := map[string]string{"amount": `"12.50"`, "currency": `"EUR"`}[name]; known != "" {
			good = known
		}
		if required && rapid.IntRange(0, 9).Draw(t, "good "+name) > 0 {
			value = good
		}
		members = append(members, fmt.Sprintf("%q: %s", name, value))
	}
	if rapid.IntRange(0, 9).Draw(t, "twice") == 0 && len(members) > 0 {
		members = append(members, members[0])
	}
	return json.RawMessage("{" + strings.Join(members, ",") + "}")
}

// SQL has the schemas that Go has.
func TestNotificationSchemasOfSQLAndGoAreTwins(t *testing.T) {
	t.Parallel()
	db := open(t)
	var schemas map[string]any
	if err := json.Unmarshal(event.NotificationSchemas(), &schemas); err != nil {
		t.Fatal(err)
	}
	for kind, schema := range schemas {
		var bySQL any
		if err := db.Pool().QueryRow(t.Context(), "SELECT herald.notification_schema($1)", kind).Scan(&bySQL); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(forMachines(schema), bySQL); diff != "" {
			t.Errorf("%s: make a migration that brings the schema up to date: -Go +SQL:\n%s", kind, diff)
		}
	}
}

// forMachines is the schema without what is for people.
func forMachines(v any) any {
	of, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for name, value := range of {
		_, text := value.(string)
		if none, ok := value.(map[string]any); name == "description" && text || name == "additionalProperties" && ok && len(none) == 0 {
			delete(of, name)
			continue
		}
		of[name] = forMachines(value)
	}
	return of
}

func publishFaults() []func(*event.Publication, *event.Notice) {
	var list []func(*event.Publication, *event.Notice)
	for _, text := range []event.Type{
		"", "Order", "1a", ".a", "a.", "a..b", "a b", "ä", "a\n", "a\x00", "a\xff", event.Type(strings.Repeat("x", 101)), "job.x", "job.", "stream.open",
	} {
		list = append(list, func(_ *event.Publication, n *event.Notice) { n.Type = text })
	}
	for _, text := range []event.Topic{
		"", "user", "user:", "all:", "ALL", "everyone", "user:a b", "user:a,b", "user:a\u00a0b", "user:a\n", "job:42", "job:", "user:\x00", "user:\xff",
		"job:{0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e}", "job:0197f3c25d5e7a6b8a520c8a1b2c3d4e", "job:urn:uuid:0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e",
		event.Topic("user:" + strings.Repeat("x", 201)), event.Topic("user:" + strings.Repeat("ö", 101)), "Job:0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e",
	} {
		list = append(list, func(_ *event.Publication, n *event.Notice) { n.Topics = append([]event.Topic{"all"}, text) })
	}
	for _, text := range []string{
		"", "{", "{}{}", "01", `"\u0000"`, `["\\\u0000"]`, `"\ud800"`, `"\ud800\ud800"`, `"\udc00"`, "\"\xff\"", "\"\x00\"", "\"\n\"", "NaN", "\ufeff{}",
		`"` + strings.Repeat("x", event.MaxPayload-1) + `"`,
	} {
		list = append(list, func(_ *event.Publication, n *event.Notice) { n.Payload = json.RawMessage(text) })
	}
	for _, text := range []string{"", "a\nb", "\u0085", "\x7f", "a\x00", "a\xff", strings.Repeat("a", 201)} {
		list = append(list, func(p *event.Publication, _ *event.Notice) { p.Actor = text })
		if text != "" {
			list = append(list, func(p *event.Publication, _ *event.Notice) { p.Key = text })
		}
	}
	return append(list,
		func(_ *event.Publication, n *event.Notice) { n.Topics = []event.Topic{} },
		func(_ *event.Publication, n *event.Notice) {
			n.Topics = slices.Repeat([]event.Topic{"all"}, event.MaxTopics+1)
		},
	)
}

// Every character there is, in a name: SQL's classes are those of package
// unicode.
func TestEveryCharacterInATopicAndAnActor(t *testing.T) {
	t.Parallel()
	db := open(t)
	execute(t, db.Pool(), `CREATE FUNCTION public.takes(query text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN EXECUTE query; RETURN TRUE; EXCEPTION WHEN SQLSTATE 'ZH001' THEN RETURN FALSE; END $$`)
	for name, check := range map[string]struct {
		sql  string
		want func(string) bool
	}{
		"topic": {`herald.topic('user:x' || chr(c) || 'x')`, func(text string) bool { _, err := event.ParseTopic("user:" + text); return err == nil }},
		"actor": {`herald.check_plain('actor', 'x' || chr(c) || 'x', 200)`, func(text string) bool { return !strings.ContainsFunc(text, unicode.IsControl) }},
	} {
		rows, err := db.Pool().Query(t.Context(), `SELECT c FROM generate_series(1, 1114111) AS c WHERE c NOT BETWEEN 55296 AND 57343
			AND (c < 20000 OR c % 97 = 0) AND NOT public.takes(format($q$SELECT `+check.sql+` FROM (VALUES (%s)) AS v (c)$q$, c))`)
		if err != nil {
			t.Fatal(err)
		}
		refused, err := pgx.CollectRows(rows, pgx.RowTo[rune])
		if err != nil {
			t.Fatal(err)
		}
		var want []rune
		for c := rune(1); c <= utf8.MaxRune; c++ {
			if utf8.ValidRune(c) && (c < 20000 || c%97 == 0) && !check.want("x"+string(c)+"x") {
				want = append(want, c)
			}
		}
		if diff := cmp.Diff(want, refused); diff != "" {
			t.Errorf("%s: -refused by Go +by SQL:\n%s", name, diff)
		}
	}
}

// A role that has no right on any table reports and publishes once it has been
// granted the functions, and not before.
func TestARoleNeedsTheGrantAndNoOther(t *testing.T) {
	t.Parallel()
	db := open(t)
	j := started(t, db, &queue{}, "w")
	role := fmt.Sprintf("clerk_%s", j.ID)
	execute(t, db.Pool(), `CREATE ROLE "`+role+`"`)
	defer execute(t, db.Pool(), `DROP OWNED BY "`+role+`"; DROP ROLE "`+role+`"`) // roles are the server's, not the database's
	execute(t, db.Pool(), `GRANT USAGE ON SCHEMA herald TO "`+role+`"`)
	calls := map[string]string{
		"report":  `SELECT herald.report('` + j.ID.String() + `', 1, message => 'hello', idempotency_key => 'k')`,
		"publish": `SELECT herald.publish('{all}', 'hello', '{}', idempotency_key => 'k')`,
	}
	as := func(sql string) string {
		tx := begin(t, db, pgx.ReadCommitted)
		execute(t, tx, `SET LOCAL ROLE "`+role+`"`)
		_, err := tx.Exec(t.Context(), sql)
		if rollbackErr := tx.Rollback(t.Context()); rollbackErr != nil {
			t.Fatal(rollbackErr)
		}
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
			return refused.Code
		}
		return ""
	}
	const denied = "42501"
	for name, sql := range calls {
		if code := as(sql); code != denied {
			t.Errorf("%s without the grant: %q, want %s", name, code, denied)
		}
	}
	execute(t, db.Pool(), `GRANT EXECUTE ON FUNCTION herald.report, herald.publish TO "`+role+`"`)
	for name, sql := range calls {
		if code := as(sql); code != "" {
			t.Errorf("%s with the grant: %s", name, code)
		}
	}
	for _, sql := range []string{
		`SELECT FROM herald.jobs`, `SELECT FROM herald.outbox`, `SELECT FROM herald.idempotency_keys`,
		`INSERT INTO herald.outbox (event_id, type, topics, payload) VALUES (gen_random_uuid(), 'job.failed', '{all}', '{}')`,
		`SELECT herald.key_take('publish:x', 'k', sha256(''), '{}')`,
	} {
		if code := as(sql); code != denied {
			t.Errorf("%s: %q, want %s", sql, code, denied)
		}
	}
	if n := count(t, db.Pool(), `SELECT count(*) FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
		WHERE p.pronamespace = 'herald'::regnamespace AND a.grantee = 0
			AND p.proname ~ '^(report|publish|refuse|check|key|job|plan|topic|fingerprint|time_text|uuid_v7)'`); n != 0 {
		t.Errorf("everybody may execute %d of Herald's functions", n)
	}
}

// A group's publications have each a result of their own, and a transaction that
// holds one's key holds up that one alone.
func TestAGroupIsOneTransactionWithAResultForEach(t *testing.T) {
	t.Parallel()
	db := open(t)
	submission := func(text, key string) event.Submission {
		p := notice(text)
		p.Key = key
		s, err := p.Submission()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	seen := submission("seen", "seen")
	if _, err := db.PublishOne(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	two := submission("two", "")
	two.Events = append(two.Events, submission("three", "").Events...)
	group := []event.Submission{submission("one", "z"), submission("seen", "seen"), two, submission("other", "seen"), submission("four", "a")}
	results, err := db.PublishGroup(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	want := []eventlog.Result{
		{Published: event.Published{IDs: group[0].IDs()}},
		{Published: event.Published{IDs: seen.IDs(), Repeated: true}},
		{Published: event.Published{IDs: two.IDs()}},
		{Err: event.ErrKeyReused},
		{Published: event.Published{IDs: group[4].IDs()}},
	}
	if diff := cmp.Diff(want, results, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("PublishGroup(): -want +got:\n%s", diff)
	}
	rows, err := db.Pool().Query(t.Context(), `SELECT payload ->> 'text' FROM herald.outbox ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if diff := cmp.Diff([]string{"seen", "one", "two", "three", "four"}, texts); diff != "" || err != nil {
		t.Errorf("in the outbox: %v, -want +got:\n%s", err, diff)
	}

	tx := begin(t, db, pgx.ReadCommitted)
	if _, err := sqlPublish(t.Context(), tx, func() event.Publication { p := notice("held"); p.Key = "held"; return p }()); err != nil {
		t.Fatal(err)
	}
	held := submission("held", "held")
	if _, err := db.PublishGroup(t.Context(), []event.Submission{held, submission("five", "")}); !errors.Is(err, eventlog.ErrApart) {
		t.Errorf("PublishGroup(one whose key is held) = %v, want %v", err, eventlog.ErrApart)
	}
	if _, err := db.PublishGroup(t.Context(), []event.Submission{held}); !errors.Is(err, eventlog.ErrLocked) {
		t.Errorf("PublishGroup(that alone) = %v, want %v", err, eventlog.ErrLocked)
	}
	if n := outboxed(t, db.Pool()); n != 5 {
		t.Errorf("%d events, want nothing of what was refused", n)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := db.PublishOne(t.Context(), held); err != nil || !got.Repeated {
		t.Errorf("PublishOne(after that) = %+v, %v, want it repeated", got, err)
	}
}

// Requests, and not what became of them, are told apart when they say so; a key
// is remembered for as long as was asked.
func TestAPublicationMaySayWhatItsRequestIs(t *testing.T) {
	t.Parallel()
	db := open(t)
	p := notice("first")
	p.Key, p.Request, p.KeyLife = "k", []byte("request"), 30*24*time.Hour
	first, err := db.Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	p.Notices[0].Payload = json.RawMessage(`{}`)
	if again, err := db.Publish(t.Context(), p); err != nil || !again.Repeated || again.IDs[0] != first.IDs[0] {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
	p.Request = []byte("another")
	if _, err := db.Publish(t.Context(), p); !errors.Is(err, event.ErrKeyReused) {
		t.Errorf("another request: %v, want %v", err, event.ErrKeyReused)
	}
	if n := count(t, db.Pool(), `SELECT count(*) FROM herald.idempotency_keys WHERE expires_at > now() + interval '29 days'`); n != 1 {
		t.Errorf("%d keys that are remembered for a month", n)
	}
}
