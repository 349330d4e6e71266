package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"go.temporal.io/sdk/temporal"

	"firebreak/internal/catalogue"
	"firebreak/internal/sysdig"
)

// An empty list of executions does not prove that no execution exists: Sysdig leaves
// out those that the token may not see. The functions below decide when it does.

// visible returns nil if the token is known to see executions of the action, or of
// its undo, at this moment. Otherwise the error is of type ErrAmbiguous: final if
// the token does not see them or this cannot be found out, and retried while it
// can.
//
// The permissions are read for this call: they may have been withdrawn since the
// last one. A Sysdig that does not list them is asked for an execution of
// the class that this process has read before.
func (a *Activities) visible(ctx context.Context, account *sysdig.Client, in ActionInput) error {
	granted, err := account.Permissions(ctx)
	unknown := errors.Is(err, sysdig.ErrPermissionsUnknown)
	if err != nil && !unknown {
		return unknowable("read the permissions of the token", err)
	}
	for _, class := range catalogue.VisibleBy(in.Action, in.Undo != "") {
		switch id := a.witnesses.of(account, class); {
		case !unknown && granted.Has(class.Read()):
		case !unknown:
			return unproven(in, "the token lacks the permission "+class.Read())
		case id == "":
			return unproven(in, fmt.Sprintf("whether the token has the permission %s is not known: %s, and this worker has read no execution of that class",
				class.Read(), strings.ReplaceAll(err.Error(), "\n", "; ")))
		default:
			if _, err := account.Execution(ctx, id); err != nil {
				return unknowable("read execution "+id+" to learn whether the token has the permission "+class.Read(), err)
			}
		}
	}
	return nil
}

// unproven is the error about an execution that may exist although no list has it.
func unproven(in ActionInput, why string) error {
	verb := "submitted"
	if in.Undo != "" {
		verb = "undone"
	}
	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("%s may have been %s already: Sysdig lists no execution of caller ID %s, which proves nothing, because %s", in.Action, verb, in.CallerID, why),
		ErrAmbiguous, nil)
}

// witnesses are executions that were read in this process, one of each account and
// class: to read one again shows whether the token still may. The zero value has
// none. An account with another token is another client, and begins without.
type witnesses struct {
	mu  sync.Mutex
	ids map[witnessKey]string
}

type witnessKey struct {
	account *sysdig.Client
	class   catalogue.Class
}

// add remembers an execution that was read, if its class is known.
func (w *witnesses) add(account *sysdig.Client, e *sysdig.Execution) {
	classes := catalogue.VisibleBy(e.ActionType, false)
	if len(classes) != 1 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ids == nil {
		w.ids = map[witnessKey]string{}
	}
	w.ids[witnessKey{account, classes[0]}] = e.ID
}

// of returns the execution of a class that was read last, "" for none.
func (w *witnesses) of(account *sysdig.Client, class catalogue.Class) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ids[witnessKey{account, class}]
}
