package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// unasked is the input of a Capture that asks for no approval.
func unasked() signals.Input {
	in := captureInput()
	in.Route.Approval.Mode, in.Route.SaveApproval.Mode = incident.ModeNone, incident.ModeNone
	return in
}

func TestCaptureThatItsAgentDidNotTakeIsTakenAgain(t *testing.T) {
	t.Parallel()
	const busy = "capture 7: Sysdig reports error: maximum number of outstanding captures (1) reached"
	for name, tc := range map[string]struct {
		kind    string
		fails   int
		taken   int
		outcome signals.State
	}{
		"busy twice":        {activities.ErrCaptureBusy, 2, 3, signals.Captured},
		"busy all the time": {activities.ErrCaptureBusy, 99, 7, signals.Expired},
		"permanent":         {activities.ErrFailed, 99, 1, signals.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var names []string
			var at []time.Time
			b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
				names, at = append(names, in.Name), append(at, b.Now())
				require.NotEmpty(t, in.Turn)
				return activities.Capture{ID: 7, Name: in.Name}, nil
			}
			b.await = func(in activities.AwaitInput) (activities.Capture, error) {
				require.Equal(t, names[len(names)-1], in.Capture.Name)
				require.False(t, in.Hurried)
				if len(names) <= tc.fails {
					return activities.Capture{}, refusal(tc.kind, busy)
				}
				return in.Capture, nil
			}
			page := b.run(workflows.Capture, unasked(), miner())
			require.Len(t, names, tc.taken)
			for i := range names[1:] {
				require.NotEqual(t, names[0], names[i+1], "under a new name")
				require.GreaterOrEqual(t, at[i+1].Sub(at[i]), 30*time.Second<<i)
			}
			if tc.outcome == signals.Captured {
				require.Equal(t, tc.outcome, page.Outcome)
				require.Contains(t, texts(page, signals.KindCapture), busy+"; the capture is taken again in 30s (2 of 7)")
				return
			}
			require.NotEqual(t, signals.Captured, page.Outcome)
			require.Contains(t, texts(page, signals.KindAction), "CAPTURE failed: "+busy, "the reason is shown")
		})
	}
}

// A threat does not wait for evidence.
func TestCaptureBeforeContainmentIsHurried(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	taken := 0
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		taken++
		return activities.Capture{ID: 7, Name: in.Name}, nil
	}
	b.await = func(in activities.AwaitInput) (activities.Capture, error) {
		require.True(t, in.Hurried)
		return activities.Capture{}, refusal(activities.ErrCaptureBusy, "busy")
	}
	in := minerInput()
	in.Route.CaptureFirst, in.Route.Approval.Mode = true, incident.ModeNone
	began := b.Now()
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, 3, taken)
	require.Less(t, b.Now().Sub(began), time.Minute)
}

func TestScopeOfACapture(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options    incident.CaptureOptions
		change     func(*incident.Incident)
		container  string
		filter     string
		text       string
		parameters map[string]any
	}{
		"container": {
			incident.CaptureOptions{},
			func(*incident.Incident) {}, "6949e5f10829", "container.id=6949e5f10829",
			"CAPTURE 15s of container 6949e5f10829 on host node-1",
			map[string]any{"scope": "container", "container.id": "6949e5f10829"},
		},
		"container with a filter": {
			incident.CaptureOptions{Filter: "proc.name=sh or proc.name=nc"},
			func(*incident.Incident) {}, "6949e5f10829",
			"container.id=6949e5f10829 and (proc.name=sh or proc.name=nc)",
			"CAPTURE 15s of container 6949e5f10829 on host node-1",
			map[string]any{"scope": "container", "container.id": "6949e5f10829", "filter": "proc.name=sh or proc.name=nc"},
		},
		"the whole host by the route": {
			incident.CaptureOptions{Scope: incident.ScopeHost, Filter: "proc.name=sh"},
			func(*incident.Incident) {}, "", "proc.name=sh",
			"CAPTURE 15s of the whole host node-1",
			map[string]any{"scope": "host", "filter": "proc.name=sh"},
		},
		"an incident of the host": {
			incident.CaptureOptions{},
			func(inc *incident.Incident) { inc.Container, inc.HostLevel = incident.Container{}, true }, "", "",
			"CAPTURE 15s of the whole host node-1",
			map[string]any{"scope": "host"},
		},
		"container unknown, the whole host by the route": {
			incident.CaptureOptions{Scope: incident.ScopeHost},
			func(inc *incident.Incident) { inc.Container = incident.Container{} }, "", "",
			"CAPTURE 15s of the whole host node-1",
			map[string]any{"scope": "host"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in, inc := unasked(), miner()
			in.Route.Capture, in.Route.Approval.Mode = tc.options, incident.ModeOne
			tc.change(&inc)
			var taken activities.CaptureInput
			b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
				taken = in
				return activities.Capture{ID: 7, Name: in.Name}, nil
			}
			b.RegisterDelayedCallback(func() {
				want := map[string]any{"host.name": "node-1", "duration": "15s"}
				for name, value := range tc.parameters {
					want[name] = value
				}
				require.Equal(t, want, b.query().Pending.Parameters)
			}, time.Minute)
			b.at(2*time.Minute, signals.Approve, decision("ann"))
			page := b.run(workflows.Capture, in, inc)
			require.Equal(t, signals.Captured, page.Outcome)
			require.Equal(t, tc.container, taken.ContainerID)
			require.Equal(t, tc.filter, taken.Filter)
			require.Contains(t, texts(page, signals.KindRequest)[0], tc.text)
		})
	}
}

func TestCaptureOfAnUnknownContainerNeedsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var taken activities.CaptureInput
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		taken = in
		return activities.Capture{ID: 7, Name: in.Name}, nil
	}
	inc := miner()
	inc.Container = incident.Container{}
	b.RegisterDelayedCallback(func() {
		require.Equal(t, signals.NeedsFields, b.query().State)
		require.Contains(t, b.query().Pending.Parameters["missing"], "container.id")
	}, time.Minute)
	b.at(2*time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"container.id": "6949e5f10829"}})
	page := b.run(workflows.Capture, unasked(), inc)
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, "container.id=6949e5f10829", taken.Filter)

	route := incident.Route{Playbook: signals.PlaybookRespond, Action: "CAPTURE"}
	require.Contains(t, workflows.RequiredFields(&route, &inc), "container.id")
	route.Capture.Scope = incident.ScopeHost
	require.NotContains(t, workflows.RequiredFields(&route, &inc), "container.id")
	route.Action = "FILE_ACQUIRE"
	require.Contains(t, workflows.RequiredFields(&route, &inc), "container.id", "the scope is the capture's only")
}

// A container ID that does not have the shape of one would widen the filter.
func TestCaptureFilterIsBuiltFromAContainerIDOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	inc := miner()
	inc.Container.ID = "6949e5f10829 or evt.type=open"
	page := b.run(workflows.Capture, unasked(), inc)
	require.NotEqual(t, signals.Captured, page.Outcome)
	require.Contains(t, texts(page, signals.KindAction)[0], "expected 12 to 64 hexadecimal digits")
}

// The response action CAPTURE is restricted by its filter, too.
func TestActionCaptureIsScoped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scope      incident.Scope
		parameters map[string]string
		container  any
		filter     any
	}{
		"container":  {"", nil, "6949e5f10829", "container.id=6949e5f10829"},
		"whole host": {incident.ScopeHost, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := unasked()
			in.Route.Capture = incident.CaptureOptions{Backend: incident.BackendResponseAction, StorageConfigurationID: "s-7", Scope: tc.scope}
			page := b.run(workflows.Capture, in, miner())
			require.Equal(t, signals.Captured, page.Outcome)
			require.Equal(t, tc.container, b.executed[0].Parameters["container.id"])
			require.Equal(t, tc.filter, b.executed[0].Parameters["capture.filters"])
		})
	}
}

func TestDifferencesOfAFileAreInTheWarRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	save := b.save
	b.save = func(in activities.SaveInput) (activities.StoredFile, error) {
		file, err := save(in)
		file.CompareSize("Sysdig's capture", 120)
		return file, err
	}
	page := b.run(workflows.Capture, unasked(), miner())
	require.Equal(t, signals.Captured, page.Outcome, "a flag, not a refusal")
	require.Contains(t, texts(page, signals.KindEvidence)[0], "size differs: Sysdig's capture states 120 bytes, stored are 100 bytes")
}

func hold(holder string, d time.Duration, host ...string) signals.Hold {
	return signals.Hold{Host: host, Holder: holder, For: incident.Duration(d)}
}

// hold asks the guard for a turn after a time.
func (b *bench) hold(after time.Duration, into answers, key string, in signals.Hold) {
	b.RegisterDelayedCallback(func() {
		b.UpdateWorkflow(signals.UpdateHold, key, &asked{into, key, func() {}}, in)
	}, after)
}

func TestGuardKeepsTheTurnOfAHost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := answers{}
	b.hold(1*time.Second, got, "one", hold("one", time.Minute, "id", "agent"))
	b.hold(2*time.Second, got, "two", hold("two", time.Minute, "agent"))
	b.hold(3*time.Second, got, "elsewhere", hold("two", time.Minute, "other"))
	b.hold(30*time.Second, got, "renewed", hold("one", time.Minute, "id", "agent"))
	b.hold(70*time.Second, got, "still held", hold("two", time.Minute, "id"))
	b.hold(80*time.Second, got, "not the holder", hold("two", 0, "id"))
	b.hold(81*time.Second, got, "and still", hold("two", time.Minute, "id"))
	b.hold(82*time.Second, got, "given back", hold("one", 0, "id"))
	b.hold(83*time.Second, got, "free", hold("two", time.Hour, "id"))
	b.hold(84*time.Second+signals.MaxHold, got, "lapsed", hold("three", time.Minute, "id"))
	b.hold(85*time.Second+signals.MaxHold, got, "bad holder", hold("", time.Minute, "id"))
	b.hold(86*time.Second+signals.MaxHold, got, "no host", hold("x", time.Minute))
	b.movesOnAfter(90*time.Second + signals.MaxHold)
	b.ExecuteWorkflow(workflows.Guard, signals.GuardInput{})
	for _, key := range []string{"one", "elsewhere", "renewed", "not the holder", "given back", "free", "lapsed"} {
		require.NoError(t, got[key], key)
	}
	for _, key := range []string{"two", "still held", "and still"} {
		var refused *temporal.ApplicationError
		require.ErrorAs(t, got[key], &refused, key)
		require.Equal(t, signals.ErrSlotHeld, refused.Type())
		require.Contains(t, refused.Message(), "capture one of the same host is under way since")
	}
	require.ErrorContains(t, got["bad holder"], "must match")
	require.ErrorContains(t, got["no host"], "must match")
}

// An action CAPTURE that its agent did not take is submitted again under a new caller
// ID, and one whose turn did not come was never submitted.
func TestActionCaptureThatIsNotTakenIsNotAmbiguous(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind  string
		times int
	}{"busy": {activities.ErrCaptureBusy, 2}, "no turn": {activities.ErrCaptureTurn, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var callers []string
			execute := b.execute
			b.execute = func(in activities.ActionInput) (activities.Execution, error) {
				if callers = append(callers, in.CallerID); len(callers) == 1 {
					return activities.Execution{}, refusal(tc.kind, "not now")
				}
				return execute(in)
			}
			in := unasked()
			in.Route.Capture = incident.CaptureOptions{Backend: incident.BackendResponseAction, StorageConfigurationID: "s-7"}
			page := b.run(workflows.Capture, in, miner())
			require.Len(t, callers, tc.times)
			if tc.kind == activities.ErrCaptureBusy {
				require.NotEqual(t, callers[0], callers[1])
				require.Equal(t, signals.Captured, page.Outcome)
				return
			}
			require.Equal(t, signals.Failed, page.Outcome, "not ambiguous: nothing was submitted")
		})
	}
}
