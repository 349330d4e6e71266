package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	domain "firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
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

// TestRecordHistoriesOfIncidentsThatMoveOn records every run of an incident of
// its own, NAME-1, NAME-2, …, in the same way.
func TestRecordHistoriesOfIncidentsThatMoveOn(t *testing.T) {
	t.Parallel()
	if os.Getenv("FIREBREAK_RECORD_HISTORIES") != "1" {
		t.Skip("records only with FIREBREAK_RECORD_HISTORIES=1")
	}
	hasty := hastyTemporal(t)
	for name, m := range movers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(filepath.Join(histories, name+"-1.json")); err == nil {
				t.Skip("it is recorded")
			}
			for n, run := range m.play(t, hasty).chain() {
				file := filepath.Join(histories, fmt.Sprintf("%s-%d.json", name, n+1))
				require.NoError(t, os.WriteFile(file, run.history(), 0o644))
			}
		})
	}
}

// TestRecordHistoriesOfSpecialInstallations records what needs more than a route.
func TestRecordHistoriesOfSpecialInstallations(t *testing.T) {
	t.Parallel()
	if os.Getenv("FIREBREAK_RECORD_HISTORIES") != "1" {
		t.Skip("records only with FIREBREAK_RECORD_HISTORIES=1")
	}
	for name, play := range map[string]func(*testing.T) *incident{
		"crypto-miner-verified": func(t *testing.T) *incident {
			f, _ := authenticated(t, pair)
			i := f.openMiner()
			i.awaitRequest("KILL_CONTAINER")
			for _, analyst := range []string{"mallory", "ann", "bob"} {
				f.runAs(analyst, firebreak(), "approve", i.WorkflowID, "--analyst", "ceo", "--reason", "confirmed")
			}
			i.contained()
			return i
		},
		"crypto-miner-notified": func(t *testing.T) *incident {
			c := newChannel(t, http.StatusOK)
			f := prepare(t, shared, minerRoute(""), sysdigtest.Options{}, newHost())
			f.configure("notify: {urls: ['" + c.url() + "']}")
			f.starter()
			f.worker()
			i := f.openMiner()
			i.awaitRequest("KILL_CONTAINER")
			i.approve()
			i.contained()
			return i
		},
		"crypto-miner-hooks": func(t *testing.T) *incident {
			f := prepare(t, shared, minerRoute(hookRoute), sysdigtest.Options{}, newHost())
			f.hooks(newVendor(t, nil))
			f.starter()
			f.worker()
			i := f.openMiner()
			i.contained()
			return i
		},
		"response-action": func(t *testing.T) *incident {
			f := install(t, shared, minerRoute(""), sysdigtest.Options{})
			f.worker()
			about := f.openMiner()
			about.awaitRequest("KILL_CONTAINER")
			i := f.byHand(signals.ManualInput{Action: "PAUSE_CONTAINER", Incident: about.WorkflowID, Requester: "ann", Reason: "a look"})
			i.awaitRequest("PAUSE_CONTAINER")
			i.approve()
			i.signal(signals.Approve, signals.Decision{Analyst: "bob", Reason: "agreed"})
			require.Equal(t, signals.Contained, i.page().Outcome)
			return i
		},
		"response-action-capture": func(t *testing.T) *incident {
			f := install(t, shared, minerRoute(""), sysdigtest.Options{CaptureSize: 4 << 10})
			f.worker()
			i := f.byHand(signals.ManualInput{
				Action: "CAPTURE", Requester: "ann", Reason: "a look", Capture: &domain.CaptureOptions{Scope: domain.ScopeHost},
				Parameters: map[string]signals.Scalar{"host.name": signals.Scalar(f.host.Name)},
			})
			i.awaitRequest("CAPTURE")
			i.signal(signals.Approve, signals.Decision{Analyst: "bob", Reason: "agreed"})
			require.Equal(t, signals.Captured, i.page().Outcome)
			return i
		},
		"guard-frozen-and-unfrozen": func(t *testing.T) *incident {
			f := install(t, ownTemporal(t), unasked, sysdigtest.Options{})
			f.worker()
			f.turn(signals.Freeze, signals.GuardFrozen)
			require.NoError(t, f.temporal.SignalWorkflow(f.ctx, signals.GuardID, "", signals.Freeze, "now"))
			f.turn(signals.Unfreeze, signals.GuardOpen)
			return &incident{installation: f, reference: reference{WorkflowID: signals.GuardID}}
		},
		"guard-reserving": func(t *testing.T) *incident {
			f, targets := guarded(t, ownTemporal(t), `{budgets: [{action: KILL_CONTAINER, limit: 2, per: 1h}]}`, 4)
			f.worker()
			f.sendAll(targets[:1])
			f.await("one unit is taken", func() bool { return f.in(signals.Contained) == 1 })
			f.turn(signals.Freeze, signals.GuardFrozen)
			f.turn(signals.Unfreeze, signals.GuardOpen)
			f.sendAll(targets[1:])
			f.await("the rest asks", func() bool { return f.in(signals.AwaitingApproval) == 2 })
			return &incident{installation: f, reference: reference{WorkflowID: signals.GuardID}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(histories, name+".json")
			if _, err := os.Stat(file); err == nil {
				t.Skip("it is recorded")
			}
			require.NoError(t, os.WriteFile(file, play(t).history(), 0o644))
		})
	}
}

// events are those of the history of the incident's run.
func (i *incident) events() []*history.HistoryEvent {
	i.t.Helper()
	var all []*history.HistoryEvent
	events := i.temporal.GetWorkflowHistory(i.ctx, i.WorkflowID, i.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(i.t, err)
		all = append(all, e)
	}
	return all
}

// history is the incident's history as `temporal workflow show --output json`
// prints it.
func (i *incident) history() []byte {
	i.t.Helper()
	encoded, err := protojson.Marshal(&history.History{Events: i.events()})
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
	// So does an evidence store that takes nothing tell where it is.
	text = bytes.ReplaceAll(text, []byte(i.evidenceDir), []byte("/evidence"))
	return append(text, '\n')
}
