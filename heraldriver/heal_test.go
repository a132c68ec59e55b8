package heraldriver_test

import (
	"strings"
	"testing"

	"github.com/riverqueue/river"

	"herald/heraldriver"
)

// later lets so much time pass for what was missed that it is tried again.
func (b *bench) later() {
	b.Helper()
	b.exec(`UPDATE herald.river_missed SET missed_at = missed_at - interval '1 hour'`)
}

func (b *bench) heal(want int) error {
	b.Helper()
	n, err := b.db.HealRiver(b.Context())
	if n != want {
		b.Errorf("HealRiver() = %d, %v, want %d", n, err, want)
	}
	return err
}

// What was missed is made good by whoever looks after it, without a start of the
// program, and what cannot be made good does not keep the rest from it.
func TestWhatWasMissedHeals(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	client := b.inserter()
	kept, gone := b.insert(client, nil), b.insert(client, &river.InsertOpts{MaxAttempts: 2})
	b.exec(`ALTER TABLE herald.jobs ADD CONSTRAINT stays CHECK (state = 'queued') NOT VALID`)
	b.fetch()
	b.exec(`DELETE FROM shop.river_job WHERE id = $1`, gone.ID)
	b.exec(`INSERT INTO herald.river_missed (schema, river_id, code, message) VALUES ('nowhere', 1, '', '')`)
	b.wantCount(3, "herald.river_missed")

	b.must(b.heal(0)) // it has just failed
	b.later()
	if err := b.heal(0); err == nil || !strings.Contains(err.Error(), "nowhere.river_job") && !strings.Contains(err.Error(), "stays") {
		t.Errorf("HealRiver() = %v, want what went wrong", err)
	}
	b.wantCount(3, "herald.river_missed")
	b.wantCount(1, "herald.river_missed WHERE schema = 'nowhere' AND tries = 2 AND missed_at = (SELECT max(missed_at) FROM herald.river_missed)")
	b.must(b.heal(0)) // not at once again

	b.exec(`ALTER TABLE herald.jobs DROP CONSTRAINT stays`)
	b.later()
	if err := b.heal(2); err == nil || !strings.Contains(err.Error(), `nowhere.river_job`) {
		t.Errorf("HealRiver() = %v, want which River cannot be reached", err)
	}
	b.wantCount(1, "herald.river_missed")
	b.wantStory(kept, "queued (river)", "started (w1)")
	b.wantStory(gone, "queued (river)", "cancelled (river)")
}

// A row that River's own client holds is not waited for.
func TestHealingWaitsForNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	row := b.insert(b.inserter(), nil)
	b.exec(`INSERT INTO herald.river_missed (schema, river_id, code, message) VALUES ($1, $2, '', '')`, schema, row.ID)
	b.later()
	tx, err := b.pool.Begin(t.Context())
	b.must(err)
	_, err = tx.Exec(t.Context(), `SELECT FROM shop.river_job FOR UPDATE`)
	b.must(err)
	b.must(b.heal(0))
	b.must(tx.Rollback(t.Context()))
	b.must(b.heal(1))
	b.wantCount(0, "herald.river_missed")
}
