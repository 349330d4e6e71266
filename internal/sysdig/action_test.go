package sysdig_test

import (
	"net/http"
	"testing"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestTheCatalogueSaysWhatSysdigCanDo(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, sysdigtest.Options{})
	actions, err := c.Actions(t.Context())
	require.NoError(t, err)
	require.Len(t, actions, 24)
	byName := map[string]sysdig.ActionType{}
	for _, a := range actions {
		byName[a.Name] = a
	}
	require.Empty(t, cmp.Diff(sysdig.ActionType{
		Name: "FILE_QUARANTINE", Description: "The action FILE_QUARANTINE.", ResponderType: "HOST", Undoable: true,
		Parameters: []sysdig.ActionParameter{
			{"host.id", "string", true, "The host.id."},
			{"path.absolute", "string", true, "The path.absolute."},
			{"container.id", "string", false, "The container.id."},
		},
		Outputs: []sysdig.ActionParameter{{"quarantined_file_path", "string", true, "The quarantined_file_path."}},
	}, byName["FILE_QUARANTINE"]))
	require.False(t, byName["KILL_PROCESS"].Undoable)
	require.Contains(t, byName["KILL_PROCESS"].Parameters, sysdig.ActionParameter{"process.id", "integer", true, "The process.id."})
}

func TestTheCatalogueIsReadTolerantly(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]sysdig.ActionType{
		`{"data":[]}`:                        {},
		`{"data":null}`:                      {},
		`{"data":[{"type":"KILL_PROCESS"}]}`: {{Name: "KILL_PROCESS"}},
		`{"data":[{"actionType":"X","isUndoable":"true","responderType":null,"more":1}]}`:    {{Name: "X", Undoable: true}},
		`{"data":[{"type":"X","isUndoable":1,"parameters":"none","outputs":{"name":"y"}}]}`:  {{Name: "X"}},
		`{"data":[{"type":"X","parameters":[1,{},{"name":"p","type":["a"],"required":1}]}]}`: {{Name: "X", Parameters: []sysdig.ActionParameter{{Name: "p", Type: `["a"]`}}}},
		`{"data":[{}]}`: nil,
		`{"data":[1]}`:  nil,
		`{}`:            nil,
		`[]`:            nil,
	} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
		actions, err := c.Actions(t.Context())
		require.Equal(t, want != nil, err == nil, "%s: %v", body, err)
		require.Empty(t, cmp.Diff(want, actions), body)
	}
}
