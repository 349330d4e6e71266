package sysdig

import (
	"net/http"
	"time"
)

// ResumeSoon makes downloads that broke off go on after next to no time.
func (c *Client) ResumeSoon() { c.resumePause = time.Millisecond }

// UseTransport replaces the connections.
func (c *Client) UseTransport(t http.RoundTripper) { c.http.Transport = t }
