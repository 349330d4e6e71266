package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

const day = 24 * time.Hour

// week is a request that waits for seven days.
func week() signals.Input {
	in := minerInput()
	in.Notify = true
	in.Approvers = signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"ann", "carl"}, Groups: map[string][]string{"soc": {"ann"}, "leads": {"carl"}}}
	in.Route.Approval = incident.Approval{
		Mode: incident.ModeOne, Groups: []string{"soc"}, RemindEvery: incident.Duration(day),
		EscalateAfter: incident.Duration(3 * day), EscalateTo: []string{"leads"}, ExpireAfter: incident.Duration(7 * day),
	}
	return in
}

// changes are what people were notified of, in order.
func changes(all []activities.Notification) []activities.ChangeKind {
	var kinds []activities.ChangeKind
	for _, n := range all {
		for _, c := range n.Changes {
			kinds = append(kinds, c.Kind)
		}
	}
	return kinds
}

// weekOfChanges is what seven days without an answer lead to.
func weekOfChanges() []activities.ChangeKind {
	const r = activities.ChangeReminder
	return []activities.ChangeKind{
		activities.ChangeOpened, activities.ChangeRequest, r, r, activities.ChangeEscalation, r, r, r, r,
		activities.ChangeDecision, activities.ChangeClosed,
	}
}

func TestAWeekWithoutAnAnswerRemindsEscalatesAndExpiresOnceEach(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	start := b.Now()
	page := b.run(workflows.CryptoMiner, week(), miner())
	require.Equal(t, signals.Expired, page.Outcome)
	require.Equal(t, 7*day, b.Now().Sub(start).Round(time.Minute))
	require.Equal(t, weekOfChanges(), changes(b.notified))
	require.Len(t, texts(page, signals.KindReminder), 7)
	require.Contains(t, texts(page, signals.KindReminder)[2], "escalated to leads: nobody answered request")
	require.Empty(t, b.executed, "silence denies")
	// One message a change: what happens at once is one.
	require.Len(t, b.notified[0].Changes, 2)
	for _, n := range b.notified {
		require.Equal(t, n.Changes[0].Kind == activities.ChangeEscalation || n.Changes[0].At.Sub(start) > 3*day-time.Hour && n.Pending != nil, len(n.Groups) > 0,
			"%s: the group is told from the escalation on, while it is asked", n.Changes[0].Kind)
	}
}

func TestAWeekIsTheSameForAnIncidentThatMovesOnEveryDay(t *testing.T) {
	t.Parallel()
	in, b := opened(week(), miner()), newBench(t)
	begin := b.Now()
	var all []activities.Notification
	events := []incident.Incident{miner()}
	for n := range 6 {
		// An hour after each midnight.
		b.suggestWith(begin.Add(time.Duration(n)*day+time.Hour).Sub(b.Now()), signals.Note, signals.NoteText{Analyst: "ann", Text: "still thinking"})
		in, _ = b.moves(workflows.CryptoMiner, in, events...)
		events = nil
		all = append(all, b.notified...)
		b = b.after()
	}
	page := b.run(workflows.CryptoMiner, in)
	require.Equal(t, signals.Expired, page.Outcome)
	require.Equal(t, weekOfChanges(), changes(append(all, b.notified...)))
	require.Len(t, texts(page, signals.KindReminder), 7)
}

func TestAnApprovalCountsAfterTheEscalationFromWhomItWasEscalatedTo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(2*day, signals.Approve, decision("carl"))
	b.at(4*day, signals.Approve, decision("carl"))
	page := b.run(workflows.CryptoMiner, week(), miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{`approve did not count: analyst "carl" is not entitled: the request is not escalated to leads yet`}, texts(page, signals.KindRefused))
	require.Equal(t, []string{"carl"}, b.executed[0].Claim.ApprovedBy)
}

// TestADecisionSentAfterTheDeadlineIsLate is about an incident whose worker was
// away when the request expired: what it reads first is an approval and the
// timer, and only the history knows which was first.
func TestADecisionSentAfterTheDeadlineIsLate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sent    time.Duration // after the deadline
		outcome signals.State
	}{
		"before": {-1, signals.Contained},
		"at":     {0, signals.Expired},
		"after":  {1, signals.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			// That nothing is frozen is known without an activity; the rest is not.
			workflows.Register(b, func() bool { return true })
			var deadline time.Time
			b.vet = func(in activities.VetInput) (activities.Vetting, error) {
				require.NotEmpty(t, in.Digest)
				in.Digest = ""
				require.Equal(t, activities.VetInput{Signal: signals.Approve, Ordinal: 1, Sender: true, Freeze: true}, in)
				return activities.Vetting{SentAt: deadline.Add(test.sent)}, nil
			}
			b.RegisterDelayedCallback(func() {
				deadline = b.query().Pending.ExpiresAt
				b.SignalWorkflowSkippingWorkflowTask(signals.Approve, decision("ann"))
			}, 24*time.Hour-time.Millisecond)
			page := b.run(signals.WorkflowCryptoMiner, minerInput(), miner())
			require.Equal(t, test.outcome, page.Outcome)
			if test.outcome == signals.Expired {
				require.Regexp(t, `^approve did not count: too late: request [0-9a-f]{12} expired at `, texts(page, signals.KindRefused)[0])
			}
		})
	}
}

func TestAnApprovalDuringAFreezeIsRefusedAtOnceAndTheRequestStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var by *signals.Frozen
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		require.True(t, in.Freeze)
		return activities.Vetting{Frozen: by}, nil
	}
	var request string
	b.RegisterDelayedCallback(func() {
		request = b.query().Pending.ID
		by = &signals.Frozen{By: "bob", Reason: "maintenance", Since: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
		b.SignalWorkflow(signals.Approve, signals.Decision{Analyst: "ann", Receipt: "r-1"})
	}, time.Minute)
	b.RegisterDelayedCallback(func() {
		require.Equal(t, request, b.query().Pending.ID)
		require.Equal(t, signals.Receipt{Answered: true, Analyst: "ann", Text: "containment is frozen by bob since 2026-05-01T12:00:00Z: maintenance"}, b.receipt("r-1"))
		require.Empty(t, b.executed)
		by = nil
		b.SignalWorkflow(signals.Approve, signals.Decision{Analyst: "ann", Reason: "at last", Receipt: "r-2"})
	}, 2*time.Minute)
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
	require.Equal(t, signals.Receipt{Answered: true, Counted: true, Analyst: "ann", Text: "approved KILL_CONTAINER: at last"}, b.receipt("r-2"))
	require.Equal(t, signals.Receipt{}, b.receipt("r-3"))
}

func TestAnApprovalNeedsNoActivityWhileTheWorkerKnowsOfNoFreeze(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	thawed, asked := false, 0
	b.vet = func(activities.VetInput) (activities.Vetting, error) {
		asked++
		return activities.Vetting{Frozen: &signals.Frozen{By: "bob", Reason: "maintenance"}}, nil
	}
	workflows.Register(b, func() bool { return thawed })
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.RegisterDelayedCallback(func() { thawed = true }, 2*time.Minute)
	b.at(3*time.Minute, signals.Approve, decision("ann"))
	page := b.run(signals.WorkflowCryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, texts(page, signals.KindRefused), 1)
	require.Equal(t, 1, asked)
}

func TestARejectionAndACaptureAreNotFrozen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{}, errors.New("not asked")
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.Capture, captureInput(), miner())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Empty(t, texts(page, signals.KindRefused))
}

func TestARejectionOfAContainmentCountsDuringAFreeze(t *testing.T) {
	t.Parallel()
	by := &signals.Frozen{By: "bob", Reason: "maintenance", Since: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	for name, trust := range map[string]signals.Trust{"listed": signals.TrustListed, "verified": signals.TrustVerified} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			workflows.Register(b, func() bool { return false })
			b.vet = func(in activities.VetInput) (activities.Vetting, error) {
				found := activities.Vetting{Principal: "ann"}
				if in.Freeze {
					found.Frozen = by
				}
				return found, nil
			}
			in := minerInput()
			in.Approvers = signals.Approvers{Trust: trust, Analysts: []string{"ann"}}
			b.at(time.Minute, signals.Reject, decision("ann"))
			page := b.run(signals.WorkflowCryptoMiner, in, miner())
			require.Equal(t, signals.Rejected, page.Outcome)
			require.Empty(t, texts(page, signals.KindRefused))
		})
	}
}

func TestAFreezeStopsTheKillOfAProcessToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	by := &signals.Frozen{By: "bob", Reason: "maintenance", Since: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	b.vet = func(activities.VetInput) (activities.Vetting, error) { return activities.Vetting{Frozen: by}, nil }
	onHost := miner()
	onHost.Container, onHost.HostLevel, onHost.OccurredAt = incident.Container{}, true, b.Now()
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), onHost)
	require.Equal(t, signals.Expired, page.Outcome)
	require.Contains(t, texts(page, signals.KindRequest)[0], "KILL_PROCESS")
	require.Equal(t, []string{"approve did not count: containment is frozen by bob since 2026-05-01T12:00:00Z: maintenance"}, texts(page, signals.KindRefused))
}

// A worker whose memory is too old says so, and what it last knew is not
// believed, one way or the other.
func TestAWorkerThatDoesNotKnowWhetherContainmentIsFrozenAsks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	workflows.Register(b, func() bool { return false })
	asked := 0
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		asked++
		require.True(t, in.Freeze)
		return activities.Vetting{}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	require.Equal(t, signals.Contained, b.run(signals.WorkflowCryptoMiner, minerInput(), miner()).Outcome)
	require.Equal(t, 1, asked)
}

func TestAnAutomaticActionDuringAFreezeAsksAHuman(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	tries := 0
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		if tries++; tries == 1 {
			return activities.Execution{}, refusal(activities.ErrFrozen, "containment is frozen by bob since noon: maintenance")
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Contains(t, texts(page, signals.KindAction), "KILL_CONTAINER was not carried out: containment is frozen by bob since noon: maintenance")
	require.Equal(t, []string{"ann"}, b.executed[1].Claim.ApprovedBy)
}

// TestWhatTheWorkerDemandsIsAskedForNext is about an incident that was opened
// before the worker's configuration named leads.
func TestWhatTheWorkerDemandsIsAskedForNext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if len(in.Claim.ApprovedBy) < 2 || in.Claim.Trust != signals.TrustListed {
			return activities.Execution{}, refusal(activities.ErrNotPermitted, "this worker wants 2 of leads",
				incident.Approval{Mode: incident.ModeTwo, Groups: []string{"leads"}, ExpireAfter: incident.Duration(time.Hour)},
				signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"carl", "dora"}, Groups: map[string][]string{"leads": {"carl", "dora"}}})
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.RegisterDelayedCallback(func() { require.Equal(t, 2, b.query().Pending.Need) }, 2*time.Minute)
	for n, analyst := range []string{"ann", "carl", "dora"} {
		b.at(time.Duration(3+n)*time.Minute, signals.Approve, decision(analyst))
	}
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 2)
	require.Equal(t, []string{"carl", "dora"}, b.executed[1].Claim.ApprovedBy)
	require.Equal(t, []string{`approve did not count: analyst "ann" is not entitled: not in leads`}, texts(page, signals.KindRefused))
}

func TestAPolicyOfTheWorkerSaysHowASingleActionIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	in.Approvers.Policies = true
	event := miner()
	event.Labels, event.Rule.Tags = map[string]string{"tier": "gold"}, []string{"MITRE"}
	tries := 0
	b.choose = func(in activities.ApprovalInput) (incident.Approval, error) {
		require.Equal(t, "KILL_CONTAINER", in.Action)
		require.Equal(t, event, in.Incident, "a policy may look at everything")
		require.Equal(t, incident.ModeNone, in.Route.Mode)
		if tries++; tries < 3 {
			return incident.Approval{}, errors.New("no worker answers yet")
		}
		in.Route.Mode = incident.ModeTwo
		return in.Route, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.CryptoMiner, in, event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"ann", "bob"}, b.executed[0].Claim.ApprovedBy)
	require.Equal(t, event, *b.executed[0].Claim.Incident)
}

// TestAWorkerWithPoliciesSeesTheIncidentOfAStarterWithout is about a worker whose
// configuration is newer than the starter's: it says so once, and is told then.
func TestAWorkerWithPoliciesSeesTheIncidentOfAStarterWithout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if in.Claim.Incident == nil {
			return activities.Execution{}, refusal(activities.ErrNotPermitted, "this worker wants 2", incident.Approval{Mode: incident.ModeTwo, ExpireAfter: incident.Duration(time.Hour)}, signals.Approvers{Trust: signals.TrustOpen, Policies: true})
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	b.at(3*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Nil(t, b.executed[0].Claim.Incident)
	require.Equal(t, "6949e5f10829", b.executed[1].Claim.Incident.Container.ID)
}

// TestAnAmendmentLeadsToNoOtherTarget is about a route that asks nobody, and a
// policy that looks at the namespace.
func TestAnAmendmentLeadsToNoOtherTarget(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.enrich = func() (activities.Enrichment, error) { return activities.Enrichment{}, nil }
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	bare := miner()
	bare.Host.ID, bare.Kubernetes.Namespace = "", "prod"
	b.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "host-9", "container.id": "aaaaaaaaaaaa"}})
	b.at(2*time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "host-9", "kubernetes.namespace": "dev"}})
	b.at(3*time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "host-9", "container.id": "6949e5f10829"}})
	page := b.run(workflows.CryptoMiner, in, bare)
	require.Equal(t, []string{
		`amend did not count: field container.id is "6949e5f10829" already: only what is missing can be supplied`,
		`amend did not count: field kubernetes.namespace is "prod" already: only what is missing can be supplied`,
	}, texts(page, signals.KindRefused))
	require.Equal(t, map[string]any{"host.id": "host-9", "container.id": "6949e5f10829"}, b.executed[0].Parameters)
	require.Equal(t, "prod", page.Incident.Kubernetes.Namespace)
}

func TestWhereNoPolicyCanBeFoundTheRouteSaysHowItIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeTwo
	in.Approvers.Policies = true
	b.choose = func(activities.ApprovalInput) (incident.Approval, error) {
		return incident.Approval{}, refusal("broken", "no policies")
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"ann", "bob"}, b.executed[0].Claim.ApprovedBy)
	require.Contains(t, texts(page, signals.KindCheck), "no policy found for KILL_CONTAINER, asking as the route says: no policies")
}

func TestASenderWhoCannotBeLookedUpIsToldSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Approvers = signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann"}}
	broken := true
	b.vet = func(activities.VetInput) (activities.Vetting, error) {
		if broken {
			return activities.Vetting{}, refusal("broken", "the history cannot be read")
		}
		return activities.Vetting{Principal: "ann"}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.RegisterDelayedCallback(func() { broken = false }, time.Hour)
	b.at(2*time.Hour, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"approve did not count: its sender could not be looked up, send it again: the history cannot be read"}, texts(page, signals.KindRefused))
}

func TestASenderIsLookedUpWithPatienceAfterTheFirstTry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Approvers = signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann"}}
	tries := 0
	b.vet = func(activities.VetInput) (activities.Vetting, error) {
		if tries++; tries < 4 {
			return activities.Vetting{}, errors.New("signal approve number 1 is not in the history yet")
		}
		return activities.Vetting{Principal: "ann"}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Empty(t, texts(page, signals.KindRefused))
}

func TestSignalsThatWaitToBeVettedAreAllTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeTwo
	in.Approvers = signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann", "bob"}}
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: []string{"ann", "bob"}[in.Ordinal-1]}, nil
	}
	b.RegisterDelayedCallback(func() {
		b.SignalWorkflowSkippingWorkflowTask(signals.Approve, decision("ann"))
		b.SignalWorkflow(signals.Approve, decision("bob"))
	}, time.Minute)
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"ann", "bob"}, b.executed[0].Claim.ApprovedBy)
}

func TestASignalThatComesWithACancellationIsStillVetted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Approvers = signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann"}}
	b.vet = func(activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: "ann"}, nil
	}
	b.RegisterDelayedCallback(func() {
		b.SignalWorkflowSkippingWorkflowTask(signals.Note, signals.NoteText{Analyst: "ann", Text: "stop it all"})
		b.CancelWorkflow()
	}, time.Minute)
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Equal(t, []string{"stop it all"}, texts(page, signals.KindNote))
}

func TestThePageShowsWhoApprovedAlready(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeTwo
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.RegisterDelayedCallback(func() { require.Equal(t, []string{"ann"}, b.query().Pending.Have) }, 2*time.Minute)
	b.at(3*time.Minute, signals.Approve, decision("bob"))
	require.Equal(t, signals.Contained, b.run(workflows.CryptoMiner, in, miner()).Outcome)
}

// A missing field decides what is killed, so that not everybody may supply it.
func TestOnlyWhoMayDecideMaySupplyWhatTheDecisionIsAbout(t *testing.T) {
	t.Parallel()
	bare := miner()
	bare.Host.ID = ""
	for name, test := range map[string]struct {
		trust     signals.Trust
		claimed   string
		principal string
		want      string // why it does not count
	}{
		"open":                 {signals.TrustOpen, "mallory", "", ""},
		"listed":               {signals.TrustListed, "ann", "", ""},
		"not listed":           {signals.TrustListed, "mallory", "", `amend did not count: analyst "mallory" is not entitled: not in soc`},
		"of another group":     {signals.TrustListed, "carl", "", `amend did not count: analyst "carl" is not entitled: not in soc`},
		"verified":             {signals.TrustVerified, "x", "ann", ""},
		"in another's name":    {signals.TrustVerified, "ann", "mallory", `amend did not count: analyst "mallory" is not entitled: not in soc`},
		"nobody authenticated": {signals.TrustVerified, "ann", "", `amend did not count: unverified: the Temporal server has not authenticated its sender, who claims to be "ann"`},
	} {
		for when, early := range map[string]bool{"while it is asked for": false, "before it is": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				b.vet = func(activities.VetInput) (activities.Vetting, error) {
					return activities.Vetting{Principal: test.principal}, nil
				}
				b.enrich = func() (activities.Enrichment, error) { return activities.Enrichment{}, nil }
				in := minerInput()
				in.Route.Approval.Groups = []string{"soc"}
				in.Approvers = signals.Approvers{
					Trust: test.trust, Analysts: []string{"ann", "carl"}, Groups: map[string][]string{"soc": {"ann"}, "leads": {"carl"}},
				}
				claim := map[string]any{"analyst": test.claimed, "fields": map[string]any{"host.id": "host-9"}}
				if early {
					b.RegisterDelayedCallback(func() { b.SignalWorkflowSkippingWorkflowTask(signals.Amend, claim) }, 0)
				} else {
					b.at(time.Minute, signals.Amend, claim)
				}
				page := b.run(workflows.CryptoMiner, in, bare)
				require.Equal(t, signals.Expired, page.Outcome)
				if test.want == "" {
					require.Equal(t, "host-9", page.Incident.Host.ID)
					require.Empty(t, texts(page, signals.KindRefused))
				} else {
					require.Empty(t, page.Incident.Host.ID)
					require.Equal(t, []string{test.want}, texts(page, signals.KindRefused))
				}
			})
		}
	}
}

// Whoever may start workflows writes the trust that an incident is opened with,
// and the worker takes one that it does not know for the strictest: so must the
// playbook, or a name that somebody only claims would pass for an authenticated
// one.
func TestATrustThatThisVersionDoesNotKnowIsAsStrictAsTheStrictest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Approvers = signals.Approvers{Trust: "certified", Analysts: []string{"ann"}}
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		require.True(t, in.Sender)
		return activities.Vetting{Principal: map[int]string{1: "mallory", 3: "ann"}[in.Ordinal]}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	b.RegisterDelayedCallback(func() { require.Empty(t, b.executed, "nobody approved") }, 3*time.Minute)
	b.at(4*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, texts(page, signals.KindRefused), 2)
}

func TestUnderTrustVerifiedANoteIsItsSendersToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Approvers = signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann"}}
	b.vet = func(vet activities.VetInput) (activities.Vetting, error) {
		require.True(t, vet.Sender)
		return activities.Vetting{Principal: map[int]string{1: "mallory"}[vet.Ordinal]}, nil
	}
	b.at(time.Minute, signals.Note, signals.NoteText{Analyst: "ceo", Text: "all is well"})
	b.at(2*time.Minute, signals.Note, signals.NoteText{Analyst: "ceo", Text: "really"})
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, []string{`all is well (sent in the name of "ceo")`}, texts(page, signals.KindNote))
	require.Equal(t, []string{`note did not count: unverified: the Temporal server has not authenticated its sender, who claims to be "ceo"`}, texts(page, signals.KindRefused))
	for _, entry := range page.WarRoom {
		require.NotEqual(t, "ceo", entry.Actor)
	}
}

func TestDuringAFreezeWhoMayNotApproveIsToldSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Approvers = signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann"}}
	b.vet = func(vet activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: []string{"mallory", "ann"}[vet.Ordinal-1], Frozen: &signals.Frozen{By: "bob", Reason: "x"}}, nil
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Expired, page.Outcome)
	refused := texts(page, signals.KindRefused)
	require.Equal(t, `approve did not count: analyst "mallory" is not entitled: not in the list of approvers`, refused[0])
	require.Contains(t, refused[1], "approve did not count: containment is frozen by bob since ")
}

func TestWhatWasDoneCannotBeUndone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	watch := incident.Duration(time.Hour)
	in.Route.CoolDown = &watch
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Undo, signals.Instruction{Analyst: "ann", Reason: "oops", Receipt: "r"})
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, []string{"undo did not count: KILL_CONTAINER cannot be undone"}, texts(page, signals.KindRefused))
	require.Equal(t, "KILL_CONTAINER cannot be undone", b.receipt("r").Text)
}

func TestNobodyCanStartAnIncidentThatWasApprovedAlready(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.suggest(time.Minute)
	next, _ := b.moves(workflows.CryptoMiner, opened(minerInput(), miner()), miner())
	forged := newBench(t)
	forged.ExecuteWorkflow(workflows.CryptoMiner, next)
	require.ErrorContains(t, forged.GetWorkflowError(), "carried: only a run that moves on hands it over")
}

func TestANotificationThatFailsIsInTheWarRoomAndBlocksNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Notify = true
	in.Route.Approval.Mode = incident.ModeNone
	b.notify = func(activities.Notification) ([]string, error) { return []string{"slack: 404 Not Found"}, nil }
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Contains(t, texts(page, signals.KindNotification), "notification failed: slack: 404 Not Found")
}

func TestAnIncidentDoesNotStayOpenForAChannelThatHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Notify = true
	in.Route.Approval.Mode = incident.ModeNone
	b.notify = func(activities.Notification) ([]string, error) { return nil, errors.New("no answer") } // is retried
	start := b.Now()
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Less(t, b.Now().Sub(start), time.Minute)
	require.Contains(t, strings.Join(texts(page, signals.KindNotification), "\n"), "not delivered within 20s of the close")
}

func TestNobodyIsNotifiedWhereThereIsNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Empty(t, b.notified)
}
