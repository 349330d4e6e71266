package workflows_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

var update = flag.Bool("update", false, "write the golden files anew")

// decisionTable is what becomes of a decision in every situation, under every
// mode and trust: the promise that is made to whoever audits it.
const decisionTable = "testdata/decisions.md"

// sender is a signal of a person: what it says, and whom Temporal
// authenticated.
type sender struct {
	name      string
	payload   any
	principal string
}

func approves(analyst string) sender { return sender{signals.Approve, decision(analyst), analyst} }

// situation is how a decision may come about. The request is asked for by rita;
// ann, bob, carl and rita are on the list of approvers, and mallory is not.
type situation struct {
	name string
	// early is sent before anything is asked, sent while the request is pending.
	early, sent []sender
	// then is sent after it was decided, during the watch that follows.
	then []sender
	// needs are how many good approvals the situation lacks, by mode; after these
	// the action must be carried out, or the situation has wedged the incident.
	lacks map[incident.Mode]int
	// counts says under which trusts it is counted, or just not refused.
	counts func(incident.Mode, signals.Trust) bool
}

func always(incident.Mode, signals.Trust) bool { return true }
func never(incident.Mode, signals.Trust) bool  { return false }
func open(_ incident.Mode, t signals.Trust) bool {
	return t == signals.TrustOpen
}

func situations() []situation {
	one, two := incident.ModeOne, incident.ModeTwo
	all := map[incident.Mode]int{one: 1, two: 2}
	return []situation{
		{name: "early", early: []sender{approves("ann")}, lacks: all, counts: never},
		{name: "valid", sent: []sender{approves("ann"), approves("bob")}, lacks: map[incident.Mode]int{}, counts: always},
		{name: "valid rejection", sent: []sender{{signals.Reject, decision("ann"), "ann"}}, counts: always},
		{name: "late", sent: []sender{approves("ann"), approves("bob")}, then: []sender{approves("carl")}, lacks: map[incident.Mode]int{}, counts: never},
		{name: "duplicate", sent: []sender{approves("ann"), approves("bob")}, then: []sender{approves("bob")}, lacks: map[incident.Mode]int{}, counts: never},
		{
			name: "wrong request", lacks: all, counts: never,
			sent: []sender{{signals.Approve, signals.Decision{Analyst: "ann", Reason: "confirmed", Request: "0123456789ab"}, "ann"}},
		},
		{name: "self-approval", sent: []sender{approves("rita")}, lacks: all, counts: never},
		{name: "same person twice", sent: []sender{approves("ann"), approves("ann")}, lacks: map[incident.Mode]int{two: 1}, counts: never},
		{name: "same person, other spelling", sent: []sender{approves("ann"), approves("Ann")}, lacks: map[incident.Mode]int{two: 1}, counts: never},
		{name: "unlisted", sent: []sender{approves("mallory")}, lacks: all, counts: open},
		{
			name: "unverified", sent: []sender{{signals.Approve, decision("ann"), ""}}, lacks: all,
			counts: func(_ incident.Mode, t signals.Trust) bool { return t != signals.TrustVerified },
		},
		{
			// Whoever is believed by name can be impersonated: what verified is for.
			name: "spoofed analyst field", sent: []sender{{signals.Approve, decision("ann"), "mallory"}}, lacks: all,
			counts: func(_ incident.Mode, t signals.Trust) bool { return t != signals.TrustVerified },
		},
		{
			name: "another approver's name", sent: []sender{{signals.Approve, decision("ann"), "bob"}}, lacks: map[incident.Mode]int{two: 1}, counts: always,
		},
		{name: "undecodable", sent: []sender{{signals.Approve, "approve", "ann"}}, lacks: all, counts: never},
	}
}

// decide plays a situation, and after it as many good approvals.
func (s situation) play(t *testing.T, mode incident.Mode, trust signals.Trust, good int) (*bench, signals.Page) {
	t.Helper()
	b := newBench(t)
	watch := incident.Duration(time.Hour)
	in := minerInput()
	in.Route.Approval = incident.Approval{Mode: mode, ExpireAfter: incident.Duration(24 * time.Hour)}
	in.Route.CoolDown = &watch
	list := []string{"ann", "bob", "carl", "dora", "rita"}
	in.Approvers = signals.Approvers{Trust: trust, Analysts: list, Groups: map[string][]string{"soc": list}}

	var principals []string // of the approvals, as the history has them
	send := func(after time.Duration, all []sender) {
		for i, one := range all {
			if one.name == signals.Approve {
				principals = append(principals, one.principal)
			}
			b.at(after+time.Duration(i)*time.Minute, one.name, one.payload)
		}
	}
	if len(s.early) > 0 {
		for _, one := range s.early {
			principals = append(principals, one.principal)
			b.RegisterDelayedCallback(func() { b.SignalWorkflowSkippingWorkflowTask(one.name, one.payload) }, 0)
		}
	}
	send(time.Minute, s.sent)
	send(10*time.Minute, []sender{approves("carl"), approves("dora")}[:good])
	send(20*time.Minute, s.then)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		if !in.Sender {
			return activities.Vetting{}, nil
		}
		if in.Signal != signals.Approve {
			return activities.Vetting{Principal: "ann", SentAt: b.Now()}, nil
		}
		return activities.Vetting{Principal: principals[in.Ordinal-1], SentAt: b.Now()}, nil
	}
	playbook := workflows.Requested("rita")
	b.RegisterWorkflow(playbook)
	return b, b.run(playbook, in, miner())
}

var (
	requestID = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	theirs    = regexp.MustCompile(`^(approve|reject) did not count: |^(approved|rejected) `)
)

// TestADecisionCountsOnlyWhereItMay is the decision safety matrix: every
// situation under every mode and trust, with the outcome if nothing else
// happens, and what the war room says. Where the situation lacks approvals the
// good ones after it must count: no input may wedge an incident.
func TestADecisionCountsOnlyWhereItMay(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("# What becomes of a decision\n\nThe request is to kill a container; rita asked for it. ann, bob, carl, dora and rita are approvers, mallory is not.\n" +
		"Mode two needs two different approvers. Nothing else happens until the request expires.\n\n" +
		"| situation | mode | trust | outcome | war room |\n|---|---|---|---|---|\n")
	for _, s := range situations() {
		for _, mode := range []incident.Mode{incident.ModeNone, incident.ModeOne, incident.ModeTwo} {
			for _, trust := range []signals.Trust{signals.TrustOpen, signals.TrustListed, signals.TrustVerified} {
				name := fmt.Sprintf("%s, %s, %s", s.name, mode, trust)
				b, page := s.play(t, mode, trust, 0)
				var said []string
				for _, entry := range page.WarRoom {
					if theirs.MatchString(entry.Text) {
						said = append(said, entry.Actor+": "+requestID.ReplaceAllString(entry.Text, "REQUEST"))
					}
				}
				fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", s.name, mode, trust, page.Outcome, strings.ReplaceAll(strings.Join(said, "<br>"), "|", "\\|"))

				require.Equal(t, page.Outcome == signals.Contained, len(b.executed) == 1, "%s: done exactly when it was approved", name)
				require.LessOrEqual(t, len(b.executed), 1, name)
				if mode == incident.ModeNone {
					require.Equal(t, signals.Contained, page.Outcome, name)
					continue
				}
				if s.lacks == nil {
					require.Equal(t, signals.Rejected, page.Outcome, name)
					continue
				}
				lacks := s.lacks[mode]
				if s.counts(mode, trust) && lacks > 0 && s.name != "another approver's name" {
					lacks--
				}
				if lacks == 0 {
					require.Equal(t, signals.Contained, page.Outcome, name)
					continue
				}
				require.Equal(t, signals.Expired, page.Outcome, "%s: nobody else approved", name)
				b, page = s.play(t, mode, trust, lacks)
				require.Equal(t, signals.Contained, page.Outcome, "%s: wedged", name)
				require.Len(t, b.executed, 1, name)
				require.Equal(t, trust, b.executed[0].Claim.Trust, "%s: what the worker compares with its own", name)
				require.Len(t, b.executed[0].Claim.ApprovedBy, map[incident.Mode]int{incident.ModeOne: 1, incident.ModeTwo: 2}[mode], name)
			}
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(decisionTable, []byte(table.String()), 0o644))
	}
	want, err := os.ReadFile(decisionTable)
	require.NoError(t, err)
	require.Equal(t, string(want), table.String())
}
