// Package approvals is the worker's own word on who must approve what. An
// incident carries the route it was opened with, and whoever may start workflows
// can write one; so before an action is carried out it is checked here, against
// the configuration that the worker was started with. That also makes a change
// of it hold at once: an analyst who is taken off the list approves nothing any
// more, although incidents that wait still ask for them.
package approvals

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"firebreak/internal/config"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// Rules say how actions are to be approved. They are safe for concurrent use.
type Rules struct {
	approvers signals.Approvers
	routes    map[string]incident.Route
	policies  *incident.ApprovalPolicies
}

// New takes the rules from a configuration.
func New(cfg *config.Config) (*Rules, error) {
	policies, err := incident.NewApprovalPolicies(cfg.Approvals.Policies)
	if err != nil {
		return nil, err
	}
	routes := map[string]incident.Route{}
	for _, route := range cfg.Routes {
		routes[route.Name] = route
	}
	return &Rules{approvers: cfg.Approvers(), routes: routes, policies: policies}, nil
}

// Trust is how approvals are trusted.
func (r *Rules) Trust() signals.Trust { return r.approvers.Trust }

// Approvers are who there is to ask.
func (r *Rules) Approvers() signals.Approvers { return r.approvers }

// Choose is how an action on an incident is to be asked for whose route says so.
func (r *Rules) Choose(action string, inc *incident.Incident, route incident.Approval) incident.Approval {
	return r.policies.For(action, inc, route)
}

// Member checks that an analyst is a member of any group, where trust is not
// open.
func (r *Rules) Member(analyst string) error {
	if r.approvers.Trust == signals.TrustOpen || slices.Contains(r.approvers.Analysts, analyst) {
		return nil
	}
	return fmt.Errorf("analyst %q is not entitled: not in the list of approvers", analyst)
}

// Claim is what an incident says of an action that it wants to be carried out.
type Claim struct {
	// Route is the route's name, Playbook the one that ran, which need not be the
	// route's, and Trust how the incident trusted decisions.
	Route    string        `json:"route"`
	Playbook string        `json:"playbook,omitzero"`
	Trust    signals.Trust `json:"trust"`
	Action   string        `json:"action"`
	// ApprovedBy are those who approved, none if nobody was asked.
	ApprovedBy []string `json:"approved_by,omitempty"`
	// Requester is who asked for a manual action, and does not count among them.
	Requester string `json:"requester,omitzero"`
	// First says that it is a capture that the route wants taken before it
	// contains, which nobody is asked for.
	First bool `json:"first,omitzero"`
	// Undo says that it is to be undone: one who may approve it may, and nobody has
	// to where the route undoes it by itself.
	Undo bool `json:"undo,omitzero"`
	// Unseen says that no event tells of the target: what the incident lacks may be
	// anything.
	Unseen bool `json:"unseen,omitzero"`
	// Incident is what policies and protections look at; nil where the starter knew
	// of none.
	Incident *incident.Incident `json:"incident,omitempty"`
}

// Denied is a claim that does not hold. Approvers are those of the worker's
// configuration, and Demanded is how the action is to be
// approved.
type Denied struct {
	Reason    string
	Demanded  incident.Approval
	Approvers signals.Approvers
}

// Error says why.
func (d *Denied) Error() string { return d.Reason }

// ErrNoIncident says that a claim lacks the incident, which a policy looks at.
var ErrNoIncident = errors.New("this worker has policies for the action that the starter did not know of, and looks at the incident")

// Check checks a claim; the error is a *Denied or ErrNoIncident. A route that the
// worker does not know, because it was renamed or comes from elsewhere, is asked
// for as one that leaves everything out: whoever decided must be entitled, but
// nothing goes without a decision. So is one that is another playbook's: that a
// route asks nobody for a capture says nothing of what kills.
func (r *Rules) Check(c Claim) error {
	route, known := r.route(c)
	if c.First && c.Action == captureAction && known && route.CaptureFirst {
		return nil
	}
	if c.Incident == nil && r.policies.About(c.Action) {
		return ErrNoIncident
	}
	demanded := r.policies.For(c.Action, c.Incident, route.WithDefaults().Approval)
	denied := func(format string, args ...any) error {
		return &Denied{Reason: fmt.Sprintf(format, args...), Demanded: demanded, Approvers: r.approvers}
	}
	if weight(c.Trust) < weight(r.approvers.Trust) {
		return denied("the incident was opened with trust %s, and this worker wants %s", trustOf(c.Trust), r.approvers.Trust)
	}
	need, who := 1, "all groups"
	switch {
	case c.Undo:
		if known && route.AutoUndoAfter > 0 && len(c.ApprovedBy) == 0 {
			return nil
		}
	case demanded.Mode == incident.ModeNone:
		return nil
	case demanded.Mode == incident.ModeTwo:
		need = 2
	}
	if groups := demanded.Asked(true); len(groups) > 0 {
		who = strings.Join(groups, ", ")
	}
	if n := r.entitled(c, demanded); n < need {
		return denied("this worker wants %d of %s to approve %s: %d did", need, who, c.Action, n)
	}
	return nil
}

// captureAction is the only action that comes before containment.
const captureAction = "CAPTURE"

// Approved reports whether somebody has approved who may: what a claim says of
// others, it has from an incident that anybody may have started.
func (r *Rules) Approved(c Claim) bool {
	route, _ := r.route(c)
	return r.entitled(c, r.policies.For(c.Action, c.Incident, route.WithDefaults().Approval)) > 0
}

// entitled counts those who approved and may.
func (r *Rules) entitled(c Claim, demanded incident.Approval) int {
	members := r.approvers.Members(demanded.Asked(true))
	entitled := map[string]bool{}
	for _, name := range c.ApprovedBy {
		if c.Requester != "" && strings.EqualFold(name, c.Requester) {
			continue
		}
		if r.approvers.Trust == signals.TrustOpen || slices.Contains(members, name) {
			entitled[strings.ToLower(name)] = true
		}
	}
	return len(entitled)
}

// Deny is what becomes of a claim that holds, for a reason that only a human may
// set aside: one is asked, although the route would ask nobody.
func (r *Rules) Deny(c Claim, reason string) *Denied {
	route, _ := r.route(c)
	demanded := r.policies.For(c.Action, c.Incident, route.WithDefaults().Approval)
	if demanded.Mode == incident.ModeNone {
		demanded.Mode = incident.ModeOne
	}
	return &Denied{Reason: reason, Demanded: demanded, Approvers: r.approvers}
}

// route is the claim's route as the worker knows it.
func (r *Rules) route(c Claim) (incident.Route, bool) {
	route, known := r.routes[c.Route]
	if route.Playbook != c.Playbook {
		return incident.Route{}, false
	}
	return route, known
}

// weight orders trusts by how much they ask for. One that nobody knows asks for
// nothing: incidents take the word of a payload for everything but verified.
func weight(t signals.Trust) int {
	switch t {
	case signals.TrustListed:
		return 1
	case signals.TrustVerified:
		return 2
	default:
		return 0
	}
}

func trustOf(t signals.Trust) signals.Trust {
	if t == "" {
		return signals.TrustOpen
	}
	return t
}
