// Package report renders an incident as Markdown: its page in Temporal Web and
// the report in its evidence. It is pure, and it trusts nothing: what came from
// an event or a person is escaped, so that nobody can draw a forged "approved".
package report

import (
	"cmp"
	"strconv"
	"time"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// MaxDetails bounds the page in Temporal Web, in bytes: its whole text travels
// in a URL to be rendered.
const MaxDetails = 8 << 10

// Bounds of what came from outside, in bytes before escaping, which can double
// it, and of how many actions of Sysdig's own and of the playbook's are shown.
const (
	maxName    = 60
	maxTarget  = 100
	maxValue   = 150
	maxEntry   = 300
	maxActions = 3
	maxDone    = 8
)

// Each part of the page leaves room for those that follow: the steps that are tried
// again, the event's fields and the evidence end before so many bytes, the war room with the page.
const (
	endOfRetrying = 5_600
	endOfFields   = 5_800
	endOfRelated  = 6_600
	endOfEvidence = 7_000
	endOfWarRoom  = MaxDetails - 150 // for the line that tells what is left out
)

// Details is the incident's page in Temporal Web. It begins with what has to be
// known first: what happened and where, how it stands, and the decision that is
// wanted with the command that gives it, or else how it ended. The event, the
// evidence and as much of the war room as fits follow, newest first.
//
// Temporal Web shows the page in half a window, cuts tables and code off at its
// edge, and sets each block apart by a wide gap: facts are lists, which break
// and stay together.
func Details(page *signals.Page, asked Asked, namespace string) string {
	w := writer{b: make([]byte, 0, MaxDetails/2)}
	heading(&w, page)
	if page.Outcome == "" {
		frozen(&w, asked.Frozen)
		decision(&w, page, &asked, namespace)
	} else {
		done(&w, page)
	}
	retrying(&w, page.Retrying)
	fields(&w, &page.Incident)
	related(&w, page.Related, page.RelatedCut)
	evidence(&w, page.Evidence)
	warRoom(&w, page)
	return string(w.b)
}

// Report is the whole story, for the evidence: nothing is left out or cut.
func Report(page *signals.Page) string {
	w := writer{unclipped: true}
	heading(&w, page)
	done(&w, page)
	fields(&w, &page.Incident)
	related(&w, page.Related, page.RelatedCut)
	evidence(&w, page.Evidence)
	w.raw("\n### War room (UTC)\n\n")
	for i := range page.WarRoom {
		entry(&w, &page.WarRoom[i])
	}
	return string(w.b)
}

// heading says what happened and where, and how the incident stands.
func heading(w *writer, page *signals.Page) {
	inc := &page.Incident
	known := inc.ID != ""
	w.raw("## ")
	if known {
		otherwise := "Security event"
		if page.Playbook == signals.PlaybookManual {
			otherwise = "Action by hand"
		}
		w.text(cmp.Or(inc.Rule.Name, inc.Policy.Name, otherwise), maxTarget)
		w.raw(" on ")
		w.text(inc.Target(), maxTarget)
	} else {
		w.raw("No event yet")
	}
	w.end()
	w.end()
	w.bold(string(cmp.Or(page.Outcome, page.State)))
	if at := closedAt(page); !at.IsZero() {
		w.raw(" at ")
		w.timeUTC(at)
	}
	if known && inc.SeverityLabel != "" { // an action by hand may be about no event
		w.raw(" · severity ")
		w.number(int(inc.Severity))
		w.raw(" (")
		w.text(inc.SeverityLabel, maxName)
		w.raw("), priority ")
		w.text(string(inc.Priority), maxName)
	}
	if page.Playbook != signals.PlaybookManual { // which no event opened, by no route
		w.raw(" · ")
		w.count(page.Events.Count, "event")
		if page.Events.Duplicates > 0 {
			w.raw(", ")
			w.count(page.Events.Duplicates, "duplicate")
		}
	}
	w.raw(" · playbook ")
	w.text(page.Playbook, maxName)
	if page.Playbook != signals.PlaybookManual {
		w.raw(", route ")
		w.text(page.Route, maxName)
	}
	if page.Tenant != "" {
		w.raw(", tenant ")
		w.text(page.Tenant, maxName)
	}
	w.end()
}

// closedAt is when the incident was closed, zero while it is open.
func closedAt(page *signals.Page) time.Time {
	if page.Outcome == "" {
		return time.Time{}
	}
	for i := len(page.WarRoom) - 1; i >= 0; i-- {
		if page.WarRoom[i].Kind == signals.KindOutcome {
			return page.WarRoom[i].Time
		}
	}
	return time.Time{}
}

// done lists who decided what and what was done, the latest if they are many.
func done(w *writer, page *signals.Page) {
	first, kept := 0, 0
	for i := len(page.WarRoom) - 1; i >= 0; i-- {
		if !decisive(page.WarRoom[i].Kind) {
			continue
		}
		if kept == maxDone && !w.unclipped {
			break
		}
		first, kept = i, kept+1
	}
	if kept == 0 {
		return
	}
	w.raw("\n### Decided and done (UTC)\n\n")
	for i := first; i < len(page.WarRoom); i++ {
		if decisive(page.WarRoom[i].Kind) {
			entry(w, &page.WarRoom[i])
		}
	}
}

func decisive(kind signals.Kind) bool {
	return kind == signals.KindDecision || kind == signals.KindAction || kind == signals.KindOutcome
}

// fields lists what is known of the event.
func fields(w *writer, inc *incident.Incident) {
	if inc.ID == "" {
		return
	}
	w.raw("\n### Event\n\n")
	left := 0
	row := func(name string, code bool, values ...string) {
		given := false
		fits := w.within(endOfFields, func() {
			for _, v := range values {
				switch {
				case v == "":
					continue
				case given:
					w.raw(", ")
				default:
					w.line(name)
				}
				given = true
				if code {
					w.code(v, maxValue)
				} else {
					w.text(v, maxValue)
				}
			}
			if given {
				w.end()
			}
		})
		if !fits {
			left++
		}
	}
	row("Command", true, inc.Process.Cmdline)
	row("Process", false, inc.Process.Name, pid(inc.Process.PID), parent(inc.Process.Parent))
	row("User", false, inc.User)
	row("File", true, inc.File.Path)
	row("Output", false, inc.Output)
	row("Container", false, inc.Container.Name, inc.Container.ID, image(&inc.Container))
	row("Kubernetes", false, inc.Kubernetes.Cluster, inc.Kubernetes.Namespace, inc.Kubernetes.WorkloadName, inc.Kubernetes.Pod)
	row("Host", false, inc.Host.Name, inc.Host.MAC, inc.Host.ID)
	row("Cloud", false, inc.Cloud.Provider, inc.Cloud.Account, inc.Cloud.Region, inc.Cloud.Instance)
	row("Policy", false, inc.Policy.Name)
	if !inc.OccurredAt.IsZero() {
		row("Occurred", false, inc.OccurredAt.UTC().Format(layout+".999999999")+" UTC")
	}
	row("Event", false, inc.ID, inc.EventURL)
	for i := range inc.Actions {
		if i == maxActions && !w.unclipped {
			left += len(inc.Actions) - i
			break
		}
		success := "successful"
		if !inc.Actions[i].Successful {
			success = "not successful"
		}
		row("Done by policy", false, inc.Actions[i].Type, success, inc.Actions[i].Error)
	}
	if left > 0 {
		w.raw("- and ")
		w.number(left)
		w.raw(" more: `firebreak show`\n")
	}
}

// related lists what else happened there.
func related(w *writer, events []signals.RelatedEvent, cut bool) {
	if len(events) == 0 {
		return
	}
	w.raw("\n### Related events (UTC)\n\n")
	if cut {
		w.raw("Only the nearest events are listed: Sysdig has more.\n\n")
	}
	for i := range events {
		e := &events[i]
		if !w.within(endOfRelated, func() {
			w.raw("- ")
			w.time(e.Time)
			w.raw(" · severity ")
			w.number(int(e.Severity))
			w.raw(" · ")
			w.bold(e.Rule)
			w.raw(" · ")
			w.text(e.Output, maxValue)
			w.end()
		}) {
			w.raw("- and ")
			w.number(len(events) - i)
			w.raw(" more: `firebreak show`\n")
			return
		}
	}
}

// evidence lists the files that are stored.
func evidence(w *writer, files []string) {
	if len(files) == 0 {
		return
	}
	w.raw("\n### Evidence\n\n")
	for i, name := range files {
		if !w.within(endOfEvidence, func() {
			w.raw("- ")
			w.text(name, maxValue)
			w.end()
		}) {
			w.raw("- and ")
			w.number(len(files) - i)
			w.raw(" more: `firebreak show`\n")
			return
		}
	}
}

// warRoom is the timeline, newest first, as much of it as fits.
func warRoom(w *writer, page *signals.Page) {
	if len(page.WarRoom) == 0 {
		return
	}
	w.raw("\n### War room (UTC, newest first)\n\n")
	for i := len(page.WarRoom) - 1; i >= 0; i-- {
		if w.within(endOfWarRoom, func() { entry(w, &page.WarRoom[i]) }) {
			continue
		}
		w.end()
		w.number(i + 1)
		w.raw(" earlier entries are not shown: `firebreak show` and the query `", signals.QueryWarRoom, "` have them all.\n")
		return
	}
}

func entry(w *writer, e *signals.Entry) {
	w.raw("- ")
	w.time(e.Time)
	w.raw(" · ")
	w.text(string(e.Kind), maxName)
	w.raw(" · ")
	w.bold(e.Actor)
	w.raw(" · ")
	w.text(e.Text, maxEntry)
	w.end()
}

func image(c *incident.Container) string {
	if c.Tag == "" {
		return c.Image
	}
	return c.Image + ":" + c.Tag
}

func pid(n int64) string {
	if n == 0 {
		return ""
	}
	return "PID " + strconv.FormatInt(n, 10)
}

func parent(name string) string {
	if name == "" {
		return ""
	}
	return "child of " + name
}
