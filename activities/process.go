package activities

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"firebreak/internal/sysdig"
)

// ProcessStartInput is the start of a process, in Unix nanoseconds.
type ProcessStartInput struct {
	StartTime int64  `json:"start_time"`
	Tenant    string `json:"tenant,omitzero"`
}

// ProcessStart is the value of KILL_PROCESS's startTime, and its unit: "ns", "us",
// "ms" or "s". If no unit is known it is "", and the value is -1, with which Sysdig
// does not check the start time.
type ProcessStart struct {
	Value int64  `json:"value"`
	Unit  string `json:"unit,omitzero"`
}

// FindProcessStart converts the start of a process to the unit that the account's
// catalogue of actions names in the description of startTime: no source publishes
// it. A catalogue is kept for an hour. It only reads.
func (a *Activities) FindProcessStart(ctx context.Context, in ProcessStartInput) (ProcessStart, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return ProcessStart{}, err
	}
	unit, known := a.units.of(account)
	if !known {
		actions, err := account.Actions(ctx)
		if err != nil {
			return ProcessStart{}, toTemporal("list the actions that Sysdig knows", err)
		}
		unit = startTimeUnit(actions)
		a.units.keep(account, unit)
	}
	if size, ok := map[string]int64{"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]; ok {
		return ProcessStart{Value: in.StartTime / size, Unit: unit}, nil
	}
	return ProcessStart{Value: -1}, nil
}

// startTimeUnit is the unit in which the catalogue wants startTime, "" if it does
// not say so.
func startTimeUnit(actions []sysdig.ActionType) string {
	for _, action := range actions {
		for _, p := range action.Parameters {
			if action.Name == "KILL_PROCESS" && p.Name == "startTime" {
				return timeUnit(p.Description)
			}
		}
	}
	return ""
}

var (
	// units are words for a unit of time; the single letter counts in brackets only.
	units = regexp.MustCompile(`(?i)\b(nano|micro|milli)[ -]?(?:seconds?|secs?|s)?\b|\b(ns|nsecs?|us|usecs?|ms|msecs?|seconds?|secs?)\b|([µμ]s)\b|[(\[](s)[)\]]`)
	// otherwise are words for a time that does not count from 1970.
	otherwise = regexp.MustCompile(`(?i)\b(boot\w*|uptime|jiff\w*|ticks?|clock|relative|since the|iso|rfc|formatted)\b`)
	// sinceEpoch are words for a time that counts from 1970.
	sinceEpoch = regexp.MustCompile(`(?i)\bsince the (?:unix |posix )?epoch\b`)
)

// timeUnit is the unit that a description names, "" for none, for two that differ,
// and for a time that may not count from 1970.
func timeUnit(description string) string {
	if otherwise.MatchString(sinceEpoch.ReplaceAllString(description, "")) {
		return ""
	}
	found := ""
	for _, match := range units.FindAllStringSubmatch(strings.ToLower(description), -1) {
		unit := ""
		switch word := match[1] + match[2] + match[3] + match[4]; word[0] {
		case 'n':
			unit = "ns"
		case 'u':
			unit = "us"
		case 's':
			unit = "s"
		default:
			switch {
			case strings.HasPrefix(word, "micro"), strings.HasSuffix(word, "µs"), strings.HasSuffix(word, "μs"):
				unit = "us"
			default:
				unit = "ms"
			}
		}
		if found != "" && found != unit {
			return ""
		}
		found = unit
	}
	return found
}

// unitsAge is how long the unit of an account is kept.
const unitsAge = time.Hour

// startUnits are the units of startTime by account. The zero value has none.
type startUnits struct {
	mu sync.Mutex
	by map[*sysdig.Client]startUnit
}

type startUnit struct {
	unit string
	at   time.Time
}

func (u *startUnits) of(account *sysdig.Client) (unit string, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	kept, known := u.by[account]
	return kept.unit, known && time.Since(kept.at) < unitsAge
}

func (u *startUnits) keep(account *sysdig.Client, unit string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil {
		u.by = map[*sysdig.Client]startUnit{}
	}
	u.by[account] = startUnit{unit, time.Now()}
}
