package workflows

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/internal/report"
	"firebreak/signals"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func hours(n int) incident.Duration { return incident.Duration(n) * incident.Duration(time.Hour) }

// due is what comes due of an unanswered request, with the hours since it was
// asked, until it expires.
func allDue(t *testing.T, policy incident.Approval) []string {
	t.Helper()
	a := newApproval(signals.Request{ExpiresAt: noon.Add(time.Duration(policy.ExpireAfter))}, policy, signals.Approvers{}, "")
	a.clock.Asked = noon
	var all []string
	for a.verdict == undecided {
		at, what := a.next()
		all = append(all, at.Sub(noon).String()+" "+string(what))
		require.Less(t, len(all), 100)
		a.pass(what, at)
	}
	require.Equal(t, expired, a.verdict)
	return all
}

func TestWhatIsDueOfAnUnansweredRequest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy incident.Approval
		want   []string
	}{
		"expiry alone": {incident.Approval{ExpireAfter: hours(1)}, []string{"1h0m0s approval expires"}},
		"reminders": {
			incident.Approval{RemindEvery: hours(2), ExpireAfter: hours(5)},
			[]string{"2h0m0s reminder", "4h0m0s reminder", "5h0m0s approval expires"},
		},
		"a reminder at the expiry is none": {
			incident.Approval{RemindEvery: hours(2), ExpireAfter: hours(4)},
			[]string{"2h0m0s reminder", "4h0m0s approval expires"},
		},
		"an escalation comes before the reminder of its time": {
			incident.Approval{RemindEvery: hours(1), EscalateAfter: hours(2), ExpireAfter: hours(4)},
			[]string{"1h0m0s reminder", "2h0m0s escalation", "2h0m0s reminder", "3h0m0s reminder", "4h0m0s approval expires"},
		},
		"an escalation at the expiry is none": {
			incident.Approval{EscalateAfter: hours(4), ExpireAfter: hours(4)},
			[]string{"4h0m0s approval expires"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, allDue(t, test.policy))
		})
	}
}

func TestRemindersThatWereMissedAreNotMadeUpFor(t *testing.T) {
	t.Parallel()
	policy := incident.Approval{RemindEvery: hours(1), ExpireAfter: hours(24)}
	a := newApproval(signals.Request{ExpiresAt: noon.Add(24 * time.Hour)}, policy, signals.Approvers{}, "")
	a.clock.Asked = noon
	a.pass(dueReminder, noon.Add(5*time.Hour+time.Minute))
	at, what := a.next()
	require.Equal(t, dueReminder, what)
	require.Equal(t, noon.Add(6*time.Hour), at)
}

func TestWhoMayDecide(t *testing.T) {
	t.Parallel()
	groups := map[string][]string{"soc": {"ann", "bob"}, "leads": {"carl"}}
	approvers := func(trust signals.Trust) signals.Approvers {
		return signals.Approvers{Trust: trust, Analysts: []string{"ann", "bob", "carl"}, Groups: groups}
	}
	soc := incident.Approval{Mode: incident.ModeOne, Groups: []string{"soc"}, EscalateAfter: hours(1), EscalateTo: []string{"leads"}}
	for name, test := range map[string]struct {
		trust     signals.Trust
		policy    incident.Approval
		escalated bool
		analyst   string
		want      string
	}{
		"open":                  {signals.TrustOpen, soc, false, "mallory", ""},
		"in the group":          {signals.TrustListed, soc, false, "ann", ""},
		"not yet":               {signals.TrustListed, soc, false, "carl", `analyst "carl" is not entitled: the request is not escalated to leads yet`},
		"escalated":             {signals.TrustListed, soc, true, "carl", ""},
		"asked before as well":  {signals.TrustVerified, soc, true, "ann", ""},
		"in no group":           {signals.TrustVerified, soc, true, "mallory", `analyst "mallory" is not entitled: not in soc, leads`},
		"all groups":            {signals.TrustListed, incident.Approval{}, false, "carl", ""},
		"in none of all":        {signals.TrustListed, incident.Approval{}, false, "mallory", `analyst "mallory" is not entitled: not in the list of approvers`},
		"a trust of the future": {"certified", incident.Approval{}, false, "mallory", `analyst "mallory" is not entitled: not in the list of approvers`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApproval(signals.Request{ID: "r"}, test.policy, approvers(test.trust), "")
			a.clock.Escalated = test.escalated
			for _, approve := range []bool{true, false} {
				err := a.check(ballot{test.analyst, approve})
				if test.want == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, test.want)
				}
			}
		})
	}
}

func TestOneRejectionEndsARequestThatNeedsTwo(t *testing.T) {
	t.Parallel()
	a := newApproval(signals.Request{ID: "r", Action: actionKillContainer}, incident.Approval{Mode: incident.ModeTwo}, signals.Approvers{}, "")
	require.Equal(t, 2, a.request.Need)
	a.count(ballot{"ann", true})
	require.Equal(t, undecided, a.verdict)
	require.EqualError(t, a.check(ballot{"ANN", true}), "ANN has approved already: 2 different analysts are needed")
	require.NoError(t, a.check(ballot{"ann", false}), "who approved may think better of it")
	a.count(ballot{"bob", false})
	require.Equal(t, rejected, a.verdict)
	require.EqualError(t, a.check(ballot{"carl", true}), "too late: request r (KILL_CONTAINER) was already rejected by bob")
}

func TestWhoeverAskedMayWithdrawButNotApprove(t *testing.T) {
	t.Parallel()
	a := newApproval(signals.Request{ID: "r", Action: actionKillContainer}, incident.Approval{Mode: incident.ModeOne}, signals.Approvers{}, "rita")
	require.EqualError(t, a.check(ballot{"Rita", true}), "Rita asked for it: somebody else must approve")
	require.NoError(t, a.check(ballot{"rita", false}))
}

func TestTheOldestReceiptsAreForgottenFirst(t *testing.T) {
	t.Parallel()
	r := &response{}
	r.acknowledge(&message{analyst: "ann"}, true, "nobody asked for this one")
	const last = 300
	for n := range last + 1 {
		r.acknowledge(&message{analyst: "ann", receipt: fmt.Sprint("r-", n)}, true, "approved")
	}
	for n, answered := range map[int]bool{0: false, last - maxReceipts: false, last - maxReceipts + 1: true, last: true} {
		require.Equal(t, answered, r.receipts.of(fmt.Sprint("r-", n)).Answered, n)
	}
	require.Len(t, r.receipts, maxReceipts)
}

// What the page says of a request is what the buttons and the clock do.
func TestThePageTellsWhoMayDecideAndWhatComesNext(t *testing.T) {
	t.Parallel()
	policy := incident.Approval{
		Mode: incident.ModeOne, Groups: []string{"soc"}, RemindEvery: hours(2), EscalateAfter: hours(3), EscalateTo: []string{"leads"}, ExpireAfter: hours(4),
	}
	approvers := signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"ann", "carl"}, Groups: map[string][]string{"soc": {"ann"}, "leads": {"carl"}}}
	a := newApproval(signals.Request{ID: "r", ExpiresAt: noon.Add(4 * time.Hour)}, policy, approvers, "")
	a.clock.Asked = noon
	require.Equal(t, report.Asked{
		Since: noon, Who: []string{"soc"}, Analysts: []string{"ann"}, Trust: signals.TrustListed,
		RemindsAt: noon.Add(2 * time.Hour), EscalatesAt: noon.Add(3 * time.Hour),
	}, a.standing())
	a.pass(dueReminder, noon.Add(2*time.Hour))
	a.pass(dueEscalation, noon.Add(3*time.Hour))
	require.Equal(t, report.Asked{
		Since: noon, Who: []string{"soc"}, Analysts: []string{"ann", "carl"}, Trust: signals.TrustListed, Reminders: 1, Escalated: []string{"leads"},
	}, a.standing(), "a reminder at the expiry is none")
	for _, trust := range []signals.Trust{signals.TrustOpen, ""} {
		a.approvers.Trust = trust
		require.Empty(t, a.standing().Analysts, "anybody may")
	}
}
