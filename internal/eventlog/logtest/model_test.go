package logtest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Writers of every kind write while sequencers are killed and frozen, backends
// terminated, and Postgres itself is killed and started again. Every committed
// event reaches the log and each of its readers once, and in order.
func TestModel(t *testing.T) { //nolint:tparallel // one world after another has the machine for itself
	t.Parallel()
	const storms, length = 3, 4 * time.Second // one for each way in which Postgres is killed
	seed := rand.Uint64()
	if text := os.Getenv("HERALD_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("HERALD_TEST_SEED: %v", err)
		}
	}
	began := time.Now()
	for more := true; more; more = time.Since(began) < soak(t) && !t.Failed() {
		t.Run(fmt.Sprintf("HERALD_TEST_SEED=%d", seed), func(t *testing.T) {
			newWorld(t, seed).run(t.Context(), storms, length)
		})
		seed++
	}
}
