package sysdig

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// actionsPath is the catalogue of response actions, on the API host (Sysdig's
// public OpenAPI).
const actionsPath = "/secure/response-actions/v1alpha1/actions"

// ActionType is a response action that Sysdig offers.
type ActionType struct {
	// Name is what a [Submission] calls it, for example "KILL_CONTAINER".
	Name          string
	Description   string
	ResponderType string // HOST, CLUSTER or CLOUD
	// Undoable says that [Client.Undo] reverts it.
	Undoable   bool
	Parameters []ActionParameter
	// Outputs are what an execution may tell when it has ended.
	Outputs []ActionParameter
}

// ActionParameter is a parameter or an output of a response action.
type ActionParameter struct {
	Name string
	// Type is string, integer or boolean; Sysdig says that there may be more.
	Type        string
	Required    bool
	Description string
}

// Actions returns the catalogue of response actions (GET …/actions, Sysdig's
// public OpenAPI): what this account can do, which differs from what is known
// here where Sysdig has added or taken away.
func (c *Client) Actions(ctx context.Context) ([]ActionType, error) {
	var a actionList
	if err := c.call(ctx, request{method: http.MethodGet, base: c.api, path: actionsPath}, &a); err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	actions := make([]ActionType, len(a.Data.items))
	for i, item := range a.Data.items {
		actions[i] = ActionType{
			Name:          string(item.name()),
			Description:   string(item.Description),
			ResponderType: string(item.ResponderType),
			Undoable:      item.IsUndoable == "true",
			Parameters:    item.Parameters.parameters(),
			Outputs:       item.Outputs.parameters(),
		}
	}
	return actions, nil
}

type actionList struct {
	Data list[actionItem] `json:"data"`
}

func (a *actionList) check() error {
	if !a.Data.present {
		return errors.New(`no "data"`)
	}
	for _, item := range a.Data.items {
		if item.name() == "" {
			return errors.New("an action has no type")
		}
	}
	return nil
}

// actionItem is an action of the catalogue. An execution calls its type
// actionType; the catalogue, type.
type actionItem struct {
	Type          text          `json:"type"`
	ActionType    text          `json:"actionType"`
	Description   text          `json:"description"`
	ResponderType text          `json:"responderType"`
	IsUndoable    text          `json:"isUndoable"`
	Parameters    parameterList `json:"parameters"`
	Outputs       parameterList `json:"outputs"`
}

func (i actionItem) name() text { return cmp.Or(i.Type, i.ActionType) }

// parameterList reads an array of parameters; anything else is none.
type parameterList []parameterItem

type parameterItem struct {
	Name        text `json:"name"`
	Type        text `json:"type"`
	Required    text `json:"required"`
	Description text `json:"description"`
}

func (l *parameterList) UnmarshalJSON(raw []byte) error {
	var items []json.RawMessage
	*l = nil
	if json.Unmarshal(raw, &items) != nil {
		return nil
	}
	for _, raw := range items {
		var item parameterItem
		if bytes.HasPrefix(raw, []byte("{")) && json.Unmarshal(raw, &item) == nil && item.Name != "" {
			*l = append(*l, item)
		}
	}
	return nil
}

func (l parameterList) parameters() []ActionParameter {
	var parameters []ActionParameter
	for _, item := range l {
		parameters = append(parameters, ActionParameter{
			Name: string(item.Name), Type: string(item.Type), Required: item.Required == "true", Description: string(item.Description),
		})
	}
	return parameters
}
