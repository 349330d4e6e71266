package sysdig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// executionsPath is the collection of action executions, on the API host
// (Sysdig's public OpenAPI).
const executionsPath = "/secure/response-actions/v1alpha1/action-executions"

// Submission asks for one execution of a response action.
type Submission struct {
	// ActionType is the action, for example "KILL_CONTAINER".
	ActionType string
	// CallerID is the caller's own name for this execution, at most 128
	// characters. Nothing says that Sysdig runs a repeated one only once: look it
	// up with [Client.ExecutionsByCaller] before sending it again.
	CallerID string
	// Parameters are strings of printable ASCII up to 512 characters, integers or
	// booleans, as the action demands them.
	Parameters map[string]any
}

// Execution is a response action that Sysdig accepted. It runs asynchronously.
type Execution struct {
	ID            string
	CallerID      string
	ActionType    string
	ResponderType string // HOST, CLUSTER or CLOUD
	// Context is where it runs, for example "host.hostName".
	Context map[string]string
	// Parameters and Outputs hold strings, booleans and json.Number. Outputs may
	// contain a pre-signed URL: treat them as confidential.
	Parameters map[string]any
	Outputs    map[string]any
	// Failure is nil unless Sysdig reported one.
	Failure   *Failure
	Status    ExecutionStatus
	CreatedAt time.Time
	UpdatedAt time.Time
	// ActionExecutionIDBeingUndone names the execution that this one undoes.
	ActionExecutionIDBeingUndone string
}

// Failure is why an execution failed, in Sysdig's words.
type Failure struct {
	Reason  string // a short code, for example "forbidden"
	Message string
}

// ExecutionStatus is how far an execution has come, in upper case. Statuses
// other than the constants exist (the Cortex XSOAR pack recorded "created") and
// mean that it is not finished.
type ExecutionStatus string

// The execution statuses of Sysdig's public OpenAPI.
const (
	Enqueued   ExecutionStatus = "ENQUEUED"
	InProgress ExecutionStatus = "IN_PROGRESS"
	Completed  ExecutionStatus = "COMPLETED"
	Failed     ExecutionStatus = "FAILED"
)

// Done reports whether the execution has ended, well or not.
func (e *Execution) Done() bool { return e.Status == Completed || e.Status == Failed }

// Succeeded reports whether the execution has ended well. COMPLETED alone is
// not enough: it can come with a failure.
func (e *Execution) Succeeded() bool { return e.Status == Completed && e.Failure == nil }

// Submit asks Sysdig to run a response action (POST on the collection, Sysdig's
// public OpenAPI). The answer is the queued execution.
func (c *Client) Submit(ctx context.Context, s Submission) (*Execution, error) {
	body := struct {
		ActionType string         `json:"actionType"`
		CallerID   string         `json:"callerId,omitzero"`
		Parameters map[string]any `json:"parameters"`
	}{s.ActionType, s.CallerID, s.Parameters}
	if body.Parameters == nil {
		body.Parameters = map[string]any{}
	}
	var a executionAnswer
	err := c.call(ctx, request{method: http.MethodPost, base: c.api, path: executionsPath, body: body}, &a)
	if err != nil {
		return nil, fmt.Errorf("submit %s: %w", s.ActionType, err)
	}
	return a.execution(), nil
}

// Execution returns an execution as it stands now (GET by ID, Sysdig's public
// OpenAPI).
func (c *Client) Execution(ctx context.Context, id string) (*Execution, error) {
	path, err := executionPath(id)
	if err != nil {
		return nil, fmt.Errorf("get execution: %w", err)
	}
	var a executionAnswer
	if err := c.call(ctx, request{method: http.MethodGet, base: c.api, path: path}, &a); err != nil {
		return nil, fmt.Errorf("get execution %s: %w", id, err)
	}
	return a.execution(), nil
}

const (
	// maxExecutions is the longest list of executions, and maxExecutionSpan the
	// longest time that one list covers (Sysdig's public OpenAPI).
	maxExecutions    = 200
	maxExecutionSpan = 14 * 24 * time.Hour
)

// ExecutionsByCaller returns the executions that were submitted under a caller ID
// and created within the time, the oldest first (GET on the collection with
// callerId, from and to, Sysdig's public OpenAPI). It sends one request per two
// weeks: which time Sysdig covers without one, and in which order, is not
// published.
//
// Sysdig lists "the executions of the Response Actions you are allowed to see", so
// an empty list proves that there is no execution only if the token is known to
// have the read permission of the action's class, see [Client.Permissions]. A list
// that may hold more than it shows is an error.
func (c *Client) ExecutionsByCaller(ctx context.Context, callerID string, from, to time.Time) ([]Execution, error) {
	switch {
	case callerID == "":
		return nil, errors.New("list executions: caller ID is empty")
	case !from.Before(to):
		return nil, fmt.Errorf("list executions of caller %s: from %s: must be before to %s",
			callerID, from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	var found []Execution
	for begin := from; begin.Before(to); begin = begin.Add(maxExecutionSpan) {
		end := begin.Add(maxExecutionSpan)
		if end.After(to) {
			end = to
		}
		window, err := c.executionsWithin(ctx, callerID, begin, end)
		if err != nil {
			return nil, fmt.Errorf("list executions of caller %s: %w", callerID, err)
		}
		for _, e := range window {
			// Two windows share a moment.
			if !slices.ContainsFunc(found, func(known Execution) bool { return known.ID == e.ID }) {
				found = append(found, e)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Execution) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return found, nil
}

func (c *Client) executionsWithin(ctx context.Context, callerID string, from, to time.Time) ([]Execution, error) {
	var a executionList
	err := c.call(ctx, request{
		method: http.MethodGet, base: c.api, path: executionsPath,
		query: url.Values{
			"callerId": {callerID}, "limit": {strconv.Itoa(maxExecutions)},
			"from": {strconv.FormatInt(from.UnixNano(), 10)}, "to": {strconv.FormatInt(to.UnixNano(), 10)},
		},
	}, &a)
	if err != nil {
		return nil, err
	}
	var found []Execution
	for _, item := range a.Data.items {
		// Never adopt the execution of another caller, should the filter be ignored.
		if string(item.CallerID) == callerID {
			found = append(found, *item.execution())
		}
	}
	if len(found) == 0 && len(a.Data.items) >= maxExecutions {
		return nil, errors.New("the list is full of those of other callers")
	}
	return found, nil
}

// Undo reverts an execution, for example unpauses a paused container (DELETE by
// ID, Sysdig's public OpenAPI, which says not to submit the reverse action
// instead). The answer is a new execution: that of the reverse action.
func (c *Client) Undo(ctx context.Context, id, callerID string) (*Execution, error) {
	path, err := executionPath(id)
	if err != nil {
		return nil, fmt.Errorf("undo execution: %w", err)
	}
	req := request{method: http.MethodDelete, base: c.api, path: path}
	if callerID != "" {
		req.query = url.Values{"callerId": {callerID}}
	}
	var a executionAnswer
	if err := c.call(ctx, req, &a); err != nil {
		return nil, fmt.Errorf("undo execution %s: %w", id, err)
	}
	return a.execution(), nil
}

func executionPath(id string) (string, error) {
	if !validID(id) {
		return "", fmt.Errorf("id %q: want the ID of an execution", id)
	}
	return executionsPath + "/" + url.PathEscape(id), nil
}

type executionAnswer struct {
	ID            text            `json:"id"`
	CallerID      text            `json:"callerId"`
	ActionType    text            `json:"actionType"`
	ResponderType text            `json:"responderType"`
	Context       object          `json:"executionContext"`
	Parameters    object          `json:"parameters"`
	Outputs       object          `json:"outputs"`
	Failure       json.RawMessage `json:"failure"`
	Status        text            `json:"status"`
	CreatedAt     stamp           `json:"createdAt"`
	UpdatedAt     stamp           `json:"updatedAt"`
	IDBeingUndone text            `json:"actionExecutionIdBeingUndone"`
}

func (a *executionAnswer) check() error {
	if a.ID == "" {
		return errors.New("the execution has no id")
	}
	return nil
}

func (a *executionAnswer) execution() *Execution {
	return &Execution{
		ID:                           string(a.ID),
		CallerID:                     string(a.CallerID),
		ActionType:                   string(a.ActionType),
		ResponderType:                string(a.ResponderType),
		Context:                      a.Context.strings(),
		Parameters:                   a.Parameters,
		Outputs:                      a.Outputs,
		Failure:                      parseFailure(a.Failure),
		Status:                       ExecutionStatus(strings.ToUpper(string(a.Status))),
		CreatedAt:                    a.CreatedAt.Time,
		UpdatedAt:                    a.UpdatedAt.Time,
		ActionExecutionIDBeingUndone: string(a.IDBeingUndone),
	}
}

// parseFailure reads the failure block. What is there but cannot be understood
// is a failure too: a failed action must never look like a success.
func parseFailure(raw json.RawMessage) *Failure {
	var block struct {
		Reason  text `json:"failureReason"`
		Message text `json:"logMessage"`
	}
	switch s := string(raw); {
	case s == "" || s == "null" || s == "{}":
		return nil
	case json.Unmarshal(raw, &block) != nil || block.Reason == "" && block.Message == "":
		return &Failure{Message: s}
	}
	return &Failure{Reason: string(block.Reason), Message: string(block.Message)}
}

type executionList struct {
	Data list[executionAnswer] `json:"data"`
}

// check is strict: an answer that is misread as "no execution" would make the
// caller submit again.
func (a *executionList) check() error {
	if !a.Data.present {
		return errors.New(`no "data"`)
	}
	for i := range a.Data.items {
		if err := a.Data.items[i].check(); err != nil {
			return err
		}
	}
	return nil
}
