package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"firebreak/internal/catalogue"
)

// mayKillProcess reports whether the route may ask for KILL_PROCESS.
func (r *Route) mayKillProcess() bool {
	return r.Playbook == playbookCryptoMiner ||
		r.Playbook == playbookRespond && slices.Contains([]string{"", ActionAuto, "KILL_PROCESS"}, r.Action)
}

// checkAction checks what only respond has. An action that the catalogue does not
// know is Sysdig's to judge, once there is an incident: its list is open.
func (r *Route) checkAction(wrong func(field, format string, args ...any)) {
	if r.MaxProcessAge != 0 && !r.mayKillProcess() {
		wrong("max_process_age", "%s: must be left out: the route does not ask for KILL_PROCESS", r.MaxProcessAge)
	}
	if r.Playbook != playbookRespond {
		for _, of := range []struct {
			field   string
			written bool
		}{
			{"action", r.Action != ""}, {"parameters", len(r.Parameters) > 0}, {"auto_undo_after", r.AutoUndoAfter != 0},
		} {
			if of.written {
				wrong(of.field, "playbook %s has none; want playbook: %s", r.Playbook, playbookRespond)
			}
		}
		return
	}
	action, known := catalogue.Find(r.Action)
	switch {
	case r.Action == "" || r.Action == ActionAuto:
		if len(r.Parameters) > 0 {
			wrong("parameters", "they are those of one action; want action: NAME with them")
		}
	case !known && (catalogue.Nearest(r.Action) != "" || !catalogue.WellFormed(r.Action)):
		wrong("action", "%s, or %s", catalogue.Unknown(r.Action), ActionAuto)
	case catalogue.IsUndo(r.Action):
		wrong("action", "%s takes another action back: must be an action that is executed (auto_undo_after undoes one by itself)", r.Action)
	case known:
		r.checkParameters(action, wrong)
	}
	if known && r.AutoUndoAfter != 0 && action.UndoneBy == "" {
		wrong("auto_undo_after", "nothing undoes %s; want it left out", r.Action)
	}
	if _, err := NewParameters(r.Parameters); err != nil {
		for _, err := range parts(err) {
			var parameter *parameterError
			if errors.As(err, &parameter) {
				wrong("parameters."+parameter.name, "%s", parameter.reason)
			}
		}
	}
}

func (r *Route) checkParameters(action *catalogue.Action, wrong func(field, format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		if _, has := action.Parameter(name); !has {
			wrong("parameters."+name, "%s has no such parameter; want some of %s", r.Action, strings.Join(action.ParameterNames(), ", "))
		}
	}
	for _, name := range action.Nowhere() {
		if _, given := r.Parameters[name]; !given {
			wrong("parameters."+name, "it is missing: %s needs it, and no incident tells it; want a CEL expression", r.Action)
		}
	}
}

// Check is what is wrong with the options, nil for nothing.
func (o CaptureOptions) Check() error {
	var problems []error
	o.check(func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	})
	return errors.Join(problems...)
}

func (o CaptureOptions) check(wrong func(field, format string, args ...any)) {
	if d := o.Duration; d != 0 && (d < minCapture || d > maxCapture || time.Duration(d)%time.Second != 0) {
		wrong("capture.duration", "%s: want whole seconds, %s to %s", d, minCapture, time.Duration(maxCapture))
	}
	switch o.Scope {
	case "", ScopeContainer, ScopeHost:
	default:
		wrong("capture.scope", "%q: expected %s or %s", o.Scope, ScopeContainer, ScopeHost)
	}
	if !closes(o.Filter) {
		wrong("capture.filter", "%q: parentheses and quotation marks must be balanced", o.Filter)
	}
	switch o.Backend {
	case "", BackendCapture:
		if o.StorageConfigurationID != "" {
			wrong("capture.storage_configuration_id", "only backend %s has one; want it left out", BackendResponseAction)
		}
	case BackendResponseAction:
		if o.StorageConfigurationID == "" {
			wrong("capture.storage_configuration_id", "it is missing: backend %s needs the storage that Sysdig is to write to", BackendResponseAction)
		}
	default:
		wrong("capture.backend", "%q: want %s or %s", o.Backend, BackendCapture, BackendResponseAction)
	}
}

// parts are the errors that were joined.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what NewParameters returns
		return joined.Unwrap()
	}
	return []error{err}
}

// Parameters are the compiled expressions of a route's parameters.
type Parameters struct {
	names    []string
	programs map[string]cel.Program
}

// parameterError is what is wrong with one expression.
type parameterError struct{ name, reason string }

func (e *parameterError) Error() string { return fmt.Sprintf("parameter %s: %s", e.name, e.reason) }

// NewParameters compiles expressions over `incident`, by the parameter's name.
func NewParameters(expressions map[string]string) (*Parameters, error) {
	env, err := newEnv()
	if err != nil {
		return nil, fmt.Errorf("prepare parameters: %w", err)
	}
	p := &Parameters{names: slices.Sorted(maps.Keys(expressions)), programs: map[string]cel.Program{}}
	var problems []error
	for _, name := range p.names {
		if p.programs[name], err = compileAs(env, expressions[name], cel.StringType, cel.IntType, cel.BoolType, cel.DynType, cel.UintType); err != nil {
			problems = append(problems, &parameterError{name, err.Error()})
		}
	}
	return p, errors.Join(problems...)
}

// Eval is what the expressions are of an incident: texts, whole numbers and
// booleans. One whose value is not there, such as that of a field which the event
// does not have, is left out, and the error says why.
func (p *Parameters) Eval(inc *Incident) (map[string]any, error) {
	values := map[string]any{}
	var problems []error
	for _, name := range p.names {
		out, _, err := p.programs[name].Eval(map[string]any{variable: inc})
		if err != nil {
			problems = append(problems, &parameterError{name, err.Error()})
			continue
		}
		switch out.Type() {
		case types.StringType, types.BoolType:
			values[name] = out.Value()
		case types.IntType, types.UintType:
			values[name] = json.Number(fmt.Sprint(out.Value()))
		case types.NullType:
		default:
			problems = append(problems, &parameterError{name, fmt.Sprintf("its type is %s; want a text, a whole number or a boolean", out.Type().TypeName())})
		}
	}
	return values, errors.Join(problems...)
}
