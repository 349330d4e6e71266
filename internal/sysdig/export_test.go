package sysdig

import "time"

// ResumeSoon makes downloads that broke off go on after next to no time.
func (c *Client) ResumeSoon() { c.resumePause = time.Millisecond }
