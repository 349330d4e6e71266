package incident

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Protection names targets that are never contained, approved or not.
type Protection struct {
	// Name is for people; "" is called by its condition.
	Name string `yaml:"name,omitempty" json:"name,omitzero"`
	// When is a CEL condition over `incident`, as a route's, and over `action`, the
	// name of the action.
	When string `yaml:"when" json:"when"`
	// Actions are patterns of action names, as path.Match has them: KILL_*; none
	// means every containment action.
	Actions []string `yaml:"actions,omitempty" json:"actions,omitempty"`
}

// ProtectionError is one thing wrong with one protection.
type ProtectionError struct {
	// Index is the protection's place, and Field the key that is wrong, as in YAML.
	Index int
	Field string
	// Reason says what was found and what is accepted.
	Reason string
}

// Error names the protection, the field and the reason.
func (e *ProtectionError) Error() string {
	return fmt.Sprintf("protected[%d]: %s: %s", e.Index, e.Field, e.Reason)
}

// Protections know protected targets. They are safe for concurrent use; nil
// protects nothing.
type Protections struct {
	rules []compiledProtection
}

type compiledProtection struct {
	Protection

	condition cel.Program
}

// actionVariable is what conditions call the action.
const actionVariable = "action"

// NewProtections compiles the conditions and checks the protections. All that is
// wrong is reported together; each part of the error is a *[ProtectionError].
func NewProtections(rules []Protection) (*Protections, error) {
	env, err := newEnv()
	if err == nil {
		env, err = env.Extend(cel.Variable(actionVariable, cel.StringType))
	}
	if err != nil {
		return nil, fmt.Errorf("prepare conditions: %w", err)
	}
	var problems []error
	compiled := &Protections{}
	for i, rule := range rules {
		wrong := func(field, format string, args ...any) {
			problems = append(problems, &ProtectionError{Index: i, Field: field, Reason: fmt.Sprintf(format, args...)})
		}
		for n, pattern := range rule.Actions {
			if err := CheckActionPattern(pattern); err != nil {
				wrong(fmt.Sprintf("actions[%d]", n), "%s", err)
			}
		}
		condition, err := compile(env, rule.When)
		if err != nil {
			wrong("when", "%s", err)
		}
		compiled.rules = append(compiled.rules, compiledProtection{rule, condition})
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return compiled, nil
}

// Of says why an action on an incident's target is not carried out: it names the
// first protection that holds, and is "" where none does. One that cannot be
// evaluated holds: it is better to do too little. Unseen says that no event tells of
// the target, so that what the incident lacks may be anything: a protection holds
// that depends on it.
func (p *Protections) Of(action string, inc *Incident, unseen bool) string {
	if p == nil {
		return ""
	}
	for i := range p.rules {
		rule := &p.rules[i]
		if !rule.names(action) {
			continue
		}
		refused := fmt.Sprintf("%s is not carried out: guard.protected %q ", action, cmp.Or(rule.Name, rule.When))
		out, err := rule.eval(action, inc, unseen)
		if err != nil {
			return refused + "cannot be evaluated, which protects, too: " + err.Error()
		}
		if missing, is := out.(*types.Unknown); is {
			return refused + "may protect its target, of which nobody says " + strings.Join(unknown(missing), ", ") + ": name its incident, or give it as a parameter"
		}
		if isTrue(out) {
			return refused + "protects its target"
		}
	}
	return ""
}

// eval evaluates the condition, maybe without what is not known.
func (p *compiledProtection) eval(action string, inc *Incident, unseen bool) (ref.Val, error) {
	known := map[string]any{variable: inc, actionVariable: action}
	if !unseen {
		out, _, err := p.condition.Eval(known)
		return out, err
	}
	partly, err := cel.PartialVars(known, inc.unseen()...)
	if err != nil {
		return nil, err
	}
	out, _, err := p.condition.Eval(partly)
	return out, err
}

// unseen are the fields of the target that are absent.
func (i *Incident) unseen() []*cel.AttributePatternType {
	patterns := []*cel.AttributePatternType{
		cel.AttributePattern(variable).QualString("labels"), cel.AttributePattern(variable).QualString("fields"),
	}
	for _, f := range fields {
		group, name, _ := strings.Cut(f.path, ".")
		switch group {
		case "host", "container", "kubernetes", "cloud":
			if f.get(i) == "" {
				patterns = append(patterns, cel.AttributePattern(variable).QualString(group).QualString(name))
			}
		}
	}
	return patterns
}

// unknown names the fields that a condition could not do without.
func unknown(u *types.Unknown) []string {
	var names []string
	for _, id := range u.IDs() {
		trails, _ := u.GetAttributeTrails(id)
		for _, trail := range trails {
			var path []string
			for _, step := range trail.QualifierPath() {
				path = append(path, fmt.Sprint(step))
			}
			names = append(names, strings.Join(path, "."))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// About reports whether any protection is about an action.
func (p *Protections) About(action string) bool {
	if p == nil {
		return false
	}
	for i := range p.rules {
		if p.rules[i].names(action) {
			return true
		}
	}
	return false
}

func (p *Protection) names(action string) bool {
	return len(p.Actions) == 0 || matchesAction(p.Actions, action)
}

// CheckActionPattern checks a pattern of action names.
func CheckActionPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || strings.TrimSpace(pattern) == "" {
		return fmt.Errorf("%q: want the name of an action, like KILL_CONTAINER or KILL_*", pattern)
	}
	return nil
}

func matchesAction(patterns []string, action string) bool {
	for _, pattern := range patterns {
		if matches, err := path.Match(pattern, action); err == nil && matches {
			return true
		}
	}
	return false
}
