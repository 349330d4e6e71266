package e2e_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chance is a source of moments. A run is repeated, as far as a run of several
// processes can be, with FIREBREAK_SEED set to what it printed.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FIREBREAK_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "FIREBREAK_SEED")
	}
	t.Logf("FIREBREAK_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// moment is a random time up to a most.
func moment(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}
