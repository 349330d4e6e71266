package incident

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
)

// ApprovalPolicy says how single actions are to be approved, whatever route they come
// from: for example that in production two of the leads must agree on a kill.
type ApprovalPolicy struct {
	// Actions are patterns of action names, as path.Match has them: KILL_*.
	Actions []string `yaml:"actions" json:"actions"`
	// When is a CEL condition over `incident`, as a route's; "" always holds.
	When string `yaml:"when" json:"when,omitzero"`
	// Approval replaces, key by key, what the route says.
	Approval Approval `yaml:"approval" json:"approval"`
}

// ApprovalPolicyError is one thing wrong with one policy.
type ApprovalPolicyError struct {
	// Index is the policy's place among the policies.
	Index int
	// Field is the key that is wrong, as in YAML: "approval.mode".
	Field string
	// Reason says what was found and what is accepted.
	Reason string
}

// Error names the policy, the field and the reason.
func (e *ApprovalPolicyError) Error() string {
	return fmt.Sprintf("policies[%d]: %s: %s", e.Index, e.Field, e.Reason)
}

// ApprovalPolicies choose how an action is to be approved. They are safe for concurrent
// use.
type ApprovalPolicies struct {
	policies []compiledPolicy
}

type compiledPolicy struct {
	ApprovalPolicy

	condition cel.Program
}

// NewApprovalPolicies compiles the policies' conditions and checks the policies. All
// that is wrong is reported together; each part of the error is a *[ApprovalPolicyError].
func NewApprovalPolicies(policies []ApprovalPolicy) (*ApprovalPolicies, error) {
	env, err := newEnv()
	if err != nil {
		return nil, fmt.Errorf("prepare conditions: %w", err)
	}
	var problems []error
	compiled := &ApprovalPolicies{}
	for i, p := range policies {
		wrong := func(field, format string, args ...any) {
			problems = append(problems, &ApprovalPolicyError{Index: i, Field: field, Reason: fmt.Sprintf(format, args...)})
		}
		if len(p.Actions) == 0 {
			wrong("actions", "it is empty; want names of actions, like [KILL_*]")
		}
		for n, pattern := range p.Actions {
			if err := CheckActionPattern(pattern); err != nil {
				wrong(fmt.Sprintf("actions[%d]", n), "%s", err)
			}
		}
		if p.Approval.isZero() {
			wrong("approval", "it is empty; want what to change, like {mode: two}")
		}
		p.Approval.check("approval", DefaultApproval(), wrong)
		if p.When == "" {
			p.When = "true"
		}
		condition, err := compile(env, p.When)
		if err != nil {
			wrong("when", "%s", err)
		}
		compiled.policies = append(compiled.policies, compiledPolicy{p, condition})
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return compiled, nil
}

// For is how an action on an incident is to be approved: as the first policy
// says that matches, and for all that it leaves out as the route says. Where a
// condition cannot be evaluated the policy matches unless it would ask nobody: it
// is better to ask too many.
func (p *ApprovalPolicies) For(action string, inc *Incident, route Approval) Approval {
	for i := range p.policies {
		policy := &p.policies[i]
		if !matchesAction(policy.Actions, action) {
			continue
		}
		holds := policy.Approval.Mode != ModeNone
		if out, _, err := policy.condition.Eval(map[string]any{variable: inc}); err == nil {
			holds = isTrue(out)
		}
		if holds {
			return policy.Approval.withDefaults(route)
		}
	}
	return route
}

// About reports whether any policy is about an action.
func (p *ApprovalPolicies) About(action string) bool {
	for i := range p.policies {
		if matchesAction(p.policies[i].Actions, action) {
			return true
		}
	}
	return false
}
