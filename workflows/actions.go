package workflows

import (
	"cmp"
	"fmt"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// Actions that incidents ask for. KILL_* are Sysdig's response actions; the
// others are ours, named alike because analysts read them in one column.
const (
	actionKillContainer = "KILL_CONTAINER"
	actionKillProcess   = "KILL_PROCESS"
	actionCapture       = "CAPTURE"
	actionSaveCapture   = "SAVE_CAPTURE"
	actionAmend         = "AMEND"
)

// containment is a response action as a playbook chooses it.
type containment struct {
	name string
	// fields are the incident's fields it cannot do without.
	fields []string
	// parameters are those of Sysdig's API.
	parameters func(incident.Incident) map[string]any
}

// chooseKill is KILL_CONTAINER, or KILL_PROCESS for an event on the host
// itself.
func chooseKill(inc *incident.Incident) string {
	if inc.Container.ID != "" {
		return actionKillContainer
	}
	return actionKillProcess
}

// killAction is the playbook's action. It is chosen once, by the event that
// opened the incident: a field that comes later does not change what is asked
// for.
func (r *response) killAction() containment {
	r.action = cmp.Or(r.action, chooseKill(&r.page.Incident))
	return kill(r.action)
}

// kill is the containment of that name. The parameters are those of Sysdig's
// Cortex XSOAR pack 2.0.
func kill(name string) containment {
	if name == actionKillContainer {
		return containment{
			name:   actionKillContainer,
			fields: []string{"host.id", "container.id"},
			parameters: func(inc incident.Incident) map[string]any {
				return map[string]any{"host.id": inc.Host.ID, "container.id": inc.Container.ID}
			},
		}
	}
	return containment{
		name:   actionKillProcess,
		fields: []string{"host.id", "process.pid"},
		parameters: func(inc incident.Incident) map[string]any {
			// -1 lets Sysdig skip the check of the process's start time.
			return map[string]any{"host.id": inc.Host.ID, "process.id": inc.Process.PID, "startTime": -1}
		},
	}
}

// request words the question whether to contain.
func (c containment) request(inc incident.Incident) question {
	text := fmt.Sprintf("%s %s", c.name, inc.Target())
	if c.name == actionKillProcess {
		text = fmt.Sprintf("%s %d (%s) on %s", c.name, inc.Process.PID, inc.Process.Name, inc.Target())
	}
	return question{
		action: c.name, target: inc.Target(), parameters: c.parameters(inc), text: text,
		waiting: signals.AwaitingApproval,
	}
}

// captureRequest words the question whether to take a system capture.
func captureRequest(inc incident.Incident, options incident.CaptureOptions) question {
	parameters := map[string]any{"host.name": inc.Host.Name, "duration": options.Duration.String()}
	if inc.Container.ID != "" {
		parameters["container.id"] = inc.Container.ID
	}
	if options.Filter != "" {
		parameters["filter"] = options.Filter
	}
	return question{
		action: actionCapture, target: inc.Target(), parameters: parameters, waiting: signals.AwaitingApproval,
		text: fmt.Sprintf("CAPTURE %s of %s", options.Duration, inc.Target()),
	}
}

// saveRequest words the question whether to save a capture as evidence.
func saveRequest(inc incident.Incident, capture activities.Capture) question {
	return question{
		action: actionSaveCapture, target: inc.Target(),
		parameters: map[string]any{"capture.id": capture.ID, "name": capture.Name, "size": capture.Size},
		waiting:    signals.AwaitingSave,
		text:       fmt.Sprintf("SAVE_CAPTURE %s (%d bytes) as evidence", capture.Name, capture.Size),
	}
}

// captureFields are those that Sysdig's captures API cannot do without.
func captureFields() []string {
	return []string{"host.name", "host.mac", "host.agent_id", "tenant.id"}
}

// RequiredFields are the fields that a playbook needs of an incident, from the
// event, from Sysdig or from an analyst. A playbook that does not exist needs
// none.
func RequiredFields(playbook string, inc *incident.Incident) []string {
	switch playbook {
	case signals.PlaybookCapture:
		return captureFields()
	case signals.PlaybookCryptoMiner:
		return kill(chooseKill(inc)).fields
	default:
		return nil
	}
}
