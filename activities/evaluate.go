package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"

	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// EvaluateInput are a route's expressions for the parameters of its action.
type EvaluateInput struct {
	Expressions map[string]string `json:"expressions"`
	Incident    incident.Incident `json:"incident"`
}

// Evaluation is what the expressions are of the incident.
type Evaluation struct {
	Values map[string]any `json:"values"`
	// Absent says of which there is nothing, and why.
	Absent string `json:"absent,omitzero"`
}

// UnmarshalJSON leaves numbers as they are written, see [ActionInput].
func (e *Evaluation) UnmarshalJSON(raw []byte) error {
	type plain Evaluation
	return signals.DecodeExactly(raw, (*plain)(e))
}

// Evaluate evaluates expressions over an incident. It only computes.
func (a *Activities) Evaluate(_ context.Context, in EvaluateInput) (Evaluation, error) {
	parameters, err := incident.NewParameters(in.Expressions)
	if err != nil {
		return Evaluation{}, temporal.NewNonRetryableApplicationError(err.Error(), ErrRefused, nil)
	}
	var found Evaluation
	if found.Values, err = parameters.Eval(&in.Incident); err != nil {
		found.Absent = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return found, nil
}

// DescribeInput names an action that the catalogue does not know.
type DescribeInput struct {
	Action string `json:"action"`
	Tenant string `json:"tenant,omitzero"`
}

// DescribeAction looks an action up in Sysdig's own catalogue, which may have
// more than the one here. What Sysdig knows nothing of is refused. It only reads.
func (a *Activities) DescribeAction(ctx context.Context, in DescribeInput) (*catalogue.Action, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return nil, err
	}
	known, err := account.Actions(ctx)
	if err != nil {
		return nil, toTemporal("list the actions that Sysdig knows", err)
	}
	for i := range known {
		if known[i].Name != in.Action {
			continue
		}
		described := &catalogue.Action{Name: in.Action, Responder: known[i].ResponderType, Class: catalogue.Containment}
		if known[i].Undoable {
			described.UndoneBy = "its undo"
		}
		for _, p := range known[i].Parameters {
			described.Parameters = append(described.Parameters, catalogue.Parameter{
				Name: p.Name, Type: typeOf(p.Type), Required: p.Required, From: catalogue.From(p.Name),
			})
		}
		return described, nil
	}
	return nil, temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("%s, and Sysdig's own catalogue does not have it either", catalogue.Unknown(in.Action)), ErrRefused, errors.New("unknown action"))
}

// typeOf is Sysdig's word for a type, of which only the three are known.
func typeOf(name string) catalogue.Type {
	switch strings.ToLower(name) {
	case "integer", "int", "int64", "number", "long":
		return catalogue.Integer
	case "boolean", "bool":
		return catalogue.Boolean
	default:
		return catalogue.Text
	}
}
