package postgres_test

import (
	"os"
	"strings"
	"testing"
)

// Every SQL statement of docs/sql.md does what the page says; one that is to be
// refused says so in a comment.
func TestTheSQLOfTheDocsRuns(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	db := open(t)
	j := started(t, db, &queue{}, "w")
	conn, err := db.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	execute(t, conn, "UPDATE herald.jobs SET id = '0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e' WHERE id = $1", j.ID)
	execute(t, conn, "CREATE TABLE orders AS SELECT id, FALSE AS paid FROM generate_series(7, 9) AS id")
	defer execute(t, conn, "DROP OWNED BY shop; DROP ROLE shop") // roles are the server's, not the database's
	before := outboxed(t, conn)
	for _, block := range strings.Split(string(page), "```sql\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		statement := ""
		for line := range strings.SplitSeq(block, "\n") {
			sql, comment, _ := strings.Cut(line, "-- ")
			statement += sql + "\n"
			if !strings.HasSuffix(strings.TrimSpace(sql), ";") {
				continue
			}
			want, refused := strings.CutPrefix(comment, "ERROR: ")
			_, err := conn.Exec(t.Context(), statement)
			if refused != (err != nil) || refused && !strings.Contains(err.Error(), want) {
				t.Errorf("%s%v, want it refused: %v %s", statement, err, refused, want)
			}
			statement = ""
		}
	}
	if n := outboxed(t, conn) - before; n != 4 {
		t.Errorf("the page made %d events, want 4", n)
	}
}
