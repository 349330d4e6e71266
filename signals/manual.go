package signals

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
)

// ManualInput starts a ResponseAction: a response action, or a system capture,
// that somebody asks for by hand. It is small enough to type:
//
//	temporal workflow start --type ResponseAction --task-queue firebreak \
//	  --workflow-id action:KILL_CONTAINER:node-1:6949e5f10829 \
//	  --input '{"action":"KILL_CONTAINER","parameters":{"host.name":"node-1","container.id":"6949e5f10829"},"requester":"ann","reason":"miner"}'
//
// Who may decide, and how, the worker's configuration says; the requester does
// not count.
type ManualInput struct {
	// Action is one of Sysdig's, in upper case. CAPTURE with Capture is a system
	// capture, saved as evidence.
	Action string `json:"action"`
	// Parameters are the action's by their name at Sysdig, or fields of an incident
	// from which those can be told, such as host.name.
	Parameters map[string]Scalar `json:"parameters,omitempty"`
	// Incident is the workflow ID of an incident whose fields supply what Parameters
	// leaves out, and in whose war room the action is told; "" is none.
	Incident string `json:"incident,omitzero"`
	// Capture shapes a system capture; nil where the action is none.
	Capture *incident.CaptureOptions `json:"capture,omitempty"`
	// Undo is Sysdig's ID of an execution of Action that is to be undone, "" where
	// Action is to be carried out.
	Undo string `json:"undo,omitzero"`
	// Force submits an action that takes another one back, see [catalogue.IsUndo], for
	// example where the other one was not executed by Firebreak.
	Force bool `json:"force,omitzero"`
	// Tenant is the Sysdig account by its name in the configuration, "" for the one
	// that there is. An Incident's own wins.
	Tenant string `json:"tenant,omitzero"`
	// Requester is who asks: a claim, which trust verified replaces by the principal
	// who started the workflow.
	Requester string `json:"requester"`
	Reason    string `json:"reason"`
}

// Check is what is wrong with the input that can be said without an incident.
func (in *ManualInput) Check() error {
	switch {
	case in.Action == "":
		return fmt.Errorf(`action: it is missing; want a response action, like KILL_CONTAINER`)
	case in.Requester == "" || in.Requester != strings.TrimSpace(in.Requester):
		return fmt.Errorf("requester: %q: want the name of who asks, without blanks around it", in.Requester)
	case len(in.Requester) > maxName:
		return fmt.Errorf("requester: it has %d bytes; want at most %d", len(in.Requester), maxName)
	case in.Undo == "" && !in.Force && catalogue.IsUndo(in.Action):
		return UndoOnly(in.Action)
	case in.Undo != "" && in.Capture != nil:
		return fmt.Errorf("undo: a capture changes nothing that could be undone")
	case in.Capture != nil && in.Action != "CAPTURE":
		return fmt.Errorf("capture: only action CAPTURE has it, not %s", in.Action)
	case in.Capture != nil:
		if err := in.Capture.Check(); err != nil {
			return err
		}
	}
	var hosts []string
	for _, name := range []string{"host.agent_id", "host.id", "host.mac", "host.name"} {
		if in.Parameters[name] != "" {
			hosts = append(hosts, name)
		}
	}
	if len(hosts) > 1 {
		// Nobody would compare them, and who approves sees one host where another is hit.
		return fmt.Errorf("parameters: %s may name different hosts; want one of them, from which Sysdig tells the others", strings.Join(hosts, ", "))
	}
	return nil
}

// UndoOnly is the error about an action that takes another one back and was asked
// for by itself.
func UndoOnly(action string) error {
	undone := "another action"
	if a, known := catalogue.Find(action); known {
		undone = a.Undoes
	}
	return fmt.Errorf("action: %s takes %s back, and Sysdig does that by undoing its execution: use `firebreak undo ID` with the incident, or --force if there is no execution to undo",
		action, undone)
}

// targets are the parameters that tell a target, in the order of an ID.
var targets = []string{
	"host.name", "host.id", "container.id", "process.id", "path.absolute", "file.path",
	"kubernetes.cluster.name", "kubernetes.namespace.name", "kubernetes.workload.name", "kubernetes.pod.name",
	"cloudProvider.account.id", "cloudResourceName", "aws.instanceId", "ct.user", "user",
}

// maxReadable bounds the readable part of a manual action's ID, in bytes.
const maxReadable = 200

// WorkflowID is the ID under which the action is asked for: its target in words, and
// a digest of all that it is asked with, the reason, the requester and Force aside. A
// second request for the same action meets the one that waits. Two that differ in any
// parameter do not meet. An undo is identified by its execution alone.
func (in *ManualInput) WorkflowID() string {
	var target []string
	if in.Incident != "" {
		target = append(target, in.Incident)
	}
	for _, name := range targets {
		if value := string(in.Parameters[name]); value != "" && !slices.Contains(target, value) {
			target = append(target, value)
		}
	}
	var id string
	if in.Undo != "" {
		id = ManualID(in.Action, "undo", in.Undo)
	} else {
		id = ManualID(in.Action, target...)
		id = id[:min(len(id), maxReadable)] + ":" + in.digest() // an ID is ASCII
	}
	if in.Tenant != "" && in.Incident == "" { // an incident's ID tells its own
		id += ":" + tenantPart(in.Tenant)
	}
	return id
}

// digest tells two requests apart by all that they ask for.
func (in *ManualInput) digest() string {
	// encoding/json sorts the keys of a map. What is asked is texts and numbers, which
	// can be encoded.
	content, _ := json.Marshal([]any{in.Action, in.Incident, in.Parameters, in.Capture})
	return digest(string(content))[:12]
}
