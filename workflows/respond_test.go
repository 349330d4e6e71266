package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// respondInput is a route of respond that acts without asking.
func respondInput(action string) signals.Input {
	return signals.Input{
		Route: incident.Route{
			Name: "respond", Playbook: "respond", Action: action, CoolDown: noCoolDown(), Approval: incident.Approval{Mode: incident.ModeNone},
		},
	}
}

// everything is an event that has a field for every parameter that an incident
// can tell.
func everything() incident.Incident {
	inc := miner()
	inc.File = incident.File{Path: "/tmp/xmrig"}
	inc.Kubernetes = incident.Kubernetes{
		Cluster: "prod", Namespace: "shop", Pod: "web-1", WorkloadName: "web", WorkloadType: "deployment",
	}
	inc.Cloud = incident.Cloud{Provider: "aws", Account: "123456789012", Region: "us-east-1", Instance: "i-0abc"}
	inc.User, inc.OccurredAt = "mallory", time.Now()
	inc.Fields = map[string]string{
		"ct.user.arn": "arn:aws:iam::123456789012:user/mallory", "ct.user.identitytype": "IAMUser", "drop.file": "/tmp/dropped",
		"image.size": "12", "nothing": "<NA>",
	}
	return inc
}

func TestRespondFillsTheParametersOfEveryActionFromTheIncident(t *testing.T) {
	t.Parallel()
	for _, action := range catalogue.All() {
		t.Run(action.Name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := respondInput(action.Name)
			in.Route.Parameters = map[string]string{}
			for _, name := range action.Nowhere() {
				in.Route.Parameters[name] = `"given"`
				if p, _ := action.Parameter(name); p.Type == catalogue.Integer {
					in.Route.Parameters[name] = "15"
				}
			}
			page := b.run(workflows.Respond, in, everything())
			want := signals.Contained
			if action.Class == catalogue.DataGathering {
				want = signals.Captured
			}
			require.Equal(t, want, page.Outcome, texts(page, signals.KindAction))
			require.Len(t, b.executed, 1)
			require.Equal(t, action.Name, b.executed[0].Action)
			for _, p := range action.Parameters {
				if p.Required {
					require.Contains(t, b.executed[0].Parameters, p.Name)
				}
			}
			require.Equal(t, action.Fetches, len(page.Evidence) == 2, "what it brought is evidence, beside the manifest")
		})
	}
}

func TestRespondChoosesByWhatTheIncidentCarries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit func(*incident.Incident)
		want string
	}{
		"a file in a container": {func(*incident.Incident) {}, "FILE_QUARANTINE"},
		"a container":           {func(i *incident.Incident) { i.File.Path = "" }, "KILL_CONTAINER"},
		"a process on a host":   {func(i *incident.Incident) { i.Container, i.HostLevel = incident.Container{}, true }, "KILL_PROCESS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			event := everything()
			test.edit(&event)
			page := b.run(workflows.Respond, respondInput(incident.ActionAuto), event)
			require.Equal(t, signals.Contained, page.Outcome)
			require.Equal(t, test.want, b.executed[0].Action)
		})
	}
}

// An event that does not say in which container it happened is nothing to act on a
// host for: neither its process, nor its file, nor a capture of all of it.
func TestUnknownContainerIsAskedForBeforeAnythingOnItsHost(t *testing.T) {
	t.Parallel()
	unknown := everything()
	unknown.Container = incident.Container{Name: "web"}
	for action, want := range map[string]string{
		incident.ActionAuto: "KILL_CONTAINER", "KILL_PROCESS": "KILL_PROCESS", "FILE_QUARANTINE": "FILE_QUARANTINE", "FILE_ACQUIRE": "FILE_ACQUIRE", "KILL_CONTAINER": "KILL_CONTAINER",
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			in := respondInput(action)
			require.Contains(t, unknown.Missing(workflows.RequiredFields(&in.Route, &unknown)...), "container.id")
			b := newBench(t)
			b.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"container.id": "aaaaaaaaaaaa"}})
			page := b.run(workflows.Respond, in, unknown)
			require.Len(t, b.executed, 1, texts(page, signals.KindCheck))
			require.Equal(t, want, b.executed[0].Action)
			require.Equal(t, "aaaaaaaaaaaa", page.Incident.Container.ID)
		})
	}
	for name, route := range map[string]incident.Route{
		"capture": {Playbook: "capture"}, "capture by action": {Playbook: "capture", Capture: incident.CaptureOptions{Backend: incident.BackendResponseAction}},
		"crypto-miner": {Playbook: "crypto-miner"}, "auto": {Playbook: "respond", Action: incident.ActionAuto},
	} {
		require.Contains(t, workflows.RequiredFields(&route, &unknown), "container.id", name)
	}
	onHost := everything()
	onHost.Container, onHost.HostLevel = incident.Container{}, true
	for _, route := range []incident.Route{{Playbook: "capture"}, {Playbook: "crypto-miner"}, {Playbook: "respond", Action: "FILE_ACQUIRE"}} {
		require.NotContains(t, workflows.RequiredFields(&route, &onHost), "container.id")
	}
	for _, action := range []string{"DELETE_POD", "ISOLATE_NETWORK", "IAM_QUARANTINE"} {
		require.NotContains(t, workflows.RequiredFields(&incident.Route{Playbook: "respond", Action: action}, &unknown), "container.id", "it is not on the host")
	}
}

// A value of the event that goes into an action has the shape of its kind.
func TestParameterOfAnotherShapeIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("KILL_CONTAINER")
	in.Route.Parameters = map[string]string{"container.id": `incident.fields["drop.file"]`}
	event := everything()
	event.Container = incident.Container{}
	b.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"container.id": "aaaaaaaaaaaa"}})
	page := b.run(workflows.Respond, in, event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, "aaaaaaaaaaaa", b.executed[0].Parameters["container.id"])
	require.Contains(t, strings.Join(texts(page, signals.KindCheck), "\n"), "cannot be used")
}

func TestRespondTakesParametersFromExpressions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("FILE_QUARANTINE")
	in.Route.Parameters = map[string]string{"path.absolute": `incident.fields["drop.file"]`}
	event := everything()
	event.File.Path = ""
	page := b.run(workflows.Respond, in, event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, "/tmp/dropped", b.executed[0].Parameters["path.absolute"])
	require.Contains(t, strings.Join(texts(page, signals.KindRequest), "\n"), "FILE_QUARANTINE /tmp/dropped in container")
}

func TestTheProcessThatIsAskedAboutIsTheOneThatIsKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("KILL_PROCESS")
	in.Route.Parameters = map[string]string{"process.id": "815"}
	event := everything()
	event.OccurredAt = b.Now()
	page := b.run(workflows.Respond, in, event)
	require.Contains(t, strings.Join(texts(page, signals.KindRequest), "\n"), "KILL_PROCESS 815 on container")
}

func TestWhereAnExpressionFindsNothingAnAnalystSuppliesTheField(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("FILE_QUARANTINE")
	in.Route.Parameters = map[string]string{"path.absolute": `incident.fields["no.such.field"]`}
	event := everything()
	event.File.Path = ""
	b.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"file.path": "/tmp/amended"}})
	page := b.run(workflows.Respond, in, event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, "/tmp/amended", b.executed[0].Parameters["path.absolute"])
	require.Contains(t, strings.Join(texts(page, signals.KindCheck), "\n"), "no such key: no.such.field")
}

func TestAParameterThatNobodyTellsFailsTheIncidentWithItsName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("MAKE_PRIVATE_CLOUD_RESOURCE")
	in.Route.Parameters = map[string]string{"cloudResourceType": `"s3"`, "cloudResourceName": `incident.fields["no.such.field"]`}
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Failed, page.Outcome)
	require.Empty(t, b.executed)
	require.ErrorContains(t, b.GetWorkflowError(), "MAKE_PRIVATE_CLOUD_RESOURCE: parameter cloudResourceName is missing")
	require.ErrorContains(t, b.GetWorkflowError(), "no such key: no.such.field")
}

func TestAnActionThatOnlySysdigKnowsIsCarriedOutAsItsCatalogueSays(t *testing.T) {
	t.Parallel()
	var a *activities.Activities
	b := newBench(t)
	b.OnActivity(a.DescribeAction, mock.Anything, activities.DescribeInput{Action: "FREEZE_CONTAINER"}).Return(
		func(context.Context, activities.DescribeInput) (*catalogue.Action, error) {
			return &catalogue.Action{Name: "FREEZE_CONTAINER", Class: catalogue.Containment, UndoneBy: "its undo", Parameters: []catalogue.Parameter{
				{Name: "container.id", Type: catalogue.Text, Required: true, From: catalogue.From("container.id")},
			}}, nil
		}).Once()
	page := b.run(workflows.Respond, respondInput("FREEZE_CONTAINER"), everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, map[string]any{"container.id": "6949e5f10829"}, b.executed[0].Parameters)
}

func TestAnActionThatNobodyKnowsFailsTheIncident(t *testing.T) {
	t.Parallel()
	var a *activities.Activities
	b := newBench(t)
	b.OnActivity(a.DescribeAction, mock.Anything, mock.Anything).Return(nil, refusal(activities.ErrRefused, "Sysdig does not have it"))
	page := b.run(workflows.Respond, respondInput("KILL_CONTAINR"), everything())
	require.Equal(t, signals.Failed, page.Outcome)
	require.Empty(t, b.executed)
}

func TestWhatAnActionBroughtIsListedWithWhoApprovedIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("FILE_ACQUIRE")
	in.Route.Approval = incident.Approval{}
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, []activities.FetchInput{{
		Action: "FILE_ACQUIRE", ExecutionID: "x-1", ApprovedBy: []string{"ann"}, WorkflowID: page.WorkflowID, RunID: page.RunID,
	}}, b.fetched)
	require.Equal(t, []string{"x-1.bin", "manifest.json"}, page.Evidence)
	require.Len(t, b.files, 1)
	require.Equal(t, []string{"ann"}, b.files[0].ApprovedBy)
}

func TestWhatCannotBeStoredWasTakenAllTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fetch = func(activities.FetchInput) (activities.StoredFile, error) {
		return activities.StoredFile{}, refusal(activities.ErrNotFound, "Sysdig has neither a file nor outputs of it")
	}
	page := b.run(workflows.Respond, respondInput("FILE_ACQUIRE"), everything())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, []string{"manifest.json"}, page.Evidence)
	require.Contains(t, strings.Join(texts(page, signals.KindEvidence), "\n"), "what FILE_ACQUIRE brought is not stored: Sysdig has neither a file nor outputs of it")
}

func TestWhatADryRunDidNotTakeIsNotFetched(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{Status: activities.StatusObserved, Observed: true}, nil
	}
	page := b.run(workflows.Respond, respondInput("FILE_ACQUIRE"), everything())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Empty(t, b.fetched)
}

func TestExpressionsThatCannotBeEvaluatedFailTheIncident(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("FILE_QUARANTINE")
	in.Route.Parameters = map[string]string{"container.id": "incident."}
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Failed, page.Outcome, "the incident's own is not what the route wants")
	require.Empty(t, b.executed)
}

func TestRespondDoesNothingBelowTheThreshold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limit := incident.Severity(3)
	in := respondInput("KILL_CONTAINER")
	in.Route.MaxSeverity = &limit
	event := everything()
	event.Severity = 6
	require.Equal(t, signals.BelowThreshold, b.run(workflows.Respond, in, event).Outcome)
	require.Empty(t, b.executed)
}

func TestAnAnalystUndoesWhatWasDoneWhileTheIncidentWatches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm", Receipt: "r-1"})
	b.at(2*time.Minute, signals.Undo, signals.Instruction{Analyst: "bob", Reason: "again"})
	start := b.Now()
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Less(t, b.Now().Sub(start), 10*time.Minute, "there is nothing to watch any more")
	require.Len(t, b.executed, 2)
	require.Equal(t, "x-1", b.executed[1].Undo)
	require.NotEqual(t, b.executed[0].CallerID, b.executed[1].CallerID)
	require.Equal(t, approvals.Claim{
		Route: "respond", Playbook: "respond", Action: "PAUSE_CONTAINER", ApprovedBy: []string{"ann"}, Undo: true,
	}, b.executed[1].Claim)
	require.Equal(t, "ann", page.Actions[0].UndoneBy)
	require.True(t, b.receipt("r-1").Counted)
	require.Contains(t, texts(page, signals.KindDecision), "undo PAUSE_CONTAINER: a false alarm")
}

func TestWhoMayNotApproveMayNotUndo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	in.Approvers = signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"ann"}}
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "mallory", Reason: "mine"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
	require.Equal(t, []string{`undo did not count: analyst "mallory" is not entitled: not in the list of approvers`}, texts(page, signals.KindRefused))
}

func TestAnUndoThatFailsCanBeAskedForAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		if len(b.executed) == 2 {
			return activities.Execution{}, refusal(activities.ErrFailed, "agent busy")
		}
		return activities.Execution{ID: "x-" + string(rune('0'+len(b.executed))), Status: "COMPLETED"}, nil
	}
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	b.at(2*time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "once more"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Len(t, b.executed, 3)
	require.NotEqual(t, b.executed[1].CallerID, b.executed[2].CallerID, "a new intention needs a new caller ID")
	require.Equal(t, "x-3", page.Actions[0].UndoID)
}

// What is asked for once more is not the containment's undo again, and no answer to
// the question that stands.
func TestWhatWasUndoneIsNotUndoneAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	in.Route.Approval = incident.Approval{}
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	again := everything()
	again.ID, again.OccurredAt = "event-2", b.Now().Add(time.Hour)
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
	b.at(3*time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	b.at(4*time.Minute, signals.Undo, signals.Instruction{Analyst: "bob", Reason: "again"})
	b.at(5*time.Minute, signals.Approve, decision("carl"))
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"undo did not count: PAUSE_CONTAINER was undone already, by ann"}, texts(page, signals.KindRefused))
	require.Len(t, b.executed, 3)
	require.Equal(t, []string{"", "x-1", ""}, []string{b.executed[0].Undo, b.executed[1].Undo, b.executed[2].Undo})
	require.Equal(t, []string{"carl"}, b.executed[2].Claim.ApprovedBy)
	require.Equal(t, "ann", page.Actions[0].UndoneBy)
	require.Empty(t, page.Actions[1].UndoneBy)
}

func TestAnUndoUnderWayIsWaitedForAndNotBegunTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if in.Undo != "" {
			b.SignalWorkflow(signals.Undo, signals.Instruction{Analyst: "bob", Reason: "the same"})
			b.CancelWorkflow()
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Rejected, page.Outcome, "nothing is contained any more")
	require.Equal(t, []string{"undo did not count: PAUSE_CONTAINER is being undone"}, texts(page, signals.KindRefused))
	require.Len(t, b.executed, 2)
	require.Equal(t, "ann", page.Actions[0].UndoneBy, "who cancels the workflow does not leave it half undone")
}

// The detection may return, and be answered, before an undo has ended.
func TestAnUndoIsOfTheActionThatItWasAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	again := everything()
	again.ID, again.OccurredAt = "event-2", b.Now().Add(time.Hour)
	paused := make(chan struct{})
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		switch {
		case in.Undo != "":
			b.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
			b.SignalWorkflow(signals.Approve, decision("bob"))
			<-paused
			return activities.Execution{ID: "x-3", Status: "COMPLETED"}, nil
		case len(b.executed) > 1:
			close(paused)
			return activities.Execution{ID: "x-2", Status: "COMPLETED"}, nil
		default:
			return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
		}
	}
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, page.Actions, 2)
	require.Equal(t, "ann", page.Actions[0].UndoneBy)
	require.Equal(t, "x-3", page.Actions[0].UndoID)
	require.Empty(t, page.Actions[1].UndoneBy)
}

func TestAnUndoThatComesAsTheIncidentClosesDoesNotCount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.report = func(signals.Page) error {
		b.SignalWorkflow(signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm", Receipt: "r-1"})
		return nil
	}
	page := b.run(workflows.Respond, respondInput("PAUSE_CONTAINER"), everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
	receipt := b.receipt("r-1")
	require.False(t, receipt.Counted)
	require.Equal(t, "too late: the incident is closing as contained; once it is closed, ask for the undo by hand", receipt.Text)
}

func TestWhatADryRunDidNotDoIsNotUndone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	in.Route.AutoUndoAfter = incident.Duration(time.Hour)
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{Status: activities.StatusObserved, Observed: true}, nil
	}
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"undo did not count: PAUSE_CONTAINER was not carried out: there is nothing to undo"}, texts(page, signals.KindRefused))
	require.Len(t, b.executed, 1)
	require.True(t, page.Actions[0].Observed)
	require.Len(t, texts(page, signals.KindRequest), 1, "whether to keep it is not asked")
}

// A worker may be told to only observe after it contained.
func TestAnUndoThatWasOnlyObservedHasUndoneNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if in.Undo != "" {
			return activities.Execution{Status: activities.StatusObserved, Observed: true}, nil
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 2)
	require.Empty(t, page.Actions[0].UndoneBy)
	require.Contains(t, texts(page, signals.KindAction), "PAUSE_CONTAINER was not undone: this worker only observes")
}

func TestAProtectedTargetIsNotAskedAboutAgain(t *testing.T) {
	t.Parallel()
	protected := func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{}, refusal(activities.ErrProtected, "guard.protected protects its target")
	}
	b := newBench(t)
	b.execute = protected
	page := b.run(workflows.Respond, respondInput("PAUSE_CONTAINER"), everything())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Len(t, b.executed, 1)

	b = newBench(t)
	b.execute = protected
	b.at(time.Minute, signals.Approve, decision("bob"))
	page = b.manual(killByHand(), activities.Manual{})
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Len(t, b.executed, 1)
}

func TestWhatCannotBeUndoneSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("KILL_CONTAINER")
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"undo did not count: KILL_CONTAINER cannot be undone"}, texts(page, signals.KindRefused))
}

func TestAContainmentIsUndoneAfterAWhileUnlessAnAnalystConfirmsIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer  string
		want    signals.State
		undone  string
		decided string
	}{
		"confirmed": {signals.Approve, signals.Contained, "", "approved KEEP_CONTAINMENT"},
		"rejected":  {signals.Reject, signals.Rejected, "ann", "rejected KEEP_CONTAINMENT"},
		"undone":    {signals.Undo, signals.Rejected, "ann", "undo PAUSE_CONTAINER"},
		"ignored":   {"", signals.Expired, "firebreak", "KEEP_CONTAINMENT denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := respondInput("PAUSE_CONTAINER")
			in.Route.AutoUndoAfter = incident.Duration(time.Hour)
			switch test.answer {
			case "":
			case signals.Undo:
				b.at(30*time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "enough"})
			default:
				b.at(30*time.Minute, test.answer, decision("ann"))
			}
			start := b.Now()
			page := b.run(workflows.Respond, in, everything())
			require.Equal(t, test.want, page.Outcome)
			require.Equal(t, test.undone, page.Actions[0].UndoneBy)
			require.Contains(t, strings.Join(texts(page, signals.KindDecision), "\n"), test.decided)
			if test.undone == "" {
				require.Len(t, b.executed, 1)
				return
			}
			require.Len(t, b.executed, 2)
			require.Equal(t, "x-1", b.executed[1].Undo)
			if test.answer == "" {
				require.GreaterOrEqual(t, b.Now().Sub(start), time.Hour)
			}
		})
	}
}

func TestAnIncidentThatMovesOnUndoesNothingUntilTheTimeIsUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	in.Route.AutoUndoAfter = incident.Duration(time.Hour)
	b.suggest(time.Minute)
	next, page := b.moves(workflows.Respond, opened(in, everything()), everything())
	require.Len(t, b.executed, 1)
	require.Equal(t, signals.AwaitingApproval, page.State)
	for name, test := range map[string]struct {
		keep bool
		want signals.State
	}{
		"kept": {true, signals.Contained}, "not kept": {false, signals.Expired},
	} {
		then := b.after()
		if test.keep {
			then.at(time.Minute, signals.Approve, decision("ann"))
		}
		var carried map[string]any
		require.NoError(t, json.Unmarshal(next.Carried, &carried))
		carried["reset"] = true
		var err error
		next.Carried, err = json.Marshal(carried)
		require.NoError(t, err)
		page = then.run(workflows.Respond, next)
		require.Equal(t, test.want, page.Outcome, name)
		if test.keep {
			require.Empty(t, then.executed)
			continue
		}
		require.Len(t, then.executed, 1)
		require.Equal(t, "x-1", then.executed[0].Undo)
		require.True(t, then.executed[0].Resumed, "a run that was reset may have submitted it")
		require.Equal(t, "firebreak", page.Actions[0].UndoneBy)
	}
}

func TestATimedUndoThatFailsIsAskedAboutAndMayThenSucceed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		answer string
		want   signals.State
		undos  int
	}{
		"tried again":                {refusal(activities.ErrFailed, "agent busy"), signals.Approve, signals.Expired, 2},
		"tried again by undo":        {refusal(activities.ErrFailed, "agent busy"), signals.Undo, signals.Expired, 2},
		"given up":                   {refusal(activities.ErrFailed, "agent busy"), signals.Reject, signals.Failed, 1},
		"nobody knows, and is asked": {refusal(activities.ErrAmbiguous, "no answer"), "", signals.Ambiguous, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := respondInput("PAUSE_CONTAINER")
			in.Route.AutoUndoAfter = incident.Duration(time.Hour)
			b.execute = func(activities.ActionInput) (activities.Execution, error) {
				if len(b.executed) == 2 {
					return activities.Execution{}, test.err
				}
				return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
			}
			switch test.answer {
			case "":
			case signals.Undo:
				b.at(2*time.Hour, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "again"})
			default:
				b.at(2*time.Hour, test.answer, decision("ann"))
			}
			page := b.run(workflows.Respond, in, everything())
			require.Equal(t, test.want, page.Outcome)
			require.Len(t, b.executed, 1+test.undos, "it is not tried again by itself")
			if test.undos == 2 {
				require.Equal(t, "ann", page.Actions[0].UndoneBy)
				require.NotEqual(t, b.executed[1].CallerID, b.executed[2].CallerID)
			}
		})
	}
}

func TestACancellationWhileAContainmentIsToBeConfirmedUndoesIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		undo   error
		want   signals.State
		undone string
	}{
		"undone":     {nil, signals.Rejected, "firebreak"},
		"not undone": {refusal(activities.ErrFailed, "agent busy"), signals.Failed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := respondInput("PAUSE_CONTAINER")
			in.Route.AutoUndoAfter = incident.Duration(time.Hour)
			b.execute = func(in activities.ActionInput) (activities.Execution, error) {
				if in.Undo != "" {
					return activities.Execution{ID: "x-2"}, test.undo
				}
				return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
			}
			b.RegisterDelayedCallback(b.CancelWorkflow, 10*time.Minute)
			page := b.run(workflows.Respond, in, everything())
			require.Equal(t, test.want, page.Outcome)
			require.Equal(t, test.undone, page.Actions[0].UndoneBy)
			require.Len(t, b.executed, 2)
			require.Empty(t, b.executed[1].Claim.ApprovedBy, "nobody wanted it")
		})
	}
}

// The signal comes when the containment is done and nobody is asked yet whether to
// keep it.
func TestWhatIsBeingUndoneIsNotUndoneOnceMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	in.Route.AutoUndoAfter = incident.Duration(time.Hour)
	in.Approvers.Policies = true
	b.choose = func(in activities.ApprovalInput) (incident.Approval, error) {
		if in.Action == "KEEP_CONTAINMENT" {
			b.SignalWorkflow(signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
		}
		return in.Route, nil
	}
	undos := map[string]bool{}
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if in.Undo == "" {
			return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
		}
		if undos[in.CallerID] = true; len(b.executed) < 5 {
			return activities.Execution{}, errors.New("busy")
		}
		return activities.Execution{ID: "u-1", Status: "COMPLETED"}, nil
	}
	start := b.Now()
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Equal(t, "ann", page.Actions[0].UndoneBy)
	require.Len(t, undos, 1)
	require.Less(t, b.Now().Sub(start), time.Hour, "nobody is asked for longer than it takes")
}

func TestAnUndoThatNobodyCanAccountForIsLookedForBeforeItIsDoneAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	in.Route.AutoUndoAfter = incident.Duration(time.Hour)
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		if len(b.executed) == 2 {
			return activities.Execution{}, refusal(activities.ErrAmbiguous, "no answer")
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(2*time.Hour, signals.Approve, decision("ann"))
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Expired, page.Outcome)
	require.Len(t, b.executed, 3)
	require.Equal(t, b.executed[1].CallerID, b.executed[2].CallerID)
	require.False(t, b.executed[1].Resumed)
	require.True(t, b.executed[2].Resumed)
}

func TestAnUndoThatWasOnlyObservedUndidNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{ID: "x-1", Status: "COMPLETED", Observed: in.Undo != ""}, nil
	}
	b.at(time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	page := b.run(workflows.Respond, in, everything())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Empty(t, page.Actions[0].UndoneBy)
	require.Contains(t, texts(page, signals.KindAction), "PAUSE_CONTAINER was not undone: this worker only observes")
}

// Whatever is carried out while an undo is under way, it is told of what it undid.
func TestAnUndoIsToldOfTheActionThatItUndid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("PAUSE_CONTAINER")
	coolDown := incident.Duration(time.Hour)
	in.Route.CoolDown = &coolDown
	tries := 0
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if tries++; in.Undo == "" {
			return activities.Execution{ID: "x-" + strconv.Itoa(tries), Status: "COMPLETED"}, nil
		}
		if tries < 6 {
			return activities.Execution{}, errors.New("busy")
		}
		return activities.Execution{ID: "u-1", Status: "COMPLETED"}, nil
	}
	b.RegisterDelayedCallback(func() {
		again := numbered(2)
		again.OccurredAt = b.Now()
		b.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
	}, time.Minute)
	b.at(2*time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.Respond, in, everything())
	require.Len(t, page.Actions, 2)
	require.Equal(t, "x-1", page.Actions[0].ExecutionID)
	require.Equal(t, "u-1", page.Actions[0].UndoID)
	require.Empty(t, page.Actions[1].UndoID)
}

// manual runs a manual action.
func (b *bench) manual(in signals.ManualInput, known activities.Manual) signals.Page {
	b.t.Helper()
	var a *activities.Activities
	if known.Approval.Mode == "" {
		known.Approval = incident.DefaultApproval()
	}
	if known.Requester == "" {
		known.Requester = in.Requester
	}
	b.OnActivity(a.PrepareManual, mock.Anything, mock.Anything).Return(known, nil)
	b.ExecuteWorkflow(workflows.ResponseAction, in)
	require.True(b.t, b.IsWorkflowCompleted(), "it is stuck")
	var page signals.Page
	if b.GetWorkflowError() == nil {
		require.NoError(b.t, b.GetWorkflowResult(&page))
	}
	return page
}

func killByHand() signals.ManualInput {
	return signals.ManualInput{
		Action: "KILL_CONTAINER", Requester: "ann", Reason: "a miner",
		Parameters: map[string]signals.Scalar{"host.name": "node-1", "container.id": "6949e5f10829"},
	}
}

func TestAManualActionIsCarriedOutOnceSomebodyElseApproved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("Ann"))
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	page := b.manual(killByHand(), activities.Manual{})
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"approve did not count: Ann asked for it: somebody else must approve"}, texts(page, signals.KindRefused))
	require.Len(t, b.executed, 1)
	require.Equal(t, map[string]any{"host.id": "host-1", "container.id": "6949e5f10829"}, b.executed[0].Parameters, "the host's ID is looked up")
	require.Equal(t, []string{"bob"}, b.executed[0].Claim.ApprovedBy)
	require.Equal(t, "ann", b.executed[0].Claim.Requester)
	require.Len(t, b.reported, 1)
}

func TestWhoAsksByHandIsWhomTheWorkerSaysNotWhoTheInputClaims(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("mallory"))
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	page := b.manual(killByHand(), activities.Manual{Requester: "mallory", Notify: true})
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"approve did not count: mallory asked for it: somebody else must approve"}, texts(page, signals.KindRefused))
	require.Equal(t, []string{"ann"}, b.executed[0].Claim.ApprovedBy)
	require.Equal(t, "mallory", b.executed[0].Claim.Requester)
	require.NotEmpty(t, b.notified)
}

func TestAManualActionIsAskedForAsTheWorkerSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := killByHand()
	b.at(time.Minute, signals.Approve, decision("bob"))
	b.at(2*time.Minute, signals.Approve, decision("carl"))
	b.at(3*time.Minute, signals.Approve, decision("dora"))
	page := b.manual(in, activities.Manual{
		Approvers: signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"bob", "carl", "dora"}, Groups: map[string][]string{"leads": {"carl", "dora"}}},
		Approval:  incident.Approval{Mode: incident.ModeTwo, Groups: []string{"leads"}, ExpireAfter: incident.Duration(time.Hour)},
	})
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"carl", "dora"}, b.executed[0].Claim.ApprovedBy)
	require.Equal(t, signals.TrustListed, b.executed[0].Claim.Trust)
}

func TestAManualActionThatFailsIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, undo := range []string{"", "x-77"} {
		b := newBench(t)
		b.execute = func(activities.ActionInput) (activities.Execution, error) {
			if len(b.executed) == 1 {
				return activities.Execution{}, refusal(activities.ErrFailed, "agent busy")
			}
			return activities.Execution{ID: "x-78", Status: "COMPLETED"}, nil
		}
		in := killByHand()
		in.Action, in.Undo = "PAUSE_CONTAINER", undo
		b.at(time.Minute, signals.Approve, decision("bob"))
		b.at(2*time.Minute, signals.Approve, decision("carl"))
		page := b.manual(in, activities.Manual{})
		require.Equal(t, signals.Contained, page.Outcome)
		require.Len(t, b.executed, 2)
		require.NotEqual(t, b.executed[0].CallerID, b.executed[1].CallerID)
		require.Equal(t, []string{"carl"}, b.executed[1].Claim.ApprovedBy, "a decision is for one attempt")
	}
}

func TestNobodyDecidesOnAManualActionBeforeItIsKnownWhoMay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(0, signals.Approve, decision("mallory"))
	b.at(0, signals.Amend, map[string]any{"analyst": "mallory", "fields": map[string]any{"host.id": "another"}})
	b.at(time.Minute, signals.Reject, decision("bob"))
	page := b.manual(killByHand(), activities.Manual{Approvers: signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"bob"}}})
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Len(t, texts(page, signals.KindRefused), 2)
	require.Empty(t, b.executed)
}

func TestAManualActionTakesFromItsIncidentWhatWasNotGiven(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := signals.ManualInput{
		Action: "FILE_ACQUIRE", Requester: "ann", Incident: "crypto-miner:node-1:6949e5f10829",
		Parameters: map[string]signals.Scalar{"path.absolute": "/tmp/other"},
	}
	about := everything()
	var told []signals.Telling
	b.OnSignalExternalWorkflow(mock.Anything, in.Incident, "", signals.Told, mock.Anything).Return(
		func(_, _, _, _ string, arg any) error {
			raw, err := json.Marshal(arg)
			require.NoError(t, err)
			var telling signals.Telling
			require.NoError(t, json.Unmarshal(raw, &telling))
			told = append(told, telling)
			return nil
		})
	b.at(time.Minute, signals.Approve, decision("bob"))
	page := b.manual(in, activities.Manual{Incident: &about, Tenant: "eu"})
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, map[string]any{"host.id": "host-1", "container.id": "6949e5f10829", "path.absolute": "/tmp/other"}, b.executed[0].Parameters)
	require.Equal(t, "eu", b.executed[0].Tenant)
	require.Len(t, b.fetched, 1)
	require.Equal(t, "eu", b.fetched[0].Tenant)
	require.Len(t, told, 2)
	require.Equal(t, "FILE_ACQUIRE: captured", told[1].Text)
}

// What is asked for, shown and protected is one target: a host that was named
// beside an incident of another one is acted on, and not that of the incident.
func TestAManualActionOnAnotherTargetTakesNothingFromItsIncident(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.enrich = func() (activities.Enrichment, error) {
		return activities.Enrichment{Host: incident.Host{ID: "host-2", Name: "node-2"}}, nil
	}
	b.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", signals.Told, mock.Anything).Return(nil)
	in := killByHand()
	in.Incident = "crypto-miner:node-1:6949e5f10829"
	in.Parameters = map[string]signals.Scalar{"host.name": "node-2", "container.id": "aaaaaaaaaaaa"}
	about := everything()
	b.at(time.Minute, signals.Approve, decision("bob"))
	page := b.manual(in, activities.Manual{Incident: &about})
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, map[string]any{"host.id": "host-2", "container.id": "aaaaaaaaaaaa"}, b.executed[0].Parameters)
	require.Empty(t, page.Incident.Kubernetes, "it is that of the incident's container")
	require.Empty(t, page.Incident.Container.Name)
	require.NotEqual(t, about.ID, page.Incident.ID, "by which Sysdig would tell the incident's host")
}

func TestAnIncidentIsToldOfManualActions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Told, signals.Telling{Action: "action:KILL_CONTAINER:node-1", Text: "KILL_CONTAINER: contained"})
	b.at(2*time.Minute, signals.Told, map[string]any{"text": 1})
	b.at(2*time.Minute, signals.Told, signals.Telling{Action: "bob", Text: "approved KILL_CONTAINER"})
	b.at(3*time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, []string{"KILL_CONTAINER: contained"}, texts(page, signals.KindNote))
	require.Len(t, texts(page, signals.KindRefused), 2, "nobody's name is taken")
}

func TestAManualCaptureIsTakenAndSavedAfterOneApproval(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := signals.ManualInput{
		Action: "CAPTURE", Requester: "ann", Reason: "a look", Parameters: map[string]signals.Scalar{"host.name": "node-1"},
		Capture: &incident.CaptureOptions{Filter: "proc.name=ncat", Scope: incident.ScopeHost},
	}
	b.at(time.Minute, signals.Approve, decision("bob"))
	page := b.manual(in, activities.Manual{})
	require.Equal(t, signals.Captured, page.Outcome)
	require.Len(t, page.Evidence, 2)
}

// Who asks chooses the storage, and whoever approves must see it.
func TestAManualCaptureIsApprovedWithTheStorageThatItGoesTo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := signals.ManualInput{
		Action: "CAPTURE", Requester: "ann", Reason: "a look", Parameters: map[string]signals.Scalar{"host.id": "host-1"},
		Capture: &incident.CaptureOptions{Backend: incident.BackendResponseAction, StorageConfigurationID: "s-7", Scope: incident.ScopeHost},
	}
	b.RegisterDelayedCallback(func() { require.Equal(t, "s-7", b.query().Pending.Parameters["storage_configuration_id"]) }, time.Minute)
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	page := b.manual(in, activities.Manual{})
	require.Equal(t, signals.Captured, page.Outcome)
	require.Contains(t, texts(page, signals.KindRequest)[0], "into the storage s-7")
	require.Equal(t, "s-7", b.executed[0].Parameters["capture.remote_storage_configuration_id"])
}

func TestAManualCaptureThatWasOnlyObservedHasNoFile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		require.Equal(t, "proc.name=ncat", in.Filter)
		return activities.Capture{Name: in.Name, Observed: true}, nil
	}
	b.save = func(activities.SaveInput) (activities.StoredFile, error) {
		return activities.StoredFile{}, refusal(activities.ErrNotFound, "there is no capture")
	}
	in := signals.ManualInput{
		Action: "CAPTURE", Requester: "ann", Reason: "a look", Parameters: map[string]signals.Scalar{"host.name": "node-1"},
		Capture: &incident.CaptureOptions{Filter: "proc.name=ncat", Scope: incident.ScopeHost},
	}
	b.at(time.Minute, signals.Approve, decision("bob"))
	page := b.manual(in, activities.Manual{})
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, []string{"manifest.json"}, page.Evidence)
}

func TestAManualUndoFollowsItsOwnExecution(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := signals.ManualInput{Action: "PAUSE_CONTAINER", Undo: "x-77", Requester: "ann", Reason: "a false alarm"}
	b.at(time.Minute, signals.Approve, decision("bob"))
	page := b.manual(in, activities.Manual{})
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, "x-77", b.executed[0].Undo)
	require.Equal(t, "bob", page.Actions[0].UndoneBy)
}

func TestAManualUndoThatFailedAndIsNotTriedAgainHasFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{}, refusal(activities.ErrFailed, "agent busy")
	}
	in := signals.ManualInput{Action: "PAUSE_CONTAINER", Undo: "x-77", Requester: "ann", Reason: "a false alarm"}
	b.at(time.Minute, signals.Approve, decision("bob"))
	b.at(2*time.Minute, signals.Reject, decision("bob"))
	b.manual(in, activities.Manual{})
	require.ErrorContains(t, b.GetWorkflowError(), "incident failed: agent busy")
	require.Len(t, b.executed, 1)
}

func TestAManualActionWithBadInputFailsAndSaysWhy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit func(*signals.ManualInput)
		want string
	}{
		"an undo action":     {func(in *signals.ManualInput) { in.Action = "START_CONTAINER" }, "firebreak undo"},
		"no action":          {func(in *signals.ManualInput) { in.Action = "" }, "action: it is missing"},
		"nobody asks":        {func(in *signals.ManualInput) { in.Requester = "" }, `requester: "": want the name`},
		"a name without end": {func(in *signals.ManualInput) { in.Requester = strings.Repeat("a", 200) }, "requester: it has 200 bytes; want at most 128"},
		"a capture for hours": {func(in *signals.ManualInput) {
			in.Action, in.Capture = "CAPTURE", &incident.CaptureOptions{Duration: incident.Duration(time.Hour)}
		}, "capture.duration: 1h0m0s: want whole seconds, 1s to 5m0s"},
		"a capture undone": {func(in *signals.ManualInput) {
			in.Action, in.Undo, in.Capture = "CAPTURE", "x-1", &incident.CaptureOptions{}
		}, "undo: a capture changes nothing"},
		"no capture": {func(in *signals.ManualInput) { in.Capture = &incident.CaptureOptions{} }, "capture: only action CAPTURE has it, not KILL_CONTAINER"},
		"capture of nowhere": {func(in *signals.ManualInput) {
			in.Action, in.Capture = "CAPTURE", &incident.CaptureOptions{}
			in.Parameters["contaner.id"] = "x"
		}, `CAPTURE has no parameter "contaner.id"`},
		"two hosts":         {func(in *signals.ManualInput) { in.Parameters["host.id"] = "another" }, "parameters: host.id, host.name may name different hosts"},
		"unknown parameter": {func(in *signals.ManualInput) { in.Parameters["contaner.id"] = "x" }, `KILL_CONTAINER has no parameter "contaner.id"`},
		"another shape":     {func(in *signals.ManualInput) { in.Parameters["container.id"] = "web" }, `parameters: container.id: field container.id: value "web": must be a container ID`},
		"no value":          {func(in *signals.ManualInput) { in.Parameters["host.id"] = "null"; delete(in.Parameters, "host.name") }, `parameters: host.id: field host.id`},
		"parameter not given": {func(in *signals.ManualInput) {
			in.Action, in.Force = "FILE_UNQUARANTINE", true
			in.Parameters["path.absolute"] = "/x"
		}, "quarantined_file_path is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := killByHand()
			test.edit(&in)
			b.manual(in, activities.Manual{})
			require.ErrorContains(t, b.GetWorkflowError(), test.want)
			require.Empty(t, b.executed)
		})
	}
}
