package worker_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/worker"
)

func TestAVersionIsWhatTheServerTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deployment, build string
		want              string // "" is no error
	}{
		"none":             {"", "", ""},
		"both":             {"firebreak", "v1.2.3+5d0c4f1", ""},
		"the controller's": {"security/firebreak", "v1-2-3-abcd", ""},
		"no build ID":      {"firebreak", "", `deployment name "firebreak" is given without a build ID: want both, or none`},
		"no name":          {"", "1", `build ID "1" is given without a deployment name: want both, or none`},
		"dot":              {"fire.break", "1", `deployment name "fire.break": want no dot and no colon`},
		"colon":            {"fire:break", "1", `deployment name "fire:break": want no dot and no colon`},
		"reserved name":    {"__firebreak", "1", `deployment name "__firebreak": want another beginning than __`},
		"reserved ID":      {"firebreak", "__unversioned__", `build ID "__unversioned__": want another beginning than __`},
		"longest":          {strings.Repeat("n", 127), strings.Repeat("b", 127), ""},
		"too long":         {strings.Repeat("n", 127), strings.Repeat("b", 128), "deployment name and build ID of 127 and 128 bytes: want at most 254 together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := worker.Version{DeploymentName: c.deployment, BuildID: c.build}.Check()
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}
