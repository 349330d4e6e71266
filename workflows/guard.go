package workflows

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/metrics"
	"firebreak/internal/report"
	"firebreak/signals"
)

// Guard is the switch that stops every containment action of the namespace, and
// the ledger of what budgets allow. It runs for ever, under signals.GuardID;
// workers start it if it is not there. It is a workflow so that who froze what,
// when and why is as durable as everything else. Workers read its memo and ask it
// by update, see package guard.
//
// It takes the signals freeze and unfreeze from analysts that the worker's
// configuration lets approve, and the updates reserve and hold-capture-slot from
// every sender. It cannot be cancelled: that
// would thaw in silence. If it is terminated, its last word holds until a worker
// starts the next one, which goes on from there.
func Guard(ctx workflow.Context, in signals.GuardInput) (signals.GuardPage, error) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	info := workflow.GetInfo(ctx)
	g := &guard{page: signals.GuardPage{State: signals.GuardOpen, WarRoom: []signals.Entry{}}, heard: map[string]int{}}
	if in.Carried != nil {
		g.page = *in.Carried
		for i := range g.page.WarRoom {
			g.written += size(&g.page.WarRoom[i])
		}
	}
	// Earlier versions hand over neither.
	if g.page.Budgets == nil {
		g.page.Budgets = []signals.BudgetUse{}
	}
	if g.page.Reservations == nil {
		g.page.Reservations = []signals.Reservation{}
	}
	if g.page.Slots == nil {
		g.page.Slots = []signals.Slot{}
	}
	g.page.WorkflowID, g.page.RunID = info.WorkflowExecution.ID, info.WorkflowExecution.RunID
	if err := g.answer(ctx); err != nil {
		return g.page, err
	}
	for _, name := range []string{signals.Freeze, signals.Unfreeze} {
		workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: signals.Description(name)})
	}
	g.publish(ctx)
	full := func() bool {
		return workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx)
	}
	for {
		_ = workflow.Await(ctx, func() bool { return len(g.intake.unread(ctx)) > 0 || full() })
		if g.drain(ctx); len(g.intake.unread(ctx)) == 0 && full() {
			g.page.Forget(workflow.Now(ctx))
			return g.page, workflow.NewContinueAsNewError(ctx, signals.WorkflowGuard, signals.GuardInput{Carried: &g.page})
		}
	}
}

// maxGuardWarRoom bounds the guard's war room, in bytes of JSON: it travels from
// run to run and answers queries, and the server limits the size of both. What is
// older is in the histories.
const maxGuardWarRoom = 256 << 10

type guard struct {
	page signals.GuardPage
	// written is the size of the war room in JSON.
	written  int
	heard    map[string]int
	receipts receipts
	intake   intake
}

// answer registers the queries and the update.
func (g *guard) answer(ctx workflow.Context) error {
	page := func() (signals.GuardPage, error) { return g.page, nil }
	warRoom := func() ([]signals.Entry, error) { return g.page.WarRoom, nil }
	receipt := func(id string) (signals.Receipt, error) { return g.receipts.of(id), nil }
	return errors.Join(
		workflow.SetQueryHandlerWithOptions(ctx, signals.QueryIncident, page,
			workflow.QueryHandlerOptions{Description: "The guard: whether containment is frozen, what is used of budgets, and its war room"}),
		workflow.SetQueryHandlerWithOptions(ctx, signals.QueryWarRoom, warRoom,
			workflow.QueryHandlerOptions{Description: "Who froze and unfroze containment"}),
		workflow.SetQueryHandlerWithOptions(ctx, signals.QueryReceipt, receipt,
			workflow.QueryHandlerOptions{Description: "What became of the signal that asked for a receipt under this ID"}),
		workflow.SetUpdateHandlerWithOptions(ctx, signals.UpdateReserve, g.reserve, workflow.UpdateHandlerOptions{
			Validator: g.allows, Description: "Used by workers to take a unit of the budgets for an action that nobody approved",
		}),
		workflow.SetUpdateHandlerWithOptions(ctx, signals.UpdateHold, g.hold, workflow.UpdateHandlerOptions{
			Validator: g.mayHold, Description: "Used by workers to take one system capture of a host at a time",
		}),
	)
}

// drain takes every signal that waits. Of a freeze and an unfreeze that come
// together nobody knows which was first: containment stays frozen.
func (g *guard) drain(ctx workflow.Context) {
	breath := 0
	for _, name := range []string{signals.Unfreeze, signals.Freeze} {
		channel := workflow.GetSignalChannel(ctx, name)
		for channel.Len() > 0 {
			var raw converter.RawValue
			if !channel.ReceiveAsync(&raw) {
				break
			}
			g.heard[name]++
			g.hear(ctx, name, raw)
			if breath += len(raw.Payload().GetData()) + maxEntry; breath > maxBreath {
				breathe(ctx)
				breath = 0
			}
		}
	}
	for _, name := range g.intake.unread(ctx) {
		if name == signals.Freeze || name == signals.Unfreeze {
			continue // came while one of the others was vetted
		}
		for g.intake.discard(ctx, name, workflow.SignalChannelOptions{}) {
			countSignal(ctx, name, refused(metrics.UnknownSignal, "unknown"))
			g.log(ctx, actorFirebreak, signals.KindRefused, fmt.Sprintf("signal %q is unknown: want freeze or unfreeze", signals.Clip(name, maxQuoted)))
			if breath += maxEntry; breath > maxBreath {
				breathe(ctx)
				breath = 0
			}
		}
	}
}

// hear carries out one signal, or says why it does not count.
func (g *guard) hear(ctx workflow.Context, name string, raw converter.RawValue) {
	order, err := signals.DecodeInstruction(raw)
	actor := order.Analyst
	if err != nil {
		err = refused(metrics.Undecodable, "%s", err)
	}
	if err == nil {
		actor, err = g.sender(ctx, activities.VetInput{
			Signal: name, Ordinal: g.heard[name], Digest: activities.Digest(raw.Payload()), Member: order.Analyst,
		})
	}
	if err == nil {
		err = g.turn(ctx, name, actor, order.Reason)
	}
	countSignal(ctx, name, err)
	text := name + because(order.Reason)
	if err != nil {
		actor, text = cmp.Or(actor, actorFirebreak), err.Error()
		g.log(ctx, actor, signals.KindRefused, fmt.Sprintf("%s did not count: %s", name, err))
	}
	g.receipts.add(order.Receipt, signals.Receipt{Answered: true, Counted: err == nil, Analyst: actor, Text: text})
}

// sender is to whom a signal is attributed. The worker knows who may freeze:
// whoever may approve anything.
func (g *guard) sender(ctx workflow.Context, in activities.VetInput) (string, error) {
	found, err := vet(ctx, execute, in)
	switch {
	case err != nil:
		return "", refused(metrics.SenderNotFound, "its sender could not be looked up, send it again: %s", describe(err))
	case found.Refused != "":
		return found.Principal, refused(metrics.NotEntitled, "%s", found.Refused)
	default:
		return found.Principal, nil
	}
}

// turn turns the switch.
func (g *guard) turn(ctx workflow.Context, name, actor, reason string) error {
	was := g.page.Frozen
	switch {
	case name == signals.Freeze && was != nil:
		return frozen(was)
	case name == signals.Unfreeze && was == nil:
		return refused(metrics.NotApplicable, "containment is not frozen")
	case name == signals.Freeze:
		g.page.State = signals.GuardFrozen
		g.page.Frozen = &signals.Frozen{By: actor, Reason: signals.Clip(reason, maxEntry), Since: workflow.Now(ctx).UTC()}
		g.log(ctx, actor, signals.KindDecision, "froze every containment action"+because(reason))
	default:
		g.page.State, g.page.Frozen = signals.GuardOpen, nil
		g.log(ctx, actor, signals.KindDecision, "unfroze containment"+because(reason))
	}
	g.publish(ctx)
	return nil
}

// publish shows the switch where workers and operations look.
func (g *guard) publish(ctx workflow.Context) {
	var memo any // nil deletes the field
	if g.page.Frozen != nil {
		memo = *g.page.Frozen
	}
	if err := workflow.UpsertMemo(ctx, map[string]any{signals.MemoFrozen: memo}); err != nil {
		workflow.GetLogger(ctx).Error("memo not updated", "error", err)
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, signals.IncidentState.ValueSet(string(g.page.State))); err != nil {
		workflow.GetLogger(ctx).Error("search attributes not updated", "error", err)
	}
	g.refresh(ctx)
}

// refresh renders the guard's page for Temporal Web.
func (g *guard) refresh(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, report.GuardDetails(&g.page, workflow.GetInfo(ctx).Namespace))
}

func (g *guard) log(ctx workflow.Context, actor string, kind signals.Kind, text string) {
	entry := signals.Entry{Time: workflow.Now(ctx).UTC(), Actor: actor, Kind: kind, Text: signals.Clip(text, maxEntry)}
	g.page.WarRoom = append(g.page.WarRoom, entry)
	for g.written += size(&entry); g.written > maxGuardWarRoom; g.page.WarRoom = g.page.WarRoom[1:] {
		g.written -= size(&g.page.WarRoom[0])
	}
	g.refresh(ctx)
}

// size is that of an entry in JSON, in bytes.
func size(entry *signals.Entry) int {
	encoded, err := json.Marshal(entry)
	if err != nil {
		return maxEntry
	}
	return len(encoded)
}
