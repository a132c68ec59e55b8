package app_test

import (
	"testing"

	"herald/internal/app"
)

func TestStreamsLeaveFilesForTheRest(t *testing.T) {
	t.Parallel()
	for files, want := range map[uint64]uint64{0: 1, 1: 1, 1024: 768, 20_000: 15_904, 65_536: 61_440, 1 << 63: 1<<63 - 4096} {
		if got := app.StreamsWithin(files); got != want {
			t.Errorf("StreamsWithin(%d) = %d, want %d", files, got, want)
		}
	}
}
