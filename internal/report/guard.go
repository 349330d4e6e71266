package report

import (
	"fmt"
	"strings"
	"time"

	"firebreak/signals"
)

// GuardDetails is the guard's page in Temporal Web: the switch, the command that
// turns it, and as much of its war room as fits, newest first.
func GuardDetails(page *signals.GuardPage, namespace string) string {
	var b strings.Builder
	turn := signals.Freeze
	if f := page.Frozen; f != nil {
		turn = signals.Unfreeze
		fmt.Fprintf(&b, "## Containment is frozen\n\n**%s** froze it at %s: %s\n", value(f.By), f.Since.UTC().Format(time.RFC3339), value(f.Reason))
	} else {
		b.WriteString("## Containment is allowed\n")
	}
	flag := ""
	if namespace != "" && namespace != "default" {
		flag = " --namespace " + namespace
	}
	fmt.Fprintf(&b, "\n```\ntemporal workflow signal%s \\\n  -w %s \\\n  --name %s \\\n  --input '{\"analyst\":\"YOU\",\"reason\":\"WHY\"}'\n```\n\nor `firebreak %s --reason WHY`.\n",
		flag, signals.GuardID, turn, turn)
	fmt.Fprintf(&b, "\n### War room (newest first)\n\n")
	for i := len(page.WarRoom) - 1; i >= 0; i-- {
		line := entry(&page.WarRoom[i], 300)
		if b.Len()+len(line) > MaxDetails {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}
