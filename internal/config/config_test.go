package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"firebreak/internal/config"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// env stands in for the environment.
func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// load loads a file with that text.
func load(t *testing.T, text string, pairs ...string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return config.Load(path, env(pairs...))
}

func TestWithoutAFileTheEmbeddedDefaultHolds(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := config.Load("", env())
	require.NoError(t, err, "nothing secret is needed to load")
	three, cool := incident.Severity(3), incident.Duration(30*time.Second)
	day, quarter := incident.Duration(24*time.Hour), incident.Duration(15*time.Minute)
	miner := incident.Approval{Mode: incident.ModeOne, RemindEvery: quarter, EscalateAfter: 2 * quarter, ExpireAfter: day}
	capture := incident.Approval{Mode: incident.ModeOne, RemindEvery: quarter, ExpireAfter: day}
	by := []string{"host.name", "container.id"}
	want := &config.Config{
		Temporal: config.Temporal{TaskQueue: "firebreak"},
		Sysdig:   config.Sysdig{Region: "us2", Tenants: []config.Tenant{}},
		Starter: config.Starter{Listen: "127.0.0.1:8080", MaxBody: 1 << 20, Sources: []config.Source{
			{Name: "sysdig", Auth: config.Auth{Type: config.AuthBearer, Secrets: make([]config.Secret, 1)}},
		}},
		Worker:    config.Worker{MetricsListen: "127.0.0.1:9464", Mode: config.ModeAct},
		Codec:     config.Codec{Listen: "127.0.0.1:8081", Origins: []string{}, Auth: []config.Auth{}},
		Evidence:  config.Evidence{URL: "file:///var/lib/firebreak/evidence"},
		Approvals: config.Approvals{Trust: signals.TrustOpen, Groups: map[string][]string{}, Policies: []incident.ApprovalPolicy{}},
		Guard:     config.Guard{Protected: []incident.Protection{}, Budgets: []signals.Budget{}},
		Notify:    config.Notify{URLs: []config.Secret{}, Routes: map[string][]config.Secret{}, Groups: map[string][]config.Secret{}},
		Redact:    []string{},
		Hooks:     map[string]config.Hook{},
		Routes: []incident.Route{
			{
				Name: "crypto-miner", When: `incident.rule.name == "Detect crypto miners using the Stratum protocol"`, Playbook: "crypto-miner",
				CorrelateBy: by, MaxSeverity: &three, Approval: miner, SaveApproval: miner,
				Capture: incident.CaptureOptions{Duration: incident.Duration(15 * time.Second), Scope: incident.ScopeContainer}, CoolDown: &cool,
				MaxProcessAge: incident.DefaultMaxProcessAge,
			},
			{
				Name: "capture", When: "incident.severity <= 3", Playbook: "capture", CorrelateBy: by, Approval: capture, SaveApproval: capture,
				Capture: incident.CaptureOptions{Duration: incident.Duration(15 * time.Second), Scope: incident.ScopeContainer}, CoolDown: &cool,
			},
		},
	}
	require.Empty(t, cmp.Diff(want, c, cmpopts.IgnoreTypes(config.Secret{})))
	require.Equal(t, "${SYSDIG_SECURE_API_TOKEN}", c.Sysdig.Token.String())
	require.Equal(t, "${FIREBREAK_WEBHOOK_TOKEN}", c.Starter.Sources[0].Auth.Secrets[0].String())
}

func TestTheFileOfTheWorkingDirectoryIsUsedWhenNoneIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile(config.FileName, []byte("temporal: {task_queue: mine}\n"), 0o600))
	c, err := config.Load("", env())
	require.NoError(t, err)
	require.Equal(t, "mine", c.Temporal.TaskQueue)

	require.NoError(t, os.WriteFile(config.FileName, []byte("temporal: {queue: mine}\n"), 0o600))
	_, err = config.Load("", env())
	require.ErrorContains(t, err, "firebreak.yaml:1:12: temporal: unknown key")

	_, err = config.Load("elsewhere.yaml", env())
	require.ErrorIs(t, err, os.ErrNotExist, "a file that is named must be there")
}

func TestWhatAFileLeavesOutIsAsInTheDefault(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "routes:\nstarter:\n  listen:\nsysdig: {region: us2}\n"} {
		c, err := load(t, text)
		require.NoError(t, err, text)
		require.Len(t, c.Routes, 2)
		require.Equal(t, "127.0.0.1:8080", c.Starter.Listen)
		require.Equal(t, "sysdig", c.Starter.Sources[0].Name)
	}
	c, err := load(t, "routes: []\nstarter: {sources: [{name: demo, auth: {type: none}}]}\n")
	require.NoError(t, err)
	require.Empty(t, c.Routes, "a list that is written replaces the default")
	require.Len(t, c.Starter.Sources, 1)
	require.Empty(t, c.Starter.Sources[0].Auth.Secrets, "and nothing of the default shows through")
	require.Equal(t, "127.0.0.1:8080", c.Starter.Listen)
}

func TestARouteIsReadInFull(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
routes:
  - &base
    name: a
    when: |
      incident.severity <= 3 &&
        incident.output != "${HOME}"
    playbook: crypto-miner
    correlate_by: [cloud.account, user]
    max_severity: 5
    approval: &ask {expire_after: 1h}
    save_approval: none
    capture_first: true
    capture: {duration: 2m, filter: "proc.name=xmrig"}
    cool_down: 0s
  - {name: b, when: "true", playbook: capture, approval: none, save_approval: *ask}
`)
	require.NoError(t, err)
	a, b := c.Routes[0], c.Routes[1]
	require.Equal(t, "incident.severity <= 3 &&\n  incident.output != \"${HOME}\"\n", a.When, "a condition is not interpolated")
	require.Equal(t, []string{"cloud.account", "user"}, a.CorrelateBy)
	require.EqualValues(t, 5, *a.MaxSeverity)
	require.Equal(t, incident.ModeOne, a.Approval.Mode)
	require.Equal(t, "1h0m0s", a.Approval.ExpireAfter.String())
	require.Equal(t, incident.ModeNone, a.SaveApproval.Mode)
	require.True(t, a.CaptureFirst)
	require.Equal(t, "2m0s", a.Capture.Duration.String())
	require.Equal(t, "proc.name=xmrig", a.Capture.Filter)
	require.Zero(t, *a.CoolDown)
	require.Equal(t, incident.ModeNone, b.Approval.Mode)
	require.Equal(t, incident.ModeOne, b.SaveApproval.Mode)
}

// Each mistake is reported with its place, its key, what is wrong and what is
// accepted.
func TestAMistakeIsReportedAtItsPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string // one per line of the error, without the file
	}{
		"unknown section":     {"sysdg: {}", []string{`:1:1: unknown key "sysdg"; expected one of temporal, sysdig, starter, worker, codec, evidence, approvals, guard, notify, redact, hooks, routes`}},
		"unknown key":         {"starter:\n  lissten: x", []string{`:2:3: starter: unknown key "lissten"; expected one of listen, tls, journal, max_body, sources`}},
		"unknown key in list": {"routes:\n  - name: a\n    if: x", []string{`:3:5: routes[0]: unknown key "if"; expected one of name, when, self_reports, playbook`}},
		"syntax":              {"a: b: c", []string{`:1:4: mapping value is not allowed`}},
		"duplicate key":       {"sysdig: {}\nsysdig: {}", []string{`:2:1: mapping key "sysdig" already defined`}},
		"two documents":       {"sysdig: {}\n---\nsysdig: {}", []string{`:1:1: 2 YAML documents; want one`}},
		"a list as file":      {"- a", []string{`:1:1: found a list; want keys and values`}},
		"text for a section":  {"starter: x", []string{`:1:10: starter: found text; want keys and values`}},
		"number for text":     {"temporal: {task_queue: 5}", []string{`:1:24: temporal.task_queue: found 5; want text: put it in quotes`}},
		"mapping for text":    {"temporal: {task_queue: {}}", []string{`:1:24: temporal.task_queue: found keys and values; want text`}},
		"mapping for a list":  {"routes: {}", []string{`:1:9: routes: found keys and values; want a list, like [a, b]`}},
		"text for a boolean":  {"routes: [{capture_first: maybe}]", []string{`:1:26: routes[0].capture_first: found text; want true or false`}},
		"text for a number":   {"routes: [{max_severity: high}]", []string{`:1:25: routes[0].max_severity: found text; want a whole number`}},
		"fraction":            {"routes: [{max_severity: 2.5}]", []string{`found 2.5; want a whole number`}},
		"bad duration":        {"routes:\n  - cool_down: 15", []string{`:2:16: routes[0].cool_down: duration "15": want a number and a unit, like 30s, 15m or 24h`}},
		"list for a duration": {"routes: [{cool_down: [1s]}]", []string{`routes[0].cool_down: found a list; want one value`}},
		"list for a secret":   {"sysdig: {token: [a]}", []string{`sysdig.token: found a list; want text`}},
		"unknown alias":       {"temporal: {task_queue: *q}", []string{`temporal.task_queue: alias *q has no anchor &q before it`}},
		"unset variable":      {"evidence:\n  url: 's3://${BUCKET}'", []string{`:2:8: evidence.url: environment variable BUCKET is not set`}},
		"no reference":        {"sysdig: {token: '${TOKEN'}", []string{`:1:17: sysdig.token: "${" begins no reference; want ${NAME}, or in a secret ${file:PATH}`}},
		"file of no secret":   {"evidence: {url: '${file:/etc/url}'}", []string{`:1:17: evidence.url: ${file:/etc/url}: a file is for secrets; want ${NAME}`}},
		"dash as a key":       {"sysdig: {\"-\": x}", []string{`:1:10: sysdig: unknown key "-"; expected one of region, app_url, api_url, token, tenants`}},

		"unknown region":     {"sysdig: {region: us9}", []string{`:1:18: sysdig.region: `}},
		"bad URL":            {"sysdig: {app_url: foo, api_url: 'ftp://x'}", []string{`:1:19: sysdig.app_url: "foo": want a URL`, `:1:33: sysdig.api_url: "ftp://x": want a URL`}},
		"empty task queue":   {"temporal: {task_queue: ''}", []string{`:1:24: temporal.task_queue: it is empty`}},
		"bad address":        {"starter: {listen: '8080'}\nworker: {metrics_listen: 'a:b'}", []string{`:1:19: starter.listen: "8080": want HOST:PORT`, `:2:26: worker.metrics_listen: "a:b": want HOST:PORT`}},
		"evidence not a URL": {"evidence: {url: /var/lib}", []string{`:1:17: evidence.url: "/var/lib": want a URL`}},

		"source without auth":     {"starter:\n  sources:\n    - name: a", []string{`:3:7: starter.sources[0].auth: it is missing; want {type: bearer`}},
		"source of unknown auth":  {"starter: {sources: [{name: a, auth: {type: oauth}}]}", []string{`:1:44: starter.sources[0].auth.type: auth type oauth: want none, bearer, basic, signature, header, path or mtls`}},
		"bearer without secret":   {"starter: {sources: [{name: a, auth: {type: bearer}}]}", []string{`:1:37: starter.sources[0].auth.secrets: it is missing; auth type bearer needs secrets`}},
		"three secrets":           {"starter: {sources: [{name: a, auth: {type: bearer, secrets: [a, b, c]}}]}", []string{`starter.sources[0].auth.secrets: 3 secrets; want one, or 2`}},
		"empty secret":            {"starter: {sources: [{name: a, auth: {type: bearer, secrets: ['']}}]}", []string{`starter.sources[0].auth.secrets[0]: it is empty`}},
		"secret for nobody":       {"starter: {sources: [{name: a, auth: {type: none, secrets: [a]}}]}", []string{`:1:59: starter.sources[0].auth.secrets: auth type none does not take it; want only type`}},
		"source name in no URL":   {"starter: {sources: [{name: a/b, auth: {type: none}}]}", []string{`starter.sources[0].name: "a/b": want letters`}},
		"two sources of a name":   {"starter: {sources: [{name: a, auth: {type: none}}, {name: a, auth: {type: none}}]}", []string{`starter.sources[1].name: "a" is the name of starter.sources[0] too`}},
		"trust certified":         {"approvals: {trust: certified}", []string{`:1:20: approvals.trust: "certified": want open, listed or verified`}},
		"trust verified, nobody":  {"approvals: {trust: verified, groups: {}}", []string{`approvals.groups: trust verified needs analysts`}},
		"a group nobody knows":    {"approvals: {groups: {soc: [ann]}}\nroutes:\n  - {name: a, when: 'true', playbook: capture, approval: {groups: [sco], escalate_to: [leads]}}", []string{`:3:68: routes[0].approval.groups[0]: "sco" is no group; want one of approvals.groups, soc`, `routes[0].approval.escalate_to[0]: "leads" is no group`}},
		"groups of a save":        {"approvals: {groups: {soc: [ann]}}\nroutes:\n  - {name: a, when: 'true', playbook: capture, save_approval: {groups: [sco]}}", []string{`routes[0].save_approval.groups[0]: "sco" is no group; want one of approvals.groups, soc`}},
		"groups of a policy":      {"approvals:\n  groups: {soc: [ann]}\n  policies:\n    - {actions: [KILL_*], approval: {escalate_to: [sco]}}", []string{`approvals.policies[0].approval.escalate_to[0]: "sco" is no group`}},
		"two of one in a policy":  {"approvals:\n  trust: verified\n  groups: {soc: [ann], leads: [carl, dora]}\n  policies:\n    - {actions: [KILL_*], approval: {mode: two, groups: [soc]}}", []string{`approvals.policies[0].approval.mode: two: 1 analysts may decide; want groups with two or more members`}},
		"two of one":              {"approvals: {trust: listed, groups: {soc: [ann]}}\nroutes:\n  - {name: a, when: 'true', playbook: capture, approval: two}", []string{`routes[0].approval.mode: two: 1 analysts may decide; want groups with two or more members`}},
		"a policy for nothing":    {"approvals:\n  policies:\n    - {actions: [], when: 'incident.kubernets == 1', approval: {}}", []string{`:3:17: approvals.policies[0].actions: it is empty`, `:3:27: approvals.policies[0].when: line 1, column 9`, `approvals.policies[0].approval: it is empty`}},
		"a policy's mistakes":     {"approvals:\n  policies:\n    - {actions: ['[', KILL_*], approval: {mode: all}}", []string{`approvals.policies[0].actions[0]: "[": want the name of an action`, `approvals.policies[0].approval.mode: "all": want none, one or two`}},
		"trust in nobody":         {"approvals:\n  trust: listed\n  groups: {soc: []}", []string{`:3:11: approvals.groups: trust listed needs analysts`}},
		"analyst without name":    {"approvals: {groups: {soc: [ann, '']}}", []string{`approvals.groups.soc[1]: it is empty`}},
		"a mode that is none":     {"worker: {mode: dry}", []string{`:1:16: worker.mode: "dry": want act or observe`}},
		"a protection's mistakes": {"guard:\n  protected:\n    - {name: a, actions: ['['], when: 'incident.kubernets == 1'}\n    - incident.host.name\n    - {name: b}", []string{`:3:27: guard.protected[0].actions[0]: "[": want the name of an action`, `:3:39: guard.protected[0].when: line 1, column 9: undefined field 'kubernets'`, `:4:7: guard.protected[1].when: its type is string; want bool`, `:5:7: guard.protected[2].when: it is empty; want a CEL condition`}},
		"a budget's mistakes":     {"guard:\n  budgets:\n    - {action: '', limit: 0, per: 1ms}\n    - {action: KILL_CONTAINER}", []string{`:3:16: guard.budgets[0].action: "": want the name of an action, like KILL_CONTAINER or KILL_*, or * for all together`, `:3:27: guard.budgets[0].limit: 0: want 1 to 1000; to have somebody asked every time, write an approval policy`, `:3:35: guard.budgets[0].per: 1ms: want 1s to 720h0m0s`, `:4:7: guard.budgets[1].limit: 0: want 1 to 1000`, `:4:7: guard.budgets[1].per: 0s: want 1s`}},
		"a channel that is none":  {"notify: {urls: ['slack://hook:planted-secret@webhook']}", []string{`:1:17: notify.urls[0]: slack: invalid slack token format; want a URL of shoutrrr, like generic+https://`}},
		"an empty channel":        {"notify: {urls: ['']}", []string{`:1:17: notify.urls[0]: it is empty; want a URL of shoutrrr`}},
		"channels of no route":    {"notify: {routes: {minr: ['logger://']}}", []string{`:1:25: notify.routes.minr: "minr" is no route; want one of routes: crypto-miner, capture`, `notify.routes.minr[0]: logger: it tells nobody`}},
		"channels of no group":    {"approvals: {groups: {soc: [ann]}}\nnotify: {groups: {sco: ['nosuch://x']}}", []string{`:2:24: notify.groups.sco: "sco" is no group; want one of approvals.groups: soc`, `notify.groups.sco[0]: its scheme is the name of no service`}},
		"a codec's mistakes":      {"codec:\n  listen: '8081'\n  origins: ['*', 'http://x/', 'http://127.0.0.1:8233']\n  tls: {cert: a}\n  auth: [{type: mtls, client_ca: ca.pem}, {type: bearer}, {}]", []string{`:2:11: codec.listen: "8081": want HOST:PORT`, `:3:13: codec.origins[0]: "*": want an origin as browsers send it, like http://127.0.0.1:8233`, `:3:18: codec.origins[1]: "http://x/": want an origin`, `:4:8: codec.tls: want both cert and key`, `:5:17: codec.auth[0].type: auth type mtls: want one that Temporal Web and the temporal CLI can send: bearer, basic, header or path`, `:5:43: codec.auth[1].secrets: it is missing`, `:5:59: codec.auth[2]: it is missing`}},
		"a codec for anybody":     {"codec: {auth: {type: none}}", []string{`:1:22: codec.auth[0].type: auth type none: want one that`}},
		"rules for nothing":       {"redact: [secrets, '(', 'x*']", []string{`:1:19: redact[1]: error parsing regexp: missing closing ): ` + "`(`" + `; want secrets or a regular expression (RE2)`, `:1:24: redact[2]: it matches nothing at all`}},
		"misspelt field":          {"routes:\n  - {name: a, when: incident.sevrity <= 3, playbook: capture}", []string{`:2:21: routes[0].when: line 1, column 9: undefined field 'sevrity'`}},
		"mode all, spelt out":     {"routes:\n  - {name: a, when: 'true', playbook: capture, approval: {mode: all}}", []string{`:2:65: routes[0].approval.mode: "all": want none, one or two`}},
		"mode all alone":          {"routes:\n  - {name: a, when: 'true', playbook: capture, approval: all}", []string{`:2:58: routes[0].approval.mode: "all": want none, one or two`}},
		"missing playbook":        {"routes:\n  - {name: a, when: 'true'}\n", []string{`:2:5: routes[0].playbook: "": want capture, crypto-miner or respond`}},
		"several, in their order": {"starter: {listen: x}\nroutes: [{name: '', when: 1 > 0, playbook: capture}]\nsysdig: {region: us9}", []string{`:1:19: starter.listen`, `:2:17: routes[0].name`, `:3:18: sysdig.region`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, tc.text)
			require.Nil(t, c)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(tc.want), err)
			for i, want := range tc.want {
				require.Contains(t, lines[i], want)
				require.Contains(t, lines[i], "firebreak.yaml:")
				require.NotContains(t, lines[i], "planted-secret")
			}
			var problem *config.Error
			require.True(t, errors.As(err, &problem))
		})
	}
}

func TestStringsAreInterpolatedFromTheEnvironment(t *testing.T) {
	t.Parallel()
	c, err := load(t, "evidence: {url: 'file:///${DIR}/${SUB}'}\nstarter: {listen: '${HOST}:8080'}\n",
		"DIR", "evidence", "SUB", "a", "HOST", "127.0.0.1")
	require.NoError(t, err)
	require.Equal(t, "file:///evidence/a", c.Evidence.URL)
	require.Equal(t, "127.0.0.1:8080", c.Starter.Listen)
}

func TestTheSysdigHostsComeFromTheNearestThatNamesThem(t *testing.T) {
	t.Parallel()
	const secure = "SYSDIG_SECURE_URL"
	for name, test := range map[string]struct {
		text     string
		env      []string
		app, api string
	}{
		"default region": {"", nil, "https://us2.app.sysdig.com", "https://api.us2.sysdig.com"},
		"region":         {"sysdig: {region: us4}", nil, "https://app.us4.sysdig.com", "https://api.us4.sysdig.com"},
		"variable wins over the region": {
			"sysdig: {region: us4}", []string{secure, "https://eu1.app.sysdig.com/"}, "https://eu1.app.sysdig.com/", "https://api.eu1.sysdig.com",
		},
		"one host for both where there is no region": {
			"", []string{secure, "https://sysdig.example.com"}, "https://sysdig.example.com", "https://sysdig.example.com",
		},
		"written URLs win": {
			"sysdig: {app_url: https://a.example.com, api_url: https://b.example.com}",
			[]string{secure, "https://eu1.app.sysdig.com"},
			"https://a.example.com", "https://b.example.com",
		},
		"an API host of its own for a region": {
			"sysdig: {region: us3, api_url: https://b.example.com}", nil, "https://app.us3.sysdig.com", "https://b.example.com",
		},
		"a written application host brings its region's API host": {
			"sysdig: {app_url: https://app.au1.sysdig.com}", nil, "https://app.au1.sysdig.com", "https://api.au1.sysdig.com",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := load(t, test.text, test.env...)
			require.NoError(t, err)
			app, api, err := cfg.SysdigURLs()
			require.NoError(t, err)
			require.Equal(t, test.app, app)
			require.Equal(t, test.api, api)
		})
	}
}

func TestApproversAreTheMembersOfAllGroups(t *testing.T) {
	t.Parallel()
	c, err := load(t, "approvals: {trust: listed, groups: {soc: [bob, ann], leads: [eve, ann]}, policies: [{actions: [KILL_*], approval: two}]}")
	require.NoError(t, err)
	approvers := c.Approvers()
	require.Equal(t, signals.Approvers{
		Trust: signals.TrustListed, Analysts: []string{"ann", "bob", "eve"}, Policies: true,
		Groups: map[string][]string{"soc": {"bob", "ann"}, "leads": {"eve", "ann"}},
	}, approvers)
	require.Equal(t, []string{"ann", "eve"}, approvers.Members([]string{"leads"}))
	require.Equal(t, []string{"ann", "bob", "eve"}, approvers.Members([]string{"leads", "soc"}))
	require.Equal(t, []string{"ann", "bob", "eve"}, approvers.Members(nil))
}

func TestTwoAreFoundWhereTrustIsOpen(t *testing.T) {
	t.Parallel()
	_, err := load(t, "approvals: {groups: {soc: [ann]}}\nroutes:\n  - {name: a, when: 'true', playbook: capture, approval: {mode: two, groups: [soc]}}")
	require.NoError(t, err, "anybody may decide")
}

func TestAGuardIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	const conditions = "guard:\n  protected:\n    - incident.kubernetes.namespace == \"${system}\"\n" +
		"    - {name: databases, when: 'incident.container.image.startsWith(\"postgres\") && action != \"KILL_PROCESS\"', actions: [KILL_*]}\n" +
		"  budgets: [{action: KILL_CONTAINER, limit: 5, per: 1h}]\n"
	c, err := load(t, conditions)
	require.NoError(t, err)
	require.Equal(t, config.Guard{
		Protected: []incident.Protection{
			{When: `incident.kubernetes.namespace == "${system}"`},
			{Name: "databases", When: `incident.container.image.startsWith("postgres") && action != "KILL_PROCESS"`, Actions: []string{"KILL_*"}},
		},
		Budgets: []signals.Budget{{Action: "KILL_CONTAINER", Limit: 5, Per: incident.Duration(time.Hour)}},
	}, c.Guard)
	require.True(t, c.Approvers().Policies, "who acts has to be told of the incident")
	c, err = load(t, "guard: {budgets: [{action: KILL_CONTAINER, limit: 5, per: 1h}]}")
	require.NoError(t, err)
	require.False(t, c.Approvers().Policies)
}
