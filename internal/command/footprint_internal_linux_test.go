package command

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProcessForgetsWhatOnlyItsStartNeeded(t *testing.T) {
	before := mappedFiles(t)
	forgetStartup()
	require.Less(t, mappedFiles(t), before, "and the test goes on")
}

// mappedFiles is how much of the files that this process maps is in its memory,
// in KiB.
func mappedFiles(t *testing.T) (kib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range bytes.Lines(status) {
		if n, _ := fmt.Sscanf(string(line), "RssFile: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Skip("this kernel does not tell")
	return 0
}
