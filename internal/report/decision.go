package report

import (
	"strings"
	"time"

	"firebreak/signals"
)

// Asked is what is known of a pending request besides its page: whom it was put
// to, and how it stands.
type Asked struct {
	// Since is when it was asked.
	Since time.Time
	// Who are the groups that were asked; none: whoever can send a signal under
	// trust open, or else all analysts.
	Who []string
	// Analysts are those who may decide now; none: anybody.
	Analysts []string
	// Escalated are the groups it was escalated to; nil: it was not.
	Escalated []string
	// EscalatesAt and RemindsAt are when that is due next; zero: it is not.
	EscalatesAt, RemindsAt time.Time
	// Reminders counts those that were sent.
	Reminders int
	// Trust says whose decision counts; "" is not known.
	Trust signals.Trust
	// Frozen says that containment is stopped, nil if it is not.
	Frozen *signals.Frozen
}

// Bounds of what is told of a decision, in bytes before escaping.
const (
	maxParameters = 8
	maxParameter  = 100
	maxList       = 200
	maxMissing    = 8
)

// frozen says that nothing is contained. Temporal Web sets a quotation larger
// than the rest.
func frozen(w *writer, f *signals.Frozen) {
	if f == nil {
		return
	}
	w.raw("\n> Containment is frozen since ")
	w.timeUTC(f.Since)
	w.raw(" by ")
	w.text(f.By, maxName)
	if f.Reason != "" {
		w.raw(": ")
		w.text(f.Reason, maxValue)
	}
	w.raw(" (nothing is contained until the signal unfreeze is sent to ", signals.GuardID, ")\n")
}

// decision says what is asked, of whom and until when, and how to answer.
func decision(w *writer, page *signals.Page, asked *Asked, namespace string) {
	p := page.Pending
	if p == nil {
		return
	}
	missing := page.State == signals.NeedsFields
	target := page.Incident.Target()
	if missing {
		w.raw("\n### Fields wanted to go on: ")
		w.names(missingFields(p), maxList)
		w.end()
		w.end()
	} else {
		w.raw("\n### Decision wanted: ")
		w.text(p.Action, maxName)
		w.raw(" ")
		w.text(target, maxTarget)
		w.end()
		w.end()
		parameters(w, p.Parameters)
		approvals(w, p)
	}
	if !p.SeenAt.IsZero() {
		w.line("Process seen")
		w.timeUTC(p.SeenAt)
		if asked != nil && !asked.Since.IsZero() {
			w.raw(", ")
			w.text(max(0, asked.Since.Sub(p.SeenAt)).Round(time.Second).String(), maxValue)
			w.raw(" before the request")
		}
		w.raw("; another process may have its ID by now\n")
	}
	if !p.ExpiresAt.IsZero() {
		w.line("Deadline")
		w.timeUTC(p.ExpiresAt)
		switch {
		case missing:
			w.raw("; without them the incident is closed then\n")
		case p.Action == signals.ActionKeep:
			w.raw("; unanswered, the containment is undone then\n")
		default:
			w.raw("; unanswered, it is denied then\n")
		}
	}
	askedOf(w, asked)
	w.line("Request")
	w.code(p.ID, maxName)
	w.end()
	w.end()
	if missing {
		amendment(w, page, namespace)
		return
	}
	answer(w, page, namespace)
}

// parameters lists what the action will be carried out with.
func parameters(w *writer, parameters map[string]any) {
	names := sorted(parameters)
	for i, name := range names {
		if i == maxParameters {
			w.raw("- and ")
			w.number(len(names) - i)
			w.raw(" more parameters: `firebreak show`\n")
			break
		}
		// Named as a parameter, so that it cannot pass for one of the other lines.
		w.raw("- **Parameter** ")
		w.text(name, maxName)
		w.raw(": ")
		w.code(parameter(parameters[name]), maxParameter)
		w.end()
	}
}

// approvals says how many there are, and whose.
func approvals(w *writer, p *signals.Request) {
	w.line("Approvals")
	w.number(len(p.Have))
	w.raw(" of ")
	w.number(p.Need)
	if len(p.Have) > 0 {
		w.raw(": ")
		w.names(p.Have, maxList)
	}
	switch left := p.Need - len(p.Have); {
	case p.Need < 2 || left < 1:
	case len(p.Have) == 0:
		w.raw("; each must be a different person's")
	default:
		w.raw("; the next must be another person's")
	}
	w.end()
}

// askedOf says who was asked and who may answer.
func askedOf(w *writer, a *Asked) {
	if !a.Since.IsZero() {
		w.line("Asked")
		switch {
		case len(a.Who) > 0:
			w.names(a.Who, maxList)
		case a.Trust == signals.TrustOpen || a.Trust == "":
			w.raw("whoever can send a signal")
		default:
			w.raw("all analysts")
		}
		w.raw(", ")
		w.timeUTC(a.Since)
		if a.Reminders > 0 {
			w.raw("; ")
			w.count(a.Reminders, "reminder")
			w.raw(" sent")
		}
		if !a.RemindsAt.IsZero() {
			w.raw("; next reminder ")
			w.timeUTC(a.RemindsAt)
		}
		w.end()
	}
	switch {
	case a.Escalated != nil:
		w.line("Escalated")
		if len(a.Escalated) > 0 {
			w.raw("to ")
			w.names(a.Escalated, maxList)
		} else {
			w.raw("yes")
		}
		w.end()
	case !a.EscalatesAt.IsZero():
		w.line("Escalates")
		w.timeUTC(a.EscalatesAt)
		w.end()
	}
	if len(a.Analysts) == 0 && (a.Trust == "" || len(a.Who) == 0 && !a.Since.IsZero()) {
		return // as was said of who was asked
	}
	w.line("May decide")
	if len(a.Analysts) > 0 {
		w.names(a.Analysts, maxList)
	} else {
		w.raw("anybody who can send a signal")
	}
	w.end()
	if a.Trust == signals.TrustVerified {
		w.line("Verified")
		w.raw("the analyst who counts is the one whom Temporal authenticated, whatever name the signal gives\n")
	}
}

// answer shows the commands that approve, each in a block of its own so that
// it can be copied as it stands. Long lines would be cut off: JSON and the
// shell allow the breaks.
func answer(w *writer, page *signals.Page, namespace string) {
	w.raw("Approve with one of these, YOU and WHY filled in; `reject` instead of `approve` ")
	if page.Pending.Action == signals.ActionKeep {
		w.raw("undoes it at once:\n\n")
	} else {
		w.raw("denies:\n\n")
	}
	signal(w, page, namespace, signals.Approve)
	w.raw(`{"analyst":"YOU","reason":"WHY",`, "\n            ", `"request":"`, harmless(page.Pending.ID), `"}'`, "\n```\n\n")
	firebreak(w, page, namespace, signals.Approve)
	w.raw(" \\\n  --request ")
	w.word(page.Pending.ID)
	w.raw(" --reason WHY\n```\n\n")
	w.raw("Or in Temporal Web: *More Actions*, *Send a Signal*, with the data that is in quotes above.\n")
}

// amendment shows the commands that supply the missing fields.
func amendment(w *writer, page *signals.Page, namespace string) {
	missing := missingFields(page.Pending)
	w.raw("Supply them with one of these, YOU and VALUE filled in:\n\n")
	signal(w, page, namespace, signals.Amend)
	w.raw(`{"analyst":"YOU","fields":{`)
	for i, name := range missing {
		if i > 0 {
			w.raw(",")
		}
		w.raw("\n            \"", name, `":"VALUE"`)
	}
	w.raw("}}'\n```\n\n")
	firebreak(w, page, namespace, signals.Amend)
	for _, name := range missing {
		w.raw(" \\\n  --set ", name, "=VALUE")
	}
	w.raw("\n```\n\n")
	w.raw("Or in Temporal Web: *More Actions*, *Send a Signal*, with the data that is in quotes above. " +
		"`reject`, with `--reason WHY`, closes the incident instead.\n")
}

// signal begins the temporal command that sends a signal, up to its data.
func signal(w *writer, page *signals.Page, namespace, name string) {
	w.raw("```\ntemporal workflow signal")
	if other(namespace) {
		w.raw(" --namespace ")
		w.word(namespace)
	}
	w.raw(" \\\n  -w ")
	w.word(page.WorkflowID)
	w.raw(" \\\n  --name ", name, " \\\n  --input '")
}

// firebreak begins our own command.
func firebreak(w *writer, page *signals.Page, namespace, name string) {
	w.raw("```\n")
	if other(namespace) {
		w.raw("TEMPORAL_NAMESPACE=")
		w.word(namespace)
		w.raw(" ")
	}
	w.raw("firebreak ", name, " ")
	w.word(page.WorkflowID)
}

// other reports whether commands must name the namespace.
func other(namespace string) bool { return namespace != "" && namespace != "default" }

// missingFields are the fields that a request for an amendment names. They are
// written into commands: a name that is none is left out.
func missingFields(p *signals.Request) []string {
	listed, _ := p.Parameters["missing"].(string)
	var names []string
	for name := range strings.SplitSeq(listed, ", ") {
		if name != "" && len(name) <= maxName && len(names) < maxMissing && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == "" {
			names = append(names, name)
		}
	}
	if names == nil {
		return []string{"FIELD"}
	}
	return names
}
