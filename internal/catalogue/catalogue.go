// Package catalogue is the table of Sysdig's response actions: what each needs,
// where an incident has it from, what it does to its target, and what undoes it.
// Sysdig's list is open: an action that is not in the table is looked up in
// Sysdig's own catalogue, see activities.
package catalogue

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Class is what an action does to its target. It is also the permission that
// Sysdig asks for.
type Class string

// The classes. Sysdig has a permission for each; which of them it asks of
// snapshots and cloud logs is not published, and taken from what they do.
const (
	// Containment changes the target. A freeze stops it.
	Containment Class = "containment"
	// DataGathering only takes something from it.
	DataGathering Class = "data-gathering"
)

// Exec is Sysdig's name of the permission to submit and undo actions of the class,
// and Read of the one to see their executions (Sysdig's public OpenAPI).
func (c Class) Exec() string { return string(c) + "-response-actions.exec" }

// Read is described at [Class.Exec].
func (c Class) Read() string { return string(c) + "-response-actions.read" }

// Classes are all classes.
func Classes() []Class { return []Class{Containment, DataGathering} }

// VisibleBy are the classes whose read permissions a token needs together, so that
// a list without an execution of the action, or of its undo, proves that no such
// execution exists. There are two where no source says to which class Sysdig counts
// the action.
func VisibleBy(action string, undo bool) []Class {
	a, known := Find(action)
	if !known || a.snapshot() || a.Name == "FETCH_CLOUD_LOGS" {
		return Classes()
	}
	if reverse, known := Find(a.UndoneBy); undo && (!known || reverse.Class != a.Class) {
		return Classes()
	}
	return []Class{a.Class}
}

// snapshot reports whether the action takes a snapshot or deletes one.
func (a *Action) snapshot() bool { return strings.HasSuffix(a.Name, "VOLUME_SNAPSHOT") }

// IsUndo reports whether the action takes another one back. Sysdig's public OpenAPI
// says not to submit those: they are done by undoing the execution of the other. An
// action that the table does not have is one if it is named like one.
func IsUndo(action string) bool {
	a, known := Find(action)
	return known && a.Undoes != "" || !known && strings.HasPrefix(action, "UNDO_")
}

// Type is the type of a parameter's value.
type Type string

// The types, in the words of Sysdig's public OpenAPI.
const (
	Text    Type = "string"
	Integer Type = "integer"
	Boolean Type = "boolean"
)

// Parameter is one parameter of an action.
type Parameter struct {
	// Name is Sysdig's.
	Name string `json:"name"`
	Type Type   `json:"type"`
	// Required says that Sysdig's Cortex XSOAR pack demands it.
	Required bool `json:"required"`
	// From is the field of the incident that it is taken from, "" for none; it may
	// also be one of the event's own, as "fields.ct.user.arn".
	From string `json:"from,omitzero"`
	// Default is what it is without being told, nil for none.
	Default any `json:"default,omitempty"`
}

// Action is a response action.
type Action struct {
	Name string `json:"name"`
	// Responder is who carries it out: HOST, CLUSTER or CLOUD.
	Responder string `json:"responder"`
	Class     Class  `json:"class"`
	// UndoneBy is the action that undoes it, "" for one that nothing undoes. It is
	// not submitted: an execution is undone by deleting it (Sysdig's public
	// OpenAPI).
	UndoneBy string `json:"undone_by,omitzero"`
	// Undoes is the action that this one undoes, "" for none.
	Undoes string `json:"undoes,omitzero"`
	// Fetches says that its result is a file or a text worth keeping as evidence.
	Fetches    bool        `json:"fetches,omitzero"`
	Parameters []Parameter `json:"parameters"`
}

// Contains reports whether a freeze stops the action. What undoes a containment
// is no containment: whoever froze may still want to take something back. What
// undoes the gathering of data destroys evidence, and is one.
func (a *Action) Contains() bool {
	if a.Class != Containment || a.Undoes == "" {
		return a.Class == Containment
	}
	undone, known := Find(a.Undoes)
	return !known || undone.Class != Containment
}

// Fields are the incident's fields that the action cannot do without when
// nothing else gives the parameters, in the order of its parameters. The event's
// own are not among them: nobody can supply those later.
func (a *Action) Fields(given map[string]string) []string {
	var fields []string
	for _, p := range a.Parameters {
		if _, have := given[p.Name]; p.Required && !have && p.Default == nil && p.From != "" && !strings.HasPrefix(p.From, "fields.") {
			fields = append(fields, p.From)
		}
	}
	return fields
}

// Nowhere are the required parameters that no incident has: they must be given.
func (a *Action) Nowhere() []string {
	var names []string
	for _, p := range a.Parameters {
		if p.Required && p.From == "" && p.Default == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// Parameter is the parameter of that name.
func (a *Action) Parameter(name string) (Parameter, bool) {
	at := slices.IndexFunc(a.Parameters, func(p Parameter) bool { return p.Name == name })
	if at < 0 {
		return Parameter{}, false
	}
	return a.Parameters[at], true
}

// ParameterNames lists them, for errors.
func (a *Action) ParameterNames() []string {
	names := make([]string, len(a.Parameters))
	for i, p := range a.Parameters {
		names[i] = p.Name
	}
	return names
}

// Find is the action of that name; what it returns is not to be changed.
func Find(name string) (*Action, bool) {
	at := slices.IndexFunc(actions, func(a Action) bool { return a.Name == name })
	if at < 0 {
		return nil, false
	}
	return &actions[at], true
}

// All lists the actions.
func All() []Action { return slices.Clone(actions) }

// Names lists them by name, for errors.
func Names() string {
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = a.Name
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Nearest is the action whose name is most likely meant by one that is unknown,
// "" for none: case and the difference between "-" and "_" are forgiven.
func Nearest(name string) string {
	plain := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if _, known := Find(plain); known {
		return plain
	}
	return ""
}

// wellFormed is how Sysdig names its actions.
var wellFormed = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// WellFormed reports whether a name could be that of an action: Sysdig may have
// more than the table.
func WellFormed(name string) bool { return wellFormed.MatchString(name) }

// Unknown is the error about an action that is not in the table.
func Unknown(name string) error {
	if meant := Nearest(name); meant != "" {
		return fmt.Errorf("action %q: want %s", name, meant)
	}
	return fmt.Errorf("action %q: want one of %s", name, Names())
}

// From is the incident's field that a parameter of that name is taken from in
// every action that has it, "" for none.
func From(parameter string) string {
	for i := range actions {
		if p, has := actions[i].Parameter(parameter); has {
			return p.From
		}
	}
	return ""
}
