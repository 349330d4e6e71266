package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/signals"
)

func TestOnlyWhatWasDoneAboutAnIncidentIsUndoneInItsName(t *testing.T) {
	t.Parallel()
	page := &signals.Page{Actions: []signals.Executed{
		{Action: "PAUSE_CONTAINER", ExecutionID: "x-1"}, {Action: "STOP_CONTAINER", ExecutionID: "x-2", UndoneBy: "bob"},
	}}
	for undo, of := range map[string]string{"x-1": "PAUSE_CONTAINER", "": "KILL_CONTAINER"} {
		require.NoError(t, activities.Undoes(page, &signals.ManualInput{Action: of, Undo: undo}))
	}
	for undo, of := range map[string]string{"x-1": "STOP_CONTAINER", "x-2": "STOP_CONTAINER", "x-3": "PAUSE_CONTAINER"} {
		require.Equal(t, activities.ErrRefused, final(t, activities.Undoes(page, &signals.ManualInput{Action: of, Undo: undo})), undo)
	}
}
