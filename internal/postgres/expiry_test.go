package postgres_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"herald/internal/artifact"
)

// begunAgo is an upload that was begun so long ago.
func begunAgo(age time.Duration) artifact.Artifact {
	id := uuid.Must(uuid.NewV7())
	ms := time.Now().Add(-age).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return artifact.Artifact{ID: id, Owner: "demo", Kind: artifact.Upload, Name: "x", BlobKey: artifact.UploadKey(id), CreatedAt: artifact.Began(id)}
}

// An upload is entered in time, or its blob is nobody's: never both. The one that
// is being entered while its blob is looked at is waited for.
func TestUploadsAreEnteredOrNobodys(t *testing.T) {
	t.Parallel()
	db := open(t)
	inTime, tooLate, unknown := begunAgo(artifact.UploadTime-time.Hour), begunAgo(artifact.UploadTime+time.Second), begunAgo(artifact.UploadTime-time.Hour)
	if err := db.SaveArtifact(t.Context(), tooLate); !errors.Is(err, artifact.ErrTooLate) {
		t.Errorf("entering an upload that took too long = %v, want ErrTooLate", err)
	}
	if err := db.SaveArtifact(t.Context(), inTime); err != nil {
		t.Fatal(err)
	}
	ids := []uuid.UUID{inTime.ID, tooLate.ID, unknown.ID}
	if orphans, err := db.UploadOrphans(t.Context(), ids); err != nil || !slices.Equal(orphans, []uuid.UUID{tooLate.ID}) {
		t.Errorf("UploadOrphans() = %v, %v; want the one that was too late", orphans, err)
	}

	// The insert has looked at the clock, and its row is not there yet, when the time is up.
	entering := begunAgo(artifact.UploadTime - time.Minute)
	tx, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SaveArtifactTx(t.Context(), tx, entering); err != nil {
		t.Fatal(err)
	}
	later := entering.ID // as it would be seen two minutes later
	if _, err := tx.Exec(t.Context(), `UPDATE herald.artifacts SET id = $2 WHERE id = $1`, entering.ID, begunAs(&later)); err != nil {
		t.Fatal(err)
	}
	looked := make(chan []uuid.UUID, 1)
	go func() {
		orphans, err := db.UploadOrphans(t.Context(), []uuid.UUID{later})
		if err != nil {
			t.Error(err)
		}
		looked <- orphans
	}()
	waiting := `SELECT count(*) > 0 FROM pg_locks WHERE relation = 'herald.artifacts'::regclass AND NOT granted`
	for waits := false; !waits; {
		if err := db.Pool().QueryRow(t.Context(), waiting).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if orphans := <-looked; len(orphans) > 0 {
		t.Errorf("the blob of an upload that was being entered is nobody's: %v", orphans)
	}
}

// begunAs makes the id one that was made two minutes earlier, and returns it.
func begunAs(id *uuid.UUID) uuid.UUID {
	ms := artifact.Began(*id).Add(-2 * time.Minute).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return *id
}
