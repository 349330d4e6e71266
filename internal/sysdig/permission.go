package sysdig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Permissions are the names of what a token may do, for example
// "containment-response-actions.read".
type Permissions []string

// Has reports whether all of the names are among the permissions.
func (p Permissions) Has(names ...string) bool {
	for _, name := range names {
		if !slices.Contains(p, name) {
			return false
		}
	}
	return true
}

// ErrPermissionsUnknown is the error of a Sysdig that does not list the
// permissions of the token: it lacks the endpoint, refuses it to the token, or
// answers something else. A later request has the same result.
var ErrPermissionsUnknown = errors.New("the permissions of this token are not listed by Sysdig")

// Permissions returns what the token may do (GET /api/users/me/permissions on the
// application host, Sysdig's MCP server; it is not in the public OpenAPI). The
// request is sent after the call began: a permission may have been withdrawn since
// an older answer. One request is under way at a time, and its answer serves all
// callers that were waiting when it was sent.
//
// The error is ErrPermissionsUnknown if Sysdig does not list them; any other one
// may pass.
func (c *Client) Permissions(ctx context.Context) (Permissions, error) {
	begun := time.Now()
	select {
	case c.permissions.turn <- struct{}{}:
		defer func() { <-c.permissions.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if !c.permissions.askedAt.Before(begun) {
		return c.permissions.granted, nil
	}
	askedAt := time.Now()
	var a permissionsAnswer
	err := c.call(ctx, request{method: http.MethodGet, base: c.app, path: "/api/users/me/permissions"}, &a)
	if err != nil {
		return nil, fmt.Errorf("get permissions: %w", permissionsError(err))
	}
	granted := make(Permissions, len(a.Permissions.items))
	for i, name := range a.Permissions.items {
		granted[i] = string(name)
	}
	c.permissions.askedAt, c.permissions.granted = askedAt, granted
	return granted, nil
}

// permissionsError adds ErrPermissionsUnknown to an error that does not pass.
func permissionsError(err error) error {
	var shape *json.SyntaxError
	var kind *json.UnmarshalTypeError
	answer, answered := errors.AsType[*Error](err)
	switch {
	case errors.As(err, &shape), errors.As(err, &kind), errors.Is(err, errNoPermissions):
	case answered && slices.Contains([]int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusGone, http.StatusNotImplemented,
	}, answer.StatusCode):
	default:
		return err
	}
	return fmt.Errorf("%w: %w", ErrPermissionsUnknown, err)
}

// permissionCache is the latest answer. The holder of the turn may use the rest.
type permissionCache struct {
	turn    chan struct{}
	askedAt time.Time // when the request was sent; zero before the first answer
	granted Permissions
}

var errNoPermissions = errors.New(`no "permissions"`)

type permissionsAnswer struct {
	Permissions list[text] `json:"permissions"`
}

func (a *permissionsAnswer) check() error {
	if !a.Permissions.present {
		return errNoPermissions
	}
	return nil
}
