package approvals_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/approvals"
	"firebreak/internal/config"
	"firebreak/internal/incident"
	"firebreak/signals"
)

const routes = `
routes:
  - {name: automatic, when: 'true', playbook: crypto-miner, approval: none, capture_first: true}
  - {name: evidence, when: 'true', playbook: crypto-miner, capture_first: true}
  - {name: asked, when: 'true', playbook: crypto-miner, approval: {mode: one, groups: [soc], escalate_after: 1h, escalate_to: [leads]}}
  - {name: pair, when: 'true', playbook: crypto-miner, approval: two}
  - {name: recorded, when: 'true', playbook: capture, approval: none}
  - {name: timed, when: 'true', playbook: respond, action: PAUSE_CONTAINER, auto_undo_after: 1h}
`

const policies = `
  policies:
    - actions: [KILL_*]
      when: incident.kubernetes.namespace == "prod"
      approval: {mode: two, groups: [leads]}
    - actions: [KILL_CONTAINER]
      when: incident.labels["tier"] == "gold"
      approval: two
    - actions: [KILL_CONTAINER]
      when: incident.labels["tier"] == "free"
      approval: none
`

func rules(t *testing.T, yaml string) *approvals.Rules {
	t.Helper()
	file := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml+routes), 0o600))
	cfg, err := config.Load(file, func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	r, err := approvals.New(cfg)
	require.NoError(t, err)
	return r
}

func TestAClaimHoldsOnlyAsTheWorkersConfigurationSays(t *testing.T) {
	t.Parallel()
	const groups = "groups: {soc: [ann, bob], leads: [carl, dora]}"
	prod := &incident.Incident{Kubernetes: incident.Kubernetes{Namespace: "prod"}}
	for name, test := range map[string]struct {
		yaml  string
		claim approvals.Claim
		want  string // why it does not hold
	}{
		"automatic":                         {"", approvals.Claim{Route: "automatic"}, ""},
		"nobody approved":                   {"", approvals.Claim{Route: "asked"}, "this worker wants 1 of soc, leads to approve KILL_CONTAINER: 0 did"},
		"a route nobody knows":              {"", approvals.Claim{Route: "mine"}, "this worker wants 1 of all groups"},
		"a route nobody knows, approved":    {"", approvals.Claim{Route: "mine", ApprovedBy: []string{"ann"}}, ""},
		"open, by anybody":                  {"", approvals.Claim{Route: "asked", ApprovedBy: []string{"mallory"}}, ""},
		"open, twice the same":              {"", approvals.Claim{Route: "pair", ApprovedBy: []string{"ann", "Ann"}}, "this worker wants 2 of all groups to approve KILL_CONTAINER: 1 did"},
		"a capture before containment":      {"", approvals.Claim{Route: "evidence", Action: "CAPTURE", First: true}, ""},
		"a kill before containment":         {"", approvals.Claim{Route: "evidence", First: true}, "this worker wants 1 of"},
		"a capture first the route forbids": {"", approvals.Claim{Route: "asked", First: true}, "this worker wants 1 of"},
		"a capture first of nobody's route": {"", approvals.Claim{Route: "mine", First: true}, "this worker wants 1 of"},
		"asked for by who approves":         {"listed", approvals.Claim{Route: "asked", Trust: "listed", Requester: "ann", ApprovedBy: []string{"ann"}}, "0 did"},
		"the same in other letters":         {"", approvals.Claim{Route: "asked", Requester: "Ann", ApprovedBy: []string{"ann"}}, "0 did"},
		"asked for by one of two":           {"", approvals.Claim{Route: "pair", Requester: "ann", ApprovedBy: []string{"ann", "bob"}}, "this worker wants 2 of all groups to approve KILL_CONTAINER: 1 did"},
		"asked for by another":              {"listed", approvals.Claim{Route: "asked", Trust: "listed", Requester: "ann", ApprovedBy: []string{"ann", "bob"}}, ""},
		"undone by one who approves":        {"listed", approvals.Claim{Route: "asked", Trust: "listed", Undo: true, ApprovedBy: []string{"bob"}}, ""},
		"undone by one of two":              {"", approvals.Claim{Route: "pair", Undo: true, ApprovedBy: []string{"ann"}}, ""},
		"undone by who may not":             {"listed", approvals.Claim{Route: "automatic", Trust: "listed", Undo: true, ApprovedBy: []string{"mallory"}}, "0 did"},
		"undone by who asks for it":         {"", approvals.Claim{Route: "asked", Undo: true, Requester: "ann", ApprovedBy: []string{"ann"}}, "0 did"},
		"undone by nobody":                  {"", approvals.Claim{Route: "automatic", Undo: true}, "this worker wants 1 of all groups"},
		"undone by its route":               {"listed", approvals.Claim{Route: "timed", Playbook: "respond", Trust: "listed", Action: "PAUSE_CONTAINER", Undo: true}, ""},
		"undone by another's route":         {"", approvals.Claim{Route: "timed", Action: "PAUSE_CONTAINER", Undo: true}, "this worker wants 1 of all groups"},
		"undone before the route does":      {"listed", approvals.Claim{Route: "timed", Playbook: "respond", Trust: "listed", Action: "PAUSE_CONTAINER", Undo: true, ApprovedBy: []string{"mallory"}}, "0 did"},
		"carried out as if it were undone":  {"", approvals.Claim{Route: "timed", Playbook: "respond", Action: "PAUSE_CONTAINER"}, "this worker wants 1 of all groups"},
		"listed, in the group":              {"listed", approvals.Claim{Route: "asked", Trust: "listed", ApprovedBy: []string{"ann"}}, ""},
		"listed, escalated":                 {"listed", approvals.Claim{Route: "asked", Trust: "listed", ApprovedBy: []string{"carl"}}, ""},
		"listed, taken off the list":        {"listed", approvals.Claim{Route: "asked", Trust: "listed", ApprovedBy: []string{"eve"}}, "0 did"},
		"opened with less trust":            {"verified", approvals.Claim{Route: "asked", Trust: "listed", ApprovedBy: []string{"ann"}}, "the incident was opened with trust listed, and this worker wants verified"},
		"opened with a trust nobody knows":  {"verified", approvals.Claim{Route: "asked", Trust: "Verified", ApprovedBy: []string{"ann"}}, "the incident was opened with trust Verified, and this worker wants verified"},
		"opened with none":                  {"listed", approvals.Claim{Route: "automatic"}, "the incident was opened with trust open, and this worker wants listed"},
		"opened with more trust":            {"listed", approvals.Claim{Route: "asked", Trust: "verified", ApprovedBy: []string{"ann"}}, ""},
		"another playbook's route":          {"", approvals.Claim{Route: "recorded"}, "this worker wants 1 of all groups to approve KILL_CONTAINER: 0 did"},
		"its own playbook's route":          {"", approvals.Claim{Route: "recorded", Playbook: "capture", Action: "CAPTURE"}, ""},
		"another playbook, capture first":   {"", approvals.Claim{Route: "automatic", Playbook: "capture", First: true}, "this worker wants 1 of"},
		"a policy":                          {"policies", approvals.Claim{Route: "asked", Trust: "listed", ApprovedBy: []string{"ann", "carl"}, Incident: prod}, "this worker wants 2 of leads to approve KILL_CONTAINER: 1 did"},
		"a policy that holds for no route":  {"policies", approvals.Claim{Route: "automatic", Trust: "listed", Incident: prod}, "this worker wants 2 of leads"},
		"a policy, followed":                {"policies", approvals.Claim{Route: "asked", Trust: "listed", ApprovedBy: []string{"dora", "carl"}, Incident: prod}, ""},
		"no policy for it":                  {"policies", approvals.Claim{Route: "asked", Trust: "listed", Action: "CAPTURE", ApprovedBy: []string{"ann"}, Incident: prod}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yaml := "approvals:\n  " + groups + "\n"
			switch test.yaml {
			case "":
			case "policies":
				yaml += "  trust: listed" + policies
			default:
				yaml += "  trust: " + test.yaml
			}
			if test.claim.Action == "" {
				test.claim.Action = "KILL_CONTAINER"
			}
			test.claim.Playbook = cmp.Or(test.claim.Playbook, "crypto-miner")
			err := rules(t, yaml).Check(test.claim)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			var denied *approvals.Denied
			require.ErrorAs(t, err, &denied)
		})
	}
}

func TestADeniedClaimSaysHowTheActionIsToBeApproved(t *testing.T) {
	t.Parallel()
	r := rules(t, "approvals:\n  groups: {soc: [ann, bob], leads: [carl, dora]}"+policies)
	err := r.Check(approvals.Claim{Route: "asked", Playbook: "crypto-miner", Action: "KILL_PROCESS", Incident: &incident.Incident{Kubernetes: incident.Kubernetes{Namespace: "prod"}}})
	var denied *approvals.Denied
	require.ErrorAs(t, err, &denied)
	require.Equal(t, incident.ModeTwo, denied.Demanded.Mode)
	require.Equal(t, []string{"leads"}, denied.Demanded.Groups)
	require.Equal(t, []string{"leads"}, denied.Demanded.EscalateTo, "what the policy leaves out is the route's")
	require.Equal(t, incident.Duration(3600e9), denied.Demanded.EscalateAfter)
}

func TestARouteThatNobodyKnowsIsToBeAskedForAsOneThatLeavesEverythingOut(t *testing.T) {
	t.Parallel()
	err := rules(t, "approvals:\n  groups: {soc: [ann, bob], leads: [carl, dora]}\n").Check(approvals.Claim{Route: "mine", Action: "KILL_PROCESS"})
	var denied *approvals.Denied
	require.ErrorAs(t, err, &denied)
	require.Equal(t, incident.DefaultApproval(), denied.Demanded, "or it would expire at once")
}

func TestWhoeverIsInAnyGroupIsAMember(t *testing.T) {
	t.Parallel()
	const groups = "approvals:\n  groups: {soc: [ann, bob], leads: [carl, dora]}\n"
	for _, trust := range []string{"listed", "verified"} {
		r := rules(t, groups+"  trust: "+trust+"\n")
		require.NoError(t, r.Member("carl"))
		require.EqualError(t, r.Member("mallory"), `analyst "mallory" is not entitled: not in the list of approvers`)
	}
	require.NoError(t, rules(t, groups).Member("mallory"), "where trust is open so is the list")
}

func TestAPolicyThatCannotBeEvaluatedAsksTooManyRatherThanTooFew(t *testing.T) {
	t.Parallel()
	r := rules(t, "approvals:\n  groups: {soc: [ann, bob], leads: [carl, dora]}"+policies)
	route := incident.DefaultApproval()
	require.Equal(t, incident.ModeTwo, r.Choose("KILL_CONTAINER", &incident.Incident{}, route).Mode, "there is no label tier")
	free := &incident.Incident{Labels: map[string]string{"tier": "free"}}
	require.Equal(t, incident.ModeNone, r.Choose("KILL_CONTAINER", free, route).Mode)
	require.Equal(t, route, r.Choose("KILL_PROCESS", free, route))
	require.Equal(t, signals.TrustOpen, r.Trust())
}

// What a policy would say of an incident that it is not told of is not guessed.
func TestAClaimWithoutTheIncidentHoldsOnlyWhereNoPolicyLooksAtIt(t *testing.T) {
	t.Parallel()
	r := rules(t, "approvals:\n  groups: {soc: [ann, bob], leads: [carl, dora]}"+policies)
	claim := approvals.Claim{Route: "automatic", Playbook: "crypto-miner", Action: "KILL_CONTAINER"}
	require.ErrorIs(t, r.Check(claim), approvals.ErrNoIncident)
	claim.ApprovedBy = []string{"carl", "dora"}
	require.ErrorIs(t, r.Check(claim), approvals.ErrNoIncident, "even if it might hold")
	claim.Action = "CAPTURE"
	require.NoError(t, r.Check(claim))
}

func TestAClaimThatIsDeniedAsksAHumanAsTheRouteWouldAtLeastOne(t *testing.T) {
	t.Parallel()
	r := rules(t, "approvals:\n  groups: {soc: [ann, bob], leads: [carl, dora]}\n")
	for route, want := range map[string]incident.Approval{
		"automatic": incident.DefaultApproval(),
		"pair":      {Mode: incident.ModeTwo, RemindEvery: incident.DefaultApproval().RemindEvery, ExpireAfter: incident.DefaultApproval().ExpireAfter},
	} {
		denied := r.Deny(approvals.Claim{Route: route, Playbook: "crypto-miner", Action: "KILL_CONTAINER"}, "the budget is spent")
		require.Equal(t, want, denied.Demanded)
		require.Equal(t, []string{"ann", "bob", "carl", "dora"}, denied.Approvers.Analysts)
		require.EqualError(t, denied, "the budget is spent")
	}
}
