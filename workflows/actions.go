package workflows

import (
	"cmp"
	"fmt"
	"slices"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// Actions that incidents ask for by name. The first three are Sysdig's response
// actions; the others are ours, named alike because analysts read them in one
// column.
const (
	actionKillContainer  = "KILL_CONTAINER"
	actionKillProcess    = "KILL_PROCESS"
	actionFileQuarantine = "FILE_QUARANTINE"
	actionCapture        = "CAPTURE"
	actionSaveCapture    = "SAVE_CAPTURE"
	actionAmend          = "AMEND"
	actionKeep           = signals.ActionKeep
	actionUndo           = "UNDO"
)

// chooseKill is KILL_CONTAINER, or KILL_PROCESS for an event that says that it
// happened on the host itself. If the container is unknown it is KILL_CONTAINER,
// which lacks the container ID then: a process is not killed on a guess.
func chooseKill(inc *incident.Incident) string {
	if inc.HostLevel {
		return actionKillProcess
	}
	return actionKillContainer
}

// choose is the action of a route of respond.
func choose(route *incident.Route, inc *incident.Incident) string {
	switch {
	case route.Action != incident.ActionAuto:
		return route.Action
	case inc.File.Path != "" && inc.Container.ID != "":
		return actionFileQuarantine
	default:
		return chooseKill(inc)
	}
}

// containRequest words the question whether to carry out a response action.
func containRequest(action string, parameters map[string]any, inc incident.Incident) question {
	text := fmt.Sprintf("%s %s", action, inc.Target())
	switch {
	case action == actionKillProcess && fmt.Sprint(parameters["process.id"]) != fmt.Sprint(inc.Process.PID):
		// The route tells another process than the event.
		text = fmt.Sprintf("%s %v on %s", action, parameters["process.id"], inc.Target())
	case action == actionKillProcess:
		text = fmt.Sprintf("%s %d (%s) on %s", action, inc.Process.PID, inc.Process.Name, inc.Target())
	case parameters["path.absolute"] != nil:
		text = fmt.Sprintf("%s %v in %s", action, parameters["path.absolute"], inc.Target())
	}
	return question{action: action, target: inc.Target(), parameters: parameters, text: text, waiting: signals.AwaitingApproval}
}

// captureRequest words the question whether to take a system capture. Its scope is
// part of what is approved.
func captureRequest(inc incident.Incident, options incident.CaptureOptions) question {
	container, target := options.CapturedContainer(&inc), captureTarget(&inc, options)
	parameters := map[string]any{"host.name": inc.Host.Name, "duration": options.Duration.String(), "scope": string(incident.ScopeHost)}
	if container != "" {
		parameters["scope"], parameters["container.id"] = string(incident.ScopeContainer), container
	}
	if options.Filter != "" {
		parameters["filter"] = options.Filter
	}
	text := fmt.Sprintf("CAPTURE %s of %s", options.Duration, target)
	if options.StorageConfigurationID != "" {
		parameters["storage_configuration_id"] = options.StorageConfigurationID
		text += " into the storage " + options.StorageConfigurationID
	}
	return question{
		action: actionCapture, target: target, parameters: parameters, waiting: signals.AwaitingApproval, text: text,
	}
}

// captureTarget is what a capture records, for people.
func captureTarget(inc *incident.Incident, options incident.CaptureOptions) string {
	host := cmp.Or(inc.Host.Name, inc.Host.ID)
	if container := options.CapturedContainer(inc); container != "" {
		return fmt.Sprintf("container %s on host %s", container, host)
	}
	return "the whole host " + host
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

// captureFields are those that a capture cannot do without. The container is one of
// them unless the route records the whole host or the incident is about the host
// itself.
func captureFields(options incident.CaptureOptions, inc *incident.Incident) []string {
	fields := []string{"host.name", "host.mac", "host.agent_id", "tenant.id"}
	if options.Backend == incident.BackendResponseAction {
		fields = []string{"host.id"}
	}
	if options.NeedsContainer(inc) {
		fields = append(fields, paramContainer)
	}
	return fields
}

// located adds the container ID to the fields that something on the incident's host
// cannot do without, if the event does not say in which container it happened, or
// that it happened in none: an action on the host itself, or a capture of all of it,
// may be aimed at the wrong thing then.
func located(inc *incident.Incident, fields []string) []string {
	if !inc.ContainerUnknown() || slices.Contains(fields, paramContainer) {
		return fields
	}
	return append(slices.Clone(fields), paramContainer)
}

// actionFields are the fields that a response action of a route cannot do without.
func actionFields(action *catalogue.Action, route *incident.Route, inc *incident.Incident) []string {
	fields := addressed(action, route.Parameters, inc)
	_, given := route.Parameters[paramContainer]
	wholeHost := action.Name == actionCapture && route.Capture.Scope == incident.ScopeHost
	if given || wholeHost || action.Responder != catalogue.OnHost {
		return fields
	}
	return located(inc, fields)
}

// RequiredFields are the fields that the playbook of a route needs of an
// incident, from the event, from Sysdig or from an analyst. A playbook that does
// not exist needs none.
func RequiredFields(route *incident.Route, inc *incident.Incident) []string {
	name := chooseKill(inc)
	switch route.Playbook {
	case signals.PlaybookCapture:
		return captureFields(route.Capture, inc)
	case signals.PlaybookRespond:
		name = choose(route, inc)
	case signals.PlaybookCryptoMiner:
	default:
		return nil
	}
	action, known := catalogue.Find(name)
	if !known {
		return nil // Sysdig's own catalogue tells, once there is an incident
	}
	return actionFields(action, route, inc)
}
