// Package starter is the webhook server that opens incidents: it takes runtime
// security events, finds the route of each, and hands them to Temporal, where
// they open an incident or join the open one of their target. Its answer 202
// means that every event is on durable storage: in Temporal, or in the journal
// while Temporal does not answer. It decides nothing about an incident beyond
// its route, and calls neither Sysdig nor an activity.
//
// A request's way: Source admits it and reads its events (source.go, request.go),
// assign finds their incidents (assign.go), the dispatcher brings them there
// (dispatch.go: one lane for each incident; open.go: the signal) or into the
// journal (write.go, drain.go), and Handler answers (handler.go).
//
// What the answer says was done is done, but what was done may be more than the
// answer says: when one of several incidents of a request could not be told its
// events, the answer is 503 although others were. The sender sends everything
// again, and an incident counts an event ID once.
package starter

import (
	"context"
	"io"

	"firebreak/internal/evidence"
)

// Quarantine stores what nobody recognised.
type Quarantine interface {
	Put(ctx context.Context, key, contentType string, r io.Reader) (evidence.File, error)
}

var _ Quarantine = (*evidence.Store)(nil)
