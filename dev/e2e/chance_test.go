package e2e_test

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "what chance follows from, where a test leaves something to it; 0 is the time")

// seed is what a test's chance follows from. A run is repeated, as far as a run
// of several processes can be, with the flag that it prints.
func seed(t *testing.T) uint64 {
	t.Helper()
	seed := cmp.Or(*seedFlag, uint64(time.Now().UnixNano()))
	t.Logf("--seed %d", seed)
	return seed
}

// chance is a source of moments.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(seed(t), 0))
}

// moment is a random time up to a most.
func moment(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}
