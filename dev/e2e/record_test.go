package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// histories is where the playbooks' replay tests find what is recorded here.
const histories = "../../workflows/testdata/histories"

// TestRecordHistories records the history of an incident of every playbook and
// outcome, for what is not there yet. A recorded history is never replaced: it
// stands for the incidents that are under way when a new worker is deployed. To
// record what a changed playbook does besides, add a scenario.
func TestRecordHistories(t *testing.T) {
	t.Parallel()
	if os.Getenv("FIREBREAK_RECORD_HISTORIES") != "1" {
		t.Skip("records only with FIREBREAK_RECORD_HISTORIES=1")
	}
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(histories, name+".json")
			if _, err := os.Stat(file); err == nil {
				t.Skip("it is recorded")
			}
			f := install(t, shared, s.route, s.sysdig)
			f.worker()
			detection := newEvent(t, f.host, minerRule).small()
			if s.edit != nil {
				s.edit(f, detection)
			}
			i := f.open(detection)
			if s.play != nil {
				s.play(i)
			}
			page := i.page()
			require.Equal(t, s.outcome, page.Outcome)
			i.verify(page)
			require.NoError(t, os.MkdirAll(histories, 0o755))
			require.NoError(t, os.WriteFile(file, i.history(), 0o644))
		})
	}
}

// history is the incident's history as `temporal workflow show --output json`
// prints it.
func (i *incident) history() []byte {
	i.t.Helper()
	whole := &history.History{}
	events := i.temporal.GetWorkflowHistory(i.ctx, i.WorkflowID, i.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(i.t, err)
		whole.Events = append(whole.Events, e)
	}
	encoded, err := protojson.Marshal(whole)
	require.NoError(i.t, err)
	var indented bytes.Buffer // what protojson itself indents differs from build to build
	require.NoError(i.t, json.Indent(&indented, encoded, "", " "))
	text := indented.Bytes()
	// Workers name themselves after the machine, which is nobody's business.
	machine, err := os.Hostname()
	require.NoError(i.t, err)
	for _, mark := range []string{"@" + machine, machine + ":"} {
		text = bytes.ReplaceAll(text, []byte(mark), []byte(strings.Replace(mark, machine, "host", 1)))
	}
	return append(text, '\n')
}
