package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/config"
	"firebreak/internal/hooks"
	"firebreak/internal/incident"
)

func TestHooksAreLookedUpWithTheRoutesThatCallThem(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("first\n"), 0o600))
	c, err := load(t, `
hooks:
  jira:
    url: "https://${JIRA_HOST}/rest/api/2/issue"
    headers: {Authorization: "Bearer ${file:`+token+`}"}
    body: '{"fields": {"summary": "{{.incident.rule.name}}"}}'
  edr: {method: PUT, url: "http://edr.example.com", timeout: 3s}
routes:
  - {name: a, when: "true", playbook: respond, on_opened: [jira], on_contained: [edr], on_closed: [jira]}
  - {name: b, when: "true", playbook: capture, on_opened: [jira]}
`, "JIRA_HOST", "jira.example.com")
	require.NoError(t, err)
	require.Equal(t, "POST", c.Hooks["jira"].Method)
	require.Equal(t, "10s", c.Hooks["jira"].Timeout.String())
	require.Equal(t, "{{.}}", c.Hooks["edr"].Body)
	all, err := c.ResolveHooks()
	require.NoError(t, err)
	require.Len(t, all, 2)
	edr, jira := all[0], all[1]
	require.Equal(t, "edr", edr.Name)
	require.Equal(t, "PUT", edr.Method)
	require.Equal(t, 3*time.Second, edr.Timeout)
	require.Equal(t, map[hooks.Moment][]string{hooks.Contained: {"a"}}, edr.Routes)
	require.Equal(t, map[hooks.Moment][]string{hooks.Opened: {"a", "b"}, hooks.Closed: {"a"}}, jira.Routes)
	require.Equal(t, "https://jira.example.com/rest/api/2/issue", must(t)(jira.URL.Resolve()))
	require.Equal(t, "Bearer first", must(t)(jira.Headers["Authorization"].Resolve()))
	require.NoError(t, os.WriteFile(token, []byte("second\n"), 0o600))
	require.Equal(t, "Bearer second", must(t)(jira.Headers["Authorization"].Resolve()), "a token that was renewed is used")
}

func TestABadSecretOfAHookIsReportedAtItsPlaceWhenItIsLookedUp(t *testing.T) {
	t.Parallel()
	c, err := load(t, "hooks:\n  jira: {url: '${URL}', headers: {X-Token: '${TOKEN}', X-Other: '${OTHER}'}}",
		"URL", "planted-secret", "TOKEN", "planted\nsecret")
	require.NoError(t, err, "nothing secret is needed to load")
	_, err = c.ResolveHooks()
	require.ErrorContains(t, err, ":2:15: hooks.jira.url: ${URL}: it is no absolute URL; want one like https://")
	require.ErrorContains(t, err, ":2:44: hooks.jira.headers.X-Token: ${TOKEN}: it begins or ends with a blank")
	require.ErrorContains(t, err, "hooks.jira.headers.X-Other: environment variable OTHER is not set")
	require.NotContains(t, err.Error(), "planted")
}

func TestAMistakeInAHookIsReportedAtItsPlace(t *testing.T) {
	t.Parallel()
	const url = "url: 'https://example.com'"
	for name, tc := range map[string]struct{ text, want string }{
		"no URL":              {"hooks:\n  a: {}", `:2:6: hooks.a.url: it is missing; want a URL, like https://`},
		"relative URL":        {"hooks:\n  a: {url: planted-secret}", `:2:12: hooks.a.url: it is no absolute URL; want one like https://`},
		"URL of a file":       {"hooks:\n  a: {url: 'file:///etc/planted-secret'}", `:2:12: hooks.a.url: it is no absolute URL`},
		"unknown key":         {"hooks:\n  a: {" + url + ", retries: 3}", `hooks.a: unknown key "retries"; expected one of method, url, headers, body, timeout`},
		"method":              {"hooks:\n  a: {" + url + ", method: GET}", `:2:43: hooks.a.method: "GET": want one of POST, PUT, PATCH`},
		"name":                {"hooks:\n  a b: {" + url + "}", `hooks.a b: "a b": want a name of letters, digits`},
		"header name":         {"hooks:\n  a: {" + url + ", headers: {'X Token': planted-secret}}", `:2:56: hooks.a.headers.X Token: "X Token": want the name of a header`},
		"own header":          {"hooks:\n  a: {" + url + ", headers: {idempotency-key: x}}", `hooks.a.headers.idempotency-key: Firebreak writes this header itself`},
		"a header twice":      {"hooks:\n  a: {" + url + ", headers: {X-Token: x, x-token: y}}", `hooks.a.headers.x-token: X-Token is the same header; want it once`},
		"empty header":        {"hooks:\n  a: {" + url + ", headers: {X-Token: ''}}", `hooks.a.headers.X-Token: it is empty; want a value, like Bearer ${TOKEN}`},
		"header with a break": {"hooks:\n  a: {" + url + `, headers: {X-Token: "planted-secret\n"}}`, `hooks.a.headers.X-Token: it begins or ends with a blank`},
		"timeout":             {"hooks:\n  a: {" + url + ", timeout: 1m}", `hooks.a.timeout: 1m0s: want 1ms to 20s`},
		"a secret in a body":  {"hooks:\n  a: {" + url + ", body: '{\"key\": \"${KEY}\"}'}", `:2:41: hooks.a.body: ${KEY}: a body is shown, and takes no secret; want it in url or headers`},
		"no template":         {"hooks:\n  a: {" + url + ", body: '{\"a\": \"{{.incident\"}'}", `hooks.a.body: template: body:1: `},
		"no field":            {"hooks:\n  a: {" + url + ", body: '{\"a\": \"{{.incident.rul.name}}\"}'}", `executing "body" at <.incident.rul.name>: map has no entry for key "rul"; want JSON with {{.incident.rule.name}}`},
		"no JSON":             {"hooks:\n  a: {" + url + ", body: '{\"a\": {{.moment}}'}", `hooks.a.body: what it renders is no JSON: line 1: unexpected end of JSON input`},
		"no such hook":        {"hooks:\n  a: {" + url + "}\nroutes:\n  - {name: r, when: 'true', playbook: respond, on_closed: [b]}", `:4:60: routes[0].on_closed[0]: "b" is no hook; want one of hooks: a`},
		"a hook twice":        {"hooks:\n  a: {" + url + "}\nroutes:\n  - {name: r, when: 'true', playbook: respond, on_opened: [a, a]}", `routes[0].on_opened[1]: "a" is there twice; want it once`},
		"a capture contains":  {"hooks:\n  a: {" + url + "}\nroutes:\n  - {name: r, when: 'true', playbook: capture, on_contained: [a]}", `routes[0].on_contained: playbook capture contains nothing`},
		"a file contains":     {"hooks:\n  a: {" + url + "}\nroutes:\n  - {name: r, when: 'true', playbook: respond, action: FILE_ACQUIRE, on_contained: [a]}", `routes[0].on_contained: FILE_ACQUIRE contains nothing`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, tc.text)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "planted-secret")
			var problem *config.Error
			require.ErrorAs(t, err, &problem)
		})
	}
}

func TestTheHooksOfTheREADMEAreThoseOfTheirServices(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(readme), "```yaml\nhooks:")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "```")
	c, err := load(t, "hooks:"+text)
	require.NoError(t, err)
	e := hooks.Event{Incident: incident.Incident{
		Rule: incident.Rule{Name: "Miner"}, Severity: 1, Host: incident.Host{Name: "node-1"}, Output: `a "miner"`,
		Container: incident.Container{ID: "6949e5f10829"}, Labels: map[string]string{"agent.tag.s1_id": "225494730938493804"},
	}, Link: "https://temporal.example.com/x"}
	e.Incident.Derive()
	for name, want := range map[string]string{
		// Jira Data Center REST API, "Creating an issue".
		"ticket": `{"fields": {"project": {"key": "SEC"}, "issuetype": {"name": "Task"}, "summary": "Miner on node-1 (high)",
			"description": "a \"miner\"\n\nhttps://temporal.example.com/x", "labels": ["firebreak", "container"]}}`,
		"isolate": `{"filter": {"ids": ["225494730938493804"]}, "data": {}}`,
	} {
		body, err := hooks.Parse(c.Hooks[name].Body)
		require.NoError(t, err)
		rendered, err := body.Render(&e)
		require.NoError(t, err)
		require.JSONEq(t, want, string(rendered))
	}
}
