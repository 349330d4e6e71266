package notify

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"firebreak/signals"
)

// Bounds, in bytes. A message is to be read at once, and on a phone.
const (
	maxTitle   = 200
	maxText    = 3 << 10
	maxChange  = 300
	maxName    = 80
	maxDetails = 400
)

// How urgent a notification is, the most urgent first.
const (
	urgencyEscalated = iota
	urgencyPending
	urgencyFailed
	urgencyOther
)

func urgency(n *Notification) int {
	switch {
	case n.Pending != nil && len(n.Groups) > 0:
		return urgencyEscalated
	case n.Pending != nil:
		return urgencyPending
	case n.State == signals.Failed || n.State == signals.Ambiguous:
		return urgencyFailed
	default:
		return urgencyOther
	}
}

// render is the message for some notifications: what has changed in an incident,
// or which incidents have changed. No line of a text begins with text from
// outside, and none is empty: in Slack and Teams, each line is a part of its own.
func render(items []*item, cfg *Config) message {
	incidents := merge(items)
	if len(incidents) == 1 {
		return message{title: line(title(incidents[0]), maxTitle), text: text(incidents[0], cfg), link: cfg.Link(incidents[0].WorkflowID, incidents[0].RunID)}
	}
	return summary(incidents, cfg)
}

// merge joins the notifications of each incident. The last one says where it
// stands.
func merge(items []*item) []*Notification {
	var merged []*Notification
	index := map[string]int{}
	for _, it := range items {
		n := *it.n
		i, known := index[n.WorkflowID]
		if !known {
			index[n.WorkflowID] = len(merged)
			merged = append(merged, &n)
			continue
		}
		n.Changes = slices.Concat(merged[i].Changes, n.Changes)
		merged[i] = &n
	}
	return merged
}

// title is the incident in one line.
func title(n *Notification) string {
	b := "[" + line(string(n.State), maxName) + "] " + cmp.Or(line(n.Rule, maxName), line(n.WorkflowID, maxName))
	if n.Target != "" {
		b += " on " + line(n.Target, maxName)
	}
	if n.SeverityLabel != "" {
		b += " (" + line(n.SeverityLabel, maxName) + ")"
	}
	return b
}

// text is the message about one incident: the end, which says what to do, is
// always whole, and the oldest changes give way to it.
func text(n *Notification, cfg *Config) string {
	end := pending(n, cfg)
	if link := cfg.Link(n.WorkflowID, n.RunID); link != "" {
		end = append(end, "Incident: "+link)
	}
	size := 0
	for _, l := range end {
		size += len(l) + 1
	}
	var changes []string
	left := len(n.Changes)
	for ; left > 0; left-- {
		l := change(&n.Changes[left-1])
		// Leave room for the line that says how much is not shown.
		if size += len(l) + 1; size > maxText-maxName {
			break
		}
		changes = append(changes, l)
	}
	if left > 0 {
		changes = append(changes, fmt.Sprintf("%d earlier changes: see the war room", left))
	}
	slices.Reverse(changes)
	return signals.Clip(strings.Join(append(changes, end...), "\n"), maxText)
}

func change(c *Change) string {
	return fmt.Sprintf("%s %s: %s", c.At.UTC().Format("2006-01-02 15:04:05Z"), cmp.Or(line(c.Actor, maxName), "firebreak"), line(c.Text, maxChange))
}

// pending says what is asked, and how to answer. Commands can be copied as they
// stand: workflow and request IDs have nothing to quote, and are cleaned all the
// same.
func pending(n *Notification, cfg *Config) []string {
	p := n.Pending
	if p == nil {
		return nil
	}
	asked := "Decision wanted: " + line(p.Action, maxName)
	if n.NeedsFields {
		asked = "Fields wanted: " + line(p.Action, maxName)
	}
	if parameters := parameters(p.Parameters); parameters != "" {
		asked += " (" + line(parameters, maxDetails) + ")"
	}
	lines := []string{asked}
	about := "Request " + line(p.ID, maxName)
	if p.Need > 0 {
		about += fmt.Sprintf(", needs %d", p.Need)
	}
	if len(p.Have) > 0 {
		about += ", has " + line(strings.Join(p.Have, ", "), maxDetails)
	}
	if !p.ExpiresAt.IsZero() {
		about += ", expires " + p.ExpiresAt.UTC().Format(time.RFC3339)
	}
	lines = append(lines, about)
	if len(n.Groups) > 0 {
		lines = append(lines, "Escalated to "+line(strings.Join(n.Groups, ", "), maxDetails))
	}
	in, flag := "", ""
	if cfg.Namespace != "" && cfg.Namespace != "default" {
		in, flag = "TEMPORAL_NAMESPACE="+cfg.Namespace+" ", " --namespace "+cfg.Namespace
	}
	id, request := word(n.WorkflowID), word(p.ID)
	if n.NeedsFields {
		return append(lines,
			fmt.Sprintf("Supply: %sfirebreak amend %s --set FIELD=VALUE", in, id),
			fmt.Sprintf(`Or: temporal workflow signal%s -w %s --name amend --input '{"analyst":"YOU","fields":{"FIELD":"VALUE"}}'`, flag, id))
	}
	deny := "To deny: reject instead of approve"
	if p.Action == signals.ActionKeep {
		deny = "To undo it at once: reject instead of approve. Without an answer it is undone in time"
	}
	return append(lines,
		fmt.Sprintf("Approve: %sfirebreak approve %s --request %s --reason WHY", in, id, request),
		fmt.Sprintf(`Or: temporal workflow signal%s -w %s --name approve --input '{"analyst":"YOU","reason":"WHY","request":"%s"}'`, flag, id, request),
		deny)
}

// word is an ID as it may stand in a command: it has only what IDs are made of.
// Quotes that say nothing to a shell keep a channel from seeing a mention or a
// link in a part that an event wrote.
func word(id string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-@:", r):
			return r
		default:
			return '_'
		}
	}, signals.Clip(id, maxDetails))
	return addressOfWeb.ReplaceAllString(strings.ReplaceAll(safe, "@", "@''"), "$1''.")
}

func parameters(values map[string]any) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		all = append(all, fmt.Sprintf("%s=%v", key, values[key]))
	}
	return strings.Join(all, ", ")
}

// Link opens an incident's page in Temporal Web; "" without a base URL.
func (cfg *Config) Link(workflowID, runID string) string {
	base := cfg.workflows()
	if base == "" {
		return ""
	}
	// An @ may stand in a path, but is a mention to some.
	return base + strings.ReplaceAll("/"+url.PathEscape(workflowID)+"/"+url.PathEscape(runID), "@", "%40") + "/user-metadata"
}

// workflows is the list of incidents in Temporal Web.
func (cfg *Config) workflows() string {
	if cfg.WebURL == "" {
		return ""
	}
	return strings.TrimRight(cfg.WebURL, "/") + "/namespaces/" + url.PathEscape(cmp.Or(cfg.Namespace, "default")) + "/workflows"
}

// counts counts incidents by what they want.
type counts struct{ all, pending, escalated int }

func count(incidents []*Notification) counts {
	c := counts{all: len(incidents)}
	for _, n := range incidents {
		if n.Pending != nil {
			c.pending++
		}
		if urgency(n) == urgencyEscalated {
			c.escalated++
		}
	}
	return c
}

func (c counts) String() string {
	s := fmt.Sprintf("%d wait for a decision", c.pending)
	if c.escalated > 0 {
		s += fmt.Sprintf(", %d of them escalated", c.escalated)
	}
	return s
}

// summary is the message about many incidents: the most urgent first, and all of
// them counted.
func summary(incidents []*Notification, cfg *Config) message {
	slices.SortStableFunc(incidents, func(a, b *Notification) int {
		return cmp.Or(cmp.Compare(urgency(a), urgency(b)), cmp.Compare(a.Severity, b.Severity))
	})
	all := count(incidents)
	end := "All of them: firebreak incidents"
	if list := cfg.workflows(); list != "" {
		end += ", or " + list
	}
	var lines []string
	size, shown := len(end)+1, 0
	for _, n := range incidents {
		l := "- " + title(n)
		if n.Pending != nil {
			l += ", firebreak show " + word(n.WorkflowID)
		}
		// Leave room for the line that says how much is not shown.
		if size += len(l) + 1; size > maxText-maxTitle {
			break
		}
		lines = append(lines, l)
		shown++
	}
	if rest := incidents[shown:]; len(rest) > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: %s", len(rest), count(rest)))
	}
	return message{
		title: fmt.Sprintf("%d incidents changed: %s", all.all, all),
		text:  strings.Join(append(lines, end), "\n"),
		link:  cfg.workflows(),
	}
}
