package incident

import (
	"regexp"
	"slices"
	"strings"
)

// tactics are the tactics of MITRE ATT&CK for enterprises, by their IDs.
var tactics = map[string]string{
	"TA0001": "initial_access", "TA0002": "execution", "TA0003": "persistence", "TA0004": "privilege_escalation",
	"TA0005": "defense_evasion", "TA0006": "credential_access", "TA0007": "discovery", "TA0008": "lateral_movement",
	"TA0009": "collection", "TA0010": "exfiltration", "TA0011": "command_and_control", "TA0040": "impact",
	"TA0042": "resource_development", "TA0043": "reconnaissance",
}

// mitreID is the ID of a tactic or a technique as the tags of rules have it: alone
// (T1496), or before its name and behind the framework's (MITRE_T1552.001_…).
var mitreID = regexp.MustCompile(`(?i)(?:^|[^a-z0-9.])(TA\d{4}|T\d{4}(?:\.\d{3})?)(?:$|[^a-z0-9.])`)

// mitreOf reads the tags of a rule. Falco's rules name tactics (mitre_impact) and
// techniques (T1496), those of Sysdig have both with ID and name
// (MITRE_TA0040_impact, MITRE_T1496_resource_hijacking).
func mitreOf(tags []string) Mitre {
	var m Mitre
	add := func(to *[]string, value string) {
		if !slices.Contains(*to, value) {
			*to = append(*to, value)
		}
	}
	for _, tag := range tags {
		if found := mitreID.FindStringSubmatch(tag); found != nil {
			id := strings.ToUpper(found[1])
			if tactic, known := tactics[id]; known {
				add(&m.Tactics, tactic)
			} else if strings.HasPrefix(id, "TA") {
				add(&m.Tactics, id)
			} else {
				add(&m.Techniques, id)
			}
			continue
		}
		tactic, is := strings.CutPrefix(strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(tag)), "mitre_")
		if !is {
			continue
		}
		for _, known := range tactics {
			if tactic == known {
				add(&m.Tactics, tactic)
			}
		}
	}
	slices.Sort(m.Tactics)
	slices.Sort(m.Techniques)
	return m
}
