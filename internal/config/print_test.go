package config_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePrintedConfigurationLoads(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"the defaults": "",
		"everything written out": `
sysdig: {region: us4, token: hunter2}
starter:
  tls: {cert: server.pem, key: server.key}
  journal: /var/lib/firebreak/journal
  max_body: 4096
  sources:
    - {name: "1", auth: {type: none}, allow: ["::1", 203.0.113.0/24]}
    - {name: "null", auth: {type: signature, secrets: [hunter2, "${X}"], prefix: "- 'q': \"r\" #x"}}
    - {name: "true", auth: {type: basic, secrets: ["ann:hunter2", "${file:/run/secrets/basic}"]}}
    - {name: "0x10", auth: {type: mtls, client_ca: clients.pem, names: ["*.example.com"]}}
approvals: {trust: listed, groups: {"yes": ["no", "~", "1e3", "- x", "é☃"], "a: b": ["[y", "&z", "|", "? x"]}}
hooks:
  jira:
    url: "https://user:hunter2@jira.example.com/hunter2"
    headers: {Authorization: "Bearer ${X}", X-Token: hunter2}
    body: |
      {"summary": "{{.incident.rule.name}} \t#1: 'q'",
      	"all": {{.}}}
  edr: {url: "${URL}", method: PATCH, timeout: 3s}
routes:
  - {name: c, when: "true", playbook: respond, on_opened: [jira], on_contained: [edr], on_closed: [edr, jira]}
  - {name: a, when: "true", playbook: capture, max_severity: 0, cool_down: 0s, save_approval: none}
  - {name: b, when: "true", playbook: crypto-miner, approval: {expire_after: 10m}, capture: {filter: "a\tb\nc\\d: #"}}
`,
		"conditions on several lines": "routes:\n  - name: a\n    playbook: capture\n    when: |\n" +
			"      incident.severity <= 3 &&\n      \tincident.output != \"${HOME}\" // why: #1\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, text)
			require.NoError(t, err)
			printed, err := c.YAML()
			require.NoError(t, err)
			again, err := load(t, string(printed))
			require.NoError(t, err, string(printed))
			reprinted, err := again.YAML()
			require.NoError(t, err)
			require.Equal(t, string(printed), string(reprinted))
			want, err := json.Marshal(c)
			require.NoError(t, err)
			got, err := json.Marshal(again)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got), "what is printed means the same")
			require.NotContains(t, string(printed)+string(want), "hunter2")
		})
	}
}
