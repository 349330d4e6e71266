package sysdig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// User is the owner of the API token.
type User struct {
	ID           int64
	Username     string
	CustomerID   string
	CustomerName string
}

// Me returns the owner of the token, and so tells whether the token is valid
// (GET /api/users/me on the application host, the Cortex XSOAR pack).
func (c *Client) Me(ctx context.Context) (*User, error) {
	var a userAnswer
	if err := c.call(ctx, request{method: http.MethodGet, base: c.app, path: "/api/users/me"}, &a); err != nil {
		return nil, fmt.Errorf("get current user: %w", err)
	}
	return &User{
		ID:           a.id,
		Username:     string(a.User.Username),
		CustomerID:   string(cmp.Or(a.User.Customer.ID, a.User.CustomerID)),
		CustomerName: string(cmp.Or(a.User.Customer.Name, a.User.CustomerName)),
	}, nil
}

type userAnswer struct {
	User struct {
		ID       text `json:"id"`
		Username text `json:"username"`
		Customer struct {
			ID   text `json:"id"`
			Name text `json:"name"`
		} `json:"customer"`
		CustomerID   text `json:"customerId"`
		CustomerName text `json:"customerName"`
	} `json:"user"`
	id int64
}

func (a *userAnswer) check() (err error) {
	if a.id, err = strconv.ParseInt(string(a.User.ID), 10, 64); err != nil {
		return errors.New("the user has no numeric id")
	}
	return nil
}
